"""A file that ships is integer through and through; every other one is refused with its reason."""

import hashlib
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.tflite_exporter import conversion, executor, sampling
from serving.tflite_file import TFLiteFileError, describe
from tests.components.conversions import (
    CLASSES,
    FLEX,
    INT8,
    OFFSET,
    SCALE,
    SHAPE,
    UINT8,
    bare_network,
    convert,
    noise,
    with_operator,
    with_pixels_in,
)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return bare_network()


@pytest.fixture(scope="module")
def model(network: keras.Model) -> keras.Model:
    return with_pixels_in(network)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return noise()


@pytest.fixture(scope="module")
def full_integer(model: keras.Model, images: np.ndarray) -> bytes:
    return conversion.to_full_integer(model, images)


@pytest.fixture(scope="module")
def variants(model: keras.Model) -> dict[str, bytes]:
    return {variant: conversion.to_variant(model, variant) for variant in conversion.VARIANTS}


def refusal(content: bytes, shape: tuple[int, int, int] = SHAPE, classes: int = CLASSES) -> str:
    with pytest.raises(TFLiteFileError) as caught:
        conversion.check_full_integer(content, shape, classes)
    return str(caught.value)


def test_raw_pixels_go_into_the_wrapped_network_and_probabilities_come_out(
    network: keras.Model, model: keras.Model, images: np.ndarray
) -> None:
    pixels = images[:1].astype(np.float32)
    expected = tf.nn.softmax(network(pixels * SCALE + OFFSET))
    np.testing.assert_allclose(model(pixels), expected, rtol=1e-5)


def test_what_the_converter_makes_passes_and_takes_pixels_as_they_are(full_integer: bytes) -> None:
    file = conversion.check_full_integer(full_integer, SHAPE, CLASSES)
    (pixels,), (probabilities,) = file.inputs, file.outputs
    assert (pixels.dtype, pixels.shape, pixels.scale, pixels.zero_point) == ("uint8", (1, 8, 8, 1), 1.0, 0)
    assert (probabilities.dtype, probabilities.shape, probabilities.scale) == ("uint8", (1, 3), 1 / 256)
    assert not file.float_tensors
    assert not file.custom_operators


