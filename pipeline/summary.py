"""The summary of a run: `summary.json`, and what every other report is made from."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from components.baseline import Baseline, choose
from components.errors import UserError
from components.gate import Gate
from components.keys import ACCURACY, GATES, RELEASE_DIGEST, VARIANTS
from components.pusher.executor import DESTINATION_PROPERTY
from components.tfds_example_gen.datasets import Dataset
from components.tflite_exporter.conversion import FULL_INTEGER
from pipeline.lineage import Step
from pipeline.observer import Timing
from serving import version_dir

FILE = "summary.json"


class NodeSummary(BaseModel):
    """One step: wall seconds, whether an earlier result served, peak resident memory in MiB."""

    id: str
    seconds: float
    cached: bool
    peak_rss_mb: float


class TFLiteSummary(BaseModel):
    """The TFLite file: size in bytes, SHA-256, number of weights; latency and arena where a runtime could tell."""

    bytes: int
    sha256: str
    params: int
    latency_us_p50: float | None
    arena_bytes: int | None


class Summary(BaseModel):
    """A run that came to its end, whether its model was blessed or refused."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    dataset: str
    split_counts: dict[str, int]
    nodes: list[NodeSummary]
    wall_seconds: float
    metrics: dict[str, dict[str, float]]
    tflite: TFLiteSummary
    gates: list[Gate]
    blessed: bool
    bless_anyway: str | None
    pushed_to: str | None
    report: str
    baseline: Baseline | None = None  # in summaries of earlier versions of this program

    @property
    def all_cached(self) -> bool:
        """Whether the run did nothing new."""
        return all(node.cached for node in self.nodes)

    @property
    def failed_gates(self) -> list[Gate]:
        """The gates that refuse the model."""
        return [gate for gate in self.gates if gate.refused]


def summarize(
    run_id: str,
    dataset: Dataset,
    split_counts: dict[str, int],
    steps: dict[str, Step],
    served: Sequence[Path],
    timings: dict[str, Timing],
    wall_seconds: float,
    report: Path,
) -> Summary:
    """Collects the summary from the artifacts of a run.

    Args:
      run_id: of the run.
      dataset: what it ran on.
      split_counts: examples a split.
      steps: from ML Metadata.
      served: the version directories that the baseline was chosen from.
      timings: by node id; only steps that have one are listed (resolvers look things up and do no work).
      wall_seconds: of the whole command.
      report: the page of the run.
    """
    outcome = read_json(steps["QualityGate"].outputs["blessing"].uri / GATES)
    manifest = read_json(steps["QualityGate"].outputs["blessing"].uri / version_dir.MANIFEST)
    variants = read_json(steps["TFLiteExporter"].outputs["variants"].uri / VARIANTS)["variants"]
    tflite = manifest["files"][version_dir.TFLITE]
    release = str(steps["TFLiteExporter"].outputs["model"].properties[RELEASE_DIGEST])
    metrics = {file: values[ACCURACY] for file, values in outcome["baseline_metrics"].items()}
    destination = steps["Pusher"].outputs["pushed_model"].properties.get(DESTINATION_PROPERTY)
    return Summary(
        run_id=run_id,
        dataset=dataset.name,
        split_counts=split_counts,
        nodes=[
            NodeSummary(
                id=node,
                seconds=round(timing.seconds, 2),
                cached=steps[node].cached,
                peak_rss_mb=timing.peak_rss_mb,
            )
            for node, timing in timings.items()
        ],
        wall_seconds=round(wall_seconds, 2),
        metrics=manifest["metrics"],
        tflite=TFLiteSummary(
            **tflite,
            params=variants[FULL_INTEGER]["parameters"],
            latency_us_p50=manifest["device"]["latency_us_p50"],
            arena_bytes=manifest["device"]["arena_bytes"],
        ),
        gates=[Gate(**gate) for gate in outcome["gates"]],
        blessed=outcome["blessed"],
        bless_anyway=outcome["bless_anyway"],
        pushed_to=str(destination) if destination else None,
        report=str(report),
        baseline=replace(choose(served, release, dataset.class_names, dataset.image_shape), metrics=metrics),
    )


def write(summary: Summary, path: Path) -> None:
    """Writes a summary, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".unfinished")
    beside.write_text(summary.model_dump_json(indent=2))
    beside.replace(path)


def read_all(root: Path) -> list[Summary]:
    """Returns the summaries below a pipeline root, oldest first."""
    files = sorted(root.glob(f"reports/*/{FILE}"))
    return [Summary.model_validate_json(file.read_text()) for file in files if not file.parent.is_symlink()]


def find(root: Path, run: str) -> Summary:
    """Returns the summary of a run that came to its end.

    Args:
      root: pipeline root.
      run: id of the run, or `latest`.

    Raises:
      UserError: there is no such run.
    """
    runs = read_all(root)
    found = runs[-1:] if run == "latest" else [summary for summary in runs if summary.run_id == run]
    if not found:
        known = ", ".join(summary.run_id for summary in runs[-5:]) or "none"
        raise UserError(
            f"No run {run!r} in {root} has come to its end. Expected `latest` or a run id; the last ones are: {known}."
        )
    return found[0]


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
