"""Gates on accuracy: what TFMA measured against what was asked of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.gate import Gate

OVERALL = "overall"
_DIFFERENCE = "_diff"  # TFMA's suffix for the candidate's metric less the baseline's


@dataclass(frozen=True)
class Evaluation:
    """What TFMA found of one file.

    Attributes:
      metrics: slice -> metric -> value, of the candidate.
      baseline: the same of the baseline model; empty if there was none.
      gates: the outcome of each threshold.
    """

    metrics: dict[str, dict[str, float]]
    baseline: dict[str, dict[str, float]]
    gates: list[Gate]


def read_evaluation(path: str, file: str) -> Evaluation:
    """Reads an Evaluator's output and works out its thresholds one by one.

    Args:
      path: directory of the evaluation.
      file: what was judged, for the gates' names.
    """
    config = tfma.load_eval_result(path).config
    names = {spec.is_baseline: spec.name for spec in config.model_specs}
    metrics = _metrics(tfma.load_eval_result(path, model_name=names[False]))
    baseline = _metrics(tfma.load_eval_result(path, model_name=names[True])) if True in names else {}
    gates = list(_gates(config, metrics, baseline, file))
    validation = tfma.load_validation_result(path)
    if all(gate.passed for gate in gates) and not validation.validation_ok:
        # TFMA knows reasons that no single comparison shows, such as a slice without any example.
        reason = f"TFMA refused {file}: " + " ".join(str(validation).split())
        gates.append(Gate(file, "validation", OVERALL, 0.0, 1.0, None, False, reason))
    return Evaluation(metrics, baseline, gates)


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


def _gates(
    config: config_pb2.EvalConfig,
    metrics: dict[str, dict[str, float]],
    baseline: dict[str, dict[str, float]],
    file: str,
) -> Iterator[Gate]:
    for metric in (metric for spec in config.metrics_specs for metric in spec.metrics):
        name = json.loads(metric.config or "{}").get("name", metric.class_name)
        scopes = [(spec, item.threshold) for item in metric.per_slice_thresholds for spec in item.slicing_specs]
        for slicing, threshold in scopes:
            for part in sorted(part for part in metrics if _matches(slicing, part)):
                value = metrics[part][name]
                if threshold.HasField("value_threshold"):
                    yield value_gate(file, name, part, value, threshold.value_threshold)
                if threshold.HasField("change_threshold") and part in baseline:
                    yield change_gate(file, name, part, value, baseline[part][name], threshold.change_threshold)


def _matches(slicing: config_pb2.SlicingSpec, part: str) -> bool:
    features = [] if part == OVERALL else [item.partition("=")[0] for item in part.split(", ")]
    return sorted(slicing.feature_keys) == sorted(features)


def value_gate(file: str, metric: str, part: str, value: float, threshold: config_pb2.GenericValueThreshold) -> Gate:
    """Compares a value with a lower or an upper bound (the bound itself passes)."""
    lower = threshold.HasField("lower_bound")
    bound = threshold.lower_bound.value if lower else threshold.upper_bound.value
    passed = value >= bound if lower else value <= bound
    asked = f"{'at least' if lower else 'at most'} {bound:.4f}"
    reason = f"{metric} of {file} on {part} is {value:.4f}; {asked} is asked for"
    return Gate(file, metric, part, value, bound, None, passed, reason)


def change_gate(
    file: str, metric: str, part: str, value: float, baseline: float, threshold: config_pb2.GenericChangeThreshold
) -> Gate:
    """Compares a value with the baseline's, allowing for the threshold's absolute change."""
    higher = threshold.direction == tfma.MetricDirection.HIGHER_IS_BETTER
    bound = baseline + threshold.absolute.value
    passed = value >= bound if higher else value <= bound
    reason = (
        f"{metric} of {file} on {part} is {value:.4f}, the blessed model's {baseline:.4f}; "
        f"{'at least' if higher else 'at most'} {bound:.4f} is asked for"
    )
    return Gate(f"{file} vs baseline", metric, part, value, bound, baseline, passed, reason)
