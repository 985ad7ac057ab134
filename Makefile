# The tasks of this project, for hand and CI alike. Each builds the locked environment that it needs.
# Needs Python 3.11, 3.12 or 3.13 with its venv module, make, and a package registry.

# The newest suitable interpreter on the PATH, unless one is named (requirements/python.sh).
PYTHON ?=
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
UV := .venv-uv/bin/uv
PYTHON_DIFFERS = test -x $(BIN)/python && ! test "$$("$(PYTHON)" -VV 2>&1)" = "$$($(BIN)/python -VV)"

# What `uv pip install` is told: exactly what the lock states, compiled ahead since libraries of this size import slowly.
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes --compile-bytecode
INSTALL_US = $(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .

.PHONY: rebuild run test test-slow test-bare lint bench lock clean

run: $(VENV)/.pipeline  ## The pipeline; options by ARGS, as in: make run ARGS="--preset fast"
	@$(BIN)/mnist-pipeline run $(ARGS)

test: $(VENV)/.dev  ## Unit, component and whole-pipeline tests, the last on the embedded sample
	$(BIN)/pytest $(ARGS)

test-slow: $(VENV)/.dev  ## The base install, killed runs, the page in a browser, the kit's C++ and (with MNIST_MANUAL_DIR) the full preset
	$(BIN)/pytest -m slow $(ARGS)

test-bare:  ## `make run` and `make test` on bare Debian 12 and 13 systems; needs root, debootstrap and Debian's packages
	@python3 -m tests.bare $(ARGS)

lint: $(VENV)/.dev  ## Style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.dev  ## Time and memory of a full run, uncached and cached
	$(BIN)/python -m tests.bench $(ARGS)

lock: $(VENV)/.uv  ## Compile requirements/*.txt again from requirements/*.in
	for name in serving pipeline dev; do \
		$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-emit-find-links --override requirements/overrides.txt \
			--custom-compile-command "make lock" requirements/$$name.in --output-file requirements/$$name.txt || exit 1; \
	done

clean:  ## Remove the environment and all runs
	rm -rf $(VENV) .venv-uv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build
	find pipeline_root -mindepth 1 ! -name .gitignore -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Built again where another Python is named than the one it was built with.
$(VENV)/.uv: Makefile requirements/python.sh $(if $(PYTHON),$(shell $(PYTHON_DIFFERS) && echo rebuild))
	@chosen=$$(sh requirements/python.sh "$(PYTHON)") && python=$$(echo "$$chosen" | head -n 1) && \
	echo "Building the environment in $(VENV) with $$python ..." && \
	"$$(echo "$$chosen" | tail -n 1)" -m venv --clear .venv-uv && \
	.venv-uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) && \
	$(UV) venv --quiet --clear --python "$$python" $(VENV)
	@touch $@

$(VENV)/.pipeline: $(VENV)/.uv requirements/pipeline.txt setup.py
	@$(INSTALL) --requirement requirements/pipeline.txt
	@$(INSTALL_US)
	@touch $@

$(VENV)/.dev: $(VENV)/.pipeline requirements/dev.txt
	@$(INSTALL) --requirement requirements/dev.txt
	@touch $@
