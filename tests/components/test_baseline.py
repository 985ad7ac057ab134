"""A model is compared with what is served now, or the reason why not is told."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.baseline import Baseline, choose, possible
from components.release import release_digest
from serving import version_dir
from tests import versions


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    return tmp_path / "serving" / "pets"


def digest(version: Path) -> str:
    return release_digest(version_dir.read_manifest(version)["files"])


def chosen(model_dir: Path, current: str = "") -> Baseline:
    return choose(version_dir.directories(model_dir), current, versions.NAMES, versions.SHAPE)


def is_baseline(found: Baseline, version: Path) -> bool:
    return found == Baseline(version=version.name, path=str(version))


def test_where_nothing_is_served_there_is_no_baseline(model_dir: Path) -> None:
    assert chosen(model_dir) == Baseline(reason="no model is served yet")


def test_the_newest_version_is_the_baseline_whatever_was_better_before(model_dir: Path) -> None:
    for content in ("A", "B", "C"):
        newest = versions.push(content, model_dir)
    assert is_baseline(chosen(model_dir), newest)


def test_versions_of_the_current_release_are_left_out_wherever_they_are(model_dir: Path) -> None:
    first, second, third, fourth = (versions.push(content, model_dir) for content in "ABAA")
    assert digest(first) == digest(third) == digest(fourth) != digest(second)  # the model cards differ
    assert is_baseline(chosen(model_dir, digest(first)), second)
    assert is_baseline(chosen(model_dir, digest(second)), fourth)


def test_a_model_that_alone_is_served_has_no_baseline(model_dir: Path) -> None:
    version = versions.push("A", model_dir)
    assert chosen(model_dir, digest(version)) == Baseline(reason="no other model is served")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (versions.dataset(("cat", "dog", "owl")), "has 3 classes, not 2"),
        (versions.dataset(("dog", "cat")), "has other classes, or the same in another order"),
        (versions.dataset(shape=(16, 16, 1)), "takes images of another shape: 16 x 16 x 1, not 8 x 8 x 1"),
    ],
)
def test_a_model_of_other_data_is_no_baseline_and_neither_is_an_older_one(
    model_dir: Path, data: versions.Dataset, reason: str
) -> None:
    versions.push("A", model_dir)
    newest = versions.push("B", model_dir, data)
    assert chosen(model_dir) == Baseline(reason=f"the served version {newest} {reason}")


def remove_file(version: Path) -> None:
    (version / "model.tflite").unlink()


def change_file(version: Path) -> None:
    (version / "model.tflite").write_text("bits")


def cut_manifest(version: Path) -> None:
    manifest = version / "manifest.json"
    manifest.write_text(manifest.read_text()[:100])


def remove_manifest(version: Path) -> None:
    (version / "manifest.json").unlink()


def manifest_that_blocks(version: Path) -> None:
    remove_manifest(version)
    os.mkfifo(version / "manifest.json")


def foreign_manifest(version: Path) -> None:
    manifest = version / "manifest.json"
    manifest.write_text(json.dumps({"files": json.loads(manifest.read_text())["files"], "name": "cat or dog"}))


def empty(version: Path) -> None:
    shutil.rmtree(version)
    version.mkdir()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            remove_file,
            r"^the served version is unusable: .*pets/\d+ is not what its manifest states \(missing: model.tfl",
        ),
        (change_file, r"^the served version is unusable: .*changed: model\.tflite\)\. Push the model again$"),
        (cut_manifest, r"^the served version is unusable: Cannot read .*manifest\.json"),
        (remove_manifest, r"^the served version .*pets/\d+ was not made by this pipeline: it has no manifest$"),
        (manifest_that_blocks, r"was not made by this pipeline: it has no manifest$"),
        (foreign_manifest, r"was not made by this pipeline: its manifest names no classes and no image shape$"),
        (empty, r"was not made by this pipeline"),
    ],
)
def test_a_damaged_or_foreign_version_is_no_baseline_and_no_crash(
    model_dir: Path, damage: Callable[[Path], None], reason: str
) -> None:
    versions.push("A", model_dir)
    damage(versions.push("B", model_dir))
    found = chosen(model_dir)
    assert found.path is None
    assert found.version is None
    assert re.search(reason, str(found.reason))


@pytest.mark.parametrize("contents", ["", "A", "AA", "AB", "ABA", "ABBB", "BAAA"])
def test_whatever_the_current_release_is_its_baseline_is_among_the_possible_ones(
    model_dir: Path, contents: str
) -> None:
    pushed = [versions.push(content, model_dir) for content in contents]
    among = {str(path) for path in possible(version_dir.directories(model_dir), versions.NAMES, versions.SHAPE)}
    paths = {chosen(model_dir, current).path for current in ["", *map(digest, pushed)]} - {None}
    assert among == paths
    assert len(among) == min(2, len(set(contents)))


def test_a_damaged_version_of_the_current_release_does_not_hide_the_one_before(model_dir: Path) -> None:
    first, second = (versions.push(content, model_dir) for content in "AB")
    change_file(second)
    assert is_baseline(chosen(model_dir, digest(second)), first)
    assert possible(version_dir.directories(model_dir), versions.NAMES, versions.SHAPE) == [first]
