"""From a Keras network to TFLite files."""

import keras
import numpy as np
import tensorflow as tf

from components.keys import PIXELS
from serving.tflite_file import TFLiteFile, TFLiteFileError, describe, full_integer_problems

FULL_INTEGER = "int8"
VARIANTS = ("float32", "float16", "dynamic_range")


def with_pixels_in(network: keras.Model, scale: float, offset: float, image_shape: tuple[int, int, int]) -> keras.Model:
    """Wraps a network so that raw pixels go in and probabilities come out.

    Args:
      network: from normalised images to logits.
      scale: normalised = scale * pixel + offset.
      offset: see scale.
      image_shape: height, width and channels.

    Returns:
      A model of static batch 1, from float32 pixels in 0..255 to float32 probabilities.
    """
    return keras.Sequential(
        [
            keras.Input(batch_shape=(1, *image_shape), name=PIXELS),
            keras.layers.Rescaling(scale, offset),
            network,
            keras.layers.Softmax(),
        ]
    )


def to_full_integer(model: keras.Model, calibration: np.ndarray) -> bytes:
    """Quantises a model to int8 operators with uint8 input and output, after training.

    Args:
      model: from `with_pixels_in`.
      calibration: uint8 [N, height, width, channels], training images that set the ranges of the activations.

    Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
    arXiv:1712.05877.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None].astype(np.float32)] for image in calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8
    return converter.convert()


def to_variant(model: keras.Model, variant: str) -> bytes:
    """Converts a model to one of the files that are made for comparison: float32 in and out, built-in operators.

    Args:
      model: from `with_pixels_in`.
      variant: one of `VARIANTS`.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def check_full_integer(content: bytes, image_shape: tuple[int, int, int], classes: int) -> TFLiteFile:
    """Refuses a file that is not what a device is promised.

    Args:
      content: bytes of a `.tflite` file.
      image_shape: height, width and channels of the input that is expected.
      classes: number of output probabilities that are expected.

    Returns:
      What the file declares.

    Raises:
      TFLiteFileError: names each way in which the file falls short: a float tensor, an operator that is not built in, a
        wrong type, shape or quantisation of input or output.
    """
    file = describe(content)
    problems = full_integer_problems(file, image_shape, classes)
    if problems:
        raise TFLiteFileError("The TFLite file may not ship: " + "; ".join(problems) + ".")
    return file


def run(content: bytes, images: np.ndarray) -> np.ndarray:
    """Runs a file of uint8 input and output on images one by one.

    Args:
      content: bytes of a full-integer `.tflite` file.
      images: uint8 [N, height, width, channels].

    Returns:
      uint8 [N, classes], the output as it is (not dequantised).
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (input_detail,), (output_detail,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for image in images:
        interpreter.set_tensor(input_detail["index"], image[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(output_detail["index"])[0])
    return np.stack(outputs)
