"""What becomes of an image: decoded, normalised, and sorted by ink and stroke width."""

import itertools
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from PIL import Image

from components import images
from components.transform import preprocessing
from tests import examples
from tests.conftest import transform_graph

SHAPE = (28, 28, 1)


def bar(width: int, height: int = 20, level: float = 255.0, left: int = 8) -> np.ndarray:
    image = np.zeros((28, 28), np.float32)
    image[4 : 4 + height, left : left + width] = level
    return image


def stroke_width(image: np.ndarray) -> float:
    return float(preprocessing.stroke_width(image[None])[0])


def ink(image: np.ndarray) -> float:
    return float(preprocessing.ink(image[None])[0])


def test_ink_is_the_mean_brightness_as_a_fraction() -> None:
    assert ink(np.zeros((28, 28), np.float32)) == 0
    assert ink(np.full((28, 28), 255, np.float32)) == 1
    assert ink(bar(width=7, height=28 - 4)) == pytest.approx(7 * 24 / 784)
    assert ink(bar(width=7, height=24, level=51.0)) == pytest.approx(7 * 24 / 784 / 5)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 6])
def test_a_long_bar_is_as_wide_as_it_is(width: int) -> None:
    # Twice the area over the boundary: 2 w h / (2 h + 2 w), a little less than w.
    expected = 2 * width * 20 / (2 * 20 + 2 * width)
    assert stroke_width(bar(width)) == pytest.approx(expected, rel=0.02)


def test_a_bar_at_the_edge_of_the_image_is_no_thinner() -> None:
    inside, at_edge = np.zeros((28, 28), np.float32), np.zeros((28, 28), np.float32)
    inside[:, 10:13] = 255
    at_edge[:, 25:] = 255
    assert stroke_width(at_edge) == pytest.approx(stroke_width(inside), rel=0.02)


def test_a_lying_bar_is_as_wide_as_a_standing_one() -> None:
    assert stroke_width(bar(3).T) == pytest.approx(stroke_width(bar(3)), rel=1e-5)


def test_a_grey_edge_counts_in_part() -> None:
    grey = bar(3)
    grey[4:24, 11] = 127.5  # half a pixel more
    assert stroke_width(bar(3)) < stroke_width(grey) < stroke_width(bar(4))


def test_a_blank_image_has_no_stroke() -> None:
    assert stroke_width(np.zeros((28, 28), np.float32)) == 0


def crossings(image: np.ndarray) -> float:
    return float(preprocessing.crossings(image[None])[0])


def test_a_line_crosses_a_bar_once_and_two_bars_twice() -> None:
    assert crossings(bar(3)) == 1
    # Of the lines that cross any ink, 20 rows cross both bars and 6 columns one of them.
    assert crossings(np.maximum(bar(3), bar(3, left=20))) == pytest.approx((20 * 2 + 6) / 26)


def test_a_ring_is_crossed_twice_in_its_middle_and_once_at_its_rims() -> None:
    ring = np.zeros((28, 28), np.float32)
    ring[5:15, 5:15], ring[7:13, 7:13] = 255, 0
    assert crossings(ring) == pytest.approx((6 * 2 + 4) / 10)
    assert crossings(ring.T) == crossings(ring)


def test_a_stroke_at_the_edge_is_crossed_and_a_dark_one_is_not() -> None:
    assert crossings(bar(3, left=0)) == crossings(bar(3, left=25)) == 1
    assert crossings(bar(3, level=127)) == crossings(np.zeros((28, 28), np.float32)) == 0


def features(transform_output: tft.TFTransformOutput, records: list[bytes]) -> dict[str, np.ndarray]:
    parsed = tf.io.parse_example(records, transform_output.raw_feature_spec())
    return {key: value.numpy() for key, value in transform_output.transform_features_layer()(parsed).items()}


@pytest.fixture(scope="module")
def transformed(transform_output: tft.TFTransformOutput, stored_digits: list[bytes]) -> dict[str, np.ndarray]:
    return features(transform_output, stored_digits)


@pytest.fixture(scope="module")
def pixels(stored_digits: list[bytes]) -> np.ndarray:
    encoded = tf.io.parse_example(stored_digits, {"image": tf.io.FixedLenFeature([], tf.string)})["image"]
    return np.stack([tf.io.decode_png(image) for image in encoded])


def test_pixels_and_labels_go_through_as_they_are(
    transformed: dict[str, np.ndarray], pixels: np.ndarray, stored_digits: list[bytes]
) -> None:
    np.testing.assert_array_equal(transformed["pixels"], pixels)
    assert transformed["pixels"].dtype == np.int64
    labels = tf.io.parse_example(stored_digits, {"label": tf.io.FixedLenFeature([], tf.int64)})["label"]
    np.testing.assert_array_equal(transformed["label"], labels)


