"""Runs that are cut off: whatever is killed when, the next run goes on, and no half version is ever seen."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serving import version_dir
from tests.e2e.conftest import Workplace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Trained briefly, and blessed anyway: nothing here depends on how good a model is.
LENIENT = ("--preset", "sample", "--set", "training.epochs=6", "--bless-anyway", "to be interrupted")


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def start(place: Workplace) -> subprocess.Popen[str]:
    directories = ("--pipeline-root", str(place.root), "--serving-dir", str(place.serving))
    return subprocess.Popen(
        place.command("run", *directories, *LENIENT),
        env=place.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def logged(place: Workplace, text: str) -> bool:
    return any(text in log.read_text() for log in (place.root / "logs").glob("*.log"))


@pytest.mark.parametrize("step", ["TFDSExampleGen", "Transform", "TFLiteExporter", "TFLiteEvaluator"])
def test_a_run_killed_in_any_step_is_taken_up_by_the_next(place: Workplace, step: str) -> None:
    process = start(place)
    wait_for(lambda: logged(place, f"Component {step} is running."), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert place.versions() == []
    done = [
        node for node in ("TFDSExampleGen", "Transform", "Trainer") if logged(place, f"Component {node} is finished.")
    ]

    result = place.run(*LENIENT)
    assert result.returncode == 0, result.stdout + result.stderr
    cached = {node["id"]: node["cached"] for node in place.summary()["nodes"]}
    assert all(cached[node] for node in done)
    assert not cached[step]
    (version,) = place.versions()
    version_dir.verify(version)


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_training_goes_on_at_its_epoch(place: Workplace, kill: signal.Signals) -> None:
    process = start(place)
    wait_for(lambda: logged(place, "epoch 3 of 6;"), process)
    process.send_signal(kill)
    _, error = process.communicate(timeout=60)
    if kill == signal.SIGINT:
        assert process.returncode == 130
        assert "Interrupted" in error
        assert "Traceback" not in error
    before = set((place.root / "logs").iterdir())

    result = place.run(*LENIENT)
    assert result.returncode == 0, result.stdout + result.stderr
    (log,) = set((place.root / "logs").iterdir()) - before
    assert "epoch 1 of 6" not in log.read_text()
    assert "epoch 6 of 6;" in log.read_text()


def test_two_runs_do_not_share_a_root(place: Workplace) -> None:
    process = start(place)
    try:
        wait_for(lambda: logged(place, "is running."), process)
        second = place.run(*LENIENT)
        assert second.returncode == 2
        assert "Another run is using" in second.stderr
    finally:
        process.kill()
        process.communicate()


def test_a_full_disk_is_named_and_the_next_run_goes_on(place: Workplace) -> None:
    small = place.folder / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"this machine lets nobody mount: {mounted.stderr.decode().strip()}")
    try:
        result = place.call(
            "run", "--pipeline-root", str(small / "root"), "--serving-dir", str(place.serving), *LENIENT
        )
        assert result.returncode == 2, result.stdout + result.stderr
        assert "disk" in result.stderr
        assert place.versions() == []
        subprocess.run(["mount", "-o", "remount,size=500m", small], check=True)
        again = place.call("run", "--pipeline-root", str(small / "root"), "--serving-dir", str(place.serving), *LENIENT)
        assert again.returncode == 0, again.stdout + again.stderr
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_serving_directory_that_cannot_be_written_to_is_found_out_before_training(place: Workplace) -> None:
    place.serving.write_text("a file")
    result = place.run(*LENIENT)
    assert result.returncode == 2
    assert str(place.serving) in result.stderr
    assert "--serving-dir" in result.stderr
    assert not list((place.root / "mnist_sample").glob("Trainer"))
