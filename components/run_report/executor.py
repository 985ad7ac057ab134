"""Executor of RunReport."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import images, progress
from components.artifacts import split_files
from components.example_validator.executor import DEFAULT_FILE_NAME
from components.keys import AUGMENTED, DEVICE, HISTORY, PREDICTIONS, ROBUSTNESS, SPLITS, TEST, TRAIN, VARIANTS
from components.quality_gate.gates import read_evaluation
from components.robustness.corruptions import CORRUPTIONS
from components.run_report import content
from components.run_report.data import Variant
from components.tfds_example_gen.datasets import Dataset
from components.tflite_exporter import conversion, sampling
from serving.runtimes import Runtime, RuntimeFailedError, execute

_SAMPLES_PER_CLASS = 3
_OUTPUT_STEPS = 256  # of the TFLite file's probabilities


class Executor(base_executor.BaseExecutor):
    """Collects what the steps found, measures the variants that no step did, and draws."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the `report` artifact with `report.json` and pictures."""
        self._log_startup(input_dict, output_dict, exec_properties)
        dataset = Dataset.from_json(exec_properties["dataset"])
        seed = exec_properties["seed"]
        folders = {
            key: Path(artifact_utils.get_single_uri(artifacts)) for key, artifacts in input_dict.items() if artifacts
        }
        progress.report("reading")
        pixels, labels = images.load(split_files(input_dict["examples"], TEST), dataset.image_shape)
        with np.load(folders["predictions"] / PREDICTIONS) as predictions:
            probabilities = {content.SAVED_MODEL: predictions["saved_model_probabilities"]}
            if "tflite_output" in predictions:
                probabilities[content.TFLITE] = predictions["tflite_output"].astype(np.float32) / _OUTPUT_STEPS
        device = json.loads((folders["device_validation"] / DEVICE).read_text(encoding="utf-8"))["measurements"]
        samples = sampling.draw(
            split_files(input_dict["examples"], TRAIN), dataset.image_shape, _SAMPLES_PER_CLASS, seed
        )
        findings = content.Findings(
            class_names=dataset.class_names,
            label_counts={
                split: np.bincount(
                    sampling.labels(split_files(input_dict["examples"], split)), minlength=len(dataset.class_names)
                )
                for split in SPLITS
            },
            samples=samples.images,
            sample_labels=samples.labels,
            history=json.loads((folders["model_run"] / HISTORY).read_text(encoding="utf-8")),
            augmented=read_augmented(folders["model_run"]),
            images=pixels,
            labels=labels,
            probabilities=probabilities,
            metrics={
                content.SAVED_MODEL: read_evaluation(str(folders["saved_model_evaluation"])).metrics,
                content.TFLITE: read_evaluation(str(folders["tflite_evaluation"])).metrics,
            },
            variants=measure_variants(
                folders["variants"], pixels, labels, probabilities.get(content.TFLITE), device["latency_us_p50"]
            ),
            robustness=json.loads((folders["robustness"] / ROBUSTNESS).read_text(encoding="utf-8")),
            corrupted=corrupted(pixels, labels, seed),
            drift=[
                measured
                for split in SPLITS
                for measured in drift(split, Path(artifact_utils.get_split_uri(input_dict["anomalies"], split)))
            ],
        )
        folder = Path(artifact_utils.get_single_uri(output_dict["report"]))
        folder.mkdir(parents=True, exist_ok=True)
        content.write(findings, folder)


def read_augmented(model_run: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns images and labels of the batch that the Trainer keeps to be looked at; None if its entry keeps none."""
    if not (model_run / AUGMENTED).exists():
        return None
    with np.load(model_run / AUGMENTED) as batch:
        return batch["images"], batch["labels"]


def measure_variants(
    folder: Path, pixels: np.ndarray, labels: np.ndarray, probabilities: np.ndarray | None, latency_us: float | None
) -> list[Variant]:
    """Runs the TFLite file of each precision on the test split, but for the one that ships.

    Args:
      folder: the TFLiteExporter's variants.
      pixels: uint8 [N, height, width, channels].
      labels: int64 [N].
      probabilities: float32 [N, classes], of the file that ships, which the DeviceValidator ran; None if it could not.
      latency_us: what it measured, so that a report has one latency of that file.

    Returns:
      The variants; one that LiteRT cannot run has neither accuracy nor latency.
    """
    facts = json.loads((folder / VARIANTS).read_text(encoding="utf-8"))["variants"]
    variants = []
    for name, sizes in facts.items():
        if name == conversion.FULL_INTEGER:
            accuracy = None if probabilities is None else _accuracy(probabilities, labels)
            variants.append(Variant(name, sizes["bytes"], accuracy, latency_us))
            continue
        progress.report(f"measuring {name}")
        try:
            execution = execute(Runtime.LITERT, folder / f"{name}.tflite", pixels.astype(np.float32))
        except RuntimeFailedError:
            variants.append(Variant(name, sizes["bytes"]))
            continue
        latency = float(np.median(execution.latencies_us))
        variants.append(Variant(name, sizes["bytes"], _accuracy(execution.outputs, labels), latency))
    return variants


def _accuracy(outputs: np.ndarray, labels: np.ndarray) -> float:
    return float((outputs.argmax(axis=1) == labels).mean())


def corrupted(pixels: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Returns one image, the first of the most frequent class, as it is and under each corruption."""
    first = int(np.flatnonzero(labels == np.bincount(labels).argmax())[0])
    one = pixels[first : first + 1]
    made = {
        name: corrupt(one, np.random.default_rng([seed, number]))[0]
        for number, (name, corrupt) in enumerate(CORRUPTIONS.items())
    }
    return {"clean": one[0], **made}


def drift(split: str, folder: Path) -> list[dict[str, Any]]:
    """Reads what TFDV measured of a split against earlier data, and against the training split.

    Args:
      split: name of the split.
      folder: of the split's anomalies.
    """
    anomalies = anomalies_pb2.Anomalies.FromString((folder / DEFAULT_FILE_NAME).read_bytes())
    found = []
    for info in anomalies.drift_skew_info:
        for kind, measurements in (("drift", info.drift_measurements), ("skew", info.skew_measurements)):
            for measured in measurements:
                found.append(
                    {
                        "split": split,
                        "feature": ".".join(info.path.step),
                        "kind": kind,
                        "value": measured.value,
                        "bound": measured.threshold,
                    }
                )
    return found
