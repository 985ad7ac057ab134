"""The command line answers at once, and tells a user's mistake without a traceback."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from components import errors
from pipeline import cli

ENVIRONMENT = os.environ | {"COLUMNS": "200", "PYTHONPATH": str(Path(cli.__file__).parents[1])}


def call(*arguments: str, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=cwd,
        env=ENVIRONMENT | extra,
        capture_output=True,
        text=True,
        check=False,
    )


HEAVY = ("tensorflow", "tfx", "keras", "apache_beam", "tensorflow_datasets", "ml_metadata")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["schema", "--help"], ["run", "--set", "x=1"]])
def test_help_and_refusals_come_before_any_heavy_library(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pipeline.cli import main\nos._exit = sys.exit\n"
        f"sys.argv = ['mnist-pipeline', *{arguments!r}]\n"
        "try:\n    main()\n"
        "finally:\n"
        f"    print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert "LOADED []" in result.stdout, result.stdout + result.stderr


def test_help_names_every_command(tmp_path: Path) -> None:
    result = call("--help", cwd=tmp_path)
    assert result.returncode == 0
    for command in ("run", "status", "schema", "export-variants"):
        assert command in result.stdout


# Mistakes that are found before anything is loaded: arguments, and words that the message must have.
MISTAKES = {
    "setting": (["run", "--set", "training.epochs=0"], ["training.epochs", "greater than or equal to 1"]),
    "no value": (["run", "--set", "training.epochs"], ["expected KEY=VALUE"]),
    "preset": (["run", "--preset", "slow"], ["--preset", "'slow' is not one of"]),
    "option": (["run", "--epochs", "3"], ["No such option", "--epochs"]),
    "command": (["train"], ["No such command 'train'"]),
    "schema": (["run", "--dataset", "kmnist"], ["No curated schema for 'kmnist'", "mnist-pipeline schema"]),
    "schema file": (["run", "--schema", "mine.pbtxt"], ["No curated schema", "mine.pbtxt"]),
    "root": (["run", "--pipeline-root", "file/root"], ["file/root as pipeline root", "--pipeline-root"]),
    "serving": (["run", "--serving-dir", "file/models"], ["Cannot push to", "which is a file", "--serving-dir"]),
    "setting with a URI": (["run", "--set", "serving_dir=s3://bucket"], ["serving_dir: expected", "URI s3://bucket."]),
    "output": (["schema", "--dataset", "mnist", "--output", "file"], ["file is there already"]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "file").write_text("a file")
    return folder


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_without_a_traceback_and_ends_with_2(mistake: str, folder: Path) -> None:
    arguments, words = MISTAKES[mistake]
    result = call(*arguments, cwd=folder)
    assert result.returncode == cli.ExitCode.USER_ERROR, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in " ".join(result.stderr.split())


URI_OPTIONS = {
    "run": ["--pipeline-root", "--serving-dir", "--manual-dir", "--data-dir", "--schema"],
    "status": ["--pipeline-root", "--serving-dir", "--manual-dir", "--data-dir", "--schema"],
    "schema": ["--output", "--manual-dir", "--data-dir"],
    "export-variants": ["--output", "--pipeline-root"],
    "report": ["--pipeline-root"],
    "compare": ["--pipeline-root"],
}
REQUIRED = {
    "schema": ["--dataset", "mnist", "--output", "new"],
    "export-variants": ["--output", "new"],
    "compare": ["a"],
}


@pytest.mark.parametrize(
    ("command", "option"), [(name, option) for name in URI_OPTIONS for option in URI_OPTIONS[name]]
)
def test_an_option_refuses_a_uri_by_its_name(
    command: str, option: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mnist-pipeline", command, *REQUIRED.get(command, []), option, "gs://bucket/x"])
    with pytest.raises(
        errors.UserError, match=rf"^{option}: expected a path on this machine, got the URI gs://bucket/x\."
    ):
        cli.app(standalone_mode=False)


def test_every_option_that_takes_a_path_is_among_them() -> None:
    found: dict[str, set[str]] = {}
    for command in (item.callback for item in cli.app.registered_commands):
        for name, hint in get_type_hints(command, include_extras=True).items():
            kind, *option = get_args(hint) or [hint]
            if Path in (kind, *get_args(kind)):
                names = option[0].param_decls or (f"--{name}".replace("_", "-"),)
                found.setdefault(command.__name__.replace("_", "-"), set()).add(names[0])
    assert found == {command: set(options) for command, options in URI_OPTIONS.items()}


def test_the_manual_directory_of_the_environment_is_no_uri_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_MANUAL_DIR", "gs://bucket/mnist")
    monkeypatch.setattr(sys, "argv", ["mnist-pipeline", "run"])
    with pytest.raises(errors.UserError, match=r"^--manual-dir: expected .* got the URI gs://bucket/mnist\."):
        cli.app(standalone_mode=False)


def test_a_foreign_directory_is_no_pipeline_root_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_text("jpg")
    result = call("run", "--pipeline-root", "photos", cwd=tmp_path)
    assert result.returncode == cli.ExitCode.USER_ERROR
    assert "photos is not a pipeline root" in result.stderr
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["me.jpg"]


def broken_library(folder: Path) -> dict[str, str]:
    """A TFX that cannot be imported goes before the real one."""
    (folder / "broken" / "tfx").mkdir(parents=True)
    (folder / "broken" / "tfx" / "__init__.py").write_text("raise OSError('libusb-1.0.so.0: cannot open [it]')")
    return {"PYTHONPATH": f"{folder / 'broken'}:{ENVIRONMENT['PYTHONPATH']}"}


def corrupt_dataset(folder: Path) -> dict[str, str]:
    """A prepared dataset whose description is cut off."""
    (folder / "mnist_sample" / "1.0.0").mkdir(parents=True)
    (folder / "mnist_sample" / "1.0.0" / "dataset_info.json").write_text("{")
    return {"TFDS_DATA_DIR": str(folder)}


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (
            broken_library,
            "Loading TensorFlow and TFX failed: OSError: libusb-1.0.so.0: cannot open [it]",
        ),
        (corrupt_dataset, "Preparing dataset mnist_sample failed: ParseError: "),
    ],
)
def test_an_unexpected_error_before_the_first_step_is_a_line_and_the_logs_path(
    broken: Callable[[Path], dict[str, str]], told: str, tmp_path: Path
) -> None:
    result = call("run", "--preset", "sample", cwd=tmp_path, **broken(tmp_path / "x"))
    assert result.returncode == cli.ExitCode.FAILED, result.stdout + result.stderr
    assert result.stdout == ""
    (log,) = (tmp_path / "pipeline_root" / "logs").iterdir()
    line, where = result.stderr.splitlines()
    assert line.startswith(f"Error: {told}")
    assert where == f"The full log is {log}."
    assert "Traceback (most recent call last):" in log.read_text()


def test_a_log_directory_that_cannot_be_made_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / ".pipeline_root.json").write_text('{"format": 1}')
    (tmp_path / "root" / "logs").write_text("a file")
    result = call("run", "--preset", "sample", "--pipeline-root", "root", cwd=tmp_path)
    assert result.returncode == cli.ExitCode.FAILED
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: The run failed: FileExistsError: ")


@pytest.mark.parametrize("arguments", [["status"], ["report"], ["compare", "a"]])
def test_a_library_that_cannot_be_loaded_is_a_line(arguments: list[str], tmp_path: Path) -> None:
    result = call(*arguments, cwd=tmp_path, **broken_library(tmp_path / "x"))
    assert result.returncode == cli.ExitCode.FAILED
    assert result.stderr == "Error: OSError: libusb-1.0.so.0: cannot open [it]\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UserError("mend [this]"), 2),
        (errors.DataUnavailableError("no [bold]network[/bold]"), 2),
        (errors.AnomaliesError("label 11"), 4),
        (errors.StepFailedError("Step Trainer failed"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code_and_is_printed_as_it_is(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == code
    assert capsys.readouterr().err == f"Error: {error}\n"


def test_an_error_that_nothing_foresaw_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise KeyError("node\nand more")

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == cli.ExitCode.FAILED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: KeyError: ")


def test_no_other_code_is_that_of_a_refused_model() -> None:
    assert cli.ExitCode.REFUSED == 3
    assert len(set(cli.ExitCode)) == len(cli.ExitCode.__members__)
