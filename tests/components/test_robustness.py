"""The robustness of a release, and the gate that may be set on it."""

import json
from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from components.quality_gate.gates import robustness_gate
from components.robustness import executor
from components.robustness.component import RobustnessEvaluation
from components.robustness.corruptions import CORRUPTIONS
from components.tfds_example_gen.datasets import Dataset
from components.tflite_exporter import conversion
from components.trainer.model import build_model
from tests import examples

DATASET = Dataset("mnist", "mnist:3.0.1", "3.0.1", examples.SHAPE, tuple("0123456789"), {}, "f" * 64)


def release(folder: Path, seed: int) -> standard_artifacts.Model:
    """An artifact with the TFLite file of an untrained network."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(seed)
    model = conversion.with_pixels_in(build_model(examples.SHAPE, 10, filters=(4,)), 1 / 255, 0.0, examples.SHAPE)
    images = np.random.default_rng(seed).integers(0, 256, (20, *examples.SHAPE), dtype=np.uint8)
    (folder / "Format-Serving").mkdir(parents=True)
    (folder / "Format-Serving" / "tflite").write_bytes(conversion.to_full_integer(model, images))
    artifact = standard_artifacts.Model()
    artifact.uri = str(folder)
    return artifact


def evaluate(folder: Path, **models: standard_artifacts.Model) -> dict:
    output = RobustnessEvaluation()
    output.uri = str(folder / "evaluation")
    inputs: dict = {"examples": [examples.artifact({"test": examples.digits(30)}, folder / "examples")]}
    inputs |= {key: [model] for key, model in models.items()}
    executor.Executor().Do(inputs, {"evaluation": [output]}, {"dataset": DATASET.to_json(), "seed": 3})
    return json.loads((folder / "evaluation" / "robustness.json").read_text())


def test_candidate_and_baseline_are_measured_on_the_same_corrupted_images(tmp_path: Path) -> None:
    model = release(tmp_path / "model", 1)
    found = evaluate(tmp_path / "both", model=model, baseline_model=model)
    assert found["model"] == found["baseline_model"]
    assert list(found["model"]["accuracy"]) == list(CORRUPTIONS)
    assert (found["split"], found["images"], found["seed"]) == ("test", 30, 3)


def test_without_a_baseline_the_candidate_is_measured_alone(tmp_path: Path) -> None:
    found = evaluate(tmp_path / "alone", model=release(tmp_path / "model", 1))
    assert "baseline_model" not in found
    figures = found["model"]["accuracy"]
    assert found["model"]["mean"] == pytest.approx(sum(figures.values()) / len(CORRUPTIONS))
    assert found["model"]["worst"]["accuracy"] == min(figures.values())


@pytest.mark.parametrize(("least", "passed"), [(0.8, True), (0.81, False)])
def test_a_gate_on_the_mean_passes_up_to_its_bound(least: float, passed: bool) -> None:
    gate = robustness_gate({"images": 10, "model": {"mean": 0.8}, "baseline_model": {"mean": 0.9}}, least)
    assert (gate.value, gate.bound, gate.baseline, gate.passed) == (0.8, least, 0.9, passed)
    assert gate.reason == (
        f"mean accuracy of tflite under the corruptions is 0.8000, on 10 test images (required: at least {least:.4f})"
    )
