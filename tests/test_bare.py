"""The checks of `make test-bare` tell a run that did all from one that did not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import bare

CLOSING = "======== 1555 passed, 21 deselected in 241.45s (0:04:01) ========\n"
NO_ORIGINALS = (
    "SKIPPED [1] tests/e2e/x.py:1: not run: MNIST_MANUAL_DIR names no directory with MNIST's original files\n"
)
FILES = ("saved_model.pb", "model.tflite", "labels.txt", "manifest.json", "golden.npz", "model_card.md")


@pytest.fixture(autouse=True)
def _no_originals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNIST_MANUAL_DIR", raising=False)


@pytest.mark.parametrize("output", [CLOSING, NO_ORIGINALS + CLOSING])
def test_tests_that_passed_are_fine(output: str, tmp_path: Path) -> None:
    bare.check_tests(1000)(bare.Root(tmp_path), output)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("", "got none"),
        ("no tests ran in 0.1s\n", "got none"),
        (CLOSING.replace("1555", "3"), "got 3"),
        ("SKIPPED [1] tests/x.py:1: there is no browser\n" + CLOSING, "there is no browser"),
    ],
)
def test_tests_that_did_not_run_are_told(output: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(bare.CheckError, match=reason):
        bare.check_tests(1000)(bare.Root(tmp_path), output)


def test_where_the_original_files_are_there_their_test_must_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MNIST_MANUAL_DIR", str(tmp_path))
    with pytest.raises(bare.CheckError, match="MNIST_MANUAL_DIR"):
        bare.check_tests(1000)(bare.Root(tmp_path), NO_ORIGINALS + CLOSING)


NOTICE = "Going on with the embedded sample"


def made(folder: Path, **changes: Any) -> bare.Root:
    """A root in which a run left what it should, but for what is changed in its summary."""
    root = bare.Root(folder)
    report = root.project / "pipeline_root" / "reports" / "latest"
    report.mkdir(parents=True)
    version = folder / "serving" / "1"
    version.mkdir(parents=True)
    for name in FILES:
        (version / name).touch()
    summary: dict[str, Any] = {
        "dataset": "mnist_sample",
        "blessed": True,
        "gates": [{"gate": "tflite", "reason": "it is so", "passed": True}],
        "pushed_to": "/serving/1",
        "metrics": {"tflite": {"accuracy": 0.98}},
    }
    (report / "summary.json").write_text(json.dumps(summary | changes))
    for name in ("index.html", "gates.junit.xml"):
        (report / name).touch()
    return root


def test_a_run_that_left_everything_is_fine(tmp_path: Path) -> None:
    bare.check_run(made(tmp_path), NOTICE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"blessed": False}, "Expected a blessed run"),
        ({"dataset": "mnist"}, "Expected a blessed run on mnist_sample"),
        ({"gates": [{"gate": "TFLite Micro", "reason": "it is not installed", "passed": None}]}, "it is not installed"),
        ({"pushed_to": "/serving/2"}, "lacks saved_model.pb"),
    ],
)
def test_a_run_that_fell_short_is_told(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(bare.CheckError, match=reason):
        bare.check_run(made(tmp_path, **changes), NOTICE)


def without_a_page(root: bare.Root) -> str:
    (root.project / "pipeline_root/reports/latest/index.html").unlink()
    return NOTICE


@pytest.mark.parametrize(("change", "reason"), [(without_a_page, "left no index.html"), (lambda root: "", "no notice")])
def test_what_a_user_would_miss_is_told(change: Callable[[bare.Root], str], reason: str, tmp_path: Path) -> None:
    root = made(tmp_path)
    with pytest.raises(bare.CheckError, match=reason):
        bare.check_run(root, change(root))
