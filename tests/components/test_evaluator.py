"""The Evaluator measures, and leaves the blessing to the QualityGate."""

from pathlib import Path

import pytest
import tensorflow_model_analysis as tfma
from tfx.types import standard_artifacts

from components.evaluator.component import EvaluatorSpec
from pipeline import evaluation
from tests.components.evaluations import evaluate


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> standard_artifacts.ModelEvaluation:
    """Of a model that gets all of class 0 right, half of class 1, and none of class 2."""
    config = evaluation.saved_model_eval_config(3)
    return evaluate({0: 10, 1: 5, 2: 0}, config, tmp_path_factory.mktemp("evaluated"), against_baseline=False)


def metrics(evaluated: standard_artifacts.ModelEvaluation) -> dict:
    return {key: value[""] for key, value in tfma.load_eval_result(evaluated.uri).slicing_metrics}


def test_there_is_no_blessing_that_a_resolver_could_take_for_the_gates(
    evaluated: standard_artifacts.ModelEvaluation,
) -> None:
    assert set(EvaluatorSpec.OUTPUTS) == {"evaluation"}
    assert not [path for path in Path(evaluated.uri).rglob("*") if "BLESSED" in path.name]


def test_accuracy_top_2_and_cross_entropy_are_measured_over_all_and_on_each_class(
    evaluated: standard_artifacts.ModelEvaluation,
) -> None:
    found = metrics(evaluated)
    accuracy = {key: value[""]["accuracy"]["doubleValue"] for key, value in found.items()}
    assert accuracy[()] == pytest.approx(0.5)
    assert [accuracy[("label", label),] for label in range(3)] == pytest.approx([1.0, 0.5, 0.0])
    assert set(found[()][""]) >= {"accuracy", "top_2_accuracy", "cross_entropy", "example_count"}
    # Mean of -log of what the label got: 0.9 for the half that is right, 0.05 for the other.
    assert found[()][""]["cross_entropy"]["doubleValue"] == pytest.approx((0.10536 + 2.99573) / 2, abs=1e-4)


def test_precision_and_recall_are_measured_of_each_class(evaluated: standard_artifacts.ModelEvaluation) -> None:
    found = metrics(evaluated)[()]
    # Wrong answers name the next class: 0 is also said to the ten 2s, 1 to no 0, 2 to five 1s.
    precision = [found[f"classId:{label}"]["precision"]["doubleValue"] for label in range(3)]
    recall = [found[f"classId:{label}"]["recall"]["doubleValue"] for label in range(3)]
    assert precision == pytest.approx([0.5, 1.0, 0.0])
    assert recall == pytest.approx([1.0, 0.5, 0.0])


def test_the_slices_that_the_model_computes_are_there(evaluated: standard_artifacts.ModelEvaluation) -> None:
    slices = set(metrics(evaluated))
    assert {(("ink_quartile", 0),), (("stroke_width", 3),), (("ink_quartile", 0), ("label", 1))} <= slices
