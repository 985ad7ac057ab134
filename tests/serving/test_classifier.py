"""A classifier takes pixels and gives names and probabilities, of the very file that was judged."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving import ImageClassifier
from serving.tflite_file import TFLiteFileError
from serving.version_dir import VersionDirError


@pytest.fixture(scope="module")
def classifier(version: Path) -> ImageClassifier:
    return ImageClassifier(version)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Two hundred digits that the model was not fitted to, uint8 [200, 28, 28], and their labels."""
    from tests import releases

    images, labels = releases.held_out()
    return images[::5, :, :, 0], labels[::5]


@pytest.fixture(scope="module")
def outputs(version: Path, digits: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """What LiteRT says of them, in 256ths."""
    from components.tflite_exporter import conversion

    return conversion.run((version / "model.tflite").read_bytes(), digits[0][..., None])


def test_labels_and_probabilities_are_those_of_the_file(
    classifier: ImageClassifier, digits: tuple[np.ndarray, np.ndarray], outputs: np.ndarray
) -> None:
    labels, probabilities = classifier.classify(digits[0])
    assert (probabilities.shape, probabilities.dtype) == ((200, 10), np.float32)
    np.testing.assert_array_equal(probabilities, outputs / 256)
    assert labels == [str(index) for index in outputs.argmax(axis=1)]
    assert np.mean([label == str(truth) for label, truth in zip(labels, digits[1], strict=True)]) > 0.85


@pytest.mark.parametrize(
    ("shape", "count"), [((28, 28), 1), ((28, 28, 1), 1), ((5, 28, 28), 5), ((5, 28, 28, 1), 5), ((1, 28, 28), 1)]
)
def test_one_image_or_many_may_come_with_or_without_the_last_axis(
    classifier: ImageClassifier, digits: tuple[np.ndarray, np.ndarray], shape: tuple[int, ...], count: int
) -> None:
    images = digits[0][:count]
    labels, probabilities = classifier.classify(images.reshape(shape))
    expected = classifier.classify(images)
    assert labels == expected.labels
    np.testing.assert_array_equal(probabilities, expected.probabilities)


@pytest.mark.parametrize("shape", [(0, 28, 28), (0, 28, 28, 1)])
@pytest.mark.parametrize("abstain", [False, True])
def test_of_no_images_there_is_nothing_to_say(
    classifier: ImageClassifier, shape: tuple[int, ...], abstain: bool
) -> None:
    labels, probabilities = classifier.classify(np.zeros(shape, np.uint8), abstain=abstain)
    assert labels == []
    assert (probabilities.shape, probabilities.dtype) == ((0, 10), np.float32)


@pytest.mark.parametrize(
    "shape",
    [
        (28,),
        (784,),
        (27, 28),
        (28, 27),
        (28, 28, 3),
        (5, 28, 28, 3),
        (1, 28, 28, 1, 1),
        (2, 5, 28, 28),
        (2, 5, 28, 28, 1),
        (5, 784),
        (),
    ],
)
def test_another_shape_is_refused_with_what_to_pass(classifier: ImageClassifier, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Expected uint8") as caught:
        classifier.classify(np.zeros(shape, np.uint8))
    assert str(caught.value) == (
        "Expected uint8 [28, 28, 1] or [N, 28, 28, 1], or the same without the last axis, raw pixels in 0..255; got "
        f"shape {list(shape)}."
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 3, 28]), max_size=5))
def test_whatever_the_shape_it_is_an_answer_an_image_or_a_refusal(
    classifier: ImageClassifier, shape: list[int]
) -> None:
    images = np.zeros(shape, np.uint8)
    try:
        labels, probabilities = classifier.classify(images)
    except ValueError as error:
        assert f"got shape {shape}" in str(error)
    else:
        assert len(labels) == len(probabilities) == images.size / 784


