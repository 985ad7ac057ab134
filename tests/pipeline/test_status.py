"""Looking at a pipeline root never fails, changes nothing, and says what a run would do."""

import io
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from ml_metadata.proto import metadata_store_pb2 as mlmd
from rich.console import Console
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, outputs_utils
from tfx.proto.orchestration.execution_result_pb2 import ExecutorOutput
from typer.testing import CliRunner

from components.tfds_example_gen import datasets
from pipeline import cli, lineage, runner, status, summary, workspace
from pipeline.cli import make_config
from pipeline.config import Preset, RunConfig
from pipeline.console import STEPS
from serving import version_dir
from tests.pipeline.test_summary import made

WHOLE = "whole: every file matches its manifest"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A pipeline root in which nothing has run."""
    with workspace.occupied(tmp_path / "root"):
        return tmp_path / "root"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        pytest.fail("the network was asked")

    monkeypatch.setattr(requests, "head", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def configured(root: Path, data_dir: Path, *settings: str, **options: Any) -> tuple[RunConfig, RunConfig]:
    """The configurations of `mnist` and of the sample, as the command line makes them."""
    both = {"pipeline_root": root, "data_dir": data_dir} | options
    full, sample = (make_config(preset, both, list(settings)) for preset in (Preset.FULL, Preset.SAMPLE))
    return full, sample


def shown(config: RunConfig, fallback: RunConfig | None = None) -> str:
    screen = Console(width=200, record=True, file=io.StringIO())
    status.show(config, fallback, screen)
    return screen.export_text()


def line(text: str, part: str) -> str:
    """The only line that holds a text."""
    (found,) = [line for line in text.splitlines() if part in line]
    return found


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# What is served.


def serve(root: Path, number: str, accuracy: Any = 0.9945) -> Path:
    """A version directory of two files and a manifest."""
    folder = root / "serving_models" / "mnist" / number
    (folder / "variables").mkdir(parents=True)
    (folder / "model.tflite").write_bytes(b"flat")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    manifest = {"files": version_dir.file_hashes(folder), "metrics": {"tflite": {"accuracy": accuracy}}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def manifest(**changes: Any) -> Callable[[Path], None]:
    """Changes keys of a manifest; None takes one out."""

    def rewrite(folder: Path) -> None:
        content = json.loads((folder / "manifest.json").read_text()) | changes
        kept = {key: value for key, value in content.items() if value is not None}
        (folder / "manifest.json").write_text(json.dumps(kept))

    return rewrite


def written(content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / "manifest.json").write_bytes(content) and None


def tampered(folder: Path) -> None:
    (folder / "model.tflite").write_bytes(b"fiat")


def without_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def manifest_that_blocks(folder: Path) -> None:
    without_manifest(folder)
    os.mkfifo(folder / "manifest.json")


FOREIGN = "not made by this pipeline (no manifest.json)"
UNSTATED = f"{WHOLE}; TFLite accuracy not stated"
VERSIONS = {
    "whole": (lambda folder: None, f"{WHOLE}; TFLite accuracy 99.45%"),
    "tampered": (tampered, "changed: model.tflite"),
    "incomplete": (lambda folder: shutil.rmtree(folder / "variables"), "missing: variables/variables.index"),
    "foreign": (without_manifest, FOREIGN),
    "a pipe": (manifest_that_blocks, FOREIGN),
    "cut off": (written(b'{"files": '), "DAMAGED: Cannot read"),
    "binary": (written(b"\xff\xfe\x00"), "DAMAGED: Cannot read"),
    "nested": (written(b"[" * 100_000), "DAMAGED: Cannot read"),
    "no files": (manifest(files=None), "it lists no files"),
    "other hashes": (manifest(files={"model.tflite": "abc"}), "changed: model.tflite"),
    "no metrics": (manifest(metrics=None), UNSTATED),
    "metrics of another kind": (manifest(metrics=["tflite"]), UNSTATED),
    "an accuracy in words": (manifest(metrics={"tflite": {"accuracy": "high"}}), UNSTATED),
    "an accuracy too large": (manifest(metrics={"tflite": {"accuracy": 10**400}}), UNSTATED),
    "names outside": (manifest(files={"../../../etc/passwd": {}}), "missing: ../../../etc/passwd"),
    "control characters": (manifest(files={"\x1b[2J[bold]x": {}}), "missing:  [2J[bold]x"),
}


@pytest.mark.parametrize("kind", VERSIONS)
def test_every_served_version_is_told_as_what_it_is(kind: str, root: Path, tmp_path: Path) -> None:
    spoil, expected = VERSIONS[kind]
    spoil(serve(root, "7"))
    serve(root, "12", accuracy=0.5)
    text = shown(*configured(root, tmp_path / "tfds"))
    first, second = (line(text, f"mnist/{number}  ") for number in ("12", "7"))
    assert f"{WHOLE}; TFLite accuracy 50.00%" in first
    assert expected in second
    assert ("DAMAGED" in second) is (WHOLE not in expected and expected != FOREIGN)
    assert text.index(first) < text.index(second)  # newest first
    assert "\x1b" not in text


def test_a_version_with_leading_zeros_is_looked_at_under_its_own_name(root: Path, tmp_path: Path) -> None:
    serve(root, "007")
    assert WHOLE in line(shown(*configured(root, tmp_path / "tfds")), "mnist/007")


def test_a_file_that_cannot_be_read_damages_its_version_alone(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable = serve(root, "1")
    serve(root, "2")
    real = version_dir.sha256

    def refuse(path: Path) -> str:  # root may read everything
        if unreadable in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(version_dir, "sha256", refuse)
    text = shown(*configured(root, tmp_path / "tfds"))
    assert "DAMAGED: Cannot read" in line(text, "mnist/1  ")
    assert "Permission denied" in line(text, "mnist/1  ")
    assert WHOLE in line(text, "mnist/2  ")


def test_many_wrong_names_are_cut_short(root: Path, tmp_path: Path) -> None:
    manifest(files={f"file-{number}": {} for number in range(10_000)})(serve(root, "1"))
    assert len(line(shown(*configured(root, tmp_path / "tfds")), "mnist/1  ")) < 1100


def test_a_serving_directory_that_is_a_file_is_a_sentence(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    text = shown(*configured(root, tmp_path / "tfds", serving_dir=tmp_path / "file"))
    assert "Cannot read the serving directory" in text


# The runs.


def test_runs_are_listed_and_an_unreadable_summary_is_a_sentence(root: Path, tmp_path: Path) -> None:
    summary.write(made(run_id="run-1"), root / "reports" / "run-1" / summary.FILE)
    summary.write(made(run_id="run-2", metrics={}, dataset="[b]x"), root / "reports" / "run-2" / summary.FILE)
    for run, content in {"older": b'{"run_id": "older"}', "cut-off": b'{"run_id": ', "binary": b"\xff\xfe"}.items():
        (root / "reports" / run).mkdir()
        (root / "reports" / run / summary.FILE).write_bytes(content)
    text = shown(*configured(root, tmp_path / "tfds"))
    assert "99.45%" in line(text, "run-1")
    assert "not stated" in line(text, "run-2")
    assert "[b]x" in line(text, "run-2")
    for run in ("older", "cut-off", "binary"):
        assert "expected a summary as this version of the program writes it" in line(text, f"reports/{run}/")


# What a run would do.


@pytest.mark.parametrize("existing", [True, False])
def test_a_root_where_nothing_ran_is_told_and_nothing_is_made(
    existing: bool, tmp_path: Path, sample_data_dir: Path
) -> None:
    if existing:
        (tmp_path / "root").mkdir()
    _, sample = configured(tmp_path / "root", sample_data_dir)
    before = tree(tmp_path)
    text = shown(sample)
    assert f"No runs yet in {tmp_path / 'root'}." in text
    assert "Nothing is served" in text
    assert "A run on mnist_sample would run every step." in text
    assert tree(tmp_path) == before


ROOTS = {
    "a foreign directory": ("thesis.txt", "words", "is not a pipeline root"),
    "another version": (".pipeline_root.json", '{"format": 99}', "got 99"),
}


@pytest.mark.parametrize("kind", ROOTS)
def test_a_directory_that_is_no_root_of_ours_is_a_sentence(kind: str, tmp_path: Path) -> None:
    name, content, expected = ROOTS[kind]
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / name).write_text(content)
    serve(tmp_path / "elsewhere", "1")
    text = shown(*configured(tmp_path / "root", tmp_path, serving_dir=tmp_path / "elsewhere" / "serving_models"))
    assert expected in line(text, "as pipeline root")
    assert WHOLE in text
    assert "would" not in text


def test_a_root_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "Cannot use" in line(shown(*configured(tmp_path / "file", tmp_path)), "as pipeline root")


@pytest.mark.parametrize("content", [b"no database" * 100, b""])
def test_damaged_metadata_is_a_sentence(content: bytes, root: Path, sample_data_dir: Path) -> None:
    (root / "metadata.sqlite").write_bytes(content)
    before = tree(root)
    text = shown(configured(root, sample_data_dir)[1])
    expected = f"A run would stop: Cannot read the metadata {root / 'metadata.sqlite'}: " if content else "every step"
    assert expected in text
    assert tree(root) == before


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["dataset=no_such_set", f"schema_file={__file__}"], "A run would stop: Unknown dataset 'no_such_set'"),
        (["dataset=fashion_mnist"], "A run would stop: No curated schema for 'fashion_mnist'"),
        (["manual_dir=/no/such/directory"], "A run would stop: The manual directory"),
        (["serving_dir=/dev/null/models"], "A run would stop: Cannot push to /dev/null/models"),
    ],
)
def test_what_would_stop_a_run_is_a_sentence(settings: list[str], expected: str, root: Path, tmp_path: Path) -> None:
    text = shown(configured(root, tmp_path / "tfds", *settings)[0])
    assert expected in text


def test_a_split_that_would_stop_the_first_run_is_a_sentence(root: Path, sample_data_dir: Path) -> None:
    _, sample = configured(root, sample_data_dir, "splits.train=train[:0]")
    assert "A run would stop: Split 'train' = 'train[:0]' of 'mnist_sample' is empty." in shown(sample)


def test_a_dataset_that_is_not_prepared_is_not_prepared_by_looking(root: Path, tmp_path: Path) -> None:
    full, sample = configured(root, tmp_path / "tfds")
    text = shown(full)
    assert "Dataset mnist is not prepared here: a run would first prepare it from the network, and" in text
    assert "Without a network a run would stop there." in text
    text = shown(full, sample)
    assert "Without a network a run would go on with the embedded sample, mnist_sample:" in text
    assert "Dataset mnist_sample is not prepared here: a run would first prepare it, and then run every step." in text
    assert not (tmp_path / "tfds").exists()
    (root / "metadata.sqlite").touch()  # after an earlier run, that depends on the data
    assert "prepare it, and only then know which steps to re-run." in shown(sample)
    assert not (tmp_path / "tfds").exists()


def test_without_the_dataset_the_plan_is_that_of_the_sample_and_says_so(root: Path, sample_data_dir: Path) -> None:
    full, sample = configured(root, sample_data_dir)
    *_, notice, plan = shown(full, sample).splitlines()
    assert notice == "Without a network a run would go on with the embedded sample, mnist_sample:"
    assert plan == "A run on mnist_sample would run every step."


def test_originals_in_the_manual_directory_are_what_a_run_would_prepare(root: Path, tmp_path: Path) -> None:
    originals = tmp_path / "originals"
    originals.mkdir()
    files = [info.filename for info in datasets.load_builder("mnist", tmp_path / "tfds").url_infos.values()]
    for name in files[1:]:
        (originals / name).touch()
    full, sample = configured(root, tmp_path / "tfds", manual_dir=originals)
    assert f"from the network ({files[0]} is not in {originals})" in shown(full, sample)
    (originals / files[0]).touch()
    text = shown(full, sample)
    assert f"a run would first prepare it from {originals}, and" in text
    assert "network" not in text


def test_the_command_takes_the_manual_directory_and_the_fallback_as_run_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[RunConfig, RunConfig | None]] = []
    monkeypatch.setattr(status, "show", lambda config, fallback, console: seen.append((config, fallback)))
    arguments = ["status", "--pipeline-root", str(tmp_path)]
    environment = {"MNIST_MANUAL_DIR": str(tmp_path / "originals")}
    for more in ([], ["--dataset", "mnist"], ["--set", "dataset=mnist"], ["--preset", "sample"]):
        result = CliRunner().invoke(cli.app, [*arguments, *more], env=environment)
        assert result.exit_code == 0, result.output
    assert {config.manual_dir for config, _ in seen} == {tmp_path / "originals"}
    assert [fallback and fallback.dataset for _, fallback in seen] == ["mnist_sample", None, None, None]


class IdleLauncher(launcher.Launcher):
    """TFX's own launcher, whose steps write empty outputs: metadata of a whole run within seconds."""

    def _run_executor(self, execution_info: Any) -> ExecutorOutput:
        outputs_utils.make_output_dirs(execution_info.output_dict)
        return ExecutorOutput()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, sample_data_dir: Path) -> RunConfig:
    """The configuration of a run of idle steps, whose push is the version directory `1`."""
    folder = tmp_path_factory.mktemp("finished")
    _, config = configured(folder / "root", sample_data_dir)
    with workspace.occupied(config.pipeline_root):
        representation = runner.compile_run(config, runner.load_dataset(config)[0], "idle", served=[])
    connection = metadata.sqlite_metadata_connection_config(str(config.pipeline_root / "metadata.sqlite"))
    deployment = runner_utils.extract_local_deployment_config(representation)
    for wrapper in representation.nodes:
        node = wrapper.pipeline_node
        IdleLauncher(
            node,
            metadata.Metadata(connection),
            representation.pipeline_info,
            representation.runtime_spec,
            runner_utils.extract_executor_spec(deployment, node.node_info.id),
            runner_utils.extract_custom_driver_spec(deployment, node.node_info.id),
        ).launch()
    store = lineage.open_store(config.pipeline_root)
    (pushed,) = store.get_artifacts_by_type("PushedModel")
    pushed.custom_properties["pushed"].int_value = 1
    pushed.custom_properties["pushed_destination"].string_value = str(config.serving_dir / "mnist_sample" / "1")
    store.put_artifacts([pushed])
    return config


