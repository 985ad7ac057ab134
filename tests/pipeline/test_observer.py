"""What LocalDagRunner logs becomes a start, reports and an end of each step."""

import contextlib
import logging
import signal
from collections.abc import Iterator

import pytest

from components import progress
from pipeline.observer import Interrupts, Observer


class Events(list):
    """What an observer called back, in order."""

    def observer(self) -> Observer:
        return Observer(
            lambda node: self.append(("start", node)),
            lambda text: self.append(("report", text)),
            lambda node, timing: self.append(("finish", node, timing)),
        )


@pytest.fixture(autouse=True)
def runner_log() -> Iterator[logging.Logger]:
    """The logger that TFX writes to, at the level that a run sets."""
    logger = logging.getLogger("absl")
    before = logger.level, logging.root.level
    logger.setLevel(logging.INFO)
    logging.root.setLevel(logging.INFO)
    yield logger
    logger.setLevel(before[0])
    logging.root.setLevel(before[1])


def start(logger: logging.Logger, node: str) -> None:
    logger.info("Component %s is running.", node)


def finish(logger: logging.Logger, node: str) -> None:
    logger.info("Component %s is finished.", node)


def test_steps_and_their_reports_are_called_back_in_order(runner_log: logging.Logger) -> None:
    events = Events()
    with events.observer() as observer:
        start(runner_log, "Trainer")
        progress.report("epoch 1 of 3")
        runner_log.info("Some other %s.", "message")
        finish(runner_log, "Trainer")
        start(runner_log, "Pusher")
        finish(runner_log, "Pusher")

    assert [event[:2] for event in events] == [
        ("start", "Trainer"),
        ("report", "epoch 1 of 3"),
        ("finish", "Trainer"),
        ("start", "Pusher"),
        ("finish", "Pusher"),
    ]
    assert list(observer.timings) == ["Trainer", "Pusher"]
    assert all(timing.finished and timing.peak_rss_mb > 1 for timing in observer.timings.values())
    assert events[2][2] is observer.timings["Trainer"]


def test_a_step_that_fails_is_the_current_one_and_not_finished(runner_log: logging.Logger) -> None:
    events = Events()
    with pytest.raises(RuntimeError), events.observer() as observer:
        start(runner_log, "Trainer")
        raise RuntimeError
    assert observer.current == "Trainer"
    assert not observer.timings["Trainer"].finished
    assert events == [("start", "Trainer")]


def test_an_observer_hears_nothing_once_it_is_detached(runner_log: logging.Logger) -> None:
    events = Events()
    with events.observer():
        pass
    start(runner_log, "Trainer")
    progress.report("late")
    assert events == []


def test_the_words_that_are_listened_for_are_those_of_tfx() -> None:
    """LocalDagRunner is all that decides them; an upgrade that changes them must be seen here."""
    import inspect

    from tfx.orchestration.local import local_dag_runner

    from pipeline import observer

    source = inspect.getsource(local_dag_runner)
    assert f"'{observer._STARTED}'" in source
    assert f"'{observer._FINISHED}'" in source


def test_a_swallowed_interrupt_is_raised_late() -> None:
    with Interrupts() as interrupts:
        interrupts.raise_late()
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.raise_late()
