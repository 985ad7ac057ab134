"""A bound is compared in one place, with one tolerance, and the reason is a sentence."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.gate import TOLERANCE, Gate

FRACTIONS = st.floats(0, 1)


def lower(value: float | None, bound: float) -> Gate:
    return Gate.at_least("tflite", "accuracy", "overall", value, bound, "it is so")


def upper(value: float | None, bound: float) -> Gate:
    return Gate.at_most("device", "bytes", "file", value, bound, "it is so")


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        (lower(0.994, 0.994), True),
        (lower(math.nextafter(0.994, 0), 0.994), True),  # a rounding error
        (lower(0.994 - 2 * TOLERANCE, 0.994), False),
        (lower(1.0, 0.994), True),
        (lower(0.0, 0.0), True),  # a bound of zero is a bound
        (lower(math.nan, 0.5), False),
        (lower(None, 0.0), False),
        (upper(0.25, 0.25), True),
        (upper(math.nextafter(0.25, 1), 0.25), True),
        (upper(0.25 + 2 * TOLERANCE, 0.25), False),
        (upper(0.0, 0.25), True),
        (upper(100_001, 100_000), False),
        (upper(1, 0), False),
        (upper(math.nan, 0.5), False),
        (upper(None, 1.0), False),
    ],
)
def test_a_value_passes_up_to_its_bound_and_what_was_not_measured_does_not(gate: Gate, passed: bool) -> None:
    assert gate.passed is passed
    assert gate.refused is not passed


def test_numpy_numbers_are_judged_as_pythons() -> None:
    assert lower(np.float64(0.5), 0.6).refused
    assert upper(np.int64(3), 2).refused


@given(value=FRACTIONS, bound=FRACTIONS)
def test_only_the_tolerance_lies_between_a_bound_and_a_refusal(value: float, bound: float) -> None:
    assert lower(value, bound).passed == (value >= bound - TOLERANCE)
    assert upper(value, bound).passed == (value <= bound + TOLERANCE)


def test_the_tolerance_is_far_less_than_one_example_in_any_split() -> None:
    assert TOLERANCE < 1 / 100_000_000


def test_a_comparison_that_was_not_run_neither_passes_nor_refuses() -> None:
    gate = Gate.not_run("TFLite Micro", "arena_bytes", "overall", 65_536, "it is not installed")
    assert gate == Gate("TFLite Micro", "arena_bytes", "overall", None, 65_536, None, None, "it is not installed")
    assert not gate.refused


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (lower(0.5, 0.994), "it is so (required: at least 0.9940)"),
        (upper(0.5, 0.25), "it is so (required: at most 0.2500)"),
        (Gate.at_most("d", "bytes", "file", 1, 100_000, "it is so", form=","), "it is so (required: at most 100,000)"),
        (
            Gate.at_most("d", "m", "overall", 1, 0, "integers are required, it has floats", form=""),
            "integers are required, it has floats",
        ),
    ],
)
def test_the_reason_tells_what_was_found_and_what_is_required(gate: Gate, reason: str) -> None:
    assert gate.reason == reason
