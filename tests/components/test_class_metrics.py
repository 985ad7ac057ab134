"""Accuracy, precision, recall and calibration, worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.evaluator import metrics


def counted(*seen: tuple[int, list[float]], classes: int = 3, weight: float = 1.0) -> metrics._Counts:
    counts = metrics._Counts(classes)
    for label, probabilities in seen:
        metrics.count(counts, label, np.array(probabilities), weight)
    return counts


# label, probabilities; the predicted classes are 0, 0, 1, 1, 0
SEEN = (
    (0, [0.8, 0.1, 0.1]),
    (0, [0.5, 0.3, 0.2]),
    (0, [0.2, 0.7, 0.1]),
    (1, [0.0, 1.0, 0.0]),
    (1, [0.6, 0.4, 0.0]),
)


def test_the_figures_are_those_of_the_definition() -> None:
    *per_class, error, accuracy = metrics.values(counted(*SEEN))
    precision, recall, calibration = np.reshape(per_class, (3, 3))
    assert accuracy == 3 / 5
    assert precision[:2] == pytest.approx([2 / 3, 1 / 2])
    assert recall[:2] == pytest.approx([2 / 3, 1 / 2])
    assert calibration[:2] == pytest.approx([(0.8 + 0.5 + 0.2 + 0.0 + 0.6) / 3, (0.1 + 0.3 + 0.7 + 1.0 + 0.4) / 2])
    # All five confidences are in bins of their own: |0.8-1| + |0.5-1| + |0.7-0| + |1-1| + |0.6-0|.
    assert error == pytest.approx((0.2 + 0.5 + 0.7 + 0.0 + 0.6) / 5)


def test_a_class_without_examples_and_predictions_is_not_a_number() -> None:
    *per_class, _, _ = metrics.values(counted(*SEEN))
    precision, recall, calibration = np.reshape(per_class, (3, 3))
    assert np.isnan([precision[2], recall[2]]).all()
    assert not np.isfinite(calibration[2])


def test_a_sure_and_right_model_is_calibrated() -> None:
    *_, error, accuracy = metrics.values(counted((0, [1, 0, 0]), (2, [0, 0, 1])))
    assert (error, accuracy) == (0, 1)


def test_confidence_that_is_right_as_often_as_it_says_is_calibrated() -> None:
    seen = [(0, [0.75, 0.25, 0.0])] * 3 + [(1, [0.75, 0.25, 0.0])]
    *_, error, _ = metrics.values(counted(*seen))
    assert error == pytest.approx(0)


def test_weights_count_examples_more_than_once() -> None:
    assert metrics.values(counted(*SEEN, weight=2.0))[-1] == 3 / 5
    heavy = counted((0, [1, 0, 0]), weight=3.0)
    metrics.count(heavy, 1, np.array([1, 0, 0]), 1.0)
    assert metrics.values(heavy)[-1] == 3 / 4


@given(correct=st.integers(0, 10_000), of=st.just(10_000))
def test_accuracy_is_exactly_the_fraction(correct: int, of: int) -> None:
    counts = metrics._Counts(2)
    counts.confusion[0, 0], counts.confusion[0, 1] = correct, of - correct
    assert metrics.values(counts)[-1] == correct / of


@given(cut=st.integers(0, len(SEEN)))
def test_parts_that_were_counted_apart_add_up(cut: int) -> None:
    keys: list = [None] * 11
    combiner = metrics._Combiner(keys, 3, None)
    merged = combiner.merge_accumulators([counted(*SEEN[:cut]), counted(*SEEN[cut:])])
    np.testing.assert_allclose(metrics.values(merged), metrics.values(counted(*SEEN)))
