"""What a run shows: a live line a step while it runs, and a table at its end."""

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipeline.observer import Timing

if TYPE_CHECKING:  # the summary's own imports are heavy, and the console shows before they come
    from components.gate import Gate
    from pipeline.summary import Summary

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


_MARKS = {True: "[green]passed[/green]", False: "[red]refused[/red]", None: "[yellow]not run[/yellow]"}


@contextmanager
def only_ours(log: Path) -> Iterator[Console]:
    """Sends all that libraries write to standard output and error, from C++ too, to a file.

    Args:
      log: the file, which is appended to.

    Yields:
      The console that still reaches the user.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("ab") as file, os.fdopen(os.dup(1), "w") as stdout:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        try:
            yield Console(file=stdout, highlight=False)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, original in zip((1, 2), saved, strict=True):
                os.dup2(original, descriptor)
                os.close(original)


class StepLines:
    """The live line of the running step, and a line that stays for each step that is done."""

    def __init__(self, console: Console) -> None:
        """Makes the lines; nothing is shown until `live` is entered."""
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[step]:<20}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._text = ""

    def live(self) -> Progress:
        """Returns the context in which the live line shows (on a terminal; elsewhere only the lines that stay do)."""
        return self._progress

    def start(self, node: str) -> None:
        """Begins a step."""
        self._text = ""
        if node in STEPS:
            self._task = self._progress.add_task(STEPS[node], step=node)

    def report(self, text: str) -> None:
        """Shows where the running step stands."""
        self._text = text
        if self._task is not None:
            self._progress.update(self._task, description=text)

    def finish(self, node: str, timing: Timing, cached: bool) -> None:
        """Ends a step."""
        if self._task is None:
            return
        self._progress.remove_task(self._task)
        self._task = None
        took = "cached" if cached else f"{timing.seconds:.1f} s"
        self._console.print(f"  {node:<20} {took:>8}  {escape(self._text or STEPS[node])}")


def show_summary(console: Console, summary: "Summary", log: Path) -> None:
    """Prints the final table."""
    table = Table(title=f"Run {summary.run_id} on {summary.dataset}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for node in summary.nodes:
        if node.id in STEPS:
            table.add_row(node.id, "cached" if node.cached else f"{node.seconds:.1f} s, {node.peak_rss_mb:,.0f} MiB")
    table.add_section()
    table.add_row("Examples", ", ".join(f"{count:,} {split}" for split, count in summary.split_counts.items()))
    for file, name in (("saved_model", "SavedModel"), ("tflite", "TFLite file")):
        table.add_row(f"{name} accuracy", f"{summary.metrics[file]['accuracy']:.2%} on test")
    table.add_row("TFLite size", f"{summary.tflite.bytes:,} bytes, {summary.tflite.params:,} parameters")
    if summary.tflite.latency_us_p50 is not None:
        table.add_row(
            "TFLite latency", f"{summary.tflite.latency_us_p50:.0f} µs an image, LiteRT on one thread (median)"
        )
    if summary.tflite.arena_bytes is not None:
        table.add_row("TFLite arena", f"{summary.tflite.arena_bytes:,} bytes, TFLite Micro")
    table.add_section()
    for line in gate_lines(summary):
        table.add_row(*line)
    table.add_section()
    table.add_row("Pushed to", escape(pushed(summary)))
    table.add_row("Report", escape(summary.report))
    table.add_row("Full log", escape(str(log)))
    table.add_row("Time", f"{summary.wall_seconds:.0f} s")
    console.print(table)


def gate_lines(summary: "Summary") -> list[tuple[str, str]]:
    """Returns a (gate, outcome) line for each of `nearest_gates`."""
    return [(f"Gate {gate.gate}", f"{_MARKS[gate.passed]}: {escape(gate.reason)}") for gate in nearest_gates(summary)]


def nearest_gates(summary: "Summary") -> list["Gate"]:
    """Returns of each gate and metric, over all and by slice, the comparisons that refuse, or else the nearest one."""
    groups: dict[tuple[str, str, bool], list[Gate]] = {}
    for gate in summary.gates:
        groups.setdefault((gate.gate, gate.metric, gate.slice == "overall"), []).append(gate)
    return [
        gate
        for gates in groups.values()
        for gate in [gate for gate in gates if gate.refused] or [min(gates, key=_distance)]
    ]


def _distance(gate: "Gate") -> float:
    """Returns how far a gate's value is from its bound."""
    return math.inf if gate.value is None else abs(gate.value - gate.bound)


def pushed(summary: "Summary") -> str:
    """Returns in a few words what became of the push."""
    if not summary.pushed_to:
        return "nothing: the model was refused, what is served stays as it is"
    if any(node.id == "Pusher" and node.cached for node in summary.nodes):
        return f"nothing new: {summary.pushed_to} is up to date"
    override = f" (blessed anyway: {summary.bless_anyway})" if summary.bless_anyway else ""
    return summary.pushed_to + override
