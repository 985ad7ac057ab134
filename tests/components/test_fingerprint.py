"""A cache key changes with what decides a result, and with nothing else."""

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import fingerprint
from components.errors import UserError


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_only_equal_lists_of_parts_have_equal_digests(one: list[bytes], other: list[bytes]) -> None:
    assert (fingerprint.digest(one) == fingerprint.digest(other)) == (one == other)


def test_neither_order_nor_borders_of_parts_are_lost() -> None:
    digests = {fingerprint.digest(parts) for parts in ([b"ab", b"c"], [b"a", b"bc"], [b"c", b"ab"], [b"abc"])}
    assert len(digests) == 4


def test_contents_of_files_count_and_their_places_do_not(tmp_path: Path) -> None:
    here, there, other = tmp_path / "here", tmp_path / "there", tmp_path / "other"
    here.write_bytes(b"same")
    there.write_bytes(b"same")
    other.write_bytes(b"else")
    assert fingerprint.of_files([here]) == fingerprint.of_files([there]) != fingerprint.of_files([other])


FILES = {
    "kitchen/__init__.py": "",
    "kitchen/cook/__init__.py": "",
    "kitchen/cook/executor.py": """
        import kitchen.deep.inside
        import numpy
        from kitchen import helper
        from kitchen.other import tool
        from . import near
        from .beside import value
        from ..up import *
        def run(): ...
    """,
    "kitchen/cook/near.py": "",
    "kitchen/cook/beside.py": "from .. import further\nvalue = 1\n",
    "kitchen/cook/templates/page.j2": "Hello",
    "kitchen/cook/unused.py": "",
    "kitchen/up.py": "",
    "kitchen/further.py": "",
    "kitchen/helper.py": "from pantry.shelf import salt\n",
    "kitchen/deep/inside.py": "value = 1\n",  # in a package without __init__.py
    "kitchen/other/__init__.py": "from .listed import item\n",
    "kitchen/other/listed.py": "item = 1\n",
    "kitchen/other/tool.py": "def f():\n    import kitchen.late\n",
    "kitchen/other/unused.py": "unused = 1\n",
    "kitchen/other/templates/page.j2": "not of the cook",
    "kitchen/late.py": "from kitchen import helper  # a circle is no trouble\n",
    "pantry/__init__.py": "",
    "pantry/shelf/__init__.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import single\nsalt = 1\n",
    "pantry/unused.py": "",
    "single.py": "import not_installed_at_all\n",
}
COOK = "kitchen.cook.executor.run"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def append(file: Path, text: str = "# changed\n") -> None:
    with file.open("a") as opened:
        opened.write(text)


@pytest.mark.parametrize(
    "changed",
    [
        "kitchen/cook/executor.py",  # its own
        "kitchen/cook/templates/page.j2",
        "kitchen/__init__.py",  # runs before what is in it
        "kitchen/cook/__init__.py",
        "kitchen/cook/near.py",  # from . import module
        "kitchen/cook/beside.py",  # from .module import name
        "kitchen/up.py",  # from ..module import *
        "kitchen/further.py",  # from .. import module, at one remove
        "kitchen/helper.py",  # from package import module
        "kitchen/deep/inside.py",  # import package.sub.module
        "kitchen/other/__init__.py",
        "kitchen/other/listed.py",  # from .module import name, in a package's __init__.py
        "kitchen/other/tool.py",  # from package.sub import module
        "kitchen/late.py",  # imported inside a function
        "pantry/__init__.py",
        "pantry/shelf/__init__.py",  # from package.sub import name, in another package
        "single.py",  # at two removes, for type checkers alone
    ],
)
def test_the_code_that_a_function_imports_belongs_to_its_fingerprint(tree: Path, changed: str) -> None:
    before = fingerprint.of_code(COOK)
    append(tree / changed)
    assert fingerprint.of_code(COOK) != before


@pytest.mark.parametrize(
    "changed",
    ["kitchen/other/unused.py", "kitchen/cook/unused.py", "kitchen/other/templates/page.j2", "pantry/unused.py"],
)
def test_code_that_a_function_does_not_import_leaves_its_fingerprint(tree: Path, changed: str) -> None:
    before = fingerprint.of_code(COOK)
    append(tree / changed)
    assert fingerprint.of_code(COOK) == before


