"""The metadata inside a `.tflite` file: what it is, its labels, how to prepare its input, when to doubt its output.

Source: TensorFlow Lite's metadata schema, `tensorflow_lite_support/metadata/metadata_schema.fbs`; the files that
belong to a model are a ZIP archive behind it.
"""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types
from flatbuffers.table import Table

LABELS_FILE = "labels.txt"
LINEAGE_FILE = "lineage.json"

_BUFFER_NAME = b"TFLITE_METADATA"
_FILE_IDENTIFIER = b"M001"
_NORMALIZATION, _SCORE_THRESHOLDING = 1, 3  # of the union ProcessUnitOptions
_LARGEST_FILE = 1 << 20


@dataclass(frozen=True)
class Metadata:
    """The metadata of one file; what it does not state is None or empty.

    Attributes:
      name: of the model.
      description: what it does.
      version: of the model.
      author: who made it.
      license: what may be done with it.
      labels: class names in the order of the outputs.
      mean: what is taken from a pixel, a channel each, before it goes in.
      std: what it is then divided by.
      score_threshold: probability below which the answer should not be believed.
      lineage: JSON of what the file was made from.
    """

    name: str | None
    description: str | None
    version: str | None
    author: str | None
    license: str | None
    labels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    score_threshold: float | None
    lineage: str | None


def read(content: bytes) -> Metadata | None:
    """Returns the metadata of a `.tflite` file; None if there is none, or none that can be read.

    Args:
      content: the bytes of the file.
    """
    try:
        model = schema.Model.GetRootAs(content, 0)
        buffers = [model.Metadata(index) for index in range(model.MetadataLength())]
        index = next(buffer.Buffer() for buffer in buffers if buffer.Name() == _BUFFER_NAME)
        data = model.Buffers(index).DataAsNumpy().tobytes()
        if data[4:8] != _FILE_IDENTIFIER:
            return None
        return _read(_Fields.root(data), _associated_files(content))
    except Exception:  # a damaged flatbuffer fails anywhere: struct.error, IndexError, TypeError, StopIteration, ...
        return None


def _read(root: "_Fields", files: dict[str, str]) -> Metadata:
    graph = next(root.tables(3))
    units = [*_process_units(next(graph.tables(2))), *_process_units(next(graph.tables(3)))]
    normalization = _first(units, _NORMALIZATION)
    thresholding = _first(units, _SCORE_THRESHOLDING)
    return Metadata(
        name=root.text(0),
        description=root.text(1),
        version=root.text(2),
        author=root.text(4),
        license=root.text(5),
        labels=tuple(files.get(LABELS_FILE, "").splitlines()),
        mean=normalization.numbers(0) if normalization else (),
        std=normalization.numbers(1) if normalization else (),
        score_threshold=thresholding.number(0) if thresholding else None,
        lineage=files.get(LINEAGE_FILE),
    )


def _first(units: list[tuple[int, "_Fields"]], kind: int) -> "_Fields | None":
    """Returns the first process unit of a kind, None if there is none."""
    return next((options for found, options in units if found == kind), None)


def _process_units(tensor: "_Fields") -> list[tuple[int, "_Fields"]]:
    return [unit.union(0) for unit in tensor.tables(4)]


def _associated_files(content: bytes) -> dict[str, str]:
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {
            item.filename: archive.read(item).decode("utf-8")
            for item in archive.infolist()
            if item.filename in (LABELS_FILE, LINEAGE_FILE) and item.file_size <= _LARGEST_FILE
        }


class _Fields:
    """The fields of a flatbuffer table, by their place in the schema."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @classmethod
    def root(cls, data: bytes) -> "_Fields":
        return cls(Table(data, number_types.UOffsetTFlags.py_type(int.from_bytes(data[:4], "little"))))

    def _offset(self, field: int) -> int:
        return self._table.Offset(4 + 2 * field)

    def text(self, field: int) -> str | None:
        offset = self._offset(field)
        return self._table.String(offset + self._table.Pos).decode("utf-8") if offset else None

    def number(self, field: int) -> float:
        offset = self._offset(field)
        return self._get(number_types.Float32Flags, offset + self._table.Pos) if offset else 0.0

    def numbers(self, field: int) -> tuple[float, ...]:
        return tuple(self._get(number_types.Float32Flags, start) for start in self._elements(field))

    def tables(self, field: int) -> Iterator["_Fields"]:
        for start in self._elements(field):
            yield _Fields(Table(self._table.Bytes, self._table.Indirect(start)))

    def union(self, field: int) -> tuple[int, "_Fields"]:
        """Returns which member of the union is there, and its fields."""
        kind = self._get(number_types.Uint8Flags, self._offset(field) + self._table.Pos)
        member = Table(self._table.Bytes, 0)
        self._table.Union(member, self._offset(field + 1))
        return kind, _Fields(member)

    def _elements(self, field: int) -> range:
        """Returns where the elements (of 4 bytes: floats, or offsets of tables) of a vector begin."""
        offset = self._offset(field)
        if not offset:
            return range(0)
        start = self._table.Vector(offset)
        return range(start, start + 4 * self._table.VectorLen(offset), 4)

    def _get(self, flags: Any, position: int) -> Any:
        return self._table.Get(flags, position)
