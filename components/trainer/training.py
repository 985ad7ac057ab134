"""Fitting a model, so that a killed run goes on where it stopped."""

import json
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from components import progress
from components.trainer import outliers
from components.trainer.config import TrainingConfig

_PROGRESS_SECONDS = 0.5
_MONITOR = "val_loss"


@dataclass(frozen=True)
class History:
    """What happened in a training.

    Attributes:
      epochs: one dict an epoch: `epoch` (from 1), `loss`, `accuracy`, `val_loss`, `val_accuracy`, `learning_rate`
        (at the epoch's end), `seconds`.
      best_epoch: the epoch whose weights the model has: the one of the least validation loss.
      stopped_early: whether training ended before its last planned epoch.
    """

    epochs: list[dict[str, float]]
    best_epoch: int
    stopped_early: bool


def fit(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    config: TrainingConfig,
    working_dir: Path,
    log_dir: Path,
) -> History:
    """Trains a model with Adam, and leaves it with the weights of its best epoch.

    Args:
      model: from images to logits; compiled here.
      train: batches of (image, label), as many in each epoch; the label of an outlier is `keys.OUTLIER`.
      validation: the same of the eval split, which early stopping watches.
      config: hyperparameters.
      working_dir: state after each epoch. A training that finds such state goes on from it; it is removed at the end.
      log_dir: where TensorBoard's logs go.
    """
    steps = int(train.reduce(0, lambda count, _: count + 1))
    train = train.apply(tf.data.experimental.assert_cardinality(steps))
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(
                initial_learning_rate=config.learning_rate / 10,
                warmup_target=config.learning_rate,
                warmup_steps=steps,
                decay_steps=max(1, steps * (config.epochs - 1)),
            )
        ),
        loss=outliers.Loss(),
        metrics=[outliers.MemberAccuracy(name="accuracy")],
        # XLA took longer than the plain kernels for a network of this size on a CPU.
        jit_compile=False,
    )
    state = _State(working_dir, config.patience)
    state.restore(model)
    model.fit(
        train,
        validation_data=validation,
        initial_epoch=len(state.epochs),
        epochs=len(state.epochs) if state.out_of_patience else config.epochs,
        verbose=0,
        callbacks=[_EpochLogs(steps, config.epochs), keras.callbacks.TensorBoard(log_dir), state],
    )
    state.restore_best(model)
    state.remove()
    epochs, best_epoch = state.epochs, state.best
    accuracy = best_epoch["val_accuracy"]
    progress.report(
        f"{len(epochs)} epochs; validation accuracy {accuracy:.2%} in the best, number {best_epoch['epoch']}"
    )
    return History(epochs, int(best_epoch["epoch"]), stopped_early=len(epochs) < config.epochs)


class _State(keras.callbacks.Callback):
    """Keeps what the next epochs need in a directory that is complete or absent, and stops when patience is at an end.

    Keras's own callbacks (BackupAndRestore, ModelCheckpoint, CSVLogger) write over their files, one after the other: a
    process that is killed meanwhile leaves files that are cut off, or of different epochs.
    """

    _LATEST = "latest.npz"
    _BEST = "best.npz"
    _EPOCHS = "epochs.json"

    def __init__(self, folder: Path, patience: int) -> None:
        super().__init__()
        self._folder = folder
        self._patience = patience
        whole = [path for path in folder.glob("*") if path.name.isdecimal()]
        self._current = max(whole, key=lambda path: int(path.name), default=None)
        self.epochs: list[dict[str, float]] = (
            json.loads((self._current / self._EPOCHS).read_text()) if self._current else []
        )

    @property
    def best(self) -> dict[str, float]:
        """The first epoch of the least validation loss; one that is not a number is never it."""
        return min(self.epochs, key=lambda epoch: math.inf if math.isnan(epoch[_MONITOR]) else epoch[_MONITOR])

    @property
    def out_of_patience(self) -> bool:
        """Whether as many epochs as patience allows brought nothing better."""
        return bool(self.epochs) and len(self.epochs) - self.best["epoch"] >= self._patience

    def restore(self, model: keras.Model) -> None:
        """Takes up the state of an earlier training, if there is one."""
        if self._current:
            model.optimizer.build(model.trainable_variables)
            _load(model, self._current / self._LATEST)

    def restore_best(self, model: keras.Model) -> None:
        """Gives the model the weights of its best epoch."""
        if self._current:
            _load(model, self._current / self._BEST)

    def remove(self) -> None:
        """Removes the state; renamed first, since a process may be killed in the middle of this too."""
        done = self._folder.with_name(f"{self._folder.name}.done")
        shutil.rmtree(done, ignore_errors=True)
        self._folder.rename(done)
        shutil.rmtree(done)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.epochs.append({"epoch": epoch + 1} | {key: float(value) for key, value in (logs or {}).items()})
        unfinished = self._folder / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        _save(self.model, unfinished / self._LATEST)
        if self._current is None or self.best is self.epochs[-1]:
            best = unfinished / self._LATEST
        else:
            best = self._current / self._BEST
        shutil.copyfile(best, unfinished / self._BEST)
        (unfinished / self._EPOCHS).write_text(json.dumps(self.epochs))
        earlier, self._current = self._current, unfinished.rename(self._folder / str(epoch + 1))
        if earlier:
            shutil.rmtree(earlier)
        self.model.stop_training = self.out_of_patience


def _save(model: keras.Model, path: Path) -> None:
    """Writes weights, seeds and the optimizer's state. Not as HDF5, which crashes the process when the disk is full."""
    np.savez(path, *(keras.ops.convert_to_numpy(variable) for variable in _variables(model)))


def _load(model: keras.Model, path: Path) -> None:
    with np.load(path) as arrays:
        for variable, name in zip(_variables(model), arrays.files, strict=True):
            variable.assign(arrays[name])


def _variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


class _EpochLogs(keras.callbacks.Callback):
    """Adds learning rate and seconds to the logs that the callbacks behind it see, and reports progress."""

    def __init__(self, steps: int, epochs: int) -> None:
        super().__init__()
        self._steps = steps
        self._epochs = epochs
        self._epoch = 0
        self._started = self._reported = 0.0
        self._result = ""

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        del logs
        self._epoch, self._started = epoch, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        del logs
        now = time.monotonic()
        if now - self._reported > _PROGRESS_SECONDS:
            self._reported = now
            progress.report(f"epoch {self._epoch + 1} of {self._epochs}, {batch / self._steps:.0%}{self._result}")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        logs["seconds"] = round(time.monotonic() - self._started, 2)
        self._result = f"; validation accuracy {logs['val_accuracy']:.2%}"
        progress.report(f"epoch {epoch + 1} of {self._epochs}{self._result}")
