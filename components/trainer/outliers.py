"""Images that belong to no class, made from those that do, so that a network learns to doubt.

Source: Hendrycks et al., Deep Anomaly Detection with Outlier Exposure, arXiv:1812.04606. There the outliers are another
dataset's; here they are made up: nothing has to be downloaded, and no letter is seen that a test shows later.
"""

import keras
import tensorflow as tf

from components.keys import OUTLIER

# Of an outlier in the loss. At 0.3, with four strokes, digits that look a little like an outlier were doubted too: the
# validation loss rose after ten epochs, from 0.03 to 0.08.
_WEIGHT = 0.1
_STROKES = 6
_POINTS = 12  # that a stroke is drawn by


def append(
    images: tf.Tensor, labels: tf.Tensor, count: int, background: float, foreground: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Appends outliers to a batch.

    Args:
      images: float32 [N, height, width, channels], normalised.
      labels: int64 [N].
      count: how many outliers to append; fewer if the batch is smaller.
      background: the normalised value of pixel 0.
      foreground: the normalised value of pixel 255.
      seed: int [2]; the same seed gives the same outliers.

    Returns:
      Images [N + count, ...] and labels [N + count], with `OUTLIER` for the new ones.
    """
    members = (images[:count] - background) / (foreground - background)
    made = outliers(members, seed) * (foreground - background) + background
    return tf.concat([images, made], 0), tf.concat(
        [labels, tf.fill(tf.shape(made)[:1], tf.cast(OUTLIER, labels.dtype))], 0
    )


def outliers(members: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Makes as many outliers as there are members, each of a kind drawn at random.

    The kinds: strokes at random; an image cut into tiles and put together in another order; filled shapes; noise of
    any density; one grey level. Others (halves of two images, two images over each other) were too often digits
    themselves: the network then came to doubt real ones.

    Args:
      members: float32 [N, height, width, channels] in 0..1.
      seed: int [2].

    Returns:
      float32 of the same shape, in 0..1.
    """
    seeds = tf.unstack(tf.random.split(seed, 6))
    kinds = [
        strokes(tf.shape(members), seeds[0]),
        tiles(members, seeds[1]),
        shapes(tf.shape(members), seeds[2]),
        noise(tf.shape(members), seeds[3]),
        tf.ones_like(members) * _uniform([tf.shape(members)[0], 1, 1, 1], seeds[4]),
    ]
    chosen = tf.random.stateless_uniform([tf.shape(members)[0]], seeds[5], 0, len(kinds), tf.int32)
    return tf.gather(tf.stack(kinds, 1), chosen, axis=1, batch_dims=1)


def strokes(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws strokes of one width, straight or bent, as in letters."""
    count, height, width, channels = tf.unstack(shape)
    seeds = tf.unstack(tf.random.split(seed, 3))
    # Quadratic Bezier curves through the middle part of the image, where augmentation leaves most members.
    ends = 0.15 + 0.7 * _uniform([count, _STROKES, 3, 2], seeds[0])
    straight = (ends[:, :, :1] + ends[:, :, 2:]) / 2
    bent = _uniform([count, _STROKES, 1, 1], seeds[1]) > 0.6
    middle = tf.where(bent, ends[:, :, 1:2], straight)
    t = tf.linspace(0.0, 1.0, _POINTS)[None, None, :, None]
    points = (1 - t) ** 2 * ends[:, :, :1] + 2 * t * (1 - t) * middle + t**2 * ends[:, :, 2:]
    points = tf.reshape(points, [count, 1, _STROKES * _POINTS, 2])
    size = tf.cast(tf.stack([height, width]), tf.float32)
    rows, columns = tf.meshgrid(tf.range(height), tf.range(width), indexing="ij")
    pixels = tf.reshape(tf.cast(tf.stack([rows, columns], -1), tf.float32), [1, height * width, 1, 2])
    distance = tf.sqrt(tf.reduce_min(tf.reduce_sum((pixels - points * size) ** 2, -1), -1))
    radius = (0.03 + 0.06 * _uniform([count, 1], seeds[2])) * tf.reduce_min(size)
    ink = tf.clip_by_value(radius - distance + 0.5, 0.0, 1.0)
    return tf.tile(tf.reshape(ink, [count, height, width, 1]), [1, 1, 1, channels])


def tiles(members: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Cuts images into quarters and puts these together in another order, each turned upside down."""
    height, width = tf.shape(members)[1] // 2, tf.shape(members)[2] // 2
    upper, lower = members[:, :height], members[:, -height:]
    quarters = tf.stack([upper[:, :, :width], upper[:, :, -width:], lower[:, :, :width], lower[:, :, -width:]])
    order = tf.random.experimental.stateless_shuffle(tf.range(4), seed)
    a, b, c, d = tf.unstack(tf.reverse(tf.gather(quarters, order), [2]))
    result = tf.concat([tf.concat([a, b], 2), tf.concat([c, d], 2)], 1)
    return tf.image.resize(result, tf.shape(members)[1:3], "nearest")


def shapes(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws large filled shapes with soft borders and one brightness."""
    seeds = tf.unstack(tf.random.split(seed, 2))
    coarse = _uniform([shape[0], 5, 5, 1], seeds[0])
    smooth = tf.image.resize(coarse, shape[1:3], "bicubic")
    brightness = 0.3 + 0.7 * _uniform([shape[0], 1, 1, 1], seeds[1])
    return tf.tile(tf.clip_by_value(10 * (smooth - 0.5) + 0.5, 0.0, 1.0) * brightness, [1, 1, 1, shape[3]])


def noise(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws noise: of each image, a part of the pixels that is drawn too gets a brightness at random."""
    seeds = tf.unstack(tf.random.split(seed, 3))
    density = _uniform([shape[0], 1, 1, 1], seeds[0])
    return tf.where(_uniform(shape, seeds[1]) < density, _uniform(shape, seeds[2]), 0.0)


class Loss(keras.losses.Loss):
    """Cross-entropy of the members; of the outliers, the divergence of the prediction from "any class alike"."""

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns a value an example: labels int [N], logits float32 [N, classes] -> float32 [N]."""
        labels = tf.cast(tf.reshape(y_true, [-1]), tf.int64)
        members = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), y_pred)
        log_classes = tf.math.log(tf.cast(tf.shape(y_pred)[1], tf.float32))
        outliers = -tf.reduce_mean(tf.nn.log_softmax(y_pred), 1) - log_classes
        return tf.where(labels == OUTLIER, _WEIGHT * outliers, members)


class MemberAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """Accuracy on the examples that are no outliers."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Takes a batch in; a weight is not expected."""
        labels = tf.cast(tf.reshape(y_true, [-1]), tf.int64)
        super().update_state(tf.maximum(labels, 0), y_pred, tf.cast(labels != OUTLIER, tf.float32))


def _uniform(shape: object, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed)
