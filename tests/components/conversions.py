"""A small network of random weights, and ways to convert it that the pipeline does not go."""

import keras
import numpy as np
import tensorflow as tf

from components.tflite_exporter import conversion
from components.trainer.model import build_model

SHAPE = (8, 8, 1)
CLASSES = 3
SCALE, OFFSET = 1 / 64, -0.5
UINT8 = {"inference_input_type": tf.uint8, "inference_output_type": tf.uint8}
INT8 = {"inference_input_type": tf.int8, "inference_output_type": tf.int8}
FLEX = {"ops": [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS], "representative_dataset": None}


def noise(count: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def bare_network() -> keras.Model:
    """Its kinds of layers are those of the real one."""
    keras.utils.set_random_seed(1)
    network = build_model(SHAPE, CLASSES, filters=(4, 8))
    rng = np.random.default_rng(1)
    for variable in network.variables:
        if len(variable.shape) == 1:  # biases and batch normalisation, which are alike before training
            variable.assign(rng.uniform(0.5, 1.0, variable.shape))
    return network


def with_pixels_in(network: keras.Model) -> keras.Model:
    return conversion.with_pixels_in(network, SCALE, OFFSET, SHAPE)


def with_operator(function: object) -> keras.Model:
    """A network with an operator of its own between pixels and probabilities."""
    inputs = keras.Input(batch_shape=(1, *SHAPE))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    outputs = keras.layers.Lambda(function, output_shape=(CLASSES,))(keras.layers.Dense(CLASSES)(pooled))
    return keras.Model(inputs, keras.layers.Softmax()(outputs))


def convert(model: keras.Model, images: np.ndarray, **settings: object) -> bytes:
    """Quantises as `to_full_integer` does, but for some settings of the converter."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None].astype(np.float32)] for image in images)
    converter.target_spec.supported_ops = settings.pop("ops", [tf.lite.OpsSet.TFLITE_BUILTINS_INT8])
    for key, value in settings.items():
        setattr(converter, key, value)
    return converter.convert()
