"""Drawing a few examples that stand for many."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from components import images, records
from components.keys import IMAGE, LABEL


@dataclass(frozen=True)
class Sample:
    """Some examples of a split.

    Attributes:
      indices: int64 [N], their places in the split, ascending.
      records: their serialised tf.Examples.
      images: uint8 [N, height, width, channels].
      labels: int64 [N].
    """

    indices: np.ndarray
    records: list[bytes]
    images: np.ndarray
    labels: np.ndarray


def stratified_indices(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Draws up to `per_class` examples of each class without replacement.

    Args:
      labels: int64 [N].
      per_class: how many to draw; a class that has fewer gives all.
      seed: the same seed draws the same examples.

    Returns:
      int64 [M], ascending indices into `labels`.
    """
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(labels == label))[:per_class] for label in np.unique(labels)]
    return np.sort(np.concatenate(drawn))


def draw(files: list[str], image_shape: tuple[int, int, int], per_class: int, seed: int) -> Sample:
    """Draws a stratified sample from gzipped TFRecord files of tf.Examples, decoding the drawn ones alone.

    Args:
      files: paths, in order.
      image_shape: height, width and channels.
      per_class: examples of each class.
      seed: of the draw.
    """
    labels_of_all = labels(files)
    indices = stratified_indices(labels_of_all, per_class, seed)
    drawn = _records(files, set(indices.tolist()))
    encoded = tf.io.parse_example(drawn, {IMAGE: tf.io.FixedLenFeature([], tf.string)})[IMAGE]
    return Sample(indices, drawn, images.decode(encoded, image_shape).numpy(), labels_of_all[indices])


def labels(files: list[str]) -> np.ndarray:
    """Reads the labels of all examples of gzipped TFRecord files, int64 [N], in order."""
    spec = {LABEL: tf.io.FixedLenFeature([], tf.int64)}
    batches = [tf.io.parse_example(batch, spec)[LABEL].numpy() for batch in records.read(files).batch(1024)]
    return np.concatenate(batches)


def _records(files: list[str], wanted: set[int]) -> list[bytes]:
    numbered = enumerate(records.read(files).as_numpy_iterator())
    return [record for index, record in numbered if index in wanted]
