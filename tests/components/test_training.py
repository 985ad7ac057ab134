"""The best epoch is what a training leaves, and a training that breaks off goes on where it stopped."""

import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer import training
from components.trainer.config import TrainingConfig

SHAPE = (4, 4, 1)
CONFIG = TrainingConfig(epochs=6, batch_size=8, learning_rate=0.02, patience=6)


def network(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(2)])


def images(seed: int, count: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Noise that is brighter in class 1."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    return (rng.normal(size=(count, *SHAPE)) + 0.4 * labels[:, None, None, None]).astype(np.float32), labels


def batches(seed: int) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(images(seed)).batch(8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "training"


def fit(
    model: keras.Model, folder: Path, train: tf.data.Dataset | None = None, config: TrainingConfig = CONFIG
) -> training.History:
    return training.fit(model, train or batches(1), batches(2), config, folder / "working", folder / "tensorboard")


class Passes:
    """A training set that counts how often it is gone through, and may fail in the middle of one of the passes.

    The first pass is that of `fit` which counts the batches; each one after it is an epoch.
    """

    def __init__(self, fail_in_epoch: int | None = None) -> None:
        self.epochs = -1
        self._fail_in = fail_in_epoch
        self._images, self._labels = images(1)

    def __call__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self.epochs += 1
        for start in range(0, 64, 8):
            if self.epochs == self._fail_in and start == 32:
                raise RuntimeError("pulled the plug")
            yield self._images[start : start + 8], self._labels[start : start + 8]

    def dataset(self) -> tf.data.Dataset:
        signature = (tf.TensorSpec((None, *SHAPE), tf.float32), tf.TensorSpec((None,), tf.int64))
        return tf.data.Dataset.from_generator(self, output_signature=signature)


def break_off(folder: Path, epoch: int) -> None:
    """Trains until the middle of an epoch (from 1)."""
    with pytest.raises(tf.errors.OpError, match="pulled the plug"):
        fit(network(), folder, Passes(fail_in_epoch=epoch).dataset())


def losses(history: training.History) -> list[float]:
    return [epoch["val_loss"] for epoch in history.epochs]


def validation_loss(model: keras.Model) -> float:
    return model.evaluate(batches(2), verbose=0)[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[training.History, keras.Model]:
    """A training that was not interrupted."""
    model = network()
    return fit(model, tmp_path_factory.mktemp("whole"), Passes().dataset()), model


def test_an_epoch_is_recorded_with_its_figures(folder: Path) -> None:
    history = fit(network(), folder)
    assert [epoch["epoch"] for epoch in history.epochs] == [1, 2, 3, 4, 5, 6]
    assert set(history.epochs[0]) == {
        "epoch",
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "learning_rate",
        "seconds",
    }
    assert not history.stopped_early


def test_the_learning_rate_warms_up_for_an_epoch_and_then_falls_to_zero(folder: Path) -> None:
    rates = [epoch["learning_rate"] for epoch in fit(network(), folder).epochs]
    assert rates[0] == pytest.approx(0.02)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("learning_rate", [0.02, 3.0])  # the second one overshoots: a later epoch is not the best
def test_the_model_has_the_weights_of_its_best_epoch(folder: Path, learning_rate: float) -> None:
    model = network()
    history = fit(model, folder, config=CONFIG.model_copy(update={"learning_rate": learning_rate}))

    found = losses(history)
    assert history.best_epoch == 1 + found.index(min(found))
    assert validation_loss(model) == pytest.approx(min(found), rel=1e-5)


def test_training_stops_when_it_no_longer_gets_better(folder: Path) -> None:
    config = TrainingConfig(epochs=30, batch_size=8, learning_rate=3.0, patience=2)
    model = network()
    history = fit(model, folder, config=config)

    assert history.stopped_early
    assert len(history.epochs) == history.best_epoch + 2
    assert validation_loss(model) == pytest.approx(min(losses(history)), rel=1e-5)


def test_nothing_but_the_logs_stays_behind(folder: Path) -> None:
    fit(network(), folder)
    assert [path.name for path in folder.iterdir()] == ["tensorboard"]
    assert list(folder.rglob("events.out.tfevents.*"))


def test_a_training_that_broke_off_goes_on_with_the_epoch_in_which_it_did(folder: Path) -> None:
    break_off(folder, epoch=4)
    passes = Passes()
    history = fit(network(seed=9), folder, passes.dataset())  # whatever a new process starts with

    assert passes.epochs == 3
    assert [epoch["epoch"] for epoch in history.epochs] == [1, 2, 3, 4, 5, 6]


def test_a_training_that_broke_off_ends_as_if_it_had_not(
    folder: Path, whole: tuple[training.History, keras.Model]
) -> None:
    expected, expected_model = whole
    break_off(folder, epoch=3)
    model = network(seed=9)
    resumed = fit(model, folder, Passes().dataset())

    # The data comes in the same order each time, so weights, Adam's moments and learning rate must all be there again.
    np.testing.assert_allclose(losses(resumed), losses(expected), rtol=1e-4)
    assert [epoch["learning_rate"] for epoch in resumed.epochs] == [epoch["learning_rate"] for epoch in expected.epochs]
    assert resumed.best_epoch == expected.best_epoch
    for one, other in zip(model.get_weights(), expected_model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_a_best_epoch_before_the_break_is_not_forgotten(folder: Path) -> None:
    steep = CONFIG.model_copy(update={"learning_rate": 3.0})
    with pytest.raises(tf.errors.OpError, match="pulled the plug"):
        fit(network(), folder, Passes(fail_in_epoch=4).dataset(), steep)
    model = network(seed=9)
    history = fit(model, folder, Passes().dataset(), steep)

    assert validation_loss(model) == pytest.approx(min(losses(history)), rel=1e-5)


def test_a_training_may_break_off_more_than_once(folder: Path) -> None:
    break_off(folder, epoch=2)
    with pytest.raises(tf.errors.OpError, match="pulled the plug"):
        fit(network(), folder, Passes(fail_in_epoch=2).dataset())
    passes = Passes()
    history = fit(network(), folder, passes.dataset())

    assert passes.epochs == 4
    assert [epoch["epoch"] for epoch in history.epochs] == [1, 2, 3, 4, 5, 6]


def test_a_break_in_the_first_epoch_starts_from_the_beginning(folder: Path) -> None:
    break_off(folder, epoch=1)
    passes = Passes()
    history = fit(network(), folder, passes.dataset())
    assert passes.epochs == len(history.epochs) == 6


class Killed(BaseException):
    """What no code can catch by mistake."""


class Kill:
    """Does what a function does; at the given call raises, before or after that."""

    def __init__(self, function: Callable, call: int, after: bool) -> None:
        self._function, self._call, self._after, self.calls = function, call, after, 0

    def __get__(self, instance: object, owner: type) -> Callable:
        return functools.partial(self, instance)

    def __call__(self, *arguments: object, **options: object) -> object:
        self.calls += 1
        if self.calls != self._call:
            return self._function(*arguments, **options)
        if self._after:
            self._function(*arguments, **options)
        raise Killed


@pytest.mark.parametrize(
    ("owner", "name", "call", "after", "most"),
    [
        (np, "savez", 1, True, 6),  # in the first epoch
        (np, "savez", 3, False, 4),  # in the third
        (shutil, "copyfile", 3, False, 4),
        (Path, "write_text", 3, True, 4),
        (Path, "rename", 3, True, 3),
        (shutil, "rmtree", 5, True, 3),  # of the second epoch's state, once there is the third's
    ],
)
def test_a_kill_while_the_state_is_written_loses_at_most_the_epoch(
    folder: Path,
    whole: tuple[training.History, keras.Model],
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    call: int,
    after: bool,
    most: int,
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(owner, name, Kill(getattr(owner, name), call, after))
        fit(network(), folder, Passes().dataset())
    model, passes = network(), Passes()
    history = fit(model, folder, passes.dataset())

    assert passes.epochs <= most
    np.testing.assert_allclose(losses(history), losses(whole[0]), rtol=1e-4)
    assert validation_loss(model) == pytest.approx(min(losses(history)), rel=1e-4)
    assert [path.name for path in folder.iterdir()] == ["tensorboard"]


@pytest.mark.parametrize(
    "config", [CONFIG, TrainingConfig(epochs=30, batch_size=8, learning_rate=3.0, patience=2)], ids=["last", "stopped"]
)
def test_a_kill_once_all_epochs_are_done_trains_nothing_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, config: TrainingConfig
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training._State, "restore_best", Kill(training._State.restore_best, 1, after=True))
        fit(network(), folder, Passes().dataset(), config)
    model, passes = network(seed=9), Passes()
    history = fit(model, folder, passes.dataset(), config)

    assert passes.epochs == 0
    assert validation_loss(model) == pytest.approx(min(losses(history)), rel=1e-5)


def test_a_kill_while_the_state_is_removed_does_not_stop_the_next_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = shutil.rmtree

    def half(path: Path, **options: bool) -> None:
        if path.name == "working.done" and path.exists():
            next(path.rglob("epochs.json")).unlink()
            raise Killed
        remove(path, **options)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(shutil, "rmtree", half)
        fit(network(), folder, Passes().dataset())
    fit(network(), folder, Passes().dataset())
    assert [path.name for path in folder.iterdir()] == ["tensorboard"]


def test_patience_counts_the_epochs_before_a_break_too(folder: Path, tmp_path: Path) -> None:
    config = TrainingConfig(epochs=30, batch_size=8, learning_rate=3.0, patience=2)
    whole = fit(network(), tmp_path / "whole", Passes().dataset(), config)
    with pytest.raises(tf.errors.OpError, match="pulled the plug"):
        fit(network(), folder, Passes(fail_in_epoch=3).dataset(), config)
    resumed = fit(network(), folder, Passes().dataset(), config)

    assert len(resumed.epochs) == len(whole.epochs)
    assert resumed.best_epoch == whole.best_epoch
    assert resumed.stopped_early


def test_an_epoch_whose_loss_is_no_number_is_never_the_best(folder: Path) -> None:
    state = training._State(folder, patience=9)
    state.epochs = [{"epoch": number, "val_loss": loss} for number, loss in enumerate([float("nan"), 0.5, 0.6], 1)]
    assert state.best["epoch"] == 2
