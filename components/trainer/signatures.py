"""The SavedModel: a trained network behind the ways in that a client may take."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components.keys import (
    IMAGE,
    LABEL,
    NORMALIZED,
    PROBABILITIES,
    SERVE_EXAMPLES,
    SERVE_IMAGES,
    SLICING_FEATURES,
    TRANSFORM_FEATURES,
)


class ServingModel(tf.Module):
    """A network with Transform's graph in front and a softmax behind."""

    def __init__(self, network: keras.Model, transform_output: tft.TFTransformOutput, table: np.ndarray) -> None:
        """Makes the module.

        Args:
          network: from normalised images to logits.
          transform_output: Transform's graph.
          table: float32 [256], what that graph makes of each pixel value.
        """
        super().__init__()
        self.network = network
        self.transform = transform_output.transform_features_layer()
        self.table = tf.constant(table)
        self._raw_spec = transform_output.raw_feature_spec()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies serialised tf.Examples that have an `image`; a label is not needed."""
        raw = tf.io.parse_example(examples, {IMAGE: self._raw_spec[IMAGE]})
        return self._classify(self.transform(raw)[NORMALIZED])

    def serve_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies uint8 [N, height, width, channels]."""
        return self._classify(tf.gather(self.table, tf.cast(images, tf.int32)))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes the slicing features of serialised tf.Examples, for TFMA."""
        features = self.transform(tf.io.parse_example(examples, self._raw_spec))
        return {key: features[key] for key in SLICING_FEATURES}

    def _classify(self, normalized: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = tf.nn.softmax(self.network(normalized, training=False))
        return {PROBABILITIES: probabilities, LABEL: tf.argmax(probabilities, axis=-1)}


def save(model: ServingModel, image_shape: tuple[int, int, int], path: Path) -> None:
    """Writes a SavedModel with the three signatures of `components.keys`."""
    images = tf.TensorSpec([None, *image_shape], tf.uint8, "images")
    tf.saved_model.save(
        model,
        str(path),
        signatures={
            SERVE_EXAMPLES: model.serve_examples,
            SERVE_IMAGES: tf.function(model.serve_images, input_signature=[images]),
            TRANSFORM_FEATURES: model.transform_features,
        },
    )
