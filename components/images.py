"""Decoding of stored images, the same everywhere."""

import tensorflow as tf


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
