"""Metadata inside the file says what it is, to us and to other tools, and changes nothing of what it does."""

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from components.tfds_example_gen.datasets import Dataset
from components.tflite_exporter import conversion, metadata
from serving import tflite_metadata
from serving.tflite_file import describe
from tests import releases
from tests.components import conversions

# What TensorFlow Lite's own tools made of `bare.tflite` and of metadata with the same content.
THEIRS = Path(__file__).parents[1] / "serving" / "tflite_metadata"
RGB = dataclasses.replace(releases.DATASET, name="coloured", image_shape=(2, 2, 3), class_names=("Äpfel", "a b", "c"))
GREY = dataclasses.replace(RGB, name="grey", image_shape=(2, 2, 1))
LINEAGE = {"dataset": {"name": "coloured"}, "artifacts": {}}


@pytest.fixture(scope="module")
def bare() -> bytes:
    """A file as the converter makes it."""
    return conversion.to_full_integer(conversions.with_pixels_in(conversions.bare_network()), conversions.noise())


@pytest.fixture(scope="module")
def described(bare: bytes) -> bytes:
    return metadata.add(bare, RGB, 0.515625, version="v7", lineage=LINEAGE)


@pytest.mark.parametrize(
    ("name", "dataset", "threshold", "lineage"), [("rgb", RGB, 0.515625, LINEAGE), ("grey", GREY, 0.0, {})]
)
def test_the_file_is_byte_for_byte_what_tensorflow_lites_own_tool_writes(
    name: str, dataset: Dataset, threshold: float, lineage: dict
) -> None:
    content = metadata.add((THEIRS / "bare.tflite").read_bytes(), dataset, threshold, version="v7", lineage=lineage)
    assert content == (THEIRS / f"{name}.tflite").read_bytes()


def test_we_read_what_was_written(described: bytes) -> None:
    found = tflite_metadata.read(described)
    assert found.name == "coloured classifier"
    assert found.version == "v7"
    assert found.author == "mnist-pipeline"
    assert found.license == "Apache-2.0"
    assert found.description == "Tells which of 3 classes an image is of. Full-integer, trained on mnist:3.0.1."
    assert found.labels == ("Äpfel", "a b", "c")
    assert (found.mean, found.std) == ((0.0,), (1.0,))
    assert found.score_threshold == 0.515625
    assert json.loads(found.lineage) == LINEAGE


def read_as_android_does(content: bytes) -> dict[str, bytes]:
    """Reads the archive behind a model as TensorFlow Lite's library for Android does.

    It finds the record of the central directory exactly 22 bytes before the end, takes all offsets as they are, from
    the start of the file, and decompresses nothing. Source: tensorflow/tflite-support,
    `org/tensorflow/lite/support/metadata/ZipFile.java`.
    """
    end = content[-22:]
    assert end[:4] == b"PK\5\6"
    (position,) = struct.unpack("<I", end[16:20])
    files = {}
    while content[position : position + 4] == b"PK\1\2":
        size, _, name_size, extra, comment = struct.unpack("<IIHHH", content[position + 20 : position + 34])
        (header,) = struct.unpack("<I", content[position + 42 : position + 46])
        name = content[position + 46 : position + 46 + name_size].decode()
        own_name_size, own_extra = struct.unpack("<HH", content[header + 26 : header + 30])
        data = header + 30 + own_name_size + own_extra
        files[name] = content[data : data + size]
        position += 46 + name_size + extra + comment
    return files


def test_android_finds_the_files_that_belong_to_the_model(described: bytes) -> None:
    files = read_as_android_does(described)
    assert files.keys() == {"labels.txt", "lineage.json"}
    assert files["labels.txt"].decode() == "Äpfel\na b\nc\n"


def test_equal_models_are_equal_files_at_any_time_of_day(
    bare: bytes, described: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
    again = metadata.add(bare, RGB, 0.515625, version="v7", lineage=dict(reversed(LINEAGE.items())))
    assert again == described


@pytest.mark.parametrize("changes", [{"version": "v8"}, {"threshold": 0.5}, {"lineage": {}}])
def test_other_models_are_other_files(bare: bytes, described: bytes, changes: dict) -> None:
    settings = {"threshold": 0.515625, "version": "v7", "lineage": LINEAGE}
    assert metadata.add(bare, RGB, **settings | changes) != described


def test_the_file_computes_what_it_did_without_metadata(bare: bytes, described: bytes) -> None:
    images = conversions.noise()
    np.testing.assert_array_equal(conversion.run(described, images), conversion.run(bare, images))
    one, other = describe(bare), describe(described)
    assert dataclasses.replace(one, bytes=0) == dataclasses.replace(other, bytes=0)


def test_it_takes_a_few_kilobytes(bare: bytes, described: bytes) -> None:
    assert 0 < len(described) - len(bare) < 4096
