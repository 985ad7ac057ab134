"""The network, its input pipelines, and the ways into the SavedModel."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from hypothesis import given, settings
from hypothesis import strategies as st

from components.keys import OUTLIER
from components.trainer import data, signatures
from components.trainer.config import TrainingConfig
from components.trainer.model import build_model
from components.transform.preprocessing import normalization_table
from tests import examples

SHAPE = (28, 28, 1)


def test_the_network_goes_from_an_image_to_a_logit_a_class() -> None:
    network = build_model((8, 12, 3), 5, filters=(4, 8))
    assert network.input_shape == (None, 8, 12, 3)
    assert network.output_shape == (None, 5)
    logits = network(np.random.default_rng(0).normal(size=(64, 8, 12, 3)))
    assert not np.allclose(tf.reduce_sum(logits, axis=1), 1)  # no softmax in it


def test_the_number_of_weights_is_that_of_its_layers() -> None:
    convolutions = 9 * (1 * 16 + 16 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64)
    normalisations = 4 * (16 + 16 + 32 + 32 + 64 + 64)
    dense = (64 * 64 + 64) + (64 * 10 + 10)
    assert build_model(SHAPE, 10).count_params() == convolutions + normalisations + dense


def test_dropout_acts_in_training_alone() -> None:
    network = build_model((8, 8, 1), 3, dropout=0.5, filters=(4,))
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 1))
    same = [np.array_equal(network(images, training=way), network(images, training=way)) for way in (False, True)]
    assert same == [True, False]


def seed(number: int) -> tf.Tensor:
    return tf.constant([number, 0], tf.int64)


def noise(count: int, shape: tuple[int, int, int] = (12, 16, 1)) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, *shape)).astype(np.float32)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch):
    """Takes away all kinds of change but those that are named."""

    def keep(**limits: float) -> None:
        for name in ("_ROTATION", "_LOG_SCALE", "_SHEAR", "_SHIFT"):
            monkeypatch.setattr(data, name, limits.get(name, 0.0))

    return keep


def test_without_any_change_an_image_stays_what_it_is(only) -> None:
    only()
    images = noise(5)
    np.testing.assert_allclose(data.random_affine(images, -1.0, seed(1)), images, atol=1e-5)


def test_the_same_seed_changes_images_alike_and_another_one_otherwise() -> None:
    images = noise(5)
    one, again, other = (data.random_affine(images, 0.0, seed(number)).numpy() for number in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


def test_each_image_of_a_batch_is_changed_in_its_own_way() -> None:
    changed = data.random_affine(np.repeat(noise(1), 8, axis=0), 0.0, seed(3)).numpy()
    assert len({image.tobytes() for image in changed}) == 8


def test_what_an_image_leaves_open_is_filled_with_the_background(only) -> None:
    only(_SHIFT=0.5)
    changed = data.random_affine(np.full((20, 12, 16, 1), 7.0, np.float32), -0.42, seed(1)).numpy()
    assert changed.min() == pytest.approx(-0.42)
    assert changed.max() == pytest.approx(7.0)
    # Most of what is seen is one of the two; only the border between them is interpolated.
    assert (np.isclose(changed, -0.42) | np.isclose(changed, 7.0)).mean() > 0.85


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_a_constant_ground_stays_constant_under_every_change(number: int) -> None:
    ground = np.full((3, 12, 16, 1), 0.25, np.float32)
    np.testing.assert_allclose(data.random_affine(ground, 0.25, seed(number)), ground, atol=1e-6)


def test_a_dot_in_the_middle_stays_there_but_for_the_shift(only) -> None:
    only(_ROTATION=0.5, _LOG_SCALE=0.2, _SHEAR=0.3)
    images = np.zeros((16, 9, 9, 1), np.float32)
    images[:, 4, 4] = 1.0
    changed = data.random_affine(images, 0.0, seed(1)).numpy()
    np.testing.assert_allclose(changed[:, 4, 4], 1.0, atol=1e-4)


def test_a_shift_stays_within_its_limit(only) -> None:
    only(_SHIFT=0.25)  # of 16 pixels: at most 4
    images = np.zeros((64, 16, 16, 1), np.float32)
    images[:, 8, 8] = 1.0
    changed = data.random_affine(images, 0.0, seed(1)).numpy()[..., 0]
    rows, columns = np.nonzero(changed.sum(axis=0))
    assert 3 <= max(abs(rows - 8)) <= 4
    assert 3 <= max(abs(columns - 8)) <= 4


def numbered(count: int) -> tf.data.Dataset:
    """Images that show their own number, which is their label too."""
    numbers = np.arange(count)
    images = np.broadcast_to(numbers[:, None, None, None].astype(np.float32), (count, 4, 4, 1))
    return tf.data.Dataset.from_tensor_slices((images, numbers))


def settings(**changes: int | float) -> TrainingConfig:
    return TrainingConfig(**{"batch_size": 8, "outliers": 0, "seed": 1} | changes)


def order(batches: tf.data.Dataset) -> list[int]:
    return np.concatenate([labels for _, labels in batches.as_numpy_iterator()]).tolist()


def test_an_epoch_has_every_image_once_with_its_label_and_the_next_in_another_order() -> None:
    batches = data.for_training(numbered(50), settings(augment=False), background=0.0, foreground=1.0)
    first, second = order(batches), order(batches)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second != list(range(50))
    for images, labels in batches.as_numpy_iterator():
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels)


def test_augmentation_moves_no_label() -> None:
    batches = data.for_training(numbered(50), settings(), background=0.0, foreground=1.0)
    seen = []
    for images, labels in batches.as_numpy_iterator():
        np.testing.assert_allclose(images[:, 1:3, 1:3].max(axis=(1, 2, 3)), labels, rtol=0.35)
        seen += labels.tolist()
    assert sorted(seen) == list(range(50))


def test_each_epoch_is_augmented_anew_and_the_same_seed_gives_the_same_epochs() -> None:
    def epochs(seed: int) -> list[bytes]:
        # A single image, so that no shuffling makes a difference.
        batches = data.for_training(numbered(2).skip(1), settings(seed=seed), background=0.0, foreground=1.0)
        return [next(batches.as_numpy_iterator())[0].tobytes() for _ in range(3)]

    one, again, other = epochs(1), epochs(1), epochs(2)
    assert one == again
    assert len({*one, *other}) == 6


GREY = [-0.4, 2.8]  # normalised values of pixels 0 and 255


def normalised(count: int) -> tuple[np.ndarray, tf.data.Dataset]:
    """Pixels, and what a network gets of them."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, *SHAPE), np.uint8)
    images = GREY[0] + (GREY[1] - GREY[0]) * pixels.astype(np.float32) / 255
    return pixels, tf.data.Dataset.from_tensor_slices((images, np.arange(count)))


