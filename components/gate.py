"""One comparison of what was measured with what was asked for, and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Gate:
    """One comparison.

    Attributes:
      gate: what was judged, and how: `tflite`, `tflite vs baseline`, `LiteRT`.
      metric: name of the metric.
      slice: the part of the test split, as in `label=3`; `overall` for all of it.
      value: what was measured; None if that could not be.
      bound: the value at which the gate would just pass.
      baseline: what the latest blessed model reaches on the same examples; None if the gate does not look at it.
      passed: whether the model may ship as far as this gate goes; None if the gate was not run, which is no pass.
      reason: all of this in a sentence.
    """

    gate: str
    metric: str
    slice: str
    value: float | None
    bound: float
    baseline: float | None
    passed: bool | None
    reason: str

    @property
    def refused(self) -> bool:
        """Whether this gate alone keeps the model from shipping."""
        return self.passed is False
