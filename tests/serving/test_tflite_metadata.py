"""Metadata that another tool wrote is read as that tool reads it, and a damaged file has none.

The files in `tflite_metadata/` are of tflite-support 0.4.4: `bare.tflite` went through its `MetadataPopulator`, and its
`MetadataDisplayer` printed the JSON. Only the time of day in the archive was left out.
"""

import io
import json
import warnings
import zipfile
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from serving import tflite_metadata
from serving.metadata_schema import ModelMetadata, SubGraphMetadata, pack

FILES = Path(__file__).parent / "tflite_metadata"
RGB = (FILES / "rgb.tflite").read_bytes()


@pytest.mark.parametrize("name", ["rgb", "grey"])
def test_it_reads_what_tensorflow_lites_own_tool_shows(name: str) -> None:
    found = tflite_metadata.read((FILES / f"{name}.tflite").read_bytes())
    shown = json.loads((FILES / f"{name}.json").read_text(encoding="utf-8"))

    assert {key: getattr(found, key) for key in ("name", "description", "version", "author", "license")} == {
        key: shown[key] for key in ("name", "description", "version", "author", "license")
    }
    (graph,) = shown["subgraph_metadata"]
    (image,), (probability,) = graph["input_tensor_metadata"], graph["output_tensor_metadata"]
    assert {"mean": list(found.mean), "std": list(found.std)} == image["process_units"][0]["options"]
    # Its default is not shown.
    assert found.score_threshold == probability["process_units"][0]["options"].get("global_score_threshold", 0.0)
    assert found.labels == ("Äpfel", "a b", "c")


def test_it_reads_the_files_that_belong_to_the_model() -> None:
    found = tflite_metadata.read(RGB)
    assert found.labels == ("Äpfel", "a b", "c")
    assert json.loads(found.lineage) == {"dataset": {"name": "coloured"}, "artifacts": {}}


def test_a_file_without_metadata_has_none() -> None:
    assert tflite_metadata.read((FILES / "bare.tflite").read_bytes()) is None


@pytest.mark.parametrize("content", [b"", b"no model", b"\x1c\0\0\0TFL3 and then nothing"])
def test_what_is_no_model_has_no_metadata(content: bytes) -> None:
    assert tflite_metadata.read(content) is None


def test_metadata_of_another_kind_is_none_of_ours() -> None:
    assert RGB.count(b"M001") == 1
    assert tflite_metadata.read(RGB.replace(b"M001", b"M999")) is None


def archive_start(content: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return min(item.header_offset for item in archive.infolist())


def with_archive(files: list[tuple[str, bytes]]) -> bytes:
    """The same model with other files behind it."""
    buffer = io.BytesIO(RGB[: archive_start(RGB)])
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_file_that_lost_its_archive_still_says_what_it_is() -> None:
    found = tflite_metadata.read(RGB[: archive_start(RGB)])
    assert found.name == "coloured classifier"
    assert found.labels == ()
    assert found.lineage is None
    assert found.score_threshold == 0.515625


def test_a_file_that_would_unpack_to_more_than_a_mebibyte_is_left_packed() -> None:
    content = with_archive([("labels.txt", b"a\n" * (1 << 20)), ("lineage.json", b"{}")])
    assert len(content) < 1 << 16
    found = tflite_metadata.read(content)
    assert (found.labels, found.lineage) == ((), "{}")


def test_a_file_that_is_listed_many_times_is_unpacked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = []
    read = zipfile.ZipFile.read
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda self, item: unpacked.append(item) or read(self, item))
    assert tflite_metadata.read(with_archive([("labels.txt", b"a\nb\n")] * 100)).labels == ("a", "b")
    assert len(unpacked) == 1


@pytest.mark.parametrize(("size", "readable"), [(1_000_000, True), (1 << 20, False)])
def test_metadata_of_more_than_a_mebibyte_is_not_read(size: int, readable: bool) -> None:
    tensors = {SubGraphMetadata.INPUT_TENSOR_METADATA: [{}], SubGraphMetadata.OUTPUT_TENSOR_METADATA: [{}]}
    metadata = pack({ModelMetadata.NAME: "n" * size, ModelMetadata.SUBGRAPH_METADATA: [tensors]})
    model = schema.ModelT.InitFromPackedBuf(RGB, 0)
    model.buffers[model.metadata[-1].buffer].data = np.frombuffer(metadata, np.uint8)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    found = tflite_metadata.read(bytes(builder.Output()))
    assert (found is not None and found.name == "n" * size) == readable


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_has_metadata_or_none_and_nothing_else(data: st.DataObject) -> None:
    place = data.draw(st.integers(8, len(RGB) - 1))
    damaged = bytearray(RGB)
    damaged[place] ^= data.draw(st.integers(1, 255))
    found = tflite_metadata.read(bytes(damaged))
    assert found is None or isinstance(found, tflite_metadata.Metadata)
    cut = tflite_metadata.read(RGB[:place])
    assert cut is None or isinstance(cut, tflite_metadata.Metadata)
