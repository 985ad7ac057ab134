"""Classifying images with a pushed model: LiteRT and NumPy, nothing else."""

import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from serving import tflite_file, tflite_metadata, version_dir
from serving.tflite_file import TFLiteFile, TFLiteFileError


class Classification(NamedTuple):
    """The answers to N images.

    Attributes:
      labels: N class names; None where the classifier abstains.
      probabilities: float32 [N, classes], each row adding up to about 1.
    """

    labels: list[str | None]
    probabilities: np.ndarray


class ImageClassifier:
    """A full-integer `.tflite` classifier and what belongs to it. Threads may share one.

    Attributes:
      labels: class names, in the order of the outputs.
      image_shape: height, width and channels of an image.
      threshold: largest probability below which `classify` abstains if told to; None if the file states none.
      manifest: of the version directory; None for a bare file.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        """Loads a model, and checks it against its manifest.

        Args:
          path: a version directory, or a `.tflite` file by itself.
          threads: that LiteRT takes for one image.

        Raises:
          VersionDirError: the directory, or the file with a manifest beside it, is not what the manifest states.
          TFLiteFileError: the file cannot be read, or is no full-integer image classifier.
        """
        path = Path(path)
        if path.is_dir():
            self.manifest: dict[str, Any] | None = version_dir.verify(path)
            path = path / version_dir.TFLITE
            content = tflite_file.read(path)
        else:
            content = tflite_file.read(path)
            self.manifest = version_dir.manifest_beside(path, content)
        self._content, self._threads = content, threads
        file = tflite_file.describe(content)
        self._scale, self._zero_point = _output_quantisation(file)
        _, height, width, channels = file.inputs[0].shape
        self.image_shape = (height, width, channels)
        classes = file.outputs[0].shape[-1]
        metadata = tflite_metadata.read(content)
        labels = metadata.labels if metadata and metadata.labels else tuple(str(index) for index in range(classes))
        if len(labels) != classes:
            raise TFLiteFileError(f"Expected a label for each of the {classes} outputs of {path}, got {len(labels)}.")
        self.labels = labels
        self.threshold = metadata.score_threshold if metadata else None
        self._local = threading.local()
        self._interpreter()  # a file that the runtime refuses is refused here

    def classify(self, images: np.ndarray, *, abstain: bool = False) -> Classification:
        """Classifies images.

        Args:
          images: uint8 [height, width], [N, height, width] (for one channel), [height, width, channels] or
            [N, height, width, channels], raw pixels in 0..255; digits bright on black.
          abstain: whether to give None instead of a label whose probability is below `threshold`.

        Raises:
          TypeError: the images are no uint8 array.
          ValueError: they are of another shape; or `abstain` without a threshold.
        """
        if abstain and self.threshold is None:
            raise ValueError("This model states no threshold, so it cannot abstain. Pass abstain=False.")
        outputs = [self._run(image) for image in self._batch(images)]
        quantised = np.array(outputs, np.float32).reshape(-1, len(self.labels))
        probabilities = (quantised - np.float32(self._zero_point)) * np.float32(self._scale)
        labels: list[str | None] = [self.labels[index] for index in probabilities.argmax(axis=1)]
        if abstain:
            believed = probabilities.max(axis=1) >= self.threshold
            labels = [label if sure else None for label, sure in zip(labels, believed, strict=True)]
        return Classification(labels, probabilities)

    def _batch(self, images: np.ndarray) -> np.ndarray:
        height, width, channels = self.image_shape
        shorter = ", or the same without the last axis" if channels == 1 else ""
        one = f"{height}, {width}, {channels}"
        wanted = f"uint8 [{one}] or [N, {one}]{shorter}, raw pixels in 0..255"
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
            got = f"an array of {images.dtype}" if isinstance(images, np.ndarray) else type(images).__name__
            raise TypeError(
                f"Expected {wanted}; got {got}. Floats in 0..1 become pixels by (images * 255).round().astype('uint8')."
            )
        shape = images.shape
        if channels == 1 and shape[-2:] == (height, width) and images.ndim in (2, 3):
            return images.reshape(-1, height, width, 1)
        if shape[-3:] == (height, width, channels) and images.ndim in (3, 4):
            return images.reshape(-1, height, width, channels)
        raise ValueError(f"Expected {wanted}; got shape {list(shape)}.")

    def _interpreter(self) -> Interpreter:
        """Returns the interpreter of this thread: one cannot run two images at a time."""
        if not hasattr(self._local, "interpreter"):
            try:
                interpreter = Interpreter(model_content=self._content, num_threads=self._threads)
                interpreter.allocate_tensors()
            except (RuntimeError, ValueError) as error:
                raise TFLiteFileError(f"LiteRT refuses the file: {error}") from error
            self._local.interpreter = interpreter
        return self._local.interpreter

    def _run(self, image: np.ndarray) -> np.ndarray:
        interpreter = self._interpreter()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]


def _output_quantisation(file: TFLiteFile) -> tuple[float, int]:
    """Returns scale and zero point of the probabilities; refuses what is no full-integer image classifier."""
    if len(file.inputs) == len(file.outputs) == 1:
        pixels, probabilities = file.inputs[0], file.outputs[0]
        scale, zero_point = probabilities.scale, probabilities.zero_point
        of_type = pixels.dtype == probabilities.dtype == "uint8" and len(pixels.shape) == 4
        if of_type and scale is not None and zero_point is not None:
            return scale, zero_point
    tensors = [f"{tensor.dtype} {list(tensor.shape)}" for tensor in (*file.inputs, *file.outputs)]
    raise TFLiteFileError(
        "Expected one input uint8 [1, height, width, channels] and one output uint8 [1, classes], got "
        f"{', '.join(tensors)}. Take model.tflite of a version directory."
    )
