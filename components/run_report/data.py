"""What the report states: made by `statistics`, shown by `figures` and by the page."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassScore:
    """How well one class is told from the others.

    Attributes:
      name: of the class.
      precision: in 0..1, the fraction of right ones among those predicted; not a number if nothing was.
      recall: in 0..1, the fraction of its examples that were recognised; not a number if it has none.
      f1: in 0..1, the harmonic mean of both.
      support: number of its examples.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class SliceScore:
    """Accuracy on a part of the examples.

    Attributes:
      name: as in `label=3, ink_quartile=0`.
      count: number of examples.
      accuracy: in 0..1.
      low: lower end of its 95 % confidence interval.
      high: upper end.
    """

    name: str
    count: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Reliability:
    """Whether a classifier is right as often as it says, in bins of equal width over the confidence 0..1.

    Attributes:
      count: int64 [bins], examples.
      confidence: float64 [bins], mean probability of the predicted class; not a number in an empty bin.
      accuracy: float64 [bins], fraction of right ones; the same.
      error: the expected calibration error, in 0..1: the mean distance of both, weighted by examples.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


@dataclass(frozen=True)
class Comparison:
    """Two models on the same examples.

    Attributes:
      agreement: in 0..1, the fraction of examples to which both give the same label.
      flips: int64 [M], indices of the others: first those that the second model gets wrong and the first did not, then
        those that it mends, then those that both get wrong.
      broken: number of the first kind.
      mended: number of the second kind.
      recall_change: float64 [classes], recall of the second model less that of the first; not a number for a class
        without examples.
    """

    agreement: float
    flips: np.ndarray
    broken: int
    mended: int
    recall_change: np.ndarray


@dataclass(frozen=True)
class Variant:
    """One conversion of the model.

    Attributes:
      name: as in `int8`.
      bytes: size of the file.
      accuracy: on the test split, in 0..1; None if not measured.
      latency_us: median microseconds an image; None if not measured.
    """

    name: str
    bytes: int
    accuracy: float | None = None
    latency_us: float | None = None
