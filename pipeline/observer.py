"""Watching LocalDagRunner from outside: which step runs, for how long, in how much memory, and what it reports."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import psutil

from components.progress import LOGGER_NAME

# LocalDagRunner has no hooks; these records of its log, each with the node id as argument, are what it tells.
_STARTED = "Component %s is running."
_FINISHED = "Component %s is finished."
_RUNNER_LOGGER = "absl"

_SAMPLING_SECONDS = 0.2
_MEGABYTE = 1 << 20


@dataclass
class Timing:
    """What a step took.

    Attributes:
      seconds: wall time so far, or in all.
      peak_rss_mb: most resident memory of this process and its children, in MiB, sampled.
      finished: whether it came to its end.
    """

    seconds: float = 0.0
    peak_rss_mb: float = 0.0
    finished: bool = False


class Observer(logging.Handler):
    """While attached (as a context manager), keeps `timings` by node id, in order, and calls back on each event."""

    def __init__(
        self,
        on_start: Callable[[str], None],
        on_progress: Callable[[str], None],
        on_finish: Callable[[str, Timing], None],
    ) -> None:
        """Makes an observer.

        Args:
          on_start: takes the id of the node that starts.
          on_progress: takes what the running step reports.
          on_finish: takes the id and the timing of the node that ends.
        """
        super().__init__(logging.INFO)
        self.timings: dict[str, Timing] = {}
        self.current: str | None = None
        self._on_start, self._on_progress, self._on_finish = on_start, on_progress, on_finish
        self._started = 0.0
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Observer":
        for name in (_RUNNER_LOGGER, LOGGER_NAME):
            logging.getLogger(name).addHandler(self)
        self._sampler.start()
        return self

    def __exit__(self, *unused: object) -> None:
        for name in (_RUNNER_LOGGER, LOGGER_NAME):
            logging.getLogger(name).removeHandler(self)
        self._stop.set()
        self._sampler.join()
        if self.current:
            self.timings[self.current].seconds = time.monotonic() - self._started

    def emit(self, record: logging.LogRecord) -> None:
        """Sorts a log record out; called by `logging`."""
        if record.name == LOGGER_NAME:
            self._on_progress(record.getMessage())
        elif record.msg == _STARTED and isinstance(record.args, tuple):
            self.current = str(record.args[0])
            self._started = time.monotonic()
            self.timings[self.current] = Timing()
            self._on_start(self.current)
        elif record.msg == _FINISHED and self.current:
            node, self.current = self.current, None
            timing = self.timings[node]
            timing.seconds, timing.finished = time.monotonic() - self._started, True
            timing.peak_rss_mb = max(timing.peak_rss_mb, _resident_mb())
            self._on_finish(node, timing)

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLING_SECONDS):
            if timing := self.timings.get(self.current or ""):
                timing.peak_rss_mb = max(timing.peak_rss_mb, _resident_mb())


class Interrupts:
    """While entered, remembers a Ctrl-C that native code (as in the TFLite converter) swallows."""

    def __init__(self) -> None:
        """Makes it; nothing is remembered before it is entered."""
        self._came = False

    def __enter__(self) -> "Interrupts":
        self._earlier = signal.signal(signal.SIGINT, self._remember)
        return self

    def __exit__(self, *unused: object) -> None:
        signal.signal(signal.SIGINT, self._earlier)

    def raise_late(self) -> None:
        """Raises KeyboardInterrupt if one came and the step went on all the same."""
        if self._came:
            raise KeyboardInterrupt

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        self._came = True
        signal.default_int_handler(signum, frame)


def _resident_mb() -> float:
    process = psutil.Process()
    total = process.memory_info().rss
    for child in process.children(recursive=True):
        try:
            total += child.memory_info().rss
        except psutil.NoSuchProcess:  # ended since it was listed
            continue
    return round(total / _MEGABYTE, 1)
