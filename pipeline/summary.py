"""The summary of a run: `summary.json`, and what every other report is made from."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from components.baseline import Baseline
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
    """One step: wall seconds, whether an earlier result served, peak resident memory of the process meanwhile in MiB.

    The memory is of the whole process, its libraries and what earlier steps left included, and not of the step alone.
    """

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
    """A finished run, whether its model was blessed or refused."""

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
    baseline: Baseline | None = None  # None in summaries that earlier versions of this program wrote

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
    baselines: Mapping[str, Baseline],
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
      baselines: `baseline.choices` as the run began.
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
        baseline=compared_with(baselines, release, metrics),
    )


def compared_with(baselines: Mapping[str, Baseline], release: str, metrics: Mapping[str, float]) -> Baseline:
    """Returns what a release was compared with, whatever became of the served versions since.

    Args:
      baselines: `baseline.choices` as the run began.
      release: digest of the release that was judged.
      metrics: the baseline's accuracy by file, as the gates saw it; empty if they saw none.
    """
    chosen = baselines.get(release, baselines[""])
    if chosen.path and not metrics:
        return Baseline(reason=f"the served version {chosen.path} was removed or damaged during the run")
    return replace(chosen, metrics=metrics)


def write(summary: Summary, path: Path) -> None:
    """Writes a summary, complete or not at all."""
    write_whole(path, summary.model_dump_json(indent=2))


def write_whole(path: Path, text: str) -> None:
    """Writes a file, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".unfinished")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def files(root: Path) -> list[Path]:
    """Returns the summaries below a pipeline root, each in the folder of its run, oldest first."""
    return [file for file in sorted(root.glob(f"reports/*/{FILE}")) if not file.parent.is_symlink()]


def read(file: Path) -> Summary:
    """Returns a summary.

    Raises:
      UserError: it is damaged, or of another version of this program.
    """
    try:
        return Summary.model_validate_json(file.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        found = ": ".join(filter(None, [".".join(map(str, problem["loc"])), problem["msg"]]))
    except OSError as error:
        found = str(error)
    raise UserError(
        f"Cannot read {file}: expected a summary as this version of the program writes it, found another or a damaged "
        f"one ({found}). Run the pipeline again, or read it with the version that wrote it."
    )


def previous(root: Path, summary: Summary) -> str | None:
    """Returns the id of the last run before this one on the same dataset; None if none is known."""
    for file in reversed(files(root)):
        with suppress(UserError):  # one that cannot be read is passed over
            if file.parent.name < summary.run_id and read(file).dataset == summary.dataset:
                return file.parent.name
    return None


def find(root: Path, run: str) -> Summary:
    """Returns the summary of a finished run.

    Args:
      root: pipeline root.
      run: id of the run, or `latest`.

    Raises:
      UserError: there is no such run, or its summary cannot be read.
    """
    runs = {file.parent.name: file for file in files(root)}
    file = runs[list(runs)[-1]] if runs and run == "latest" else runs.get(run)
    if file is None:
        known = ", ".join(list(runs)[-5:]) or "none"
        raise UserError(
            f"No run {run!r} in {root} has finished. Expected `latest` or a run id; the last ones are: {known}."
        )
    return read(file)


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
