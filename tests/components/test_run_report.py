"""What the report measures by itself, and what it takes from the steps."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from components.run_report import content, executor
from components.run_report.data import Variant
from tests.pipeline.test_report import findings

LABELS = np.array([0, 1, 2, 0])
RIGHT_THREE_TIMES = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]


def variants(folder: Path, probabilities: np.ndarray | None, latency: float | None) -> list[Variant]:
    (folder / "variants.json").write_text(json.dumps({"variants": {"int8": {"bytes": 9}, "float16": {"bytes": 20}}}))
    (folder / "float16.tflite").write_bytes(b"no model")
    return executor.measure_variants(folder, np.zeros((4, 8, 8, 1), np.uint8), LABELS, probabilities, latency)


def test_the_file_that_ships_has_the_latency_that_the_device_validator_measured(tmp_path: Path) -> None:
    assert variants(tmp_path, RIGHT_THREE_TIMES, 46.5) == [Variant("int8", 9, 0.75, 46.5), Variant("float16", 20)]


def test_a_file_that_could_not_run_has_neither_accuracy_nor_latency(tmp_path: Path) -> None:
    assert variants(tmp_path, None, None)[0] == Variant("int8", 9)


def test_what_the_network_saw_is_read_as_the_trainer_left_it_and_may_be_missing(tmp_path: Path) -> None:
    assert executor.read_augmented(tmp_path) is None
    np.savez_compressed(tmp_path / "augmented.npz", images=np.full((2, 4, 4, 1), 7, np.uint8), labels=[1, -1])
    images, labels = executor.read_augmented(tmp_path) or ((), ())
    assert np.shape(images) == (2, 4, 4, 1)
    assert list(labels) == [1, -1]


def test_the_report_shows_thirty_of_the_augmented_images_and_ten_outliers_or_none() -> None:
    robustness = {"model": {"clean": 0.75, "accuracy": {"fog": 0.25}}}
    without = dataclasses.replace(findings(), corrupted={"clean": np.zeros((8, 8, 1), np.uint8)}, robustness=robustness)
    assert "augmented" not in content.draw(without)
    labels = np.array([0, 1] * 25 + [-1] * 12)
    batch = (np.zeros((len(labels), 8, 8, 1), np.uint8), labels)
    drawn = content.draw(dataclasses.replace(without, augmented=batch))
    assert drawn["augmented"].get_label().startswith("40 training images as the network sees them, 10 of them made up")
    assert list(drawn).index("augmented") == list(drawn).index("training") + 1