def test_the_first_batch_to_be_looked_at_is_of_pixels_in_the_order_of_its_labels() -> None:
    pixels, examples = normalised(20)
    images, labels = data.first_batch(examples, settings(augment=False), *GREY)
    assert (images.shape, images.dtype, labels.dtype) == ((8, *SHAPE), np.uint8, np.int64)
    assert sorted(labels) == list(range(8))
    np.testing.assert_array_equal(images, pixels[labels])


def test_the_first_batch_is_augmented_has_its_outliers_and_is_always_the_same() -> None:
    pixels, examples = normalised(20)
    (images, labels), (again, _) = (data.first_batch(examples, settings(outliers=0.25), *GREY) for _ in range(2))
    assert sorted(labels[:8]) == list(range(8))
    assert labels[8:].tolist() == [OUTLIER, OUTLIER]
    assert all((image != pixels[label]).any() for image, label in zip(images[:8], labels, strict=False))
    np.testing.assert_array_equal(images, again)


def test_no_more_examples_are_read_than_the_first_batch_has() -> None:
    read = []

    def generate() -> Iterator[tuple[np.ndarray, int]]:
        for number in range(20):
            read.append(number)
            yield np.zeros((4, 4, 1), np.float32), number

    signature = (tf.TensorSpec([4, 4, 1], tf.float32), tf.TensorSpec([], tf.int64))
    data.first_batch(tf.data.Dataset.from_generator(generate, output_signature=signature), settings(), *GREY)
    assert read == list(range(8))


