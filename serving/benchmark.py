"""Measuring a model on this machine, on every runtime that is installed."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serving import tflite_file, version_dir
from serving.runtimes import Runtime, RuntimeFailedError, execute

_SLOW_IMAGES = 200  # the reference kernels and TFLite Micro take milliseconds an image
_FEWEST_RUNS = 200


class DataFileError(ValueError):
    """The images to measure accuracy on are not as they should be."""


@dataclass(frozen=True)
class RuntimeResult:
    """What a runtime took: microseconds an image, arena bytes, accuracy on so many images; None where it can't tell.

    `not_run` says why it did not run, and is None if it did.
    """

    runtime: str
    latency_us_p50: float | None = None
    latency_us_p95: float | None = None
    arena_bytes: int | None = None
    accuracy: float | None = None
    images: int = 0
    not_run: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """Size of the file in bytes, number of weights, and what each runtime took."""

    bytes: int
    parameters: int
    runs: list[RuntimeResult]


def measure(model: Path, data: Path | None) -> Benchmark:
    """Runs a model on each runtime, one thread, one image at a time.

    Args:
      model: version directory, or `.tflite` file.
      data: NPZ file of `images` (uint8 [N, height, width, channels]) and `labels` (int [N]); None for the golden images
        of the version directory, or noise, which tells no accuracy, if there are none.

    Raises:
      VersionDirError: the version directory is not what its manifest states.
      TFLiteFileError: the file is no TFLite model.
      DataFileError: the data cannot be read or do not fit the model.
    """
    folder, file = model.parent, model
    if model.is_dir():
        version_dir.verify(model)
        folder, file = model, model / version_dir.TFLITE
    content = tflite_file.describe(tflite_file.read(file))
    golden = folder / version_dir.GOLDEN
    shape = content.inputs[0].shape[1:]
    if data is None and golden.exists():
        data = golden
    if data is None:
        images = np.random.default_rng(0).integers(0, 256, (_FEWEST_RUNS, *shape)).astype(content.inputs[0].dtype)
        labels = None
    else:
        images, labels = read_data(data, shape)
    runs = [_run(runtime, file, images, labels) for runtime in Runtime]
    return Benchmark(content.bytes, content.parameters, runs)


def read_data(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Reads images and labels from an NPZ file; nothing in it is executed.

    Args:
      path: of the file.
      shape: height, width and channels that the images must have; a last axis of one may be left out.

    Returns:
      uint8 [N, height, width, channels], int [N].

    Raises:
      DataFileError: the file cannot be read, or holds something else.
    """
    wanted = f"expected an NPZ file of `images`, uint8 [N, {', '.join(map(str, shape))}], and `labels`, int [N]"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, labels = np.asarray(arrays["images"]), np.asarray(arrays["labels"])  # no arrays come as bytes
    except (OSError, ValueError, KeyError, AttributeError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataFileError(f"Cannot read {path}: {wanted}, got {type(error).__name__}: {error}") from error
    if images.shape[1:] == shape[:-1] and shape[-1] == 1:
        images = images[..., None]
    if images.dtype != np.uint8 or images.shape[1:] != shape or len(images) == 0:
        raise DataFileError(f"{path} does not fit the model: {wanted}, got images {images.dtype} {list(images.shape)}.")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise DataFileError(f"{path} does not fit the model: {wanted}, got labels {labels.dtype} {list(labels.shape)}.")
    return images, labels


def _run(runtime: Runtime, file: Path, images: np.ndarray, labels: np.ndarray | None) -> RuntimeResult:
    if not runtime.installed:
        return RuntimeResult(runtime, not_run="its package is not installed")
    if runtime is not Runtime.LITERT:
        images, labels = images[:_SLOW_IMAGES], None if labels is None else labels[:_SLOW_IMAGES]
    try:
        execution = execute(runtime, file, images)
    except RuntimeFailedError as error:
        return RuntimeResult(runtime, not_run=str(error))
    median, tail = np.percentile(execution.latencies_us, [50, 95])
    accuracy = None if labels is None else float((execution.outputs.argmax(axis=1) == labels).mean())
    return RuntimeResult(runtime, round(median, 1), round(tail, 1), execution.arena_bytes, accuracy, len(images))
