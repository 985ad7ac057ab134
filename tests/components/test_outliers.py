"""What is made up to be of no class has the form of an image, and teaches doubt and nothing else."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.keys import OUTLIER
from components.trainer import data, outliers
from components.trainer.config import TrainingConfig

SHAPE = (28, 28, 1)


def seed(number: int) -> tf.Tensor:
    return tf.constant([number, 0], tf.int64)


def members(count: int = 64, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Noise in 0..1, in which no pixel is like another."""
    return np.random.default_rng(1).uniform(size=(count, *shape)).astype(np.float32)


KINDS: dict[str, Callable[[np.ndarray, tf.Tensor], tf.Tensor]] = {
    "strokes": lambda images, seed: outliers.strokes(tf.shape(images), seed),
    "tiles": outliers.tiles,
    "shapes": lambda images, seed: outliers.shapes(tf.shape(images), seed),
    "noise": lambda images, seed: outliers.noise(tf.shape(images), seed),
    "all": outliers.outliers,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (2, 9, 14, 3), (1, 32, 32, 3)])
def test_they_are_images_like_the_members(kind: str, shape: tuple[int, ...]) -> None:
    made = KINDS[kind](members(shape[0], shape[1:]), seed(1)).numpy()
    assert (made.shape, made.dtype) == (shape, np.float32)
    assert made.min() >= 0
    assert made.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_and_another_one_others(kind: str) -> None:
    one, again, other = (KINDS[kind](members(), seed(number)).numpy() for number in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("kind", ["strokes", "shapes", "noise", "all"])
def test_each_image_of_a_batch_is_another(kind: str) -> None:
    made = KINDS[kind](members(), seed(3)).numpy()
    assert len({image.tobytes() for image in made}) == 64


def test_strokes_are_thin_bright_lines_on_black_with_room_around_them() -> None:
    made = outliers.strokes([200, *SHAPE], seed(5)).numpy()[..., 0]
    assert (made.max(axis=(1, 2)) == 1).all()
    inked = (made > 0.5).mean(axis=(1, 2))
    assert inked.min() > 0.02
    assert inked.max() < 0.55
    assert (made == 0).mean(axis=(1, 2)).min() > 0.2
    # Points lie in 0.15..0.85 of 28 pixels, and a stroke's radius is at most 0.09 of them: none reaches the edge.
    edge = np.concatenate([made[:, 0], made[:, -1], made[:, :, 0], made[:, :, -1]])
    assert edge.max() == 0


def test_strokes_are_of_many_widths() -> None:
    inked = (outliers.strokes([200, *SHAPE], seed(5)).numpy() > 0.5).mean(axis=(1, 2, 3))
    assert np.percentile(inked, 90) > 1.8 * np.percentile(inked, 10)


def test_some_strokes_are_straight_and_some_are_bent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outliers, "_STROKES", 1)
    made = outliers.strokes([400, *SHAPE], seed(5)).numpy()[..., 0]
    # Across a straight stroke, whose radius is at most 2.5 pixels, ink deviates by less than 1.5 from the middle line.
    across = np.array([np.sqrt(np.linalg.eigvalsh(np.cov(np.argwhere(image > 0.5).T))[0]) for image in made])
    assert 0.05 < (across > 1.5).mean() < 0.3


def test_tiles_are_the_members_own_quarters_turned_and_in_another_place() -> None:
    images = members(4)
    made = outliers.tiles(images, seed(2)).numpy()
    moved = 0
    for image, tiled in zip(images, made, strict=True):
        quarters = {(top, left): image[top : top + 14, left : left + 14][::-1] for top in (0, 14) for left in (0, 14)}
        found = {
            place: next(
                own
                for own, quarter in quarters.items()
                if np.array_equal(quarter, tiled[place[0] : place[0] + 14, place[1] : place[1] + 14])
            )
            for place in quarters
        }
        assert sorted(found.values()) == sorted(quarters)  # each of them once
        moved += sum(place != own for place, own in found.items())
    assert moved > 0


