"""Metadata as a flatbuffer, against bytes worked out by hand.

In front of each table lies its vtable: its own size, the table's size, and where in the table each field is, two bytes
each. A table begins with how far back its vtable is; a field that is no number says how far ahead its value is.
"""

import pytest

from serving.metadata_schema import (
    Content,
    ContentProperties,
    ImageProperties,
    ModelMetadata,
    NormalizationOptions,
    Reader,
    ScoreThresholdingOptions,
    pack,
)


def test_a_string_is_its_length_its_bytes_and_a_zero() -> None:
    assert pack({ModelMetadata.NAME: "abc"}) == (
        b"\x10\0\0\0M001"  # the root table is at 16; the identifier
        b"\0\0\x06\0\x08\0\x04\0"  # padding; at 10 the vtable: 6 bytes, a table of 8 bytes, field 0 at 4
        b"\x06\0\0\0\x04\0\0\0"  # at 16 the table: 16 - 6 is 10; field 0, at 20, is 4 ahead
        b"\x03\0\0\0abc\0"  # at 24 the string
    )


def test_a_vector_is_its_length_and_its_elements() -> None:
    assert pack({NormalizationOptions.MEAN: [0.0, 1.0]}) == (
        b"\x10\0\0\0M001\0\0\x06\0\x08\0\x04\0\x06\0\0\0\x04\0\0\0"  # as above
        b"\x02\0\0\0\0\0\0\0\0\0\x80\x3f"  # at 24 the vector: 1.0 is 0x3f800000
    )


def test_a_union_is_its_type_and_a_table() -> None:
    fields = {Content.PROPERTIES_TYPE: ContentProperties.FEATURE_PROPERTIES, Content.PROPERTIES: {}}
    assert pack(fields) == (
        b"\x10\0\0\0M001"
        b"\x08\0\x0c\0\x0b\0\x04\0"  # at 8 the vtable: 8 bytes, a table of 12 bytes, fields at 11 and 4
        b"\x08\0\0\0\x0c\0\0\0\0\0\0\x01"  # at 16 the table: 16 - 8 is 8; the union's table is 12 ahead of 20; its type
        b"\x04\0\x04\0\x04\0\0\0"  # at 28 the vtable of a table without fields, and at 32 that table
    )


def test_numbers_that_are_zero_are_left_out() -> None:
    nothing = b"\x0c\0\0\0M001\x04\0\x04\0\x04\0\0\0"
    assert pack({}) == pack({ImageProperties.COLOR_SPACE: 0}) == nothing
    assert pack({ScoreThresholdingOptions.GLOBAL_SCORE_THRESHOLD: 0.0}) == nothing


def test_what_was_written_is_read() -> None:
    root = Reader.root(pack({0: "ä", 1: [1.5, -2.0], 2: [{0: "one"}, {0: "two"}], 3: 3, 4: {0: "member"}, 5: 0.25}))
    assert root.text(0) == "ä"
    assert root.numbers(1) == (1.5, -2.0)
    assert [table.text(0) for table in root.tables(2)] == ["one", "two"]
    kind, member = root.union(3)
    assert (kind, member.text(0)) == (3, "member")
    assert root.number(5) == 0.25


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({ModelMetadata.NAME: "rubbish"}, 0),
        ({ModelMetadata.NAME: "rubbish", Content.PROPERTIES_TYPE + 1: 3}, 3),
    ],
)
def test_a_union_that_is_not_there_is_of_kind_0_and_no_table(fields: dict[int, object], kind: int) -> None:
    assert Reader.root(pack(fields)).union(1) == (kind, None)


def test_what_is_not_there_is_none_or_nothing() -> None:
    root = Reader.root(pack({}))
    assert (root.text(0), root.number(0), root.numbers(0), list(root.tables(0))) == (None, 0.0, (), [])


def test_bytes_without_the_identifier_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected the identifier b'M001' at byte 4, got b'M002'"):
        Reader.root(pack({}).replace(b"M001", b"M002"))
