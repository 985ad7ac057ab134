"""What happens before the first step, and what a failed one is told as."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from components.errors import AnomaliesError, StepFailedError, UserError
from pipeline import runner
from pipeline.config import RunConfig


@pytest.mark.parametrize("dataset", ["mnist", "mnist:3.0.1", "mnist_sample"])
def test_mnist_and_its_sample_have_a_curated_schema(dataset: str) -> None:
    assert runner.schema_file(RunConfig(dataset=dataset)).name == "mnist.pbtxt"


def test_another_dataset_without_a_schema_is_told_how_to_get_one() -> None:
    with pytest.raises(UserError, match=r"No curated schema for 'emnist/letters'.*emnist_letters\.pbtxt.*--schema"):
        runner.schema_file(RunConfig(dataset="emnist/letters"))


def test_a_schema_of_ones_own_goes_before_the_curated_one(tmp_path: Path) -> None:
    (tmp_path / "mine.pbtxt").write_text("")
    assert runner.schema_file(RunConfig(schema_file=tmp_path / "mine.pbtxt")) == tmp_path / "mine.pbtxt"


def test_a_schema_file_that_is_not_there_is_no_reason_to_take_another(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected the file .*mine\.pbtxt"):
        runner.schema_file(RunConfig(schema_file=tmp_path / "mine.pbtxt"))


def raised(error: Exception, cause: BaseException | None = None) -> Exception:
    error.__cause__ = cause
    return error


def explained(error: Exception, log: Path = Path("/no/such/place/x.log"), hint: str = "") -> Exception:
    return runner.explained(error, "Step Trainer", log, hint)


def test_what_the_user_can_mend_comes_out_however_deep_it_is_wrapped() -> None:
    anomalies = AnomaliesError("label 11")
    assert explained(anomalies) is anomalies
    assert explained(raised(RuntimeError("beam"), raised(ValueError("tfx"), anomalies))) is anomalies


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        raised(RuntimeError("beam"), OSError(28, "No space left on device")),
        RuntimeError("Error when executing query: database or disk is full"),
    ],
)
def test_a_full_disk_is_the_users_to_mend(error: Exception) -> None:
    told = explained(error)
    assert isinstance(told, UserError)
    assert "The disk is full: Step Trainer" in str(told)


def test_anything_else_names_step_error_and_log_in_short(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    told = explained(ValueError("shapes differ\n" + "traceback\n" * 100), log, hint=" Run again.")
    assert isinstance(told, StepFailedError)
    assert str(told) == f"Step Trainer failed: ValueError: shapes differ\nThe full log is {log}. Run again."


def test_a_log_that_could_not_be_written_is_not_named() -> None:
    assert str(explained(ValueError("shapes differ"))) == "Step Trainer failed: ValueError: shapes differ"


def test_what_goes_wrong_before_the_steps_is_explained_and_its_traceback_logged(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("before\n")
    screen = io.StringIO()
    with (
        pytest.raises(StepFailedError, match="Compiling failed: KeyError: 'node'") as caught,
        runner._stage("Compiling", Console(file=screen), log),
    ):
        {}["node"]
    assert str(log) in str(caught.value)
    assert log.read_text().startswith("before\nTraceback (most recent call last):")
    assert log.read_text().endswith("KeyError: 'node'\n")
    assert screen.getvalue() == ""
