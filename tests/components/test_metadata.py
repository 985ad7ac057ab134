"""Metadata inside the file says what it is, to us and to other tools, and changes nothing of what it does."""

import dataclasses
import io
import json
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_lite_support.metadata.python.metadata import MetadataDisplayer

from components.tflite_exporter import conversion, metadata
from serving import tflite_metadata
from serving.tflite_file import describe
from tests import releases
from tests.components import conversions

RGB = dataclasses.replace(releases.DATASET, name="coloured", image_shape=(8, 8, 3), class_names=("Äpfel", "a b", "c"))


@pytest.fixture(scope="module")
def bare() -> bytes:
    """A file as the converter makes it."""
    return conversion.to_full_integer(conversions.with_pixels_in(conversions.bare_network()), conversions.noise())


@pytest.fixture(scope="module")
def described(bare: bytes) -> bytes:
    return metadata.add(bare, RGB, 0.515625, version="v7", lineage={"dataset": {"name": "coloured"}, "artifacts": {}})


@pytest.fixture(scope="module")
def displayed(described: bytes) -> dict:
    """What TensorFlow Lite's own tool reads."""
    return json.loads(MetadataDisplayer.with_model_buffer(bytearray(described)).get_metadata_json())


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
    assert json.loads(found.lineage) == {"dataset": {"name": "coloured"}, "artifacts": {}}


def test_tensorflow_lites_own_tool_reads_the_same(displayed: dict) -> None:
    assert displayed["name"] == "coloured classifier"
    assert displayed["version"] == "v7"
    assert displayed["author"] == "mnist-pipeline"
    assert displayed["license"] == "Apache-2.0"
    (graph,) = displayed["subgraph_metadata"]
    (image,), (probability,) = graph["input_tensor_metadata"], graph["output_tensor_metadata"]
    (normalization,) = image["process_units"]
    assert normalization == {"options_type": "NormalizationOptions", "options": {"mean": [0.0], "std": [1.0]}}
    assert image["stats"] == {"max": [255.0], "min": [0.0]}
    (thresholding,) = probability["process_units"]
    assert thresholding["options_type"] == "ScoreThresholdingOptions"
    assert thresholding["options"]["global_score_threshold"] == 0.515625
    assert probability["stats"] == {"max": [1.0], "min": [0.0]}
    (labels,) = probability["associated_files"]
    assert (labels["name"], labels["type"]) == ("labels.txt", "TENSOR_AXIS_LABELS")


def test_tensorflow_lites_own_tool_finds_the_files_that_belong_to_the_model(described: bytes) -> None:
    displayer = MetadataDisplayer.with_model_buffer(bytearray(described))
    assert sorted(displayer.get_packed_associated_file_list()) == ["labels.txt", "lineage.json"]
    assert displayer.get_associated_file_buffer("labels.txt").decode() == "Äpfel\na b\nc\n"
    assert json.loads(displayer.get_associated_file_buffer("lineage.json"))["dataset"] == {"name": "coloured"}


@pytest.mark.parametrize(
    ("channels", "space", "words"), [(1, "GRAYSCALE", "grey image of 28 x 28"), (3, "RGB", "RGB image of 28 x 28")]
)
def test_the_colours_are_told(bare: bytes, channels: int, space: str, words: str) -> None:
    dataset = dataclasses.replace(releases.DATASET, image_shape=(28, 28, channels))
    content = metadata.add(bare, dataset, 0.5, version="1", lineage={})
    told = json.loads(MetadataDisplayer.with_model_buffer(bytearray(content)).get_metadata_json())
    (image,) = told["subgraph_metadata"][0]["input_tensor_metadata"]
    assert image["content"]["content_properties"]["color_space"] == space
    assert words in image["description"]


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
    again = metadata.add(bare, RGB, 0.515625, version="v7", lineage={"artifacts": {}, "dataset": {"name": "coloured"}})
    assert again == described


@pytest.mark.parametrize("changes", [{"version": "v8"}, {"threshold": 0.5}, {"lineage": {}}])
def test_other_models_are_other_files(bare: bytes, described: bytes, changes: dict) -> None:
    settings = {"threshold": 0.515625, "version": "v7", "lineage": {"dataset": {"name": "coloured"}, "artifacts": {}}}
    assert metadata.add(bare, RGB, **settings | changes) != described


def test_the_file_computes_what_it_did_without_metadata(bare: bytes, described: bytes) -> None:
    images = conversions.noise()
    np.testing.assert_array_equal(conversion.run(described, images), conversion.run(bare, images))
    one, other = describe(bare), describe(described)
    assert dataclasses.replace(one, bytes=0) == dataclasses.replace(other, bytes=0)


def test_it_takes_a_few_kilobytes(bare: bytes, described: bytes) -> None:
    assert 0 < len(described) - len(bare) < 4096


def test_a_file_without_metadata_has_none(bare: bytes) -> None:
    assert tflite_metadata.read(bare) is None


@pytest.mark.parametrize("content", [b"", b"no model", b"\x1c\0\0\0TFL3 and then nothing"])
def test_what_is_no_model_has_no_metadata(content: bytes) -> None:
    assert tflite_metadata.read(content) is None


def test_metadata_of_another_kind_is_none_of_ours(described: bytes) -> None:
    assert described.count(b"M001") == 1
    assert tflite_metadata.read(described.replace(b"M001", b"M999")) is None


def test_a_file_that_lost_its_archive_still_says_what_it_is(described: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(described)) as archive:
        start = min(item.header_offset for item in archive.infolist())
    found = tflite_metadata.read(described[:start])
    assert found.name == "coloured classifier"
    assert found.labels == ()
    assert found.lineage is None
    assert found.score_threshold == 0.515625


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_has_metadata_or_none_and_nothing_else(described: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(8, len(described) - 1))
    damaged = bytearray(described)
    damaged[place] ^= data.draw(st.integers(1, 255))
    found = tflite_metadata.read(bytes(damaged))
    assert found is None or isinstance(found, tflite_metadata.Metadata)
    cut = tflite_metadata.read(described[:place])
    assert cut is None or isinstance(cut, tflite_metadata.Metadata)