def test_tiles_of_odd_sides_are_of_the_same_size_and_pixels() -> None:
    images = members(2, (9, 7, 1))
    made = outliers.tiles(images, seed(2)).numpy()
    assert made.shape == images.shape
    assert all(set(tiled.ravel()) <= set(image.ravel()) for image, tiled in zip(images, made, strict=True))


def test_shapes_are_large_areas_of_one_brightness() -> None:
    made = outliers.shapes([200, *SHAPE], seed(5)).numpy()[..., 0]
    brightest = made.max(axis=(1, 2))
    assert 0.3 <= brightest.min() < 0.4
    assert 0.9 < brightest.max() <= 1
    flat = (made == 0) | np.isclose(made, brightest[:, None, None])
    assert flat.mean() > 0.6  # the rest is soft borders
    assert 0.2 < np.isclose(made, brightest[:, None, None]).mean() < 0.7
    # A neighbour is mostly alike, which it is not in noise.
    assert np.abs(np.diff(made, axis=2)).mean() < 0.1


def test_noise_is_of_any_density_and_brightness() -> None:
    made = outliers.noise([200, *SHAPE], seed(5)).numpy()
    density = (made > 0).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(np.percentile(density, [5, 50, 95]), [0.05, 0.5, 0.95], atol=0.12)
    levels = made[made > 0]
    np.testing.assert_allclose(np.percentile(levels, [5, 50, 95]), [0.05, 0.5, 0.95], atol=0.01)
    flat = made.reshape(200, -1)
    assert np.abs(np.diff(flat, axis=1)).mean() > 0.2


def test_all_kinds_come_up_and_blank_images_of_any_grey_among_them() -> None:
    made = outliers.outliers(np.zeros((500, *SHAPE), np.float32), seed(5)).numpy().reshape(500, -1)
    blank = made[np.ptp(made, axis=1) == 0]
    # One of five is of one grey, and one of five a black member's tiles.
    tiled = (blank[:, 0] == 0).sum()
    assert 60 < tiled < 140
    assert 60 < len(blank) - tiled < 140
    np.testing.assert_allclose(np.percentile(blank[blank[:, 0] > 0, 0], [10, 50, 90]), [0.1, 0.5, 0.9], atol=0.15)


def test_outliers_are_appended_in_the_members_own_scale_and_with_a_label_of_their_own() -> None:
    background, foreground = -0.42, 2.8
    pixels = members(20)
    images, labels = pixels * (foreground - background) + background, np.arange(20)
    both, found = outliers.append(images, labels, 5, background, foreground, seed(7))

    np.testing.assert_array_equal(both[:20], images)
    np.testing.assert_array_equal(found, [*range(20), *[OUTLIER] * 5])
    assert found.dtype == labels.dtype
    expected = outliers.outliers(pixels[:5], seed(7)).numpy() * (foreground - background) + background
    np.testing.assert_allclose(both[20:], expected, atol=1e-5)


def test_a_smaller_batch_gets_fewer_outliers() -> None:
    both, labels = outliers.append(members(3), np.zeros(3, np.int64), 5, 0.0, 1.0, seed(7))
    assert both.shape[0] == 6
    assert labels.numpy().tolist() == [0, 0, 0, -1, -1, -1]


def for_training(**changes: float) -> tf.data.Dataset:
    examples = tf.data.Dataset.from_tensor_slices((members(40), np.arange(40)))
    config = TrainingConfig(**{"batch_size": 20, "outliers": 0.2, "augment": False, "seed": 1} | changes)
    return data.for_training(examples, config, background=0.0, foreground=1.0)


def test_a_training_batch_has_the_configured_part_of_outliers_on_top() -> None:
    for _, labels in for_training().as_numpy_iterator():
        assert (len(labels), (labels == OUTLIER).sum()) == (24, 4)
    for _, labels in for_training(outliers=0).as_numpy_iterator():
        assert len(labels) == 20
        assert (labels >= 0).all()