@pytest.mark.parametrize(
    ("images", "got"),
    [
        (np.zeros((28, 28)), "an array of float64"),
        (np.zeros((28, 28), np.float32), "an array of float32"),
        (np.zeros((28, 28), np.int8), "an array of int8"),
        (np.zeros((28, 28), bool), "an array of bool"),
        ([[0] * 28] * 28, "list"),
        ("digit.png", "str"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_array_of_pixels_is_refused_with_how_to_make_one(
    classifier: ImageClassifier, images: Any, got: str
) -> None:
    with pytest.raises(TypeError) as caught:
        classifier.classify(images)
    assert f"; got {got}." in str(caught.value)
    assert "(images * 255).round().astype('uint8')" in str(caught.value)


def test_arrays_that_lie_otherwise_in_memory_mean_the_same(
    classifier: ImageClassifier, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    images = digits[0][:4]
    stored_by_column = np.asfortranarray(images)
    wider = np.zeros((4, 28, 56), np.uint8)
    wider[:, :, ::2] = images
    read_only = images.copy()
    read_only.flags.writeable = False
    expected = classifier.classify(images).probabilities
    for other in (stored_by_column, wider[:, :, ::2], read_only):
        np.testing.assert_array_equal(classifier.classify(other).probabilities, expected)


def test_a_doubtful_answer_is_none_when_told_to_abstain_and_its_probabilities_stay(
    classifier: ImageClassifier, digits: tuple[np.ndarray, np.ndarray], outputs: np.ndarray
) -> None:
    certain, doubting = classifier.classify(digits[0]), classifier.classify(digits[0], abstain=True)
    believed = outputs.max(axis=1) / 256 >= classifier.threshold
    assert 5 < (~believed).sum() < 60
    assert doubting.labels == [label if sure else None for label, sure in zip(certain.labels, believed, strict=True)]
    assert None not in certain.labels
    np.testing.assert_array_equal(doubting.probabilities, certain.probabilities)


def test_an_answer_that_just_reaches_the_threshold_is_believed(
    classifier: ImageClassifier, digits: tuple[np.ndarray, np.ndarray], outputs: np.ndarray
) -> None:
    # The exporter chose the threshold as the probability of one of the held-out images.
    from tests import releases

    images, _ = releases.held_out()
    best = classifier.classify(images).probabilities.max(axis=1)
    (at,) = np.nonzero(best == classifier.threshold)
    assert len(at)
    assert None not in classifier.classify(images[at], abstain=True).labels


def test_a_version_directory_tells_labels_shape_threshold_and_manifest(classifier: ImageClassifier) -> None:
    assert classifier.labels == tuple("0123456789")
    assert classifier.image_shape == (28, 28, 1)
    assert classifier.manifest["model"] == "digits"
    assert classifier.threshold == classifier.manifest["abstention"]["threshold"]
    assert 0.1 < classifier.threshold < 1


def test_a_bare_file_tells_labels_and_threshold_by_its_metadata(version: Path, tmp_path: Path) -> None:
    from tests import releases

    names = tuple(f"class {letter}" for letter in "abcdefghij")
    file = tmp_path / "any name.tflite"
    file.write_bytes(releases.with_names((version / "model.tflite").read_bytes(), names, threshold=0.25))
    bare = ImageClassifier(file)

    assert bare.labels == names
    assert bare.threshold == 0.25
    assert bare.manifest is None
    assert bare.classify(np.zeros((28, 28), np.uint8)).labels[0] in names


def test_a_file_without_metadata_has_numbers_for_labels_and_does_not_abstain(
    version: Path, tmp_path: Path, digits: tuple[np.ndarray, np.ndarray], outputs: np.ndarray
) -> None:
    from tests import releases

    file = tmp_path / "model.tflite"
    file.write_bytes(releases.without_metadata((version / "model.tflite").read_bytes()))
    classifier = ImageClassifier(file)

    assert classifier.labels == tuple("0123456789")
    assert classifier.threshold is None
    np.testing.assert_array_equal(classifier.classify(digits[0][:5]).probabilities, outputs[:5] / 256)
    with pytest.raises(ValueError, match="states no threshold, so it cannot abstain"):
        classifier.classify(digits[0][:5], abstain=True)


def test_labels_that_are_not_one_an_output_are_refused(version: Path, tmp_path: Path) -> None:
    from tests import releases

    file = tmp_path / "model.tflite"
    file.write_bytes(releases.with_names((version / "model.tflite").read_bytes(), ("one", "two")))
    with pytest.raises(TFLiteFileError, match=r"Expected a label for each of the 10 outputs of .*, got 2"):
        ImageClassifier(file)


def test_threads_may_share_one_classifier(
    version: Path, digits: tuple[np.ndarray, np.ndarray], outputs: np.ndarray
) -> None:
    classifier = ImageClassifier(version)
    parts = [np.roll(np.arange(200), 25 * turn) for turn in range(16)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda part: classifier.classify(digits[0][part]).probabilities, parts))
    for part, answer in zip(parts, answers, strict=True):
        np.testing.assert_array_equal(answer, outputs[part] / 256)


@pytest.fixture
def copied(version: Path, tmp_path: Path) -> Path:
    """A version directory of one's own."""
    return shutil.copytree(version, tmp_path / "copied")


def damage(file: Path) -> None:
    """Turns one bit in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("name", ["model.tflite", "labels.txt", "saved_model.pb"])
def test_a_version_directory_with_another_byte_is_refused(copied: Path, name: str) -> None:
    damage(copied / name)
    with pytest.raises(VersionDirError, match=f"changed: {name}"):
        ImageClassifier(copied)


def test_a_file_beside_its_manifest_is_held_against_it(copied: Path) -> None:
    assert ImageClassifier(copied / "model.tflite").manifest["model"] == "digits"
    damage(copied / "model.tflite")
    with pytest.raises(VersionDirError, match=r"model\.tflite is not what .*manifest\.json states"):
        ImageClassifier(copied / "model.tflite")


def test_a_file_of_another_name_beside_a_manifest_is_none_of_its_own(copied: Path) -> None:
    shutil.copyfile(copied / "model.tflite", copied / "other.tflite")
    assert ImageClassifier(copied / "other.tflite").manifest is None


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:3000])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def text(file: Path) -> None:
    file.write_text("404: Not Found")


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (cut_off, "damaged or cut off"),
        (empty, "expected the identifier TFL3"),
        (text, "expected the identifier TFL3"),
        (remove, "Cannot read the model .*: No such file or directory. Pass a version directory or a .tflite file"),
    ],
)
def test_what_is_no_model_is_refused(version: Path, tmp_path: Path, harm: Callable[[Path], None], words: str) -> None:
    file = shutil.copyfile(version / "model.tflite", tmp_path / "model.tflite")
    harm(file)
    with pytest.raises(TFLiteFileError, match=words):
        ImageClassifier(file)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_model_that_takes_no_raw_pixels_is_refused(tmp_path: Path, dtype: str) -> None:
    from components.tflite_exporter import conversion
    from tests.components import conversions

    model = conversions.with_pixels_in(conversions.bare_network())
    content = (
        conversions.convert(model, conversions.noise(), **conversions.INT8)
        if dtype == "int8"
        else conversion.to_variant(model, dtype)
    )
    (tmp_path / "model.tflite").write_bytes(content)
    words = rf"got {dtype} \[1, 8, 8, 1\], {dtype} \[1, 3\]\. Take model\.tflite of a version directory"
    with pytest.raises(TFLiteFileError, match=words):
        ImageClassifier(tmp_path / "model.tflite")


def test_a_model_that_the_runtime_refuses_is_refused_when_it_is_loaded(version: Path, tmp_path: Path) -> None:
    from tests import releases

    (tmp_path / "model.tflite").write_bytes(releases.that_does_not_load((version / "model.tflite").read_bytes()))
    with pytest.raises(TFLiteFileError, match="LiteRT refuses the file: "):
        ImageClassifier(tmp_path / "model.tflite")


def test_a_coloured_model_wants_three_channels_and_nothing_shorter(tmp_path: Path) -> None:
    import keras

    from components.tflite_exporter import conversion

    keras.utils.set_random_seed(0)
    inputs = keras.Input(batch_shape=(1, 6, 5, 3))
    outputs = keras.layers.Softmax()(keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(inputs)))
    noise = np.random.default_rng(0).integers(0, 256, (30, 6, 5, 3), dtype=np.uint8)
    (tmp_path / "model.tflite").write_bytes(conversion.to_full_integer(keras.Model(inputs, outputs), noise))
    classifier = ImageClassifier(tmp_path / "model.tflite")

    assert classifier.image_shape == (6, 5, 3)
    assert len(classifier.classify(noise[0]).labels) == 1
    assert len(classifier.classify(noise[:4]).labels) == 4
    for wrong in ((6, 5), (4, 6, 5), (5, 6, 3), (4, 6, 5, 1)):
        with pytest.raises(
            ValueError, match=r"Expected uint8 \[6, 5, 3\] or \[N, 6, 5, 3\], raw pixels in 0..255; got"
        ):
            classifier.classify(np.zeros(wrong, np.uint8))
