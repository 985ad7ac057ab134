"""ClassMetrics against numbers worked out by hand."""

import math

import numpy as np
import pytest

from components.evaluator import metrics

# (label, probabilities): two of class 0 (one taken for 1), one of class 1, none of class 2.
EXAMPLES = [(0, [0.9, 0.1, 0.0]), (0, [0.25, 0.75, 0.0]), (1, [0.0, 1.0, 0.0])]


@pytest.fixture
def counts() -> metrics._Counts:
    result = metrics._Counts(3)
    for label, probabilities in EXAMPLES:
        metrics.count(result, label, np.array(probabilities), 1.0)
    return result


def test_values_are_those_worked_out_by_hand(counts: metrics._Counts) -> None:
    values = np.array(metrics.values(counts))
    np.testing.assert_allclose(values[:2], [1 / 1, 1 / 2])  # precision
    np.testing.assert_allclose(values[3:5], [1 / 2, 1 / 1])  # recall
    np.testing.assert_allclose(values[6:8], [1.15 / 2, 1.85 / 1])  # calibration
    # Confidences 0.9 (right), 0.75 (wrong), 1.0 (right, in the same bin of 15 as none other).
    np.testing.assert_allclose(values[9], (abs(0.9 - 1) + abs(0.75 - 0) + 0) / 3)
    assert values[10] == 2 / 3
    assert math.isnan(values[2])
    assert math.isnan(values[5])


def test_merged_parts_give_the_same_as_the_whole(counts: metrics._Counts) -> None:
    combiner = metrics._Combiner([], 3, None)
    parts = [metrics._Counts(3) for _ in EXAMPLES]
    for part, (label, probabilities) in zip(parts, EXAMPLES, strict=True):
        metrics.count(part, label, np.array(probabilities), 1.0)
    np.testing.assert_array_equal(metrics.values(combiner.merge_accumulators(parts)), metrics.values(counts))


def test_certainty_falls_into_the_last_bin() -> None:
    counts = metrics._Counts(2)
    metrics.count(counts, 0, np.array([1.0, 0.0]), 1.0)
    assert counts.bins[-1].tolist() == [1.0, 1.0, 1.0]
