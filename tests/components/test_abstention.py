"""The threshold below which an answer is not believed refuses as many held-out images as it may, and no more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.tflite_exporter.abstention import Abstention, choose


def answers(*best: int) -> np.ndarray:
    """Outputs of three classes whose largest, in some place, is as given."""
    rows = np.zeros((len(best), 3), np.uint8)
    rows[np.arange(len(best)), np.arange(len(best)) % 3] = best
    return rows


@pytest.mark.parametrize(
    ("best", "rate", "threshold", "refused"),
    [
        ([200, 100, 150, 250], 0.25, 150, 0.25),
        ([200, 100, 150, 250], 0.49, 150, 0.25),  # half an image is none
        ([200, 100, 150, 250], 0.5, 200, 0.5),
        ([200, 100, 150, 250], 0.0, 100, 0.0),
        ([200, 100, 100, 250], 0.25, 100, 0.0),  # two of four share the place: both or none
        ([255, 255, 255, 255], 0.75, 255, 0.0),
        ([7], 0.9, 7, 0.0),
    ],
)
def test_the_threshold_is_the_highest_that_refuses_at_most_the_rate(
    best: list[int], rate: float, threshold: int, refused: float
) -> None:
    assert choose(answers(*best), rate) == Abstention(threshold / 256, "eval", len(best), refused)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=300), st.floats(0, 1, exclude_max=True))
def test_no_more_are_refused_than_may_be_and_one_step_higher_it_would_be_more(best: list[int], rate: float) -> None:
    outputs = answers(*best)
    chosen = choose(outputs, rate)
    probabilities = outputs.max(axis=1) / 256
    assert chosen.refused == (probabilities < chosen.threshold).mean() <= rate
    assert (probabilities < chosen.threshold + 1 / 256).sum() > int(rate * len(best))
