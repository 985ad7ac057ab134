"""A sample is stratified, without doubles, and the same for the same seed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.tflite_exporter import sampling
from tests import examples

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


@given(labels=LABELS, per_class=st.integers(1, 8), seed=st.integers(0, 2**32))
def test_each_class_gives_as_many_as_asked_or_all_that_it_has(labels: np.ndarray, per_class: int, seed: int) -> None:
    indices = sampling.stratified_indices(labels, per_class, seed)

    assert (np.diff(indices) > 0).all()  # ascending, so no double either
    drawn, have = np.bincount(labels[indices], minlength=5), np.bincount(labels, minlength=5)
    np.testing.assert_array_equal(drawn, np.minimum(have, per_class))


@given(labels=LABELS, per_class=st.integers(1, 8), seed=st.integers(0, 2**32))
def test_the_same_seed_draws_the_same(labels: np.ndarray, per_class: int, seed: int) -> None:
    once, again = (sampling.stratified_indices(labels, per_class, seed) for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_another_seed_draws_others() -> None:
    labels = np.repeat(np.arange(10), 100)
    draws = {tuple(sampling.stratified_indices(labels, 5, seed)) for seed in range(20)}
    assert len(draws) == 20


def test_the_draw_is_spread_over_the_whole_split() -> None:
    drawn = np.concatenate([sampling.stratified_indices(np.zeros(100, int), 10, seed) for seed in range(50)])
    assert set(drawn) > set(range(5)) | set(range(95, 100))
    assert 40 < drawn.mean() < 59


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Thirty images in two files: image i is of level i, and of class i modulo 3."""
    folder = tmp_path_factory.mktemp("sampling")
    records = [examples.example(examples.grey(index, (4, 4, 1)), index % 3) for index in range(30)]
    return [
        str(examples.write(part, folder / f"{number}.gz")) for number, part in enumerate([records[:17], records[17:]])
    ]


def test_a_drawn_image_comes_with_its_own_label_index_and_record(files: list[str]) -> None:
    sample = sampling.draw(files, (4, 4, 1), per_class=4, seed=3)

    assert sample.images.shape == (12, 4, 4, 1)
    assert sample.images.dtype == np.uint8
    np.testing.assert_array_equal(sample.images[:, 0, 0, 0], sample.indices)
    np.testing.assert_array_equal(sample.labels, sample.indices % 3)
    np.testing.assert_array_equal(np.bincount(sample.labels), [4, 4, 4])
    everything = examples.read(files)
    assert sample.records == [everything[index] for index in sample.indices]


def test_a_class_with_few_images_gives_them_all(files: list[str], tmp_path: Path) -> None:
    rare = examples.write([examples.example(examples.grey(200, (4, 4, 1)), 9)], tmp_path / "rare.gz")
    sample = sampling.draw([*files, str(rare)], (4, 4, 1), per_class=2, seed=0)
    np.testing.assert_array_equal(np.bincount(sample.labels, minlength=10), [2, 2, 2, 0, 0, 0, 0, 0, 0, 1])
