"""What a run's report shows and states, from what the run's steps found."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from components import progress
from components.gate import OVERALL
from components.keys import OUTLIER, REPORT
from components.run_report import figures, statistics
from components.run_report.data import SliceScore, Variant

_MISTAKES = 20
_FLIPS = 20
_SAMPLES = 30
_AUGMENTED, _OUTLIERS = 30, 10
SAVED_MODEL, TFLITE = "SavedModel", "TFLite"


@dataclass(frozen=True)
class Findings:
    """What the steps of a run found.

    Attributes:
      class_names: in the order of the outputs.
      label_counts: int64 [classes] by split.
      samples: uint8 [M, height, width, channels], training images.
      sample_labels: int64 [M].
      history: the Trainer's `history.json`.
      augmented: uint8 [K, height, width, channels], training images as the network sees them, and int64 [K], their
        labels, `OUTLIER` for an image of no class; None if the Trainer's entry keeps none.
      images: uint8 [N, height, width, channels], the test split.
      labels: int64 [N].
      probabilities: float32 [N, classes] by file, `SAVED_MODEL` and (if it could run) `TFLITE`.
      metrics: TFMA's, by file: slice -> metric -> value.
      variants: the TFLite files of other precisions, and their accuracy and latency.
      robustness: the RobustnessEvaluator's `robustness.json`.
      corrupted: uint8 [height, width, channels], one image under each corruption.
      drift: what TFDV measured against earlier data and between splits: split, feature, kind, value, bound.
    """

    class_names: Sequence[str]
    label_counts: Mapping[str, np.ndarray]
    samples: np.ndarray
    sample_labels: np.ndarray
    history: Mapping[str, Any]
    augmented: tuple[np.ndarray, np.ndarray] | None
    images: np.ndarray
    labels: np.ndarray
    probabilities: Mapping[str, np.ndarray]
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]]
    variants: Sequence[Variant]
    robustness: Mapping[str, Any]
    corrupted: Mapping[str, np.ndarray]
    drift: Sequence[Mapping[str, Any]]


def write(findings: Findings, folder: Path) -> None:
    """Writes `report.json`, and each figure as `<name>.svg` and `<name>.png`.

    Args:
      findings: what to show.
      folder: that exists.
    """
    drawn = draw(findings)
    alternatives = {}
    for number, (name, figure) in enumerate(drawn.items()):
        progress.report(f"picture {number + 1} of {len(drawn)}: {name.replace('_', ' ')}")
        figures.save(figure, folder, name)
        alternatives[name] = figure.get_label()
    content = tables(findings) | {"figures": alternatives}
    # NaN is no JSON; a page says "none" for null.
    (folder / REPORT).write_text(json.dumps(_without_nan(content), indent=2), encoding="utf-8")
    progress.report(f"{len(drawn)} pictures")


def draw(findings: Findings) -> dict[str, Figure]:
    """Returns the figures by name, in the order of the report."""
    names = findings.class_names
    labels, images = findings.labels, findings.images
    judged, probabilities = main_file(findings)
    predicted = probabilities.argmax(axis=1)
    mistakes = statistics.confident_mistakes(labels, probabilities, _MISTAKES)
    drawn = {
        "class_balance": figures.class_balance(findings.label_counts, names),
        "samples": figures.samples(findings.samples, findings.sample_labels, names),
        "training": figures.training(**findings.history),
        **({"augmented": _augmented(*findings.augmented, names)} if findings.augmented else {}),
        "confusion": figures.confusion(statistics.confusion(labels, predicted, len(names)), names),
        "class_scores": figures.class_scores(statistics.class_scores(labels, predicted, names)),
        "slices": figures.slice_scores(
            slice_scores(findings.metrics[judged]), findings.metrics[judged][OVERALL]["accuracy"]
        ),
        "reliability": figures.reliability(statistics.reliability(labels, probabilities)),
        "predictions": figures.predictions(images[:_SAMPLES], labels[:_SAMPLES], probabilities[:_SAMPLES], names),
        "mistakes": _answers(findings, mistakes, f"The most confident mistakes of the {judged} file"),
    }
    if TFLITE in findings.probabilities:
        comparison = _comparison(findings)
        drawn["recall_change"] = figures.recall_change(comparison.recall_change, names, (SAVED_MODEL, TFLITE))
        if len(comparison.flips):
            drawn["flips"] = _answers(
                findings, comparison.flips[:_FLIPS], "Images that both files give different labels"
            )
    drawn["variants"] = figures.variants(findings.variants)
    model, baseline = findings.robustness["model"], findings.robustness.get("baseline_model")
    drawn["robustness"] = figures.robustness(model["accuracy"], model["clean"], baseline and baseline["accuracy"])
    drawn["corruptions"] = figures.corruptions(findings.corrupted)
    return drawn


def tables(findings: Findings) -> dict[str, Any]:
    """Returns the numbers of the report, as JSON but for NaN."""
    judged, probabilities = main_file(findings)
    predicted = probabilities.argmax(axis=1)
    names = findings.class_names
    confusion = statistics.confusion(findings.labels, predicted, len(names))
    content: dict[str, Any] = {
        "judged": judged,
        "class_names": list(names),
        "label_counts": {split: counts.tolist() for split, counts in findings.label_counts.items()},
        "drift": list(findings.drift),
        "best_epoch": findings.history["best_epoch"],
        "stopped_early": findings.history["stopped_early"],
        "epochs": list(findings.history["epochs"]),
        "confusion": confusion.tolist(),
        "confusion_by_row": statistics.by_row(confusion).tolist(),
        "classes": [asdict(score) for score in statistics.class_scores(findings.labels, predicted, names)],
        "slices": {
            file: [asdict(score) for score in slice_scores(metrics)] for file, metrics in findings.metrics.items()
        },
        "calibration_error": {
            file: statistics.reliability(findings.labels, values).error
            for file, values in findings.probabilities.items()
        },
        "variants": [asdict(variant) for variant in findings.variants],
        "robustness": findings.robustness,
    }
    if TFLITE in findings.probabilities:
        comparison = _comparison(findings)
        content["comparison"] = {
            "agreement": comparison.agreement,
            "flips": comparison.flips.tolist(),
            "broken": comparison.broken,
            "mended": comparison.mended,
            "recall_change": comparison.recall_change.tolist(),
        }
    return content


def main_file(findings: Findings) -> tuple[str, np.ndarray]:
    """Returns the file that the report is about, and its probabilities: the TFLite file if it could run."""
    judged = TFLITE if TFLITE in findings.probabilities else SAVED_MODEL
    return judged, findings.probabilities[judged]


def slice_scores(metrics: Mapping[str, Mapping[str, float]]) -> list[SliceScore]:
    """Returns TFMA's accuracy on each slice with its interval, worst first, the larger first of equal ones."""
    scores = []
    for name, values in metrics.items():
        if name != OVERALL:
            count = int(values["example_count"])
            right = round(values["accuracy"] * count)
            scores.append(SliceScore(name, count, values["accuracy"], *statistics.accuracy_interval(right, count)))
    return sorted(scores, key=lambda score: (score.accuracy, -score.count))


def _augmented(images: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> Figure:
    outlier = labels == OUTLIER
    shown = np.concatenate([np.flatnonzero(~outlier)[:_AUGMENTED], np.flatnonzero(outlier)[:_OUTLIERS]])
    return figures.augmented(images[shown], labels[shown], class_names)


def _comparison(findings: Findings) -> Any:
    return statistics.compare(findings.labels, findings.probabilities[SAVED_MODEL], findings.probabilities[TFLITE])


def _answers(findings: Findings, indices: np.ndarray, title: str) -> Figure:
    return figures.answers(
        findings.images[indices],
        findings.labels[indices],
        {file: values[indices] for file, values in findings.probabilities.items()},
        findings.class_names,
        title,
    )


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value
