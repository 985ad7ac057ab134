"""The tables of TFLite's metadata that this project uses: their field numbers, a writer and a reader.

`flatc` makes 3,300 lines of Python from the whole schema. Used here are ten tables whose fields are strings, bytes,
floats, tables, and vectors of these, so their field numbers and one writer and one reader for all of them do the same.
Fields are written in the order of their numbers, as by flatc's code: equal metadata is equal bytes.

Source: `tensorflow_lite_support/metadata/metadata_schema.fbs`, version 1.5.0, in github.com/tensorflow/tflite-support.
"""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, TypeAlias

import flatbuffers
import numpy as np
from flatbuffers import number_types
from flatbuffers.table import Table as _Table

BUFFER_NAME = b"TFLITE_METADATA"  # of the entry in the model's own list of metadata
FILE_IDENTIFIER = b"M001"

# Fields of the tables. A union is two fields: which of its tables is there, then the table itself.


class ModelMetadata(IntEnum):
    """The root."""

    NAME = 0
    DESCRIPTION = 1
    VERSION = 2
    SUBGRAPH_METADATA = 3
    AUTHOR = 4
    LICENSE = 5
    ASSOCIATED_FILES = 6
    MIN_PARSER_VERSION = 7


class SubGraphMetadata(IntEnum):
    """What goes in and out."""

    INPUT_TENSOR_METADATA = 2
    OUTPUT_TENSOR_METADATA = 3


class TensorMetadata(IntEnum):
    """One input or output."""

    NAME = 0
    DESCRIPTION = 1
    CONTENT = 3
    PROCESS_UNITS = 4
    STATS = 5
    ASSOCIATED_FILES = 6


class Content(IntEnum):
    """What a tensor means: a union of ImageProperties, FeatureProperties (which has no fields) and others."""

    PROPERTIES_TYPE = 0
    PROPERTIES = 1


class ImageProperties(IntEnum):
    """What an image is."""

    COLOR_SPACE = 0


class ProcessUnit(IntEnum):
    """A step before or behind the model: a union of NormalizationOptions, ScoreThresholdingOptions and others."""

    OPTIONS_TYPE = 0
    OPTIONS = 1


class NormalizationOptions(IntEnum):
    """What is subtracted from each channel, and what it is then divided by."""

    MEAN = 0
    STD = 1


class ScoreThresholdingOptions(IntEnum):
    """Which answers are to be believed."""

    GLOBAL_SCORE_THRESHOLD = 0


class Stats(IntEnum):
    """The range of values, per channel."""

    MAX = 0
    MIN = 1


class AssociatedFile(IntEnum):
    """A file of the archive behind the model."""

    NAME = 0
    DESCRIPTION = 1
    TYPE = 2


# Values of enumerations and of the types of unions; all are bytes.


class AssociatedFileType(IntEnum):
    """Values of `AssociatedFile.TYPE`."""

    DESCRIPTIONS = 1
    TENSOR_AXIS_LABELS = 2


class ColorSpaceType(IntEnum):
    """Values of `ImageProperties.COLOR_SPACE`."""

    RGB = 1
    GRAYSCALE = 2


class ContentProperties(IntEnum):
    """Values of `Content.PROPERTIES_TYPE`."""

    FEATURE_PROPERTIES = 1
    IMAGE_PROPERTIES = 2


class ProcessUnitOptions(IntEnum):
    """Values of `ProcessUnit.OPTIONS_TYPE`."""

    NORMALIZATION_OPTIONS = 1
    SCORE_THRESHOLDING_OPTIONS = 3


Fields: TypeAlias = Mapping[int, Any]


def pack(root: Fields) -> bytes:
    """Returns metadata as a flatbuffer.

    Args:
      root: the ModelMetadata. A table is a mapping from its fields to strings, integers of one byte (enumerations),
        floats, tables, and sequences, not empty, of floats or of tables. Numbers that are 0 are left out, which
        is the schema's default.
    """
    builder = flatbuffers.Builder()
    builder.Finish(_add_table(builder, root), FILE_IDENTIFIER)
    return bytes(builder.Output())


def _add_table(builder: flatbuffers.Builder, fields: Fields) -> int:
    # A table holds numbers itself, and of anything else the offset: that must be written before.
    offsets = {
        field: _add(builder, value) for field, value in sorted(fields.items()) if not isinstance(value, int | float)
    }
    builder.StartObject(max(fields, default=-1) + 1)
    for field, value in sorted(fields.items()):
        if isinstance(value, int):
            builder.PrependUint8Slot(field, value, 0)
        elif isinstance(value, float):
            builder.PrependFloat32Slot(field, value, 0.0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, offsets[field], 0)
    return builder.EndObject()


def _add(builder: flatbuffers.Builder, value: Any) -> int:
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, Mapping):
        return _add_table(builder, value)
    if isinstance(value[0], float):
        return builder.CreateNumpyVector(np.array(value, np.float32))
    offsets = [_add_table(builder, item) for item in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


class Reader:
    """The fields of one table in a flatbuffer; bytes that are damaged raise some exception, or read as other values."""

    def __init__(self, table: _Table) -> None:
        """Makes the reader of a table; `root` makes that of the ModelMetadata."""
        self._table = table

    @classmethod
    def root(cls, data: bytes) -> "Reader":
        """Returns the ModelMetadata of a flatbuffer.

        Raises:
          ValueError: the bytes do not carry the identifier of metadata.
        """
        if data[4:8] != FILE_IDENTIFIER:
            raise ValueError(f"Expected the identifier {FILE_IDENTIFIER!r} at byte 4, got {data[4:8]!r}.")
        return cls(_Table(data, int.from_bytes(data[:4], "little")))

    def text(self, field: int) -> str | None:
        """Returns a string; None if it is not there."""
        offset = self._offset(field)
        return self._table.String(offset + self._table.Pos).decode("utf-8") if offset else None

    def number(self, field: int) -> float:
        """Returns a float; 0 if it is not there."""
        offset = self._offset(field)
        return self._table.Get(number_types.Float32Flags, offset + self._table.Pos) if offset else 0.0

    def numbers(self, field: int) -> tuple[float, ...]:
        """Returns a vector of floats; none if it is not there."""
        return tuple(self._table.Get(number_types.Float32Flags, start) for start in self._elements(field))

    def tables(self, field: int) -> Iterator["Reader"]:
        """Yields a vector of tables; none if it is not there."""
        for start in self._elements(field):
            yield Reader(_Table(self._table.Bytes, self._table.Indirect(start)))

    def union(self, field: int) -> tuple[int, "Reader | None"]:
        """Returns which table of a union is there, 0 if it is none, and that table, None if it is not there.

        Args:
          field: the first of the union's two, its type.
        """
        type_offset, offset = self._offset(field), self._offset(field + 1)
        kind = self._table.Get(number_types.Uint8Flags, type_offset + self._table.Pos) if type_offset else 0
        start = self._table.Indirect(offset + self._table.Pos) if offset else None
        return kind, Reader(_Table(self._table.Bytes, start)) if start is not None else None

    def _offset(self, field: int) -> int:
        return self._table.Offset(4 + 2 * field)

    def _elements(self, field: int) -> range:
        """Returns where the elements of a vector (of 4 bytes: floats, or offsets of tables) begin."""
        offset = self._offset(field)
        if not offset:
            return range(0)
        start = self._table.Vector(offset)
        return range(start, start + 4 * self._table.VectorLen(offset), 4)
