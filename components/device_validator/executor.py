"""Executor of DeviceValidator."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import images, progress
from components.artifacts import split_files
from components.device_validator.config import DeviceLimits
from components.device_validator.validation import Reference, validate
from components.keys import DEVICE, PREDICTIONS, PROBABILITIES, SERVE_IMAGES, TEST, TFMA_TFLITE
from components.tfds_example_gen.datasets import Dataset
from components.tflite_exporter.sampling import stratified_indices
from serving import version_dir

_BATCH = 1000
_SAMPLE_PER_CLASS = 10  # the slow runtimes take milliseconds an image


class Executor(base_executor.BaseExecutor):
    """Runs the SavedModel and the TFLite file on the test split, and compares."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the artifacts `blessing` and `predictions`."""
        self._log_startup(input_dict, output_dict, exec_properties)
        dataset = Dataset.from_json(exec_properties["dataset"])
        release = Path(path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"])))
        progress.report("SavedModel on the test split")
        pixels, labels = images.load(split_files(input_dict["examples"], TEST), dataset.image_shape)
        probabilities = saved_model_probabilities(release, pixels)
        with np.load(release / version_dir.GOLDEN) as golden:
            reference = Reference(
                images=pixels,
                labels=labels,
                saved_model_labels=probabilities.argmax(axis=1),
                sample=stratified_indices(labels, _SAMPLE_PER_CLASS, exec_properties["seed"]),
                golden_images=golden["images"],
                golden_labels=golden["tflite_output"].argmax(axis=1),
                class_names=dataset.class_names,
            )
        result = validate(release / TFMA_TFLITE, reference, DeviceLimits.model_validate_json(exec_properties["limits"]))

        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        folder = Path(blessing.uri)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = {"measurements": result.measurements, "gates": [asdict(gate) for gate in result.gates]}
        (folder / DEVICE).write_text(json.dumps(outcome, indent=2), encoding="utf-8")
        # As TFX's InfraValidator leaves it, so that its Pusher understands.
        (folder / ("INFRA_BLESSED" if result.passed else "INFRA_NOT_BLESSED")).touch()
        blessing.set_int_custom_property("blessed", int(result.passed))

        predictions = Path(artifact_utils.get_single_uri(output_dict["predictions"]))
        predictions.mkdir(parents=True, exist_ok=True)
        answers = {"labels": labels, "saved_model_probabilities": probabilities}
        if result.outputs is not None:
            answers["tflite_output"] = result.outputs
        np.savez_compressed(predictions / PREDICTIONS, allow_pickle=False, **answers)
        refused = sum(gate.refused for gate in result.gates)
        progress.report(f"{refused} of {len(result.gates)} gates refuse the file" if refused else _in_short(outcome))


def saved_model_probabilities(path: Path, pixels: np.ndarray) -> np.ndarray:
    """Runs a release's SavedModel on raw pixels.

    Args:
      path: of the SavedModel.
      pixels: uint8 [N, height, width, channels].

    Returns:
      float32 [N, classes].
    """
    serve = tf.saved_model.load(str(path)).signatures[SERVE_IMAGES]
    batches = (pixels[start : start + _BATCH] for start in range(0, len(pixels), _BATCH))
    return np.concatenate([serve(images=tf.constant(batch))[PROBABILITIES].numpy() for batch in batches])


def _in_short(outcome: dict[str, Any]) -> str:
    found = outcome["measurements"]
    arena = f", arena {found['arena_bytes']:,} bytes" if found["arena_bytes"] else ""
    return f"{found['latency_us_p50']:.0f} µs an image{arena}, {found['agreement']:.2%} of labels as the SavedModel's"