@pytest.fixture
def version(finished: RunConfig) -> Path:
    directory = finished.serving_dir / "mnist_sample" / "1"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "manifest.json").write_text('{"files": {}}')
    return directory


@pytest.mark.usefixtures("version")
def test_after_a_run_every_step_is_cached(finished: RunConfig) -> None:
    before = tree(finished.pipeline_root)
    assert status.would_run(finished) == []
    assert "A run on mnist_sample would re-run nothing: every step is cached." in shown(finished)
    assert tree(finished.pipeline_root) == before


@pytest.mark.usefixtures("version")
def test_another_setting_re_runs_what_depends_on_it(finished: RunConfig) -> None:
    training = finished.training.model_copy(update={"dropout": 0.1})
    steps = list(STEPS)
    assert status.would_run(finished.model_copy(update={"training": training})) == steps[steps.index("Trainer") :]


def test_a_deleted_version_would_be_pushed_again_and_nothing_else_done(finished: RunConfig, version: Path) -> None:
    shutil.rmtree(version)
    before = tree(finished.pipeline_root)
    assert status.would_run(finished) == ["Pusher"]
    assert tree(finished.pipeline_root) == before
    store = lineage.open_store(finished.pipeline_root)
    assert [artifact.state for artifact in store.get_artifacts_by_type("PushedModel")] == [mlmd.Artifact.LIVE]


@pytest.mark.usefixtures("version")
def test_metadata_damaged_in_its_middle_is_a_sentence(finished: RunConfig, tmp_path: Path) -> None:
    shutil.copytree(finished.pipeline_root, tmp_path / "root")
    file = tmp_path / "root" / "metadata.sqlite"
    content = bytearray(file.read_bytes())
    content[8192:-4096] = bytes(len(content) - 8192 - 4096)
    file.write_bytes(content)
    text = shown(finished.model_copy(update={"pipeline_root": tmp_path / "root"}))
    assert "Cannot tell what a run would do: " in text or f"A run would stop: Cannot read the metadata {file}" in text
