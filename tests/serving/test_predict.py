"""From a picture to what is in it: each digit by itself, or the picture as a whole."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving import ImageClassifier
from serving.image_file import ImageFileError
from serving.predict import predict, reads_digits


@pytest.fixture(scope="module")
def classifier(version: Path) -> ImageClassifier:
    return ImageClassifier(version)


@pytest.fixture(scope="module")
def sure(classifier: ImageClassifier) -> dict[str, np.ndarray]:
    """By class, an image [28, 28] that the classifier is right and sure about."""
    from tests import releases

    images, truth = releases.held_out()
    labels, probabilities = classifier.classify(images)
    found = {}
    for digit in range(10):
        own = np.flatnonzero((truth == digit) & (np.array(labels) == str(digit)))
        found[str(digit)] = images[own[probabilities[own].max(axis=1).argmax()], :, :, 0]
    return found


def png(pixels: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def on_paper(text: str, sure: dict[str, np.ndarray], zoom: int = 4) -> np.ndarray:
    """Digits side by side, dark on bright, larger, with room around them."""
    row = np.concatenate([np.pad(sure[digit], ((0, 0), (4, 4))) for digit in text], axis=1)
    large = Image.fromarray(np.pad(row, 12)).resize(
        ((row.shape[1] + 24) * zoom, (row.shape[0] + 24) * zoom), Image.Resampling.BICUBIC
    )
    return 245 - (np.asarray(large) * (225 / 255)).astype(np.uint8)


def test_digits_of_a_picture_are_read_from_left_to_right_each_in_its_box(
    classifier: ImageClassifier, sure: dict[str, np.ndarray]
) -> None:
    picture = on_paper("20736", sure)
    findings = predict(classifier, png(picture))

    assert [finding.candidate for finding in findings] == list("20736")
    boxes = [finding.box for finding in findings]
    height, width = picture.shape
    for index, (left, top, right, bottom) in enumerate(boxes):
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        # Each in its own fifth of what lies between the borders.
        middle = ((left + right) / 2 / 4 - 12) / 36
        assert index + 0.2 < middle < index + 0.8
    for finding in findings:
        assert (finding.seen.shape, finding.seen.dtype) == ((28, 28, 1), np.uint8)
        assert finding.seen.max() > 200  # bright ink on black, whatever the paper


def test_what_the_model_saw_is_what_it_classified(classifier: ImageClassifier, sure: dict[str, np.ndarray]) -> None:
    for finding in predict(classifier, png(on_paper("418", sure))):
        labels, probabilities = classifier.classify(finding.seen, abstain=True)
        assert labels == [finding.label]
        assert finding.probability == pytest.approx(float(probabilities.max()))
        assert finding.candidate == classifier.labels[probabilities.argmax()]


def test_a_doubtful_digit_has_a_candidate_and_no_label(classifier: ImageClassifier) -> None:
    from tests import releases

    images, _ = releases.held_out()
    doubtful = classifier.classify(images).probabilities.max(axis=1).argsort()[:20]
    findings = [predict(classifier, png(images[index, :, :, 0]), whole=True)[0] for index in doubtful]
    for finding in findings:
        assert finding.candidate in classifier.labels
        assert finding.label == (None if finding.probability < classifier.threshold else finding.candidate)
    assert sum(finding.label is None for finding in findings) > 10


def test_a_whole_picture_is_one_digit_without_a_box(classifier: ImageClassifier, sure: dict[str, np.ndarray]) -> None:
    (finding,) = predict(classifier, png(on_paper("7", sure)), whole=True)
    assert finding.candidate == "7"
    assert finding.box is None
    (both,) = predict(classifier, png(on_paper("17", sure)), whole=True)
    assert both.box is None


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_in_a_blank_picture_there_is_nothing(classifier: ImageClassifier, whole: bool, level: int) -> None:
    assert predict(classifier, png(np.full((50, 70), level, np.uint8)), whole=whole) == []


def test_a_picture_comes_as_path_bytes_or_file(
    classifier: ImageClassifier, sure: dict[str, np.ndarray], tmp_path: Path
) -> None:
    content = png(on_paper("5", sure))
    (tmp_path / "five.png").write_bytes(content)
    for source in (tmp_path / "five.png", str(tmp_path / "five.png"), content, BytesIO(content)):
        assert [finding.candidate for finding in predict(classifier, source)] == ["5"]


def test_what_is_no_picture_is_refused(classifier: ImageClassifier) -> None:
    with pytest.raises(ImageFileError, match="is no picture"):
        predict(classifier, b"no picture")


@pytest.fixture(scope="module")
def of_letters(version: Path, tmp_path_factory: pytest.TempPathFactory) -> ImageClassifier:
    """The same network with other class names: not a reader of digits."""
    from tests import releases

    file = tmp_path_factory.mktemp("letters") / "model.tflite"
    file.write_bytes(releases.with_names((version / "model.tflite").read_bytes(), "abcdefghij"))
    return ImageClassifier(file)


def test_any_other_model_is_shown_the_picture_as_it_is(
    classifier: ImageClassifier, of_letters: ImageClassifier, sure: dict[str, np.ndarray]
) -> None:
    assert reads_digits(classifier)
    assert not reads_digits(of_letters)
    (finding,) = predict(of_letters, png(sure["3"]))
    np.testing.assert_array_equal(finding.seen[..., 0], sure["3"])
    assert (finding.candidate, finding.box) == ("d", None)
    paper = on_paper("24", sure)
    (finding,) = predict(of_letters, png(paper))
    assert finding.seen[0, 0, 0] == paper[0, 0]  # neither turned over nor cut out


def test_a_model_that_states_no_threshold_never_doubts(version: Path, tmp_path: Path) -> None:
    from tests import releases

    (tmp_path / "model.tflite").write_bytes(releases.without_metadata((version / "model.tflite").read_bytes()))
    classifier = ImageClassifier(tmp_path / "model.tflite")
    images, _ = releases.held_out()
    doubtful = images[classifier.classify(images).probabilities.max(axis=1).argmin()]
    (finding,) = predict(classifier, png(doubtful[..., 0]), whole=True)
    assert finding.label == finding.candidate
