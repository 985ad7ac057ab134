"""When to say "none of the classes": the least probability at which an answer is believed."""

from dataclasses import dataclass

import numpy as np

from components.keys import EVAL

_STEPS = 256  # probabilities come in 256ths


@dataclass(frozen=True)
class Abstention:
    """How a threshold was chosen.

    Attributes:
      threshold: an answer of a lower probability is not believed; in 0..1.
      split: the split it was chosen on.
      images: number of images of that split.
      refused: part of these images that it refuses; in 0..1.
    """

    threshold: float
    split: str
    images: int
    refused: float


def choose(outputs: np.ndarray, rate: float) -> Abstention:
    """Chooses the highest threshold that refuses at most a part of the images.

    Args:
      outputs: uint8 [N, classes], the file's answers to the images of the eval split, in 256ths.
      rate: the part that may be refused; in 0..1.

    Source: Hendrycks and Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
    Networks, arXiv:1610.02136 (the largest softmax probability as the score).
    """
    best = np.sort(outputs.max(axis=1))
    threshold = int(best[int(rate * len(best))])
    return Abstention(threshold / _STEPS, EVAL, len(best), float((best < threshold).mean()))
