"""What a run shows while it goes on: a live line, and a line for each step that is done."""

import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.spinner import Spinner

from components import progress
from pipeline.observer import Timing

# What each step is doing, in a few words.
STEPS = {
    "TFDSExampleGen": "copying the dataset",
    "ImportSchemaGen": "reading the curated schema",
    "StatisticsGen": "computing statistics of every split",
    "ExampleValidator": "checking the data against its schema",
    "Transform": "fitting the normalisation and the slicing features",
    "Trainer": "training",
    "TFLiteExporter": "converting to full-integer TFLite",
    "SavedModelEvaluator": "judging the SavedModel on the test split",
    "TFLiteEvaluator": "judging the TFLite file on the test split",
    "DeviceValidator": "running the TFLite file on device runtimes",
    "RobustnessEvaluator": "judging the TFLite file on corrupted images",
    "QualityGate": "deciding",
    "Pusher": "pushing",
    "RunReport": "drawing the report",
}

# Rich would show on the console what is printed meanwhile; that is the libraries', and goes to the log.
_LEAVE: Any = {"redirect_stdout": False, "redirect_stderr": False}


@contextmanager
def only_ours(log: Path, stream: int = 1) -> Iterator[Console]:
    """Sends all that libraries write to standard output and error, from C++ too, to a file.

    Args:
      log: the file, which is appended to.
      stream: the descriptor that the console writes to: 1, standard output, or 2, standard error.

    Yields:
      The console that still reaches the user.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    encoding = sys.stdout.encoding
    # A terminal of another encoding shows a question mark for what it lacks.
    with log.open("ab") as file, os.fdopen(os.dup(stream), "w", encoding=encoding, errors="replace") as ours:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        try:
            yield Console(file=ours, highlight=False)
        finally:
            for libraries, descriptor, original in zip((sys.stdout, sys.stderr), (1, 2), saved, strict=True):
                _flush(libraries, descriptor)
                os.dup2(original, descriptor)
                os.close(original)


def _flush(stream: TextIO, descriptor: int) -> None:
    """Writes out what a stream holds; drops it where the disk is full, so that it does not show on the console."""
    try:
        stream.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)
        stream.flush()


@contextmanager
def waiting(console: Console, what: str) -> Iterator[None]:
    """Shows what goes on, as long as it does (on a terminal)."""
    with Live(Spinner(_spinner(console), what), console=console, transient=True, **_LEAVE):
        yield


def _spinner(console: Console) -> str:
    return "dots" if _unicode(console) else "line"


def _unicode(console: Console) -> bool:
    return console.encoding.startswith("utf")


class StepLines:
    """The live line of the running step, and a line that stays for each step that did something.

    Cached steps share a line, which comes when the first step after them is at work; so a run without any is silent.
    """

    def __init__(self, console: Console, title: str) -> None:
        """Makes the lines; nothing is shown until `live` is entered.

        Args:
          console: where to.
          title: what comes before the first line.
        """
        self._console = console
        self._title: str | None = title
        self._cached: list[str] = []
        self._progress = Progress(
            SpinnerColumn(_spinner(console)),
            TextColumn("{task.fields[step]:<20}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            **_LEAVE,
        )
        self._task: TaskID | None = None
        self._text = ""

    @contextmanager
    def live(self) -> Iterator[None]:
        """Shows the live line (on a terminal; elsewhere only the lines that stay), and at last the rest of these."""
        with self._progress if self._console.is_interactive else nullcontext():  # it would leave an empty line
            yield
        if self._title is None:
            self._show_cached()

    def start(self, node: str) -> None:
        """Begins a step."""
        self._text = ""
        if node in STEPS:
            self._task = self._progress.add_task(STEPS[node], step=node)

    def report(self, text: str) -> None:
        """Shows where the running step stands."""
        self._text = text if _unicode(self._console) else text.replace(progress.DONE, "ok")
        if self._task is not None:
            self._show_cached()  # a step that reports is at work
            self._progress.update(self._task, description=self._text)

    def finish(self, node: str, timing: Timing, cached: bool) -> None:
        """Ends a step."""
        if self._task is None:
            return
        self._progress.remove_task(self._task)
        self._task = None
        if cached:
            self._cached.append(node)
            return
        self._show_cached()
        self._line(f"  {node:<20} {timing.seconds:>6.1f} s  {self._text or STEPS[node]}")

    def _show_cached(self) -> None:
        if self._title is not None:
            self._line(self._title)
            self._title = None
        if self._cached:
            names = ", ".join(self._cached)
            self._line(textwrap.fill(f"  cached: {names}", self._console.width, subsequent_indent=" " * 10))
            self._cached = []

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
