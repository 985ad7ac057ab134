# The tasks of this project, for hand and CI alike. Each builds the locked environment that it needs.
# Needs Python 3.11, make and a package registry.

PYTHON ?= python3.11
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin

# What `uv pip install` is told: exactly what the lock states, compiled ahead since libraries of this size import slowly.
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes --compile-bytecode
INSTALL_US = $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .

.PHONY: run test test-slow lint bench lock clean

run: $(VENV)/.pipeline  ## The pipeline; options by ARGS, as in: make run ARGS="--preset fast"
	@$(BIN)/mnist-pipeline run $(ARGS)

test: $(VENV)/.dev  ## Unit, component and whole-pipeline tests, the last on the embedded sample
	$(BIN)/pytest $(ARGS)

test-slow: $(VENV)/.dev  ## The base install, killed runs, and (with MNIST_MANUAL_DIR) the full preset on MNIST
	$(BIN)/pytest -m slow $(ARGS)

lint: $(VENV)/.dev  ## Style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.dev  ## Time and memory of a full run, uncached and cached
	$(BIN)/python -m tests.bench $(ARGS)

lock: $(VENV)/.uv  ## Compile requirements/*.txt anew from requirements/*.in
	for name in serving pipeline dev; do \
		$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-emit-find-links --override requirements/overrides.txt \
			--custom-compile-command "make lock" requirements/$$name.in --output-file requirements/$$name.txt || exit 1; \
	done

clean:  ## Remove the environment and all runs
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build
	find pipeline_root -mindepth 1 ! -name .gitignore -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.uv: Makefile
	@echo "Building the environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(VENV)/.pipeline: $(VENV)/.uv requirements/pipeline.txt setup.py
	@$(INSTALL) --requirement requirements/pipeline.txt
	@$(INSTALL_US)
	@touch $@

$(VENV)/.dev: $(VENV)/.pipeline requirements/dev.txt
	@$(INSTALL) --requirement requirements/dev.txt
	@touch $@
