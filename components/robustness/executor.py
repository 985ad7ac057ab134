"""Executor of RobustnessEvaluator."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.artifacts import split_files
from components.keys import ROBUSTNESS, TEST, TFMA_TFLITE
from components.robustness.corruptions import Robustness, evaluate
from components.tfds_example_gen.datasets import Dataset
from components.tflite_exporter import conversion, sampling

_PER_CLASS = 200


class Executor(base_executor.BaseExecutor):
    """Corrupts a sample of the test split, and has the TFLite files of candidate and baseline classify it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Fills the `evaluation` artifact."""
        self._log_startup(input_dict, output_dict, exec_properties)
        dataset = Dataset.from_json(exec_properties["dataset"])
        seed = exec_properties["seed"]
        sample = sampling.draw(split_files(input_dict["examples"], TEST), dataset.image_shape, _PER_CLASS, seed)
        found: dict[str, Any] = {"split": TEST, "images": len(sample.labels), "seed": seed}
        # The candidate comes last, so that the line that stays on the console is of it.
        for key in ("baseline_model", "model"):
            for model in input_dict.get(key, []):
                content = (Path(path_utils.serving_model_path(model.uri)) / TFMA_TFLITE).read_bytes()
                found[key] = as_json(evaluate(_classifier(content), sample.images, sample.labels, seed))
        folder = Path(artifact_utils.get_single_uri(output_dict["evaluation"]))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ROBUSTNESS).write_text(json.dumps(found, indent=2), encoding="utf-8")


def as_json(robustness: Robustness) -> dict[str, Any]:
    """Returns the figures of one model."""
    name, least = robustness.worst
    return {
        "clean": robustness.clean,
        "mean": robustness.mean,
        "worst": {"corruption": name, "accuracy": least},
        "accuracy": robustness.accuracy,
    }


def _classifier(content: bytes) -> Callable[[np.ndarray], np.ndarray]:
    return lambda images: conversion.run(content, images).argmax(axis=1)
