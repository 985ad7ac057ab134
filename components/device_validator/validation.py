"""Judging a TFLite file by running it on the runtimes that devices have."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from components import progress
from components.device_validator.config import DeviceLimits
from components.gate import Gate
from serving import version_dir
from serving.runtimes import Execution, Runtime, RuntimeFailedError, execute
from serving.tflite_file import TFLiteFileError, describe, full_integer_problems

_FILE = "file"
_OVERALL = "overall"
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
    reason = f"the file has {size:,} bytes; at most {limits.bytes:,} are asked for"
    return Gate("device", "bytes", _FILE, size, limits.bytes, None, size <= limits.bytes, reason)


def _declaration_gate(model: Path, reference: Reference) -> Gate:
    shape = reference.images.shape[1:]
    try:
        file = describe(model.read_bytes())
        problems = full_integer_problems(file, (shape[0], shape[1], shape[2]), len(reference.class_names))
        reason = "; ".join(problems) or f"integer operators alone: {', '.join(file.operators)}"
    except TFLiteFileError as error:
        problems, reason = [str(error)], str(error).removesuffix(".")
    return Gate("device", "full_integer_problems", _FILE, len(problems), 0, None, not problems, reason)


def _failed_gate(runtime: Runtime, error: RuntimeFailedError) -> Gate:
    return Gate(runtime, "golden_mismatches", _OVERALL, None, 0, None, False, str(error).removesuffix("."))


def _golden_gate(runtime: Runtime, outputs: np.ndarray, reference: Reference) -> Gate:
    wrong = int((outputs.argmax(axis=1) != reference.golden_labels).sum())
    reason = f"{wrong} of {len(outputs)} golden images got another label on {runtime}; none may"
    return Gate(runtime, "golden_mismatches", _OVERALL, wrong, 0, None, wrong == 0, reason)


def _latency_gates(execution: Execution, limits: DeviceLimits, measurements: dict[str, Any]) -> list[Gate]:
    # Rounded once, so that whoever shows it in whole microseconds shows the same number.
    median, tail = (round(float(latency), 1) for latency in np.percentile(execution.latencies_us, [50, 95]))
    measurements |= {"latency_us_p50": median, "latency_us_p95": tail}
    reason = (
        f"an image takes {median:.0f} µs on one thread (median; 95 % take at most {tail:.0f} µs); at most "
        f"{limits.latency_us:.0f} µs are asked for"
    )
    passed = median <= limits.latency_us
    return [Gate(Runtime.LITERT, "latency_us_p50", _OVERALL, median, limits.latency_us, None, passed, reason)]


def _agreement_gates(
    labels: np.ndarray, reference: Reference, limits: DeviceLimits, measurements: dict[str, Any]
) -> list[Gate]:
    name = f"{Runtime.LITERT} vs SavedModel"
    same = labels == reference.saved_model_labels
    right, reference_right = labels == reference.labels, reference.saved_model_labels == reference.labels
    lost, won = int((reference_right & ~right).sum()), int((right & ~reference_right).sum())
    agreement, p = float(same.mean()), mcnemar(lost, won)
    measurements |= {"agreement": agreement, "mcnemar": {"lost": lost, "won": won, "p": p}}
    gates = [
        Gate(
            name,
            "label_agreement",
            _OVERALL,
            agreement,
            limits.agreement,
            None,
            agreement >= limits.agreement,
            f"{(~same).sum()} of {len(same):,} test images get another label than from the SavedModel: "
            f"{agreement:.2%} agree; at least {limits.agreement:.2%} is asked for",
        ),
        Gate(
            name,
            "mcnemar_p",
            _OVERALL,
            p,
            limits.significance,
            None,
            p >= limits.significance,
            f"quantisation lost {lost} right answers and won {won} (McNemar's p {p:.2f}); at least "
            f"{limits.significance:g} is asked for",
        ),
    ]
    for label, class_name in enumerate(reference.class_names):
        members = reference.labels == label
        if not members.any():
            continue
        recall, reference_recall = float(right[members].mean()), float(reference_right[members].mean())
        drop = round(reference_recall - recall, 12)  # so that 1 of 200 is 0.005, and not a hair more
        gates.append(
            Gate(
                name,
                "recall_drop",
                f"label={label}",
                drop,
                limits.recall_drop,
                None,
                drop <= limits.recall_drop,
                f"recall of {class_name} is {recall:.4f}, the SavedModel's {reference_recall:.4f}; it may fall by at "
                f"most {limits.recall_drop:.4f}",
            )
        )
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
        return [Gate(runtime, "golden_mismatches", _OVERALL, None, 0, None, None, reason)]
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
    gates = [
        _golden_gate(runtime, golden, reference),
        Gate(
            runtime,
            "label_mismatches",
            "sample",
            differs,
            0,
            None,
            differs == 0,
            f"{differs} of {clear.sum()} sampled test images that are clear to {Runtime.LITERT} got another label than "
            "there; none may",
        ),
    ]
    if execution.arena_bytes is not None:
        measurements["arena_bytes"] = execution.arena_bytes
        gates.append(
            Gate(
                runtime,
                "arena_bytes",
                _OVERALL,
                execution.arena_bytes,
                limits.arena_bytes,
                None,
                execution.arena_bytes <= limits.arena_bytes,
                f"{runtime} takes an arena of {execution.arena_bytes:,} bytes; at most {limits.arena_bytes:,} are "
                "asked for",
            )
        )
    return gates
