"""The one place where a stored image becomes what the model and the slices see."""

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components import images
from components.keys import CROSSINGS, IMAGE, INK_QUARTILE, LABEL, NORMALIZED, PIXELS, STROKE_WIDTH

_BUCKETS = 4
_GREY_LEVELS = 256


def preprocessing_fn(inputs: dict[str, tf.Tensor], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Decodes, normalises, and makes the slicing features.

    Args:
      inputs: raw features of N examples: `image`, string [N, 1]; `label`, int64 [N, 1].
      custom_config: `image_shape`, a list of height, width and channels.

    Returns:
      `normalized`, float32 [N, height, width, channels], of mean 0 and standard deviation 1 over the training split;
      `pixels`, int64 of the same shape, in 0..255;
      `label`, int64 [N];
      `ink_quartile`, `stroke_width` and `crossings`, int64 [N], the quartile (0..3) of the training split that an
      image's ink, stroke width and crossings fall into.
    """
    pixels = images.decode(inputs[IMAGE], tuple(custom_config["image_shape"]))
    values = tf.cast(pixels, tf.float32)
    brightness = tf.reduce_mean(values, axis=-1)
    return {
        NORMALIZED: (values - tft.mean(values)) / tf.sqrt(tft.var(values)),
        PIXELS: tf.cast(pixels, tf.int64),
        LABEL: tf.reshape(inputs[LABEL], [-1]),
        INK_QUARTILE: tft.bucketize(ink(brightness), _BUCKETS, name="ink"),
        STROKE_WIDTH: tft.bucketize(stroke_width(brightness), _BUCKETS, name="stroke"),
        CROSSINGS: tft.bucketize(crossings(brightness), _BUCKETS, name="crossings"),
    }


def ink(brightness: tf.Tensor) -> tf.Tensor:
    """Returns the mean brightness of images as a fraction of full.

    Args:
      brightness: float32 [N, height, width], in 0..255.

    Returns:
      float32 [N], in 0..1.
    """
    return tf.reduce_mean(brightness, axis=[1, 2]) / 255.0


def stroke_width(brightness: tf.Tensor) -> tf.Tensor:
    """Estimates the mean width of bright strokes on a dark ground, in pixels.

    A long stroke of width w and length l has the area w l and a boundary of about 2 l, so w is twice the area over the
    boundary. The area is the sum of brightness, and the boundary the total variation of brightness (the co-area
    formula): both in fractions of full brightness, which makes the estimate as fine as the anti-aliasing.

    Args:
      brightness: float32 [N, height, width], in 0..255.

    Returns:
      float32 [N]; 0 for a blank image.
    """
    level = tf.pad(brightness / 255.0, [[0, 0], [0, 1], [0, 1]])
    down = level[:, 1:, :-1] - level[:, :-1, :-1]
    right = level[:, :-1, 1:] - level[:, :-1, :-1]
    boundary = tf.reduce_sum(tf.sqrt(tf.square(down) + tf.square(right)), axis=[1, 2])
    return tf.math.divide_no_nan(2.0 * tf.reduce_sum(level, axis=[1, 2]), boundary)


def crossings(brightness: tf.Tensor) -> tf.Tensor:
    """Counts how many strokes a straight line crosses: the mean over the rows and columns that cross any.

    Args:
      brightness: float32 [N, height, width], in 0..255; a stroke is what is brighter than half.

    Returns:
      float32 [N]; 0 for an image without strokes.
    """
    bright = tf.cast(tf.pad(brightness, [[0, 0], [1, 0], [1, 0]]) > 127.5, tf.int32)
    into_row = tf.reduce_sum(tf.maximum(bright[:, 1:, 1:] - bright[:, 1:, :-1], 0), axis=2)
    into_column = tf.reduce_sum(tf.maximum(bright[:, 1:, 1:] - bright[:, :-1, 1:], 0), axis=1)
    lines = tf.cast(tf.concat([into_row, into_column], axis=1), tf.float32)
    crossed = tf.reduce_sum(tf.cast(lines > 0, tf.float32), axis=1)
    return tf.math.divide_no_nan(tf.reduce_sum(lines, axis=1), crossed)


def normalization_table(transform: tft.TransformFeaturesLayer, shape: tuple[int, int, int]) -> np.ndarray:
    """Reads off the transform graph what it makes of each pixel value, so that nobody has to repeat its constants.

    Args:
      transform: the layer of a trained transform graph made by `preprocessing_fn`.
      shape: height, width and channels of the images.

    Returns:
      float32 [256]: the normalised value of each pixel value.

    Raises:
      ValueError: the graph does not treat each pixel by itself, so that no table can stand for it.
    """
    levels = np.arange(_GREY_LEVELS, dtype=np.uint8)
    constant_images = [tf.io.encode_png(np.full(shape, level, dtype=np.uint8)).numpy() for level in levels]
    features = {IMAGE: tf.constant(constant_images)[:, None], LABEL: tf.zeros([_GREY_LEVELS, 1], tf.int64)}
    normalized = transform(features)[NORMALIZED].numpy().reshape(_GREY_LEVELS, -1)
    if (normalized != normalized[:, :1]).any():
        raise ValueError(
            "Expected a normalisation that treats every pixel alike; an image of one grey level came out uneven."
        )
    return normalized[:, 0]


def affine(table: np.ndarray) -> tuple[float, float]:
    """Returns the scale and offset of a normalisation: `normalised = scale * pixel + offset`.

    Args:
      table: float32 [256], from `normalization_table`.

    Raises:
      ValueError: the table is no straight line, so that an integer model cannot carry it as one multiplication.
    """
    scale = (float(table[-1]) - float(table[0])) / (_GREY_LEVELS - 1)
    offset = float(table[0])
    if not np.allclose(table, scale * np.arange(_GREY_LEVELS) + offset, atol=1e-5 * abs(scale) * _GREY_LEVELS):
        raise ValueError("Expected a normalisation of the form scale * pixel + offset; that of Transform is not.")
    return scale, offset
