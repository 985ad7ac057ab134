"""Two runs side by side: metrics, slices, settings, times, and the images that they answer differently."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ml_metadata.metadata_store import metadata_store
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.errors import UserError
from components.keys import PREDICTIONS
from components.quality_gate.gates import read_evaluation
from pipeline import lineage
from pipeline.report import flat
from pipeline.summary import Summary, find

_MOST_SLICES = 10
_MOST_FLIPS = 20


@dataclass(frozen=True)
class Difference:
    """One figure of two runs; None where a run has none."""

    name: str
    first: Any
    second: Any

    @property
    def change(self) -> float | None:
        """The second less the first; None if these are not two numbers."""
        if isinstance(self.first, int | float) and isinstance(self.second, int | float):
            return self.second - self.first
        return None


@dataclass(frozen=True)
class Comparison:
    """What differs between two runs.

    Attributes:
      runs: ids of the two.
      metrics: every metric of both files on the whole test split, and the TFLite file's size, latency and arena.
      slices: accuracy of the TFLite file by slice, the largest difference first.
      settings: those that differ.
      seconds: of each step; None where it was cached.
      flips: indices into the test split of the images that the two TFLite files give different labels; None if the runs
        are not of the same data.
      broken: of these, how many the first run has right and the second wrong.
      mended: the other way round.
    """

    runs: tuple[str, str]
    metrics: list[Difference]
    slices: list[Difference]
    settings: list[Difference]
    seconds: list[Difference]
    flips: list[int] | None
    broken: int | None
    mended: int | None


def compare(root: Path, first: str, second: str) -> Comparison:
    """Compares two runs of one pipeline root.

    Args:
      root: pipeline root.
      first: run id, or `latest`.
      second: the same.

    Raises:
      UserError: there is no such run, or its artifacts are gone or of another version of this program.
    """
    one, other = find(root, first), find(root, second)
    try:
        return _compare(lineage.open_store(root), one, other)
    except (KeyError, OSError, ValueError) as error:
        raise UserError(
            f"Cannot compare {one.run_id} with {other.run_id}: expected the artifacts of both in {root}, found some "
            f"gone, damaged or of another version of this program ({type(error).__name__}: {error}). Run the pipeline "
            "again and compare later runs."
        ) from error


def _compare(store: metadata_store.MetadataStore, one: Summary, other: Summary) -> Comparison:
    steps = [lineage.steps(store, run.dataset, run.run_id) for run in (one, other)]
    facts = [lineage.facts(store, run.run_id) for run in (one, other)]
    slices = [_slices(step["TFLiteEvaluator"].outputs["evaluation"].uri) for step in steps]
    settings = [flat(fact["config"]) | {"schema_sha256": fact.get("schema_sha256")} for fact in facts]
    flips = broken = mended = None
    if facts[0]["data_fingerprint"] == facts[1]["data_fingerprint"]:
        flips, broken, mended = _flips(*(step["DeviceValidator"].outputs["predictions"].uri for step in steps))
    return Comparison(
        runs=(one.run_id, other.run_id),
        metrics=differences(_metrics(one), _metrics(other)),
        slices=sorted(differences(*slices), key=lambda item: -abs(item.change or 0)),
        settings=[item for item in differences(*settings) if item.first != item.second],
        seconds=differences(_seconds(one), _seconds(other)),
        flips=flips,
        broken=broken,
        mended=mended,
    )


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Puts two mappings side by side, in the order of the first and then of what the second has besides."""
    return [Difference(key, first.get(key), second.get(key)) for key in {**first, **second}]


def show(console: Console, comparison: Comparison) -> None:
    """Prints a comparison."""
    _table(console, comparison, "Metrics on the test split", comparison.metrics)
    _table(console, comparison, "TFLite accuracy by slice, largest difference first", comparison.slices[:_MOST_SLICES])
    _table(console, comparison, "Settings", comparison.settings)
    _table(console, comparison, "Seconds (none: cached)", comparison.seconds)
    if comparison.flips is None:
        console.print("The runs are of different data: their answers are not compared image by image.")
        return
    shown = ", ".join(map(str, comparison.flips[:_MOST_FLIPS])) + (
        " ..." if len(comparison.flips) > _MOST_FLIPS else ""
    )
    console.print(
        f"{len(comparison.flips)} test images get another label from the second TFLite file: {comparison.broken} right "
        f"answers lost, {comparison.mended} won." + (f" Their places in the test split: {shown}" if shown else "")
    )


def _table(console: Console, comparison: Comparison, title: str, items: list[Difference]) -> None:
    if not items:
        console.print(f"{title}: no difference.")
        return
    table = Table(title=title, title_justify="left")
    table.add_column("", overflow="fold")
    for run in comparison.runs:
        table.add_column(run, justify="right", overflow="fold")
    table.add_column("difference", justify="right")
    for item in items:
        table.add_row(
            escape(item.name),
            _text(item.first),
            _text(item.second),
            "" if item.change is None else f"{item.change:+,.4g}",
        )
    console.print(table)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:,.6g}" if isinstance(value, float) else escape(str(value))


def _metrics(run: Summary) -> dict[str, float | int | None]:
    measured: dict[str, float | int | None] = {
        f"{file} {metric}": value for file, metrics in run.metrics.items() for metric, value in metrics.items()
    }
    file = run.tflite
    return measured | {
        "tflite bytes": file.bytes,
        "tflite latency_us_p50": file.latency_us_p50,
        "tflite arena_bytes": file.arena_bytes,
    }


def _slices(evaluation: Path) -> dict[str, float]:
    if not evaluation.is_dir():  # TFMA would find an empty evaluation there
        raise FileNotFoundError(f"{evaluation} does not exist")
    metrics = read_evaluation(str(evaluation)).metrics
    return {name: values["accuracy"] for name, values in metrics.items()}


def _seconds(run: Summary) -> dict[str, float | None]:
    return {node.id: None if node.cached else node.seconds for node in run.nodes} | {"in all": run.wall_seconds}


def _flips(first: Path, second: Path) -> tuple[list[int] | None, int | None, int | None]:
    with np.load(first / PREDICTIONS) as one, np.load(second / PREDICTIONS) as other:
        if "tflite_output" not in one or "tflite_output" not in other:
            return None, None, None
        labels = one["labels"]
        before, after = one["tflite_output"].argmax(axis=1), other["tflite_output"].argmax(axis=1)
    differ = before != after
    return (
        np.flatnonzero(differ).tolist(),
        int((differ & (before == labels)).sum()),
        int((differ & (after == labels)).sum()),
    )
