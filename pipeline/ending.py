"""What a run prints when it ends: the verdict first, then the figures, then paths and commands to copy."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from components.gate import OVERALL, Gate, Relation
from components.keys import ACCURACY, TEST

if TYPE_CHECKING:  # the summary's own imports are heavy, and the command line answers before they come
    from pipeline.summary import Summary

FILES = {"tflite": "TFLite", "saved_model": "SavedModel"}
_OUTCOMES = {True: "[green]passed[/green]", False: "[red]failed[/red]", None: "[yellow]not run[/yellow]"}
_CHANCES = ("mcnemar_p",)  # metrics whose distance from the bound says nothing of the model
_COLUMN = 21  # where the figures begin


def show(console: Console, summary: "Summary", log: Path, root_option: str | None, previous: str | None) -> None:
    """Prints the end of a run; no line of it is wrapped, so that paths and commands can be copied.

    Args:
      console: where to.
      summary: of the run.
      log: the run's full log.
      root_option: the pipeline root as commands have to name it; None if it is their default.
      previous: id of the run before this one; None if this is the first.
    """
    if summary.all_cached:
        _line(console, f"Nothing changed: all {len(summary.nodes)} steps cached in {summary.wall_seconds:.1f} s.")
        if summary.failed_gates:
            for line in verdict(summary):
                _line(console, line)
        if summary.pushed_to:
            accuracy = f"TFLite accuracy {summary.metrics['tflite'][ACCURACY]:.2%}"
            _line(console, f"Served: {summary.pushed_to} ({_word(summary)[0]}, {accuracy})")
        _line(console, f"Report: {summary.report}")
        return
    _line(console, "")
    for line in verdict(summary):
        _line(console, line)
    for rows in (figures(summary), paths(summary, log), commands(summary, root_option, previous)):
        _line(console, "")
        for name, value in rows:
            _line(console, f"{name:<{_COLUMN}}{value}")


def show_everything(console: Console, summary: "Summary") -> None:
    """Prints tables of every step and of every comparison."""
    steps = Table(title=f"Steps of run {summary.run_id}", title_justify="left")
    steps.add_column("step")
    steps.add_column("seconds", justify="right")
    steps.add_column("peak memory of the whole process meanwhile", justify="right")
    for node in summary.nodes:
        took = "cached" if node.cached else f"{node.seconds:.1f}"
        steps.add_row(node.id, took, f"{node.peak_rss_mb:,.0f} MiB")
    console.print(steps)
    gates = Table(title="Comparisons", title_justify="left")
    for column in ("gate", "outcome", "reason"):
        gates.add_column(column, overflow="fold")
    for gate in summary.gates:
        gates.add_row(escape(gate.gate), _OUTCOMES[gate.passed], escape(gate.reason))
    console.print(gates)


def verdict(summary: "Summary") -> Iterator[Text]:
    """Yields the verdict, and below it the reason of each gate that failed."""
    tail = tally(summary)
    if not summary.blessed:
        tail += "; nothing was pushed"
    elif summary.failed_gates:
        tail += f"; pushed because: {summary.bless_anyway}"
    elif (gate := closest(summary.gates)) and gate.value is not None:
        tail += f" (closest: {_compared(gate, gate.value)})"
    yield Text.assemble(_word(summary), f"  {tail}")
    yield from (Text(f"  - {gate.reason}") for gate in summary.failed_gates)


def _word(summary: "Summary") -> tuple[str, str]:
    """Returns the verdict in a word, and its style."""
    if not summary.blessed:
        return "REFUSED", "bold red"
    return ("BLESSED ANYWAY", "bold yellow") if summary.failed_gates else ("BLESSED", "bold green")


def tally(summary: "Summary") -> str:
    """Returns how many comparisons passed, failed and were not run."""
    outcomes = [gate.passed for gate in summary.gates]
    text = f"{outcomes.count(True)} of {len(outcomes)} comparisons passed"
    for outcome, name in ((False, "failed"), (None, "not run")):
        if count := outcomes.count(outcome):
            text += f", {count} {name}"
    return text


def used(gate: Gate) -> float | None:
    """Returns how much a passed gate used of what it allows: 0 is nothing, 1 is the bound itself.

    This makes gates of different units comparable. Where the value must be at most the bound (bytes, microseconds, a
    loss of recall), the bound is what is allowed: 91,234 of 100,000 bytes are 0.91. Where it must be at least the
    bound, the value is a fraction, and what is allowed is the distance of the bound from 1: an accuracy of 0.9951 where
    0.9940 is required makes 49 of 60 errors in 10,000, or 0.82. Against a baseline, what is allowed is the drop.

    Args:
      gate: any.

    Returns:
      In 0..1; None if the gate did not pass, or has no near miss: it allows nothing (as that no golden image may
      differ), or its value is a probability of chance.
    """
    if not gate.passed or gate.value is None or gate.relation is None or gate.metric in _CHANCES:
        return None
    if gate.relation is Relation.AT_MOST:
        share, allowed = gate.value, gate.bound
    else:
        start = 1 if gate.baseline is None else gate.baseline
        share, allowed = start - gate.value, start - gate.bound
    return min(max(share / allowed, 0), 1) if allowed > 0 else None


def closest(gates: list[Gate]) -> Gate | None:
    """Returns the passed gate that used most of what it allows; None if no gate passed that allows anything."""
    shares = [(share, gate) for gate in gates if (share := used(gate)) is not None]
    return max(shares, key=lambda item: item[0])[1] if shares else None


def nearest_gates(summary: "Summary") -> list[Gate]:
    """Returns of each gate and metric, over all and by slice, the comparisons that fail, or else the closest one."""
    groups: dict[tuple[str, str, bool], list[Gate]] = {}
    for gate in summary.gates:
        groups.setdefault((gate.gate, gate.metric, gate.slice == OVERALL), []).append(gate)
    return [
        gate
        for gates in groups.values()
        for gate in [gate for gate in gates if gate.refused] or [closest(gates) or gates[0]]
    ]


def figures(summary: "Summary") -> Iterator[tuple[str, str]]:
    """Yields (name, value) of what was measured."""
    from components.run_report.statistics import accuracy_interval

    images = summary.split_counts[TEST]
    yield "Tested on", f"{images:,} images of {summary.dataset}"
    for file, name in FILES.items():
        accuracy = summary.metrics[file][ACCURACY]
        low, high = accuracy_interval(round(accuracy * images), images)
        yield f"{name} accuracy", f"{accuracy:.2%} (95% interval: {low:.2%} to {high:.2%})"
    if change := _change(summary):
        yield "Change", change
    tflite = summary.tflite
    yield "Size", f"{tflite.bytes:,} bytes, {tflite.params:,} parameters"
    latency, arena = tflite.latency_us_p50, tflite.arena_bytes
    yield "Latency", "not measured" if latency is None else f"{latency:.0f} µs an image (LiteRT, one thread, median)"
    yield "Arena", "not measured" if arena is None else f"{arena:,} bytes (TFLite Micro)"
    yield "Time", f"{summary.wall_seconds:.0f} s"


def _change(summary: "Summary") -> str | None:
    """Returns what changed against what was served before; None if nothing was."""
    baseline = summary.baseline
    if baseline is None:
        return None
    changes = [
        f"{name} {100 * (summary.metrics[file][ACCURACY] - baseline.metrics[file]):+.2f}"
        for file, name in FILES.items()
        if file in baseline.metrics
    ]
    if changes:
        return (
            f"{', '.join(changes)} percentage points compared with version {baseline.version}, which was served before"
        )
    return baseline.reason and f"not compared: {baseline.reason}"


def paths(summary: "Summary", log: Path) -> Iterator[tuple[str, str]]:
    """Yields (name, path) of what the run left."""
    if summary.pushed_to:
        yield ("Served already" if _pushed_earlier(summary) else "Pushed to"), summary.pushed_to
    yield "Report", summary.report
    yield "Log", str(log)


def commands(summary: "Summary", root_option: str | None, previous: str | None) -> Iterator[tuple[str, str]]:
    """Yields (purpose, command) of what one may want to do next; PICTURE is for the user to fill in.

    Args:
      summary: of the run.
      root_option: see `show`.
      previous: see `show`.
    """
    root = ["--pipeline-root", root_option] if root_option else []
    pipeline = _installed("mnist-pipeline") or [*_python(), "-m", "pipeline"]
    yield "Open the report", shlex.join([*pipeline, "report", "--open", summary.run_id, *root])
    if summary.pushed_to:
        words = [*_python(), "-m", "serving", "predict", "PICTURE", "--model", summary.pushed_to]
        yield "Classify a picture", shlex.join(words)
    if previous:
        yield "Compare two runs", shlex.join([*pipeline, "compare", previous, summary.run_id, *root])


def pushed(summary: "Summary") -> str:
    """Returns in a few words what became of the push."""
    if not summary.pushed_to:
        return "nothing: the model was refused, what is served stays as it is"
    if _pushed_earlier(summary):
        return f"nothing new: {summary.pushed_to} is up to date"
    override = f" (blessed anyway: {summary.bless_anyway})" if summary.bless_anyway else ""
    return summary.pushed_to + override


def _pushed_earlier(summary: "Summary") -> bool:
    return any(node.id == "Pusher" and node.cached for node in summary.nodes)


def _compared(gate: Gate, value: float) -> str:
    """Returns value and bound of a passed gate."""
    part = f" on {gate.slice}" if "=" in gate.slice else ""
    form = "{:.4f}" if gate.bound <= 1 else "{:,.0f}"
    bound = f"{gate.relation} {form.format(gate.bound)} required"
    return f"{gate.gate} {gate.metric.replace('_', ' ')}{part}, {form.format(value)}; {bound}"


def _python() -> list[str]:
    return _installed(Path(sys.executable).name) or [sys.executable]


def _installed(name: str) -> list[str] | None:
    """Returns how the shell finds a program of this Python's environment, which need not be activated; None: not."""
    own = Path(sys.executable).with_name(name)
    if not own.exists():
        return None
    found = shutil.which(name)
    if found and Path(found).parent == own.parent:
        return [name]
    return [str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)]


def _line(console: Console, text: str | Text) -> None:
    console.print(text, soft_wrap=True, markup=False)
