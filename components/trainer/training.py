"""Fitting a model, so that a killed run goes on where it stopped."""

import csv
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from components import progress
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
      train: batches of (image, label), as many in each epoch.
      validation: the same of the eval split, which early stopping watches.
      config: hyperparameters.
      working_dir: state after each epoch. A training that finds such state goes on from it; it is removed at the end.
      log_dir: where TensorBoard's logs go.
    """
    working_dir.mkdir(parents=True, exist_ok=True)
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
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        # XLA took longer than the plain kernels for a network of this size on a CPU.
        jit_compile=False,
    )
    log, best_weights = working_dir / "epochs.csv", working_dir / "best.weights.h5"
    done = _read_epochs(log)
    best = min((epoch[_MONITOR] for epoch in done), default=None)
    model.fit(
        train,
        validation_data=validation,
        epochs=config.epochs,
        verbose=0,
        callbacks=[
            _EpochLogs(steps, config.epochs),
            keras.callbacks.TensorBoard(log_dir),
            keras.callbacks.CSVLogger(log, append=True),
            keras.callbacks.ModelCheckpoint(
                best_weights, _MONITOR, save_best_only=True, save_weights_only=True, initial_value_threshold=best
            ),
            keras.callbacks.EarlyStopping(_MONITOR, patience=config.patience, baseline=best),
            # Last, so that what the others wrote of an epoch is there before the epoch counts as done.
            keras.callbacks.BackupAndRestore(working_dir / "backup"),
        ],
    )
    model.load_weights(best_weights)
    epochs = _read_epochs(log)
    shutil.rmtree(working_dir)
    best_epoch = min(epochs, key=lambda epoch: epoch[_MONITOR])
    accuracy = best_epoch["val_accuracy"]
    progress.report(
        f"{len(epochs)} epochs; validation accuracy {accuracy:.2%} in the best, number {best_epoch['epoch']}"
    )
    return History(epochs, int(best_epoch["epoch"]), stopped_early=len(epochs) < config.epochs)


def _read_epochs(log: Path) -> list[dict[str, float]]:
    """Reads CSVLogger's file; of an epoch done twice (killed between log and backup) the later line counts."""
    if not log.exists():
        return []
    with log.open(newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    by_epoch = {int(row["epoch"]): row | {"epoch": int(row["epoch"]) + 1} for row in rows}
    return [by_epoch[epoch] for epoch in sorted(by_epoch)]


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