def test_a_file_calibrated_without_black_and_white_does_not_take_pixels_as_they_are_and_is_refused(
    model: keras.Model, images: np.ndarray
) -> None:
    dim = conversion.to_full_integer(model, np.maximum(images // 2, 1))
    assert "scale 1, zero point 0), got" in refusal(dim)


def test_the_integer_file_says_what_the_network_says(
    model: keras.Model, full_integer: bytes, images: np.ndarray
) -> None:
    outputs = conversion.run(full_integer, images)
    assert (outputs.dtype, outputs.shape) == (np.uint8, (40, CLASSES))
    expected = np.concatenate([model(image[None].astype(np.float32)) for image in images])
    np.testing.assert_allclose(outputs / 256, expected, atol=0.03)


def test_a_batch_of_images_is_run_one_by_one_in_order(full_integer: bytes, images: np.ndarray) -> None:
    outputs = conversion.run(full_integer, images[:5])
    turned = conversion.run(full_integer, images[4::-1])
    np.testing.assert_array_equal(outputs, turned[::-1])


def test_a_float_file_is_refused(variants: dict[str, bytes]) -> None:
    reason = refusal(variants["float32"])
    assert "expected integer tensors alone, got floats in" in reason
    assert "expected input uint8 [1, 8, 8, 1], got float32 [1, 8, 8, 1]" in reason
    assert "expected output uint8 [1, 3], got float32 [1, 3]" in reason


@pytest.mark.parametrize("variant", ["float16", "dynamic_range"])
def test_files_with_small_weights_and_float_arithmetic_are_refused(variants: dict[str, bytes], variant: str) -> None:
    assert "expected integer tensors alone" in refusal(variants[variant])


def test_int8_input_and_output_are_refused(model: keras.Model, images: np.ndarray) -> None:
    content = convert(model, images, **INT8)
    reason = refusal(content)
    assert "expected input uint8 [1, 8, 8, 1], got int8 [1, 8, 8, 1]" in reason
    assert "expected output uint8 [1, 3], got int8 [1, 3]" in reason
    assert "got scale 1.0, zero point -128" in reason


def test_float_input_to_integer_operators_is_refused(model: keras.Model, images: np.ndarray) -> None:
    assert "got floats in" in refusal(convert(model, images))


def test_an_operator_that_falls_back_to_float_is_refused(images: np.ndarray) -> None:
    content = convert(
        with_operator(tf.math.sin),
        images,
        ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS],
        **UINT8,
    )
    assert "SIN" in describe(content).operators
    reason = refusal(content)
    assert "expected integer tensors alone, got floats in" in reason
    assert "expected input" not in reason  # its input and output look all right


def test_a_tensorflow_operator_is_refused_by_name(images: np.ndarray) -> None:
    content = convert(with_operator(tf.math.tan), images, **FLEX)
    assert "expected built-in operators alone, got FlexTan" in refusal(content)


@pytest.mark.parametrize(
    ("shape", "classes", "expected"),
    [
        ((28, 28, 1), CLASSES, "expected input uint8 [1, 28, 28, 1], got uint8 [1, 8, 8, 1]"),
        ((8, 8, 3), CLASSES, "expected input uint8 [1, 8, 8, 3], got uint8 [1, 8, 8, 1]"),
        (SHAPE, 10, "expected output uint8 [1, 10], got uint8 [1, 3]"),
    ],
)
def test_another_shape_is_refused(
    full_integer: bytes, shape: tuple[int, int, int], classes: int, expected: str
) -> None:
    assert refusal(full_integer, shape, classes) == f"The TFLite file may not ship: {expected}."


def test_a_second_input_is_refused(images: np.ndarray) -> None:
    one, two = keras.Input(batch_shape=(1, *SHAPE)), keras.Input(batch_shape=(1, *SHAPE))
    both = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()([one, two]))
    content = convert(
        keras.Model([one, two], keras.layers.Softmax()(keras.layers.Dense(CLASSES)(both))),
        images,
        representative_dataset=lambda: ([image[None].astype(np.float32)] * 2 for image in images),
        **UINT8,
    )
    assert "expected one input, got 2" in refusal(content)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x1c\0\0\0TFL3 and then nothing"])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    assert "Not a" in refusal(content)


def test_the_variants_are_of_the_precision_that_they_are_called(variants: dict[str, bytes]) -> None:
    described = {variant: describe(content) for variant, content in variants.items()}
    # Each batch normalisation has become a bias of its convolution. Rescaling has a scale and an offset.
    weights = 1 * 9 * 4 + 4 * 9 * 4 + 4 * 9 * 8 + 8 * 9 * 8 + 8 * 8 + 8 * 3
    biases = 4 + 4 + 8 + 8 + 8 + 3
    for variant, file in described.items():
        assert [tensor.dtype for tensor in (*file.inputs, *file.outputs)] == ["float32", "float32"]
        assert not file.custom_operators
        assert file.parameters == weights + biases + 2, variant
    assert described["float16"].operators["DEQUANTIZE"] > 0


def test_the_variants_are_written_with_hashes_and_the_calibration_set(
    variants: dict[str, bytes], tmp_path: Path
) -> None:
    calibration = sampling.Sample(np.array([3, 7]), [], np.zeros((2, *SHAPE), np.uint8), np.array([0, 1]))
    executor.write_variants(variants, calibration, 42, tmp_path / "variants")

    told = json.loads((tmp_path / "variants" / "variants.json").read_text())
    assert told["calibration"] == {"split": "train", "seed": 42, "indices": [3, 7]}
    assert set(told["variants"]) == set(conversion.VARIANTS)
    for variant, facts in told["variants"].items():
        content = (tmp_path / "variants" / f"{variant}.tflite").read_bytes()
        assert content == variants[variant]
        assert facts["bytes"] == len(content)
        assert facts["sha256"] == hashlib.sha256(content).hexdigest()
        assert facts["parameters"] == describe(content).parameters