def test_the_normalisation_has_mean_0_and_deviation_1_over_what_it_was_fitted_to(
    transformed: dict[str, np.ndarray], pixels: np.ndarray
) -> None:
    values = pixels.astype(np.float64)
    expected = (values - values.mean()) / values.std()
    np.testing.assert_allclose(transformed["normalized"], expected, atol=1e-4)


@pytest.mark.parametrize("feature", ["ink_quartile", "stroke_width", "crossings"])
def test_each_quartile_holds_about_a_quarter(transformed: dict[str, np.ndarray], feature: str) -> None:
    counts = Counter(transformed[feature].tolist())
    assert set(counts) == {0, 1, 2, 3}
    assert all(200 < count < 300 for count in counts.values())


@pytest.mark.parametrize(
    ("feature", "amount"),
    [
        ("ink_quartile", preprocessing.ink),
        ("stroke_width", preprocessing.stroke_width),
        ("crossings", preprocessing.crossings),
    ],
)
def test_a_higher_quartile_holds_more_of_what_it_is_of(
    transformed: dict[str, np.ndarray], pixels: np.ndarray, feature: str, amount: Callable
) -> None:
    amounts = amount(tf.constant(pixels[..., 0], tf.float32)).numpy()
    quartiles = [amounts[transformed[feature] == quartile] for quartile in range(4)]
    for lower, higher in itertools.pairwise(quartiles):
        assert lower.max() <= higher.min() + 1e-5


def test_an_image_unlike_all_others_is_still_in_a_quartile(transform_output: tft.TFTransformOutput) -> None:
    black, white = examples.example(examples.grey(0), 0), examples.example(examples.grey(255), 0)
    found = features(transform_output, [black, white])
    np.testing.assert_array_equal(found["ink_quartile"], [0, 3])
    np.testing.assert_array_equal(found["stroke_width"], [0, 3])


def test_the_table_is_what_the_graph_makes_of_each_value(
    transform_output: tft.TFTransformOutput, pixels: np.ndarray
) -> None:
    table = preprocessing.normalization_table(transform_output.transform_features_layer(), SHAPE)
    values = pixels.astype(np.float64)
    assert (table.shape, table.dtype) == ((256,), np.float32)
    np.testing.assert_allclose(table, (np.arange(256) - values.mean()) / values.std(), atol=1e-4)


def test_the_table_is_exact_for_every_pixel_of_a_real_image(
    transform_output: tft.TFTransformOutput, transformed: dict[str, np.ndarray], pixels: np.ndarray
) -> None:
    table = preprocessing.normalization_table(transform_output.transform_features_layer(), SHAPE)
    np.testing.assert_array_equal(table[pixels], transformed["normalized"])


def test_a_normalisation_that_depends_on_the_place_is_refused(stored_digits: list[bytes], tmp_path: Path) -> None:
    def by_place(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        values = tf.cast(images.decode(inputs["image"], SHAPE), tf.float32)
        return {"normalized": values - tft.mean(values, reduce_instance_dims=False)}

    graph = transform_graph(by_place, stored_digits[:50], tmp_path)
    with pytest.raises(ValueError, match="treats every pixel alike"):
        preprocessing.normalization_table(graph.transform_features_layer(), SHAPE)


def test_a_straight_table_is_told_by_scale_and_offset() -> None:
    table = ((np.arange(256) - 33.3) / 78.6).astype(np.float32)
    scale, offset = preprocessing.affine(table)
    assert scale == pytest.approx(1 / 78.6, rel=1e-5)
    assert offset == pytest.approx(-33.3 / 78.6, rel=1e-5)


@pytest.mark.parametrize("curve", [np.sqrt, np.square, lambda x: np.clip(x, 0, 200)])
def test_a_bent_table_is_refused(curve) -> None:
    with pytest.raises(ValueError, match=r"scale \* pixel \+ offset"):
        preprocessing.affine(curve(np.arange(256)).astype(np.float32))


def test_lossless_formats_are_decoded_alike_to_the_last_pixel() -> None:
    shades = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    encoded = []
    for kind in ("PNG", "BMP"):
        buffer = BytesIO()
        Image.fromarray(shades).save(buffer, kind)
        encoded.append(buffer.getvalue())
    decoded = images.decode(tf.constant(encoded), (6, 5, 3))
    assert (decoded.shape, decoded.dtype) == ((2, 6, 5, 3), tf.uint8)
    for image in decoded:
        np.testing.assert_array_equal(image, shades)


@pytest.mark.parametrize("content", [b"", b"no image", examples.grey(3)[:40], examples.grey(3, (14, 28, 1))])
def test_what_is_no_image_of_the_shape_is_an_error(content: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        images.decode(tf.constant([examples.grey(1), content]), SHAPE)
