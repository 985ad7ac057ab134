"""What the report states, on arrays small enough to work by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from components.evaluator import metrics
from components.run_report import content, statistics

NAMES = ["a", "b", "c", "d"]
# Nothing is predicted as c, and d neither appears nor is predicted.
LABELS = np.array([0, 0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 0, 1, 1, 0, 1])


def probabilities(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_a_row_of_the_confusion_matrix_is_a_label() -> None:
    counts = statistics.confusion(LABELS, PREDICTED, 4)
    np.testing.assert_array_equal(counts, [[3, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    by_row = statistics.by_row(counts)
    np.testing.assert_array_equal(by_row[:3], [[0.75, 0.25, 0, 0], [0.5, 0.5, 0, 0], [0, 1, 0, 0]])
    assert np.isnan(by_row[3]).all()


def test_scores_of_each_class() -> None:
    a, b, c, d = statistics.class_scores(LABELS, PREDICTED, NAMES)
    assert (a.name, a.precision, a.recall, a.support) == ("a", 3 / 4, 3 / 4, 4)
    assert a.f1 == pytest.approx(3 / 4)
    assert (b.precision, b.recall, b.support) == (1 / 3, 1 / 2, 2)
    assert b.f1 == pytest.approx(2 / 5)
    assert (c.recall, c.f1, c.support) == (0, 0, 1)
    assert math.isnan(c.precision)
    assert d.support == 0
    assert all(math.isnan(value) for value in (d.precision, d.recall, d.f1))


def test_reliability_of_three_bins() -> None:
    # Bin 7 is 7/15..8/15; the last takes a probability of 1 in.
    bins = statistics.reliability(
        np.array([0, 1, 0, 1]), probabilities([0.5, 0.4], [0.5, 0.4], [0.75, 0.25], [0.0, 1.0])
    )
    np.testing.assert_array_equal(np.flatnonzero(bins.count), [7, 11, 14])
    np.testing.assert_array_equal(bins.count[[7, 11, 14]], [2, 1, 1])
    np.testing.assert_allclose(bins.confidence[[7, 11, 14]], [0.5, 0.75, 1])
    np.testing.assert_allclose(bins.accuracy[[7, 11, 14]], [0.5, 1, 1])
    assert np.isnan(bins.confidence[0])
    assert np.isnan(bins.accuracy[0])
    assert bins.error == pytest.approx((0 + 0.25 + 0) / 4)


@given(seed=st.integers(0, 2**32), levels=st.sampled_from([15, 256, 10_000]))
def test_the_calibration_error_is_that_of_the_evaluator(seed: int, levels: int) -> None:
    """On probabilities that fall on the edges of bins too."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet([0.3, 0.3, 0.3], 50)
    rows = (np.rint(rows * levels) / levels).astype(np.float32)
    labels = rng.integers(0, 3, 50)
    counts = metrics._Counts(3)
    for label, row in zip(labels.tolist(), rows, strict=True):
        metrics.count(counts, label, row, 1.0)
    bins = statistics.reliability(labels, rows)
    *_, error, accuracy = metrics.values(counts)
    assert bins.error == pytest.approx(error, abs=1e-12)
    assert np.nansum(bins.accuracy * bins.count) / 50 == pytest.approx(accuracy)
    np.testing.assert_array_equal(bins.count, counts.bins[:, 0])


def test_slices_come_worst_first_and_larger_first_among_equals() -> None:
    metrics = {
        "overall": {"accuracy": 0.7, "example_count": 10.0},
        "good": {"accuracy": 1.0, "example_count": 4.0},
        "small": {"accuracy": 0.5, "example_count": 2.0},
        "large": {"accuracy": 0.5, "example_count": 4.0},
    }
    scores = content.slice_scores(metrics)
    assert [(score.name, score.count, score.accuracy) for score in scores] == [
        ("large", 4, 0.5),
        ("small", 2, 0.5),
        ("good", 4, 1.0),
    ]
    assert (scores[0].low, scores[0].high) == statistics.accuracy_interval(2, 4)


@pytest.mark.parametrize(("right", "count"), [(95, 100), (990, 1000), (3, 7), (9928, 10_000)])
def test_the_interval_is_the_bootstraps(right: int, count: int) -> None:
    sample = np.arange(count) < right
    drawn = stats.bootstrap(
        (sample,), np.mean, n_resamples=20_000, batch=1000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert statistics.accuracy_interval(right, count) == pytest.approx((drawn.low, drawn.high), abs=1.01 / count)


def test_the_interval_of_a_hundred_with_five_mistakes() -> None:
    assert statistics.accuracy_interval(95, 100) == (0.90, 0.99)


@given(count=st.integers(1, 3000), share=st.floats(0, 1))
def test_an_interval_holds_its_accuracy_and_is_never_certain(count: int, share: float) -> None:
    right = round(share * count)
    low, high = statistics.accuracy_interval(right, count)
    assert 0 <= low <= right / count <= high <= 1
    assert low < high


def test_all_right_is_no_certainty() -> None:
    low, high = statistics.accuracy_interval(50, 50)
    assert high == 1
    assert low == pytest.approx(0.025 ** (1 / 50))  # Clopper and Pearson's, of nothing but right ones
    assert statistics.accuracy_interval(0, 50) == pytest.approx((0, 1 - low))


def test_the_most_confident_mistakes_come_first() -> None:
    rows = probabilities(
        [0.9, 0.1, 0.0],  # right
        [0.6, 0.4, 0.0],  # wrong
        [0.9, 0.1, 0.0],  # wrong, with more for its label than the next
        [0.9, 0.0, 0.1],  # wrong
        [0.0, 0.3, 0.7],  # wrong
    )
    labels = np.array([0, 1, 1, 1, 1])
    assert statistics.confident_mistakes(labels, rows, 10).tolist() == [3, 2, 4, 1]
    assert statistics.confident_mistakes(labels, rows, 2).tolist() == [3, 2]
    assert statistics.confident_mistakes(labels[:1], rows[:1], 10).tolist() == []


def test_flips_are_told_apart() -> None:
    one_hot = np.eye(3, dtype=np.float32)
    labels = np.array([0, 0, 0, 0, 1, 1])
    first, second = np.array([0, 1, 0, 0, 1, 2]), np.array([0, 2, 2, 0, 1, 1])
    comparison = statistics.compare(labels, one_hot[first], one_hot[second])
    assert comparison.agreement == pytest.approx(3 / 6)
    assert comparison.flips.tolist() == [2, 5, 1]  # broken; mended; neither
    assert (comparison.broken, comparison.mended) == (1, 1)
    np.testing.assert_array_equal(comparison.recall_change[:2], [-0.25, 0.5])
    assert np.isnan(comparison.recall_change[2])


def test_a_model_agrees_with_itself() -> None:
    rows = np.random.default_rng(0).dirichlet([1, 1], 20).astype(np.float32)
    comparison = statistics.compare(np.tile([0, 1], 10), rows, rows)
    assert (comparison.agreement, comparison.flips.size, comparison.broken, comparison.mended) == (1, 0, 0, 0)
    assert not comparison.recall_change.any()
