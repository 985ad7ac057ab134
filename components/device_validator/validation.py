"""Judging a TFLite file by running it on the runtimes that devices have."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from components import progress
from components.device_validator.config import DeviceLimits
from components.gate import OVERALL, Gate
from components.keys import LABEL
from serving import version_dir
from serving.runtimes import Execution, Runtime, RuntimeFailedError, execute
from serving.tflite_file import TFLiteFileError, describe, full_integer_problems

_FILE = "file"
_COUNT = ","  # format of a whole number
_PACKAGES = {Runtime.LITERT: "ai-edge-litert", Runtime.MICRO: "tflite-micro"}


@dataclass(frozen=True)
class Reference:
    """What the file is held against.

    Attributes:
      images: uint8 [N, height, width, channels], the test split.
      labels: int64 [N], the truth.
      saved_model_labels: int64 [N], what the SavedModel says.
      sample: int64 [M], indices of the images that the slow runtimes are run on.
      golden_images: uint8 [K, height, width, channels].
      golden_labels: int64 [K], what every runtime must say of them.
      class_names: in the order of the outputs.
    """

    images: np.ndarray
    labels: np.ndarray
    saved_model_labels: np.ndarray
    sample: np.ndarray
    golden_images: np.ndarray
    golden_labels: np.ndarray
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Validation:
    """The outcome.

    Attributes:
      gates: in the order in which they were looked at.
      measurements: what was found, as JSON: bytes, operators, latencies, arena, agreement, McNemar's counts.
      outputs: uint8 [N, classes], LiteRT's answers to the test split; None if it could not run.
    """

    gates: list[Gate]
    measurements: dict[str, Any]
    outputs: np.ndarray | None

    @property
    def passed(self) -> bool:
        """Whether no gate refuses the file."""
        return not any(gate.refused for gate in self.gates)


def validate(model: Path, reference: Reference, limits: DeviceLimits) -> Validation:
    """Judges a file: what it declares, then how it runs, then how it compares with the SavedModel.

    Args:
      model: the `.tflite` file.
      reference: what to hold it against.
      limits: bounds of the gates.
    """
    gates = [_bytes_gate(model, limits)]
    measurements: dict[str, Any] = {
        "bytes": model.stat().st_size,
        "sha256": version_dir.sha256(model),
        "packages": {package: version(package) for runtime, package in _PACKAGES.items() if runtime.installed},
        "latency_us_p50": None,
        "latency_us_p95": None,
        "arena_bytes": None,
    }
    declared = _declaration_gate(model, reference)
    gates.append(declared)
    if declared.refused:
        # No runtime is asked about a file that is no file of this kind: the reason is known already.
        return Validation(gates, measurements, None)
    measurements["operators"] = describe(model.read_bytes()).operators

    progress.report(f"{Runtime.LITERT} on {len(reference.images):,} test images")
    try:
        litert = execute(Runtime.LITERT, model, np.concatenate([reference.golden_images, reference.images]))
    except RuntimeFailedError as error:
        gates.append(_failed_gate(Runtime.LITERT, error))
        return Validation(gates, measurements, None)
    golden, outputs = np.split(litert.outputs, [len(reference.golden_images)])
    gates.append(_golden_gate(Runtime.LITERT, golden, reference))
    gates += _latency_gates(litert, limits, measurements)
    gates += _agreement_gates(outputs.argmax(axis=1), reference, limits, measurements)
    for runtime in (Runtime.LITERT_REFERENCE, Runtime.MICRO):
        gates += _other_runtime_gates(runtime, model, outputs, reference, limits, measurements)
    return Validation(gates, measurements, outputs)


def mcnemar(only_first_right: int, only_second_right: int) -> float:
    """Returns the p-value of McNemar's exact test that two classifiers err equally often.

    Args:
      only_first_right: number of examples that the first alone gets right.
      only_second_right: the same of the second.

    Source: McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
    Psychometrika 12 (1947).
    """
    discordant = only_first_right + only_second_right
    return float(binomtest(only_first_right, discordant).pvalue) if discordant else 1.0


def is_clear(outputs: np.ndarray) -> np.ndarray:
    """Tells answers that no runtime's way of rounding turns over: the best class leads by a tenth of full probability.

    Kernels of equal worth gave outputs that were up to 10 of 256 steps apart.

    Args:
      outputs: uint8 [N, classes], in 256ths.

    Returns:
      bool [N].
    """
    ranked = np.sort(outputs.astype(np.int64), axis=1)
    return ranked[:, -1] - ranked[:, -2] > 256 / 10


def _bytes_gate(model: Path, limits: DeviceLimits) -> Gate:
    size = model.stat().st_size
    return Gate.at_most("device", "bytes", _FILE, size, limits.bytes, f"the file has {size:,} bytes", form=_COUNT)


def _declaration_gate(model: Path, reference: Reference) -> Gate:
    shape = reference.images.shape[1:]
    try:
        file = describe(model.read_bytes())
        problems = full_integer_problems(file, (shape[0], shape[1], shape[2]), len(reference.class_names))
        finding = "; ".join(problems) or f"integer operators only: {', '.join(file.operators)}"
    except TFLiteFileError as error:
        problems, finding = [str(error)], str(error).removesuffix(".")
    return Gate.at_most("device", "full_integer_problems", _FILE, len(problems), 0, finding, form="")


def _failed_gate(runtime: Runtime, error: RuntimeFailedError) -> Gate:
    return Gate.at_most(runtime, "golden_mismatches", OVERALL, None, 0, str(error).removesuffix("."), form="")


def _golden_gate(runtime: Runtime, outputs: np.ndarray, reference: Reference) -> Gate:
    wrong = int((outputs.argmax(axis=1) != reference.golden_labels).sum())
    finding = f"{wrong} of {len(outputs)} golden images got another label on {runtime}"
    return Gate.at_most(runtime, "golden_mismatches", OVERALL, wrong, 0, finding, form=_COUNT)


def _latency_gates(execution: Execution, limits: DeviceLimits, measurements: dict[str, Any]) -> list[Gate]:
    # Rounded once, so that the number that is shown is the one that was judged.
    median, tail = (round(float(latency), 1) for latency in np.percentile(execution.latencies_us, [50, 95]))
    measurements |= {"latency_us_p50": median, "latency_us_p95": tail}
    finding = f"an image takes {median:.1f} µs on one thread, the median; 95 % take at most {tail:.1f} µs"
    return [Gate.at_most(Runtime.LITERT, "latency_us_p50", OVERALL, median, limits.latency_us, finding, form=",g")]


def _agreement_gates(
    labels: np.ndarray, reference: Reference, limits: DeviceLimits, measurements: dict[str, Any]
) -> list[Gate]:
    name = f"{Runtime.LITERT} vs SavedModel"
    same = labels == reference.saved_model_labels
    right, reference_right = labels == reference.labels, reference.saved_model_labels == reference.labels
    lost, won = int((reference_right & ~right).sum()), int((right & ~reference_right).sum())
    agreement, p = float(same.mean()), mcnemar(lost, won)
    measurements |= {"agreement": agreement, "mcnemar": {"lost": lost, "won": won, "p": p}}
    agreeing = f"{(~same).sum()} of {len(same):,} test images get another label than from the SavedModel"
    errors = f"quantisation lost {lost} right answers and won {won}: McNemar's p is {p:.4g}"
    gates = [
        Gate.at_least(
            name,
            "label_agreement",
            OVERALL,
            agreement,
            limits.agreement,
            f"{agreeing}, {agreement:.2%} agree",
            form=".2%",
        ),
        Gate.at_least(name, "mcnemar_p", OVERALL, p, limits.significance, errors, form="g"),
    ]
    for label, class_name in enumerate(reference.class_names):
        members = reference.labels == label
        if not members.any():
            continue
        recall, reference_recall = float(right[members].mean()), float(reference_right[members].mean())
        drop = reference_recall - recall
        finding = (
            f"recall of {class_name} is {recall:.4f}, the SavedModel's is {reference_recall:.4f}: a drop of {drop:.4f}"
        )
        gates.append(Gate.at_most(name, "recall_drop", f"{LABEL}={label}", drop, limits.recall_drop, finding))
    return gates


def _other_runtime_gates(
    runtime: Runtime,
    model: Path,
    litert_outputs: np.ndarray,
    reference: Reference,
    limits: DeviceLimits,
    measurements: dict[str, Any],
) -> list[Gate]:
    """Runs another runtime on the golden images and on a sample, where it must say what LiteRT says."""
    if not runtime.installed:
        reason = f"{runtime} was not run: the optional package {_PACKAGES[runtime]} is not installed"
        return [Gate.not_run(runtime, "golden_mismatches", OVERALL, 0, reason)]
    images = np.concatenate([reference.golden_images, reference.images[reference.sample]])
    progress.report(f"{runtime} on {len(images):,} test images")
    try:
        execution = execute(runtime, model, images)
    except RuntimeFailedError as error:
        return [_failed_gate(runtime, error)]
    golden, outputs = np.split(execution.outputs, [len(reference.golden_images)])
    expected = litert_outputs[reference.sample]
    clear = is_clear(expected)
    differs = int((outputs[clear].argmax(axis=1) != expected[clear].argmax(axis=1)).sum())
    finding = (
        f"{differs} of {clear.sum()} sampled test images that are clear to {Runtime.LITERT} got another label on "
        f"{runtime}"
    )
    gates = [
        _golden_gate(runtime, golden, reference),
        Gate.at_most(runtime, "label_mismatches", "sample", differs, 0, finding, form=_COUNT),
    ]
    if execution.arena_bytes is not None:
        arena = measurements["arena_bytes"] = execution.arena_bytes
        finding = f"the arena of {runtime} takes {arena:,} bytes"
        gates.append(Gate.at_most(runtime, "arena_bytes", OVERALL, arena, limits.arena_bytes, finding, form=_COUNT))
    return gates