def test_nothing_is_run_to_find_what_is_imported(tree: Path) -> None:
    for name in ("kitchen/__init__.py", "kitchen/cook/executor.py"):
        append(tree / name, "raise RuntimeError\n")
    fingerprint.of_code(COOK)
    assert not any(name.startswith(("kitchen", "pantry", "single")) for name in sys.modules)


def test_each_of_several_functions_belongs_to_the_fingerprint(tree: Path) -> None:
    fingerprints = {fingerprint.of_code(COOK), fingerprint.of_code(COOK, "pantry.unused.f")}
    for changed in ("kitchen/cook/near.py", "pantry/unused.py"):
        append(tree / changed)
        fingerprints.add(fingerprint.of_code(COOK, "pantry.unused.f"))
    assert len(fingerprints) == 4


def test_the_place_of_the_code_does_not_matter(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = fingerprint.of_code(COOK)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "tree"
    tree.rename(elsewhere)
    sys.path[0] = str(elsewhere)
    assert fingerprint.of_code(COOK) == before


@pytest.mark.parametrize("function", ["no_such_module.run_fn", "no.such.package.run_fn", "json.none.run_fn", "run_fn"])
def test_a_function_in_no_module_is_refused(function: str) -> None:
    with pytest.raises(UserError, match=f"Cannot find the function '{function}'"):
        fingerprint.of_code("components.gate.Gate", function)


def test_code_that_is_not_python_is_refused_with_its_place(tree: Path) -> None:
    (tree / "kitchen" / "further.py").write_text("fine = 1\ndef broken(:\n")
    with pytest.raises(UserError, match=r"Cannot read the code in .*further\.py, line 2: expected Python"):
        fingerprint.of_code(COOK)


def test_code_with_a_nul_byte_is_refused(tree: Path) -> None:
    (tree / "kitchen" / "further.py").write_bytes(b"fine = 1\n\0")
    with pytest.raises(UserError, match=r"Cannot read the code in .*further\.py: expected Python, source code .* null"):
        fingerprint.of_code(COOK)


# Libraries.

LIBRARIES = {
    "soup-kit": (["soup"], ["Broth.Maker>=1", "spoon; extra == 'test'", "ladle[steel]", "fork; python_version < '3'"]),
    "broth_maker": (["broth"], ["salt"]),
    "salt": (["salt"], []),
    "spoon": (["spoon"], []),
    "ladle": (["ladle"], ["iron; extra == 'steel'", "gold; extra == 'luxury'"]),
    "iron": (["iron"], []),
    "gold": (["gold"], []),
    "fork": (["fork"], []),
    "pytest-like": (["pytest_like"], []),
}


@pytest.fixture
def environment(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installed distributions, of which the cook imports `soup`."""
    site_packages = tmp_path / "site-packages"
    for name in LIBRARIES:
        install(site_packages, name, "1.0")
    append(tree / "kitchen" / "cook" / "near.py", "def late(): from soup.deep import bowl\n")
    monkeypatch.setattr("site.getsitepackages", lambda: [str(site_packages)])
    monkeypatch.syspath_prepend(site_packages)
    return site_packages


def install(site_packages: Path, name: str, version: str) -> None:
    packages, requirements = LIBRARIES[name]
    for package in packages:
        (site_packages / package).mkdir(parents=True, exist_ok=True)
        (site_packages / package / "__init__.py").write_text(f"version = '{version}'")
    info = site_packages / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {requirement}\n" for requirement in requirements)
    )
    (info / "top_level.txt").write_text("\n".join(packages))


@pytest.fixture
def forget() -> Iterator[Callable[[], None]]:
    """Forgets what is installed, as a new process would."""

    def clear() -> None:
        for function in (fingerprint._packages, fingerprint._distributions_of, fingerprint._installed):
            function.cache_clear()

    clear()
    yield clear
    clear()


@pytest.mark.parametrize("name", ["soup-kit", "broth_maker", "salt", "ladle", "iron"])
def test_a_library_that_takes_part_belongs_to_the_fingerprint(
    environment: Path, forget: Callable[[], None], name: str
) -> None:
    before = fingerprint.of_code(COOK)
    install(environment, name, "1.1")
    forget()
    assert fingerprint.of_code(COOK) != before


@pytest.mark.parametrize("name", ["spoon", "gold", "fork", "pytest-like"])
def test_a_library_that_takes_no_part_leaves_the_fingerprint(
    environment: Path, forget: Callable[[], None], name: str
) -> None:
    before = fingerprint.of_code(COOK)
    install(environment, name, "1.1")
    forget()
    assert fingerprint.of_code(COOK) == before


def test_a_library_that_is_installed_later_belongs_to_the_fingerprint(
    environment: Path, forget: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint.of_code(COOK)
    monkeypatch.setitem(LIBRARIES, "late", (["not_installed_at_all"], []))
    install(environment, "late", "1.0")
    forget()
    assert fingerprint.of_code(COOK) != before


def test_a_project_that_is_installed_in_editable_mode_counts_by_its_code(
    tree: Path, environment: Path, forget: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    del forget
    monkeypatch.setitem(LIBRARIES, "kitchen", ([], []))
    install(environment, "kitchen", "1.0")
    (environment / "kitchen-1.0.dist-info" / "top_level.txt").write_text("kitchen\npantry\n")
    before = fingerprint.of_code(COOK)
    append(tree / "kitchen" / "further.py")
    assert fingerprint.of_code(COOK) != before


@pytest.mark.parametrize(
    ("function", "counts"),
    [("soup.maker.run_fn", True), ("tfx.maker.run_fn", False), ("kitchen.cook.executor.run", False)],
)
def test_an_installed_package_counts_by_its_code_if_the_function_is_in_it(
    environment: Path, forget: Callable[[], None], monkeypatch: pytest.MonkeyPatch, function: str, counts: bool
) -> None:
    monkeypatch.setitem(LIBRARIES, "tfx", (["tfx"], []))
    install(environment, "tfx", "1.0")
    for package in ("soup", "tfx"):
        (environment / package / "maker.py").write_text(f"import {package}.helper\n")
        (environment / package / "helper.py").write_text("")
    monkeypatch.delitem(sys.modules, "tfx", raising=False)
    importlib.invalidate_caches()
    forget()
    before = fingerprint.of_code(function)
    for package in ("soup", "tfx"):
        append(environment / package / "helper.py")
    assert (fingerprint.of_code(function) != before) is counts


def test_another_python_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    class Version(NamedTuple):
        major: int
        minor: int

    before = fingerprint.of_code("components.gate.Gate")
    monkeypatch.setattr(sys, "version_info", Version(*sys.version_info[:2]))
    assert fingerprint.of_code("components.gate.Gate") == before
    monkeypatch.setattr(sys, "version_info", Version(3, 99))
    assert fingerprint.of_code("components.gate.Gate") != before


# This project's own components.


def code_of(function: str) -> set[str]:
    return set(fingerprint._follow([function.rpartition(".")[0]])[0])


def libraries_of(function: str) -> set[str]:
    _, libraries = fingerprint._follow([function.rpartition(".")[0]])
    return {text.partition("==")[0] for text in fingerprint._versions(libraries)}


def test_the_trainer_depends_on_the_preprocessing_and_not_on_the_push() -> None:
    modules = code_of("components.trainer.run_fn.run_fn")
    assert {"components.transform.preprocessing", "components.images", "components.keys"} <= modules
    assert not any(name.startswith(("components.pusher", "pipeline")) for name in modules)


def test_the_device_validator_depends_on_what_its_processes_run() -> None:
    executor = "components.device_validator.executor.Executor"
    assert {"serving.runtimes", "serving.runtime_process", "components.gate"} <= code_of(executor)
    assert {"ai-edge-litert", "tflite-micro", "scipy", "numpy"} <= libraries_of(executor)


@pytest.mark.parametrize(
    ("function", "libraries"),
    [
        ("tfx.components.statistics_gen.executor.Executor", {"tensorflow-data-validation", "tfx-bsl", "pyarrow"}),
        ("components.robustness.executor.Executor", {"scikit-image", "scipy", "pillow"}),
        ("components.run_report.executor.Executor", {"matplotlib", "seaborn", "scikit-learn", "pandas"}),
        ("components.trainer.run_fn.run_fn", {"tensorflow", "keras", "numpy", "protobuf"}),
        ("components.quality_gate.executor.Executor", {"tensorflow-model-analysis", "jinja2"}),
    ],
)
def test_a_step_depends_on_the_libraries_that_it_runs_on_and_not_on_tools(function: str, libraries: set[str]) -> None:
    found = libraries_of(function)
    assert libraries <= found
    assert not {"pytest", "ruff", "mypy", "hypothesis", "playwright", "uv", "pip"} & found
