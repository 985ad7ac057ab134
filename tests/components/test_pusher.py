"""A version directory is complete or absent, whatever happens to a push."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tfx.components.evaluator import constants
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from components.errors import UserError
from components.pusher import executor
from serving import version_dir

CONTENT = {"saved_model.pb": b"graph", "variables/variables.index": b"index", "tflite": b"flat", "labels.txt": b"0\n"}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "release"
    for name, content in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def manifest(release: Path) -> dict:
    """What the QualityGate writes: the hashes at the time of judging, the TFLite file under its name when pushed."""
    files = version_dir.file_hashes(release)
    files["model.tflite"] = files.pop("tflite")
    return {"files": files, "dataset": {"name": "mnist"}}


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    return tmp_path / "serving" / "mnist"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_push_makes_a_version_directory_that_fits_its_manifest(
    release: Path, manifest: dict, model_dir: Path
) -> None:
    pushed = executor.push(release, manifest, model_dir)

    assert version_dir.verify(pushed) == {"model": "mnist", "version": int(pushed.name), **manifest}
    assert (pushed / "model.tflite").read_bytes() == b"flat"
    assert (pushed / "variables" / "variables.index").read_bytes() == b"index"
    assert names(pushed) == ["labels.txt", "manifest.json", "model.tflite", "saved_model.pb", "variables"]
    assert names(model_dir) == [pushed.name]


def test_a_model_server_of_another_user_can_read_a_version(release: Path, manifest: dict, model_dir: Path) -> None:
    release.chmod(0o700)
    assert executor.push(release, manifest, model_dir).stat().st_mode & 0o777 == 0o755


def test_pushes_within_one_second_get_ascending_numbers(
    release: Path, manifest: dict, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor.time, "time", lambda: 1_700_000_000.9)
    pushed = [executor.push(release, manifest, model_dir).name for _ in range(3)]
    assert pushed == ["1700000000", "1700000001", "1700000002"]


def test_a_clock_that_was_set_back_does_not_put_an_older_number_on_a_newer_version(
    release: Path, manifest: dict, model_dir: Path
) -> None:
    (model_dir / "9999999999").mkdir(parents=True)
    assert executor.push(release, manifest, model_dir).name == "10000000000"


def change(release: Path) -> None:
    (release / "tflite").write_bytes(b"bits")


def add(release: Path) -> None:
    (release / "assets.txt").write_bytes(b"new")


def remove(release: Path) -> None:
    (release / "variables" / "variables.index").unlink()


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (change, "changed: model.tflite"),
        (add, "not in the manifest: assets.txt"),
        (remove, "missing: variables/variables.index"),
    ],
)
def test_a_release_that_was_touched_after_judging_is_refused_and_leaves_nothing(
    release: Path, manifest: dict, model_dir: Path, tamper: Callable[[Path], None], named: str
) -> None:
    tamper(release)
    with pytest.raises(version_dir.VersionDirError, match=named):
        executor.push(release, manifest, model_dir)
    assert names(model_dir) == []


def fail_after_one_file(source: Path, target: Path, **options: object) -> None:
    del options
    shutil.copy(source / "saved_model.pb", target)
    raise OSError(28, "No space left on device")


def interrupted(*unused: object, **options: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("owner", "name", "crash", "raised"),
    [
        (shutil, "copytree", fail_after_one_file, UserError),
        (shutil, "copytree", interrupted, KeyboardInterrupt),
        (executor, "_sync", interrupted, KeyboardInterrupt),
        (version_dir, "verify", interrupted, KeyboardInterrupt),
    ],
)
def test_a_push_that_breaks_off_leaves_only_the_earlier_version(
    release: Path,
    manifest: dict,
    model_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    crash: Callable,
    raised: type[BaseException],
) -> None:
    earlier = executor.push(release, manifest, model_dir)
    monkeypatch.setattr(owner, name, crash)
    with pytest.raises(raised):
        executor.push(release, manifest, model_dir)
    monkeypatch.undo()

    assert names(model_dir) == [earlier.name]
    version_dir.verify(earlier)


def test_a_version_is_complete_at_the_moment_it_gets_its_name(
    release: Path, manifest: dict, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename
    complete = []

    def watched(self: Path, target: Path) -> Path:
        if target.parent == model_dir:
            complete.append(version_dir.verify(self)["files"] == manifest["files"])
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    executor.push(release, manifest, model_dir)
    assert complete == [True]


def test_what_a_killed_push_left_is_cleared_and_never_taken_for_a_version(
    release: Path, manifest: dict, model_dir: Path
) -> None:
    leftover = model_dir / ".unfinished-killed"
    leftover.mkdir(parents=True)
    (leftover / "saved_model.pb").write_bytes(b"gra")
    assert version_dir.versions(model_dir) == []

    pushed = executor.push(release, manifest, model_dir)
    assert names(model_dir) == [pushed.name]


def test_a_full_disk_is_told_with_what_to_do(
    release: Path, manifest: dict, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "copytree", fail_after_one_file)
    with pytest.raises(UserError, match=r"Cannot push to .*mnist.*No space left on device.*--serving-dir"):
        executor.push(release, manifest, model_dir)


def test_a_serving_directory_that_cannot_be_made_is_told(release: Path, manifest: dict, tmp_path: Path) -> None:
    (tmp_path / "serving").write_text("a file")
    with pytest.raises(UserError, match="Cannot push to"):
        executor.push(release, manifest, tmp_path / "serving" / "mnist")


def run_executor(
    release: Path, manifest: dict, model_dir: Path, folder: Path, *, blessed: bool
) -> standard_artifacts.PushedModel:
    model = standard_artifacts.Model()
    model.uri = str(folder / "model")
    shutil.copytree(release, folder / "model" / "Format-Serving")
    blessing = standard_artifacts.ModelBlessing()
    blessing.uri = str(folder / "blessing")
    (folder / "blessing").mkdir()
    (folder / "blessing" / "model_card.md").write_text("# Model card\n")
    documents = version_dir.file_hashes(folder / "blessing")
    (folder / "blessing" / "manifest.json").write_text(json.dumps(manifest | {"files": manifest["files"] | documents}))
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(blessed))
    pushed_model = standard_artifacts.PushedModel()
    pushed_model.uri = str(folder / "pushed_model")
    destination = pusher_pb2.PushDestination(
        filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(model_dir))
    )
    executor.Executor().Do(
        {"model": [model], "model_blessing": [blessing]},
        {"pushed_model": [pushed_model]},
        {"push_destination": proto_utils.proto_to_json(destination)},
    )
    return pushed_model


def test_the_executor_pushes_what_is_blessed_and_records_where(
    release: Path, manifest: dict, model_dir: Path, tmp_path: Path
) -> None:
    pushed_model = run_executor(release, manifest, model_dir, tmp_path, blessed=True)

    (version,) = version_dir.versions(model_dir)
    assert pushed_model.get_int_custom_property("pushed") == 1
    assert pushed_model.get_string_custom_property("pushed_destination") == str(model_dir / str(version))
    assert pushed_model.get_string_custom_property("pushed_version") == str(version)
    version_dir.verify(model_dir / str(version))
    assert (model_dir / str(version) / "model_card.md").read_text() == "# Model card\n"


def test_the_executor_leaves_what_is_served_alone_if_the_model_was_refused(
    release: Path, manifest: dict, model_dir: Path, tmp_path: Path
) -> None:
    pushed_model = run_executor(release, manifest, model_dir, tmp_path, blessed=False)

    assert pushed_model.get_int_custom_property("pushed") == 0
    assert not model_dir.exists()