def test_each_batch_and_each_epoch_has_outliers_of_its_own() -> None:
    batches = for_training()
    made = [images[labels < 0].tobytes() for _ in range(2) for images, labels in batches.as_numpy_iterator()]
    again = [images[labels < 0].tobytes() for images, labels in for_training().as_numpy_iterator()]
    assert len(set(made)) == 4
    assert made[:2] == again


def losses(labels: list[int], logits: list[list[float]]) -> np.ndarray:
    loss = outliers.Loss(reduction=None)
    return loss(tf.constant(labels, tf.int64), tf.constant(logits, tf.float32)).numpy()


def test_the_loss_of_a_member_is_the_cross_entropy_of_its_class() -> None:
    # softmax(ln 1, ln 2, ln 5) = 1/8, 2/8, 5/8
    logits = [np.log([1.0, 2.0, 5.0]).tolist()] * 3
    np.testing.assert_allclose(losses([0, 1, 2], logits), np.log([8, 4, 1.6]), rtol=1e-5)


def test_the_loss_of_an_outlier_is_a_tenth_of_the_divergence_from_any_class_alike() -> None:
    # KL(1/3, 1/3, 1/3 || 1/8, 2/8, 5/8) = mean of ln 8, ln 4, ln 1.6, less ln 3
    expected = 0.1 * (np.log([8, 4, 1.6]).mean() - np.log(3))
    assert expected == pytest.approx(0.0213, abs=1e-4)
    np.testing.assert_allclose(losses([-1], [np.log([1.0, 2.0, 5.0]).tolist()]), [expected], rtol=1e-4)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-20, 20), min_size=2, max_size=12), st.floats(-5, 5))
def test_an_outlier_costs_nothing_exactly_where_no_class_is_preferred(logits: list[float], level: float) -> None:
    flat, any_logits = losses([-1], [[level] * len(logits)]), losses([-1], [logits])
    np.testing.assert_allclose(flat, 0, atol=1e-5)
    assert any_logits[0] >= -1e-5
    if np.ptp(logits) > 0.1:
        assert any_logits[0] > 0


def test_the_loss_of_a_batch_is_the_mean_over_members_and_outliers() -> None:
    labels, logits = [0, -1, 2], [[1.0, 2.0, 3.0], [3.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    whole = outliers.Loss()(tf.constant(labels), tf.constant(logits))
    assert float(whole) == pytest.approx(losses(labels, logits).mean(), rel=1e-5)


def test_labels_may_come_as_a_column() -> None:
    column = outliers.Loss(reduction=None)(tf.constant([[0], [-1]]), tf.constant([[2.0, 1.0], [2.0, 1.0]]))
    np.testing.assert_allclose(column, losses([0, -1], [[2.0, 1.0], [2.0, 1.0]]))


def test_accuracy_counts_members_alone_over_all_batches() -> None:
    accuracy = outliers.MemberAccuracy()
    zero, one = [5.0, 0.0, 0.0], [0.0, 5.0, 0.0]
    accuracy.update_state(tf.constant([0, 0, -1, -1]), tf.constant([zero, one, zero, zero]))
    assert float(accuracy.result()) == pytest.approx(1 / 2)
    accuracy.update_state(tf.constant([[1], [-1]]), tf.constant([zero, one]))
    assert float(accuracy.result()) == pytest.approx(1 / 3)


def test_a_batch_of_outliers_alone_has_no_accuracy_to_spoil() -> None:
    accuracy = outliers.MemberAccuracy()
    accuracy.update_state(tf.constant([1]), tf.constant([[0.0, 5.0]]))
    for answer in ([5.0, 0.0], [0.0, 5.0]):
        accuracy.update_state(tf.constant([-1, -1]), tf.constant([answer, answer]))
        assert float(accuracy.result()) == 1
