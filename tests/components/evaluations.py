"""Evaluations by the pipeline's own Evaluator and configuration, of models that say what the examples tell them to."""

from pathlib import Path

import tensorflow as tf
import tensorflow_model_analysis as tfma
from tfx.types import standard_artifacts
from tfx.utils import json_utils, proto_utils

from components.evaluator.executor import Executor
from tests import examples

CLASSES = 3
BASELINE = {0: 9, 1: 9, 2: 9}


class Parrot(tf.Module):
    """A model whose answer to an example stands in one of its features."""

    def __init__(self, feature: str) -> None:
        super().__init__()
        self._feature = feature

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {self._feature: tf.io.FixedLenFeature([], tf.int64)}
        answer = tf.io.parse_example(examples, spec)[self._feature]
        return {"probabilities": 0.05 + 0.85 * tf.one_hot(answer, CLASSES)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def slices(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        nothing = tf.zeros_like(examples, tf.int64)
        return {"ink_quartile": nothing, "stroke_width": nothing + 3, "crossings": nothing + 1}


def model(feature: str, folder: Path) -> standard_artifacts.Model:
    parrot = Parrot(feature)
    tf.saved_model.save(
        parrot,
        str(folder / "Format-Serving"),
        signatures={"serving_default": parrot.serve, "transform_features": parrot.slices},
    )
    artifact = standard_artifacts.Model()
    artifact.uri = str(folder)
    return artifact


def answers(right: dict[int, int]) -> list[bytes]:
    """Ten examples of each class with the answer of a model that gets so many of them right, and of the baseline."""
    records = []
    for label, good in right.items():
        for index in range(10):
            wrong = (label + 1) % CLASSES
            values = {
                "label": label,
                "candidate": label if index < good else wrong,
                "baseline": label if index < BASELINE[label] else wrong,
            }
            feature = {
                key: tf.train.Feature(int64_list=tf.train.Int64List(value=[value])) for key, value in values.items()
            }
            records.append(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return records


def evaluate(
    right: dict[int, int], config: tfma.EvalConfig, folder: Path, *, against_baseline: bool = True
) -> standard_artifacts.ModelEvaluation:
    """Has TFMA judge a model that gets so many of ten examples of each class right, the baseline nine of ten."""
    evaluation = standard_artifacts.ModelEvaluation()
    evaluation.uri = str(folder / "evaluation")
    inputs = {
        "examples": [examples.artifact({"test": answers(right)}, folder / "examples")],
        "model": [model("candidate", folder / "candidate")],
    }
    if against_baseline:
        inputs["baseline_model"] = [model("baseline", folder / "baseline")]
    Executor().Do(
        inputs,
        {"evaluation": [evaluation]},
        {"eval_config": proto_utils.proto_to_json(config), "example_splits": json_utils.dumps(["test"])},
    )
    return evaluation
