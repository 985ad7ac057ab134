"""One comparison of what was measured with what is required, and its reason; bounds are compared nowhere else."""

from dataclasses import dataclass
from enum import StrEnum

OVERALL = "overall"

TOLERANCE = 1e-9
"""How far a value may be beyond its bound and still pass, absolute: more than the rounding errors of a fraction, a sum
or a difference, and far less than one example in any split."""


class Relation(StrEnum):
    """How a value has to be to its bound."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


@dataclass(frozen=True)
class Gate:
    """One comparison, made by `at_least`, `at_most` or `not_run`.

    Attributes:
      gate: what was judged, and how: `tflite`, `tflite vs baseline`, `LiteRT`.
      metric: name of the metric.
      slice: the part of the test split, as in `label=3`; `overall` for all of it.
      value: what was measured; None if that could not be.
      bound: the value at which the gate would just pass.
      baseline: what the served model reaches on the same examples; None if the gate does not look at it.
      passed: whether the model may ship as far as this gate goes; None if the gate was not run, which is no pass.
      reason: all of this in a sentence, without the full stop.
      relation: of value and bound; None if they were not compared.
    """

    gate: str
    metric: str
    slice: str
    value: float | None
    bound: float
    baseline: float | None
    passed: bool | None
    reason: str
    relation: Relation | None = None

    @classmethod
    def at_least(
        cls,
        gate: str,
        metric: str,
        part: str,
        value: float | None,
        bound: float,
        finding: str,
        *,
        form: str = ".4f",
        baseline: float | None = None,
    ) -> "Gate":
        """Compares a value with a lower bound; the bound itself passes, and what could not be measured does not.

        Args:
          gate: see the class.
          metric: see the class.
          part: the slice.
          value: see the class.
          bound: see the class.
          finding: the value in words.
          form: format of the bound in the reason; empty if the finding itself says what is required.
          baseline: see the class.
        """
        passed = value is not None and bool(value >= bound - TOLERANCE)
        reason = _reason(finding, Relation.AT_LEAST, bound, form)
        return cls(gate, metric, part, value, bound, baseline, passed, reason, Relation.AT_LEAST)

    @classmethod
    def at_most(
        cls, gate: str, metric: str, part: str, value: float | None, bound: float, finding: str, *, form: str = ".4f"
    ) -> "Gate":
        """Compares a value with an upper bound; otherwise as `at_least`."""
        passed = value is not None and bool(value <= bound + TOLERANCE)
        reason = _reason(finding, Relation.AT_MOST, bound, form)
        return cls(gate, metric, part, value, bound, None, passed, reason, Relation.AT_MOST)

    @classmethod
    def not_run(cls, gate: str, metric: str, part: str, bound: float, reason: str) -> "Gate":
        """States that a comparison was left out, and why."""
        return cls(gate, metric, part, None, bound, None, None, reason)

    @property
    def refused(self) -> bool:
        """Whether this gate alone keeps the model from shipping."""
        return self.passed is False


def _reason(finding: str, relation: Relation, bound: float, form: str) -> str:
    return f"{finding} (required: {relation} {bound:{form}})" if form else finding
