"""A cache key changes with what decides a result, and with nothing else."""

from pathlib import Path

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
    "components/__init__.py": "",
    "components/part/__init__.py": "",
    "components/part/executor.py": "from components import helper\nfrom components.other import tool\nimport numpy\n",
    "components/helper.py": "from components.deep.inside import value\n",
    "components/deep/inside.py": "import serving.shared\nvalue = 1\n",
    "components/other/__init__.py": "",
    "components/other/tool.py": "def f():\n    import components.late\n",
    "components/other/unused.py": "unused = 1\n",
    "components/late.py": "from components import helper  # a circle is no trouble\n",
    "serving/shared.py": "",
    "pipeline/graph.py": "import components.part.executor\n",
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(fingerprint, "_ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "changed",
    [
        "components/part/executor.py",  # its own
        "components/part/__init__.py",
        "components/helper.py",  # from package import module
        "components/other/tool.py",  # from package.sub import module
        "components/deep/inside.py",  # from module import name, at one remove
        "serving/shared.py",  # import module, at two removes, in another package
        "components/late.py",  # imported inside a function
    ],
)
def test_the_code_that_a_component_imports_belongs_to_its_fingerprint(tree: Path, changed: str) -> None:
    before = fingerprint.of_code("part")
    with (tree / changed).open("a") as file:
        file.write("# changed\n")
    assert fingerprint.of_code("part") != before


@pytest.mark.parametrize("changed", ["components/other/unused.py", "pipeline/graph.py"])
def test_code_that_a_component_does_not_import_leaves_its_fingerprint(tree: Path, changed: str) -> None:
    before = fingerprint.of_code("part")
    with (tree / changed).open("a") as file:
        file.write("# changed\n")
    assert fingerprint.of_code("part") == before


def test_a_new_file_in_the_folder_of_a_component_changes_its_fingerprint(tree: Path) -> None:
    before = fingerprint.of_code("part")
    (tree / "components" / "part" / "new.py").write_text("")
    assert fingerprint.of_code("part") != before


def test_another_version_of_a_library_changes_the_fingerprint(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del tree
    before = fingerprint.of_code("part")
    monkeypatch.setattr(fingerprint, "version", lambda name: "99.0")
    assert fingerprint.of_code("part") != before


def test_the_function_that_a_component_is_told_to_call_belongs_to_its_fingerprint(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tree / "elsewhere" / "own_training.py"
    own.parent.mkdir()
    own.write_text("import components.other.unused\ndef run_fn(): ...\n")
    monkeypatch.syspath_prepend(own.parent)

    fingerprints = {fingerprint.of_code("part"), fingerprint.of_code("part", "own_training.run_fn")}
    for changed in (own, tree / "components" / "other" / "unused.py"):
        with changed.open("a") as file:
            file.write("# changed\n")
        fingerprints.add(fingerprint.of_code("part", "own_training.run_fn"))
    assert len(fingerprints) == 4


@pytest.mark.parametrize("function", ["no_such_module.run_fn", "no.such.package.run_fn", "run_fn"])
def test_a_function_in_no_module_is_refused(function: str) -> None:
    with pytest.raises(UserError, match=f"Cannot find the function '{function}'"):
        fingerprint.of_code("trainer", function)


def code_of(component: str) -> set[str]:
    """The files of this repository that a component's fingerprint knows."""
    root = Path(fingerprint.__file__).parent.parent
    files = fingerprint._with_imports(set((root / "components" / component).rglob("*.py")))
    return {path.relative_to(root).as_posix() for path in files}


def test_the_trainer_depends_on_the_preprocessing_and_not_on_the_push() -> None:
    files = code_of("trainer")
    assert {"components/transform/preprocessing.py", "components/images.py", "components/keys.py"} <= files
    assert not any(name.startswith(("components/pusher", "pipeline/")) for name in files)


def test_the_device_validator_depends_on_what_its_processes_run() -> None:
    assert {"serving/runtimes.py", "serving/runtime_process.py", "components/gate.py"} <= code_of("device_validator")
