"""Decoding of stored images, the same everywhere."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from components import records
from components.keys import IMAGE, LABEL

_BATCH = 1024


def decode(encoded: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
    """Decodes a batch of PNG, JPEG, BMP or GIF images.

    Args:
      encoded: string [N].
      shape: height, width, channels that every image must have.

    Returns:
      uint8 [N, height, width, channels], in 0..255.

    Raises:
      tf.errors.InvalidArgumentError: on evaluation, if an image cannot be decoded or has another shape.
    """
    decode_one = lambda image: tf.ensure_shape(  # noqa: E731
        tf.io.decode_image(image, channels=shape[-1], expand_animations=False), shape
    )
    return tf.map_fn(decode_one, tf.reshape(encoded, [-1]), fn_output_signature=tf.TensorSpec(shape, tf.uint8))


def load(files: Sequence[str], shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Reads all images and labels of a split into memory.

    Args:
      files: gzipped TFRecord files of raw tf.Examples, in order.
      shape: height, width, channels that every image must have.

    Returns:
      uint8 [N, height, width, channels], in 0..255, and int64 [N].
    """
    spec = {IMAGE: tf.io.FixedLenFeature([], tf.string), LABEL: tf.io.FixedLenFeature([], tf.int64)}

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.io.parse_example(serialized, spec)
        return decode(features[IMAGE], shape), features[LABEL]

    batches = list(records.read(files).batch(_BATCH).map(parse, tf.data.AUTOTUNE).as_numpy_iterator())
    pixels, labels = zip(*batches, strict=True)
    return np.concatenate(pixels), np.concatenate(labels)