def test_examples_are_loaded_in_stored_order_as_transform_makes_them(
    digits_file: Path, stored_digits: list[bytes], transform_output: tft.TFTransformOutput
) -> None:
    images, labels = next(data.load([f"{digits_file.parent}/*"], transform_output).batch(2000).as_numpy_iterator())

    assert (images.shape, images.dtype) == ((1000, *SHAPE), np.float32)
    stored = tf.io.parse_example(stored_digits, {"label": tf.io.FixedLenFeature([], tf.int64)})["label"]
    np.testing.assert_array_equal(labels, stored)
    assert images.mean() == pytest.approx(0, abs=1e-4)  # the graph was fitted to these very images
    assert images.std() == pytest.approx(1, abs=1e-4)


@pytest.fixture(scope="module")
def saved(transform_output: tft.TFTransformOutput, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SavedModel of an untrained network."""
    keras.utils.set_random_seed(3)
    table = normalization_table(transform_output.transform_features_layer(), SHAPE)
    path = tmp_path_factory.mktemp("saved")
    model = signatures.ServingModel(build_model(SHAPE, 10, filters=(4, 8)), transform_output, table)
    signatures.save(model, SHAPE, path)
    return path


@pytest.fixture(scope="module")
def ways_in(saved: Path) -> dict:
    # The owner of the signatures' variables must outlive them.
    model = tf.saved_model.load(str(saved))
    return {"model": model, **model.signatures}


def pixels_of(records: list[bytes]) -> np.ndarray:
    encoded = tf.io.parse_example(records, {"image": tf.io.FixedLenFeature([], tf.string)})["image"]
    return np.stack([tf.io.decode_png(image) for image in encoded])


def test_examples_and_pixels_get_the_same_answer_bit_for_bit(ways_in: dict, stored_digits: list[bytes]) -> None:
    records = stored_digits[:100]
    from_examples = ways_in["serving_default"](examples=tf.constant(records))
    from_pixels = ways_in["serve_images"](images=tf.constant(pixels_of(records)))

    np.testing.assert_array_equal(from_examples["probabilities"], from_pixels["probabilities"])
    np.testing.assert_array_equal(from_examples["label"], from_pixels["label"])
    probabilities = from_pixels["probabilities"].numpy()
    assert probabilities.shape == (100, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(from_pixels["label"], probabilities.argmax(axis=1))
    assert probabilities.std(axis=0).max() > 1e-4  # different images, different answers


def test_every_pixel_value_is_treated_alike_by_both_ways_in(ways_in: dict) -> None:
    levels = np.arange(784, dtype=np.uint16).reshape(SHAPE).astype(np.uint8)
    from_example = ways_in["serving_default"](examples=tf.constant([examples.example(examples.png(levels), 0)]))
    from_pixels = ways_in["serve_images"](images=tf.constant(levels[None]))
    np.testing.assert_array_equal(from_example["probabilities"], from_pixels["probabilities"])


def test_a_client_needs_no_label(ways_in: dict) -> None:
    (answer,) = ways_in["serving_default"](examples=tf.constant([examples.example(examples.grey(0), None)]))["label"]
    assert 0 <= answer < 10


@pytest.mark.parametrize("count", [1, 7])
def test_any_number_of_images_may_come_at_once(ways_in: dict, count: int) -> None:
    images = np.zeros((count, *SHAPE), np.uint8)
    assert ways_in["serve_images"](images=tf.constant(images))["probabilities"].shape == (count, 10)


def test_an_image_gets_the_same_answer_alone_as_among_others(ways_in: dict, stored_digits: list[bytes]) -> None:
    images = pixels_of(stored_digits[:8])
    together = ways_in["serve_images"](images=tf.constant(images))["probabilities"]
    alone = [ways_in["serve_images"](images=tf.constant(image[None]))["probabilities"][0] for image in images]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_an_image_of_another_size_is_refused_and_not_resized(ways_in: dict) -> None:
    record = examples.example(examples.grey(0, (14, 14, 1)), 0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="14"):
        ways_in["serving_default"](examples=tf.constant([record]))


def test_the_slicing_features_are_those_of_transform(
    ways_in: dict, stored_digits: list[bytes], transform_output: tft.TFTransformOutput
) -> None:
    found = ways_in["transform_features"](examples=tf.constant(stored_digits))
    expected = transform_output.transform_features_layer()(
        tf.io.parse_example(stored_digits, transform_output.raw_feature_spec())
    )
    assert set(found) == {"ink_quartile", "stroke_width", "crossings"}
    for key, values in found.items():
        np.testing.assert_array_equal(values, expected[key])
