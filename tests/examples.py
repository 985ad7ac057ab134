"""Small data made by hand, in the form in which the components meet it."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts

SHAPE = (28, 28, 1)


def png(pixels: np.ndarray) -> bytes:
    """Encodes uint8 [height, width, channels]."""
    return tf.io.encode_png(pixels).numpy()


def grey(level: int, shape: tuple[int, int, int] = SHAPE) -> bytes:
    """A PNG of one level."""
    return png(np.full(shape, level, np.uint8))


def example(image: bytes | None, label: int | None) -> bytes:
    """A serialised tf.Example as TFDS stores them; None leaves a feature out."""
    feature = {}
    if image is not None:
        feature["image"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))
    if label is not None:
        feature["label"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def digits(count: int, seed: int = 0) -> list[bytes]:
    """Examples of noise with the labels 0 to 9 in turn: data without any anomaly, and nothing to learn."""
    noise = np.random.default_rng(seed).integers(0, 256, (count, *SHAPE), dtype=np.uint8)
    return [example(png(image), index % 10) for index, image in enumerate(noise)]


def write(records: Iterable[bytes], path: Path, compression: str = "GZIP") -> Path:
    """Writes a TFRecord file, and the folders that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return path


def artifact(splits: dict[str, list[bytes]], folder: Path) -> standard_artifacts.Examples:
    """Writes an `Examples` artifact as TFDSExampleGen leaves it."""
    result = standard_artifacts.Examples()
    result.uri = str(folder)
    result.split_names = artifact_utils.encode_split_names(list(splits))
    result.set_string_custom_property("image_shape", json.dumps(SHAPE))
    examples_utils.set_payload_format(result, example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(result, "tfrecords_gzip")
    for split, records in splits.items():
        write(records, folder / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz")
    return result


def read(files: Iterable[str | Path], compression: str = "GZIP") -> list[bytes]:
    """The records of some TFRecord files."""
    return list(tf.data.TFRecordDataset([str(file) for file in files], compression).as_numpy_iterator())
