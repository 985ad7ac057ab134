"""A version directory is what its manifest states, or it is refused with what is wrong."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from serving import version_dir
from serving.version_dir import VersionDirError

CONTENT = {"model.tflite": b"flat", "saved_model.pb": b"graph", "variables/variables.index": b"", "labels.txt": b"0\n"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "mnist" / "17"
    for name, content in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps({"files": version_dir.file_hashes(folder), "dataset": "mnist"}))
    return folder


def test_hashes_and_sizes_are_those_of_the_bytes(directory: Path) -> None:
    hashes = version_dir.file_hashes(directory)
    hashes.pop("manifest.json")
    assert hashes == {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in CONTENT.items()
    }
    assert list(hashes) == sorted(hashes)


def test_a_whole_directory_gives_its_manifest(directory: Path) -> None:
    assert version_dir.verify(directory)["dataset"] == "mnist"


def change(directory: Path) -> None:
    (directory / "model.tflite").write_bytes(b"fiat")  # of the same size


def cut_off(directory: Path) -> None:
    (directory / "saved_model.pb").write_bytes(b"gra")


def remove(directory: Path) -> None:
    (directory / "variables" / "variables.index").unlink()


def add(directory: Path) -> None:
    (directory / "assets").mkdir()
    (directory / "assets" / "extra.txt").write_text("x")


@pytest.mark.parametrize(
    ("tamper", "wrong"),
    [
        (change, "(changed: model.tflite)"),
        (cut_off, "(changed: saved_model.pb)"),
        (remove, "(missing: variables/variables.index)"),
        (add, "(not in the manifest: assets/extra.txt)"),
    ],
)
def test_a_file_that_differs_is_named(directory: Path, tamper: Callable[[Path], None], wrong: str) -> None:
    tamper(directory)
    with pytest.raises(VersionDirError) as caught:
        version_dir.verify(directory)
    assert wrong in str(caught.value)
    assert "Push the model again." in str(caught.value)


def test_a_manifest_that_would_block_is_none(directory: Path) -> None:
    (directory / "manifest.json").unlink()
    os.mkfifo(directory / "manifest.json")
    with pytest.raises(version_dir.NoManifestError, match=r"expected a file manifest\.json in it"):
        version_dir.verify(directory)
    assert version_dir.manifest_beside(directory / "model.tflite", b"flat") is None


def test_all_that_is_wrong_is_named(directory: Path) -> None:
    change(directory)
    remove(directory)
    with pytest.raises(VersionDirError, match=r"missing: variables/.*; changed: model\.tflite"):
        version_dir.verify(directory)


def test_a_directory_without_a_manifest_is_no_version(directory: Path) -> None:
    (directory / "manifest.json").unlink()
    with pytest.raises(VersionDirError, match=r"not a version directory.*<serving-dir>/<model>/<version>"):
        version_dir.verify(directory)


@pytest.mark.parametrize("content", [b"", b'{"files": ', b"\xff\xfe\x00"])
def test_a_manifest_that_cannot_be_read_is_told(directory: Path, content: bytes) -> None:
    (directory / "manifest.json").write_bytes(content)
    with pytest.raises(VersionDirError, match="Cannot read"):
        version_dir.verify(directory)


@pytest.mark.parametrize("content", ["{}", "[]", '{"files": 3}', "null"])
def test_a_manifest_without_files_is_told(directory: Path, content: str) -> None:
    (directory / "manifest.json").write_text(content)
    with pytest.raises(VersionDirError):
        version_dir.verify(directory)


def test_a_place_that_is_not_there_is_no_version(tmp_path: Path) -> None:
    with pytest.raises(VersionDirError, match="not a version directory"):
        version_dir.read_manifest(tmp_path / "nowhere")


def test_labels_keep_their_order_and_their_letters(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("null\nÄpfel\nsix seven\n", encoding="utf-8")
    assert version_dir.read_labels(tmp_path / "labels.txt") == ["null", "Äpfel", "six seven"]


def test_versions_are_integers_in_numeric_order_and_nothing_else_counts(tmp_path: Path) -> None:
    for name in ("9", "10", "100", ".unfinished-x", "latest", "1.5", "-3"):
        (tmp_path / name).mkdir()
    (tmp_path / "11").write_text("a file")
    assert version_dir.versions(tmp_path) == [9, 10, 100]


def test_where_nothing_was_pushed_there_are_no_versions(tmp_path: Path) -> None:
    assert version_dir.versions(tmp_path / "mnist") == []
