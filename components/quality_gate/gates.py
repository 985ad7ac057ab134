"""Gates on accuracy: what TFMA measured against what is required."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow_model_analysis as tfma

from components.gate import OVERALL, Gate
from components.keys import ACCURACY, LABEL
from components.quality_gate.config import Thresholds

_DIFFERENCE = "_diff"  # TFMA's suffix for the candidate's metric less the baseline's


@dataclass(frozen=True)
class Evaluation:
    """What TFMA measured of one file.

    Attributes:
      metrics: slice -> metric -> value, of the candidate.
      baseline: the same of the baseline model; empty if there was none.
    """

    metrics: dict[str, dict[str, float]]
    baseline: dict[str, dict[str, float]]


def read_evaluation(path: str) -> Evaluation:
    """Reads an Evaluator's output.

    Args:
      path: directory of the evaluation.
    """
    config = tfma.load_eval_result(path).config
    names = {spec.is_baseline: spec.name for spec in config.model_specs}
    return Evaluation(
        metrics=_metrics(tfma.load_eval_result(path, model_name=names[False])),
        baseline=_metrics(tfma.load_eval_result(path, model_name=names[True])) if True in names else {},
    )


def slice_name(key: tuple[tuple[str, object], ...]) -> str:
    """Returns a TFMA slice key as text: `(("label", 3),)` -> `label=3`, `()` -> `overall`."""
    return ", ".join(f"{feature}={value}" for feature, value in key) or OVERALL


def _metrics(result: tfma.EvalResult) -> dict[str, dict[str, float]]:
    """Returns the scalar metrics of all classes together, by slice; not their differences from a baseline."""
    return {
        slice_name(key): {
            name: value["doubleValue"]
            for name, value in outputs[""][""].items()
            if "doubleValue" in value and not name.endswith(_DIFFERENCE)
        }
        for key, outputs in result.slicing_metrics
    }


def accuracy_gates(
    file: str, evaluation: Evaluation, class_names: Sequence[str], thresholds: Thresholds
) -> Iterator[Gate]:
    """Judges the accuracy on all examples and on those of each class, by itself and against the baseline's.

    Args:
      file: what was evaluated, for the gates' names.
      evaluation: of that file.
      class_names: in the order of the labels.
      thresholds: the bounds.

    Yields:
      The absolute comparison of a slice, then the one against the baseline, if there is one. A class without examples
      is refused: nothing is known of the model there.
    """
    yield from _slice_gates(file, evaluation, OVERALL, thresholds.accuracy, thresholds.accuracy_drop)
    for label, name in enumerate(class_names):
        part = f"{LABEL}={label}"
        if part in evaluation.metrics:
            yield from _slice_gates(file, evaluation, part, thresholds.class_accuracy, thresholds.class_accuracy_drop)
        else:
            missing = f"{ACCURACY} of {file} on {part} cannot be measured: no test image is of class {name!r}"
            yield Gate.at_least(file, ACCURACY, part, None, thresholds.class_accuracy, missing)


def _slice_gates(file: str, evaluation: Evaluation, part: str, least: float, drop: float) -> Iterator[Gate]:
    value = evaluation.metrics[part][ACCURACY]
    finding = f"{ACCURACY} of {file} on {part} is {value:.4f}"
    yield Gate.at_least(file, ACCURACY, part, value, least, finding)
    if evaluation.baseline:
        baseline = evaluation.baseline[part][ACCURACY]
        finding += f", the served model's is {baseline:.4f}"
        yield Gate.at_least(f"{file} vs baseline", ACCURACY, part, value, baseline - drop, finding, baseline=baseline)


def robustness_gate(robustness: dict[str, Any], least: float) -> Gate:
    """Judges the mean accuracy of the TFLite file under the corruptions.

    Args:
      robustness: the RobustnessEvaluator's `robustness.json`.
      least: the bound, in 0..1.
    """
    value = robustness["model"]["mean"]
    return Gate.at_least(
        "tflite robustness",
        "mean_corrupted_accuracy",
        "corrupted",
        value,
        least,
        f"mean accuracy of tflite under the corruptions is {value:.4f}, on {robustness['images']:,} test images",
        baseline=robustness.get("baseline_model", {}).get("mean"),
    )
