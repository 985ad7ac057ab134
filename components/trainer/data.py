"""Input pipelines: raw examples through Transform's graph, shuffled and augmented."""

from math import pi

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components import records
from components.keys import LABEL, NORMALIZED
from components.trainer import outliers
from components.trainer.config import TrainingConfig

_TRANSFORM_BATCH = 1024
_SHUFFLE_BUFFER = 20_000

# Ranges of the random affine map, each drawn uniformly from [-x, x].
_ROTATION = 12 * pi / 180  # radians
_LOG_SCALE = 0.12
_SHEAR = 0.15
_SHIFT = 0.08  # of height or width


def load(file_patterns: list[str], transform_output: tft.TFTransformOutput) -> tf.data.Dataset:
    """Reads examples and transforms them once; later epochs take them from memory.

    Args:
      file_patterns: gzipped TFRecord files of raw tf.Examples.
      transform_output: the transform graph to apply.

    Returns:
      A dataset of (normalised image float32 [height, width, channels], label int64 []), in stored order.
    """
    transform = transform_output.transform_features_layer()
    spec = transform_output.raw_feature_spec()

    def apply(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = transform(tf.io.parse_example(serialized, spec))
        return features[NORMALIZED], features[LABEL]

    files = sorted(name for pattern in file_patterns for name in tf.io.gfile.glob(pattern))
    return records.read(files).batch(_TRANSFORM_BATCH).map(apply, tf.data.AUTOTUNE).unbatch().cache()


def for_training(
    examples: tf.data.Dataset, config: TrainingConfig, background: float, foreground: float
) -> tf.data.Dataset:
    """Shuffles anew each epoch, batches, augments, and adds outliers, as far as the configuration asks for that.

    Args:
      examples: from `load`.
      config: batch size, augmentation, outliers and seed.
      background: the normalised value of pixel 0, which fills what an affine map leaves open.
      foreground: the normalised value of pixel 255.

    Returns:
      Batches of (images float32 [N, height, width, channels], labels int64 [N]); the last batch may be smaller.
      Outliers come on top of the batch size.
    """
    batches = examples.shuffle(_SHUFFLE_BUFFER, seed=config.seed).batch(config.batch_size)
    seeds = tf.data.Dataset.random(seed=config.seed, rerandomize_each_iteration=True).batch(2)
    extra = round(config.outliers * config.batch_size)

    def change(batch: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = batch
        if config.augment:
            images = random_affine(images, background, seed)
        if extra:
            images, labels = outliers.append(images, labels, extra, background, foreground, seed)
        return images, labels

    return tf.data.Dataset.zip(batches, seeds).map(change, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def first_batch(
    examples: tf.data.Dataset, config: TrainingConfig, background: float, foreground: float
) -> tuple[np.ndarray, np.ndarray]:
    """Makes a batch of the first examples as `for_training` does, and turns it back into pixels, to be looked at.

    It reads no more examples than it shows, and leaves what a training draws as it is.

    Args:
      examples: from `load`.
      config: see `for_training`.
      background: see `for_training`.
      foreground: see `for_training`.

    Returns:
      Images uint8 [N, height, width, channels], in 0..255, and labels int64 [N]: first the examples, then the outliers.
    """
    few = examples.take(config.batch_size)
    images, labels = next(for_training(few, config, background, foreground).as_numpy_iterator())
    pixels = 255 * (images - background) / (foreground - background)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), labels


def random_affine(images: tf.Tensor, background: float, seed: tf.Tensor) -> tf.Tensor:
    """Rotates, scales, shears and shifts each image by an amount of its own, in one bilinear interpolation.

    Args:
      images: float32 [N, height, width, channels].
      background: fills what comes from outside the image.
      seed: int [2]; the same seed gives the same maps.

    Returns:
      float32, of the same shape.
    """
    shape = tf.shape(images)
    height, width = tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)
    limits = tf.constant([_ROTATION, _LOG_SCALE, _LOG_SCALE, _SHEAR, _SHIFT, _SHIFT])
    amounts = tf.random.stateless_uniform([shape[0], 6], seed, -1.0, 1.0) * limits
    angle, log_x, log_y, shear, shift_x, shift_y = tf.unstack(amounts, axis=1)
    cos, sin, scale_x, scale_y = tf.cos(angle), tf.sin(angle), tf.exp(log_x), tf.exp(log_y)
    # Output pixel -> input pixel, as [[a, b, c], [d, e, f]]: rotation times shear times scale, about the centre.
    a, b = cos * scale_x, (cos * shear - sin) * scale_y
    d, e = sin * scale_x, (sin * shear + cos) * scale_y
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    c = centre_x + shift_x * width - a * centre_x - b * centre_y
    f = centre_y + shift_y * height - d * centre_x - e * centre_y
    zeros = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, c, d, e, f, zeros, zeros], axis=1),
        output_shape=shape[1:3],
        fill_value=background,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
