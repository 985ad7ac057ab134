"""From a picture to what is in it."""

import os
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from serving import digits, image_file
from serving.classifier import ImageClassifier

_DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Finding:
    """One thing found in a picture.

    Attributes:
      label: its class; None if the model does not believe that it is of any.
      probability: of the most probable class, in 0..1.
      candidate: that class, whether believed or not.
      box: (left, top, right, bottom) in pixels of the picture; None if the whole of it was looked at.
      seen: what the model saw, uint8 [height, width, channels].
    """

    label: str | None
    probability: float
    candidate: str
    box: tuple[int, int, int, int] | None
    seen: np.ndarray


def predict(
    classifier: ImageClassifier, source: str | os.PathLike[str] | bytes | BinaryIO, *, whole: bool = False
) -> list[Finding]:
    """Finds and classifies what is in a picture.

    A model of digits is shown each digit by itself, in reading order, as MNIST would show it; any other model is shown
    the picture, fitted to its input.

    Args:
      classifier: abstains if its file states a threshold.
      source: of the picture, as `serving.image_file.read` takes it.
      whole: whether to take the whole picture for one digit.

    Returns:
      The findings; none if there is no digit in the picture.

    Raises:
      ImageFileError: the picture cannot be read.
    """
    pixels = image_file.read(source, channels=1 if classifier.image_shape[-1] == 1 else 3)
    boxes: list[tuple[int, int, int, int] | None]
    if not reads_digits(classifier):
        seen, boxes = [image_file.fit(pixels, classifier.image_shape)], [None]
    elif whole:
        try:
            seen, boxes = [digits.prepare(pixels)], [None]
        except digits.NoInkError:
            return []
    else:
        found = digits.segment(pixels)
        seen, boxes = [digit.image for digit in found], [digit.box for digit in found]
    if not seen:
        return []
    batch = np.stack(seen).reshape(-1, *classifier.image_shape)
    labels, probabilities = classifier.classify(batch, abstain=classifier.threshold is not None)
    best = probabilities.argmax(axis=1)
    return [
        Finding(label, float(row[index]), classifier.labels[index], box, image)
        for label, row, index, box, image in zip(labels, probabilities, best, boxes, batch, strict=True)
    ]


def reads_digits(classifier: ImageClassifier) -> bool:
    """Whether pictures have to be prepared as digits in MNIST's convention."""
    return classifier.labels == _DIGITS and classifier.image_shape == (digits.SIDE, digits.SIDE, 1)
