"""Binary values against what the real server says of them in text."""

from __future__ import annotations

import struct

import pytest

from checkrein.core.statement import Origin, Output, Statement
from checkrein.protocols.postgres.messages import RowColumn
from checkrein.protocols.postgres.values import codec_of, column_infos, kind_of
from tests.protocols.postgres.wire import cells, types_of
from tests.support.postgres import Database

LITERALS = {
    "bool": ["true", "false"],
    "int2": ["-32768", "0", "32767"],
    "int4": ["-2147483648", "7"],
    "int8": ["-9223372036854775808", "9223372036854775807", "4111111111111111"],
    "numeric": ["0", "0.00", "-0.0001", "1", "10000", "12345678.9", "-99999999999999999999.123456789", "1e20", "1e-20",
                "NaN", "Infinity", "-Infinity", "0.5", "100", "10000.0001", "1.10"],
    "float4": ["0.1", "1.5", "-2", "NaN", "Infinity", "3.4028235e38"],
    "float8": ["0.1", "-1.5", "2", "1e300", "-Infinity", "123456.789"],
    "text": ["a", "ü€😀", ""],
    "varchar(9)": ["x y"],
    "char(5)": ["ab"],
    "name": ["n"],
    "bytea": ["\\x00ff", "\\x", "abc"],
    "json": ['{"a": [1, 2]}'],
    "jsonb": ['{"a": [1, 2]}', '"x"'],
    "uuid": ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6"],
    "date": ["2000-01-01", "1999-12-31", "0044-03-15 BC", "4714-11-24 BC", "9999-12-31", "20000-02-29", "infinity"],
    "timestamp": ["2000-01-01", "1999-12-31 23:59:59.999999", "2024-02-29 12:00:00.5", "infinity", "0001-01-01 BC",
                  "-infinity", "294276-12-31 23:59:59"],
    "timestamptz": ["2024-02-29 12:00:00.123+02", "1900-01-01"],
    "inet": ["10.0.0.1", "10.0.0.1/24", "::1", "fe80::1/64", "0.0.0.0/0"],
    "cidr": ["10.0.0.0/8", "2001:db8::/32", "10.0.0.1/32"],
}  # fmt: skip

ROUND_TRIPS_NOT = {"0044-03-15 BC", "4714-11-24 BC", "20000-02-29", "0001-01-01 BC", "294276-12-31 23:59:59"}
"""Dates outside the years 1 to 9999 are shown but not made: a mask that keeps one gives NULL only if it changes it."""


@pytest.mark.parametrize("kind", LITERALS)
def test_binary_and_text_forms_are_the_servers_own(database: Database, kind: str) -> None:
    """What we decode from a binary value is the server's text, and what we encode from that is its binary value."""
    literals = LITERALS[kind]
    query = "SELECT " + ", ".join(f"$q${one}$q$::{kind}" for one in literals)
    columns, binary = cells(database, query, True)
    _, text = cells(database, query, False)
    codec = codec_of(columns[0].type_oid, {})
    assert codec is not None
    decode, encode = codec
    for literal, raw, shown in zip(literals, binary[0], text[0], strict=True):
        assert raw is not None and shown is not None
        assert decode(raw) == shown
        if literal not in ROUND_TRIPS_NOT:
            assert encode(shown) == raw


@pytest.mark.parametrize(
    ("oid", "text"),
    [
        (21, b"32768"), (23, b"2147483648"), (20, b"9223372036854775808"), (869, b"10.0.0.1/33"), (869, b"::1/129"),
        (869, b"10.0.0.1/-1"), (650, b"10.0.0.0/33"), (1082, b"2020-13-01"), (1114, b"2020-01-01 25:00:00"),
        (2950, b"6ba7b810-9dad-11d1-80b4-00c04fd430c"), (3802, b"{"),
    ],
)  # fmt: skip
def test_values_just_out_of_range_do_not_encode(oid: int, text: bytes) -> None:
    """Nor does what only looks like a value of the type."""
    codec = codec_of(oid, {})
    assert codec is not None
    with pytest.raises((ValueError, OverflowError)):
        codec[1](text)


@pytest.mark.parametrize("oid", [16, 17, 20, 21, 23, 114, 3802, 700, 701, 869, 650, 1082, 1114, 1184, 1700, 2950])
def test_texts_that_are_no_value_do_not_encode(oid: int) -> None:
    """A masked text that the type cannot hold raises ValueError, so that it becomes NULL instead of garbage."""
    codec = codec_of(oid, {})
    assert codec is not None
    for text in (b"***", b"", b"[redacted]", b"\xff"):
        with pytest.raises(ValueError):
            codec[1](text)


@pytest.mark.parametrize("oid", [16, 20, 21, 23, 3802, 700, 701, 869, 650, 1082, 1114, 1184, 1700, 2950])
def test_bytes_that_are_no_value_do_not_decode(oid: int) -> None:
    """A hostile server's cut or over-long binary value raises ValueError, nothing else."""
    codec = codec_of(oid, {})
    assert codec is not None
    for raw in (b"", b"\x07", b"\x00\xff\x00\x00\x00\x00\x00\x00\x01", b"\xff" * 17):
        with pytest.raises(ValueError):
            codec[0](raw)


@pytest.mark.parametrize("weight", [32767, -32768, 0, 100, -100])
@pytest.mark.parametrize("scale", [0, 16383, 65535])
def test_gw_35_few_bytes_are_no_long_number(weight: int, scale: int) -> None:
    """A number of few digits and many zeros, ten bytes on the wire, is not written out: reading it would hold all."""
    codec = codec_of(1700, {})
    assert codec is not None
    text = codec[0](struct.pack(">HhHHH", 1, weight, 0, scale, 4111))
    assert len(text) < 120 and (b"4111" in text or weight < 0)


def test_kinds_follow_domains_arrays_enums_and_composites(database: Database) -> None:
    """A domain has the kind of its base, extensions' strings and enums are text, arrays and rows are told as such."""
    database.run(
        "CREATE EXTENSION citext; CREATE DOMAIN d1 AS text; CREATE DOMAIN d2 AS d1; CREATE TYPE e AS ENUM ('a');"
        "CREATE TYPE c AS (x int, y text); CREATE DOMAIN n AS int8 CHECK (VALUE > 0)"
    )
    types = types_of(database)
    kinds = {one.name: kind_of(oid, types) for oid, one in types.items()}
    expected = {"d2": "text", "e": "text", "citext": "text", "c": "composite", "_c": "array", "n": "integer"}
    expected |= {"_d2": "array", "int4": "integer", "_int4": "array", "jsonb": "json", "record": "composite"}
    expected |= {"bytea": "bytes", "tsvector": "other", "timestamptz": "timestamp", "numeric": "numeric"}
    assert {name: kinds[name] for name in expected} == expected


def test_column_infos_join_description_and_prediction() -> None:
    """Kinds come from the target, origins from reading; without a prediction of the same width nothing is claimed."""
    columns = (RowColumn("a", 5, 1, 23, 4, -1, 0), RowColumn("b", 0, 0, 25, -1, -1, 0))
    origin = Origin("public.t", "a", 5, 1)
    outputs = (Output(name="a", how="bare", origins=(origin,)), Output(name="b", how="safe", calls=("public.f",)))
    infos = column_infos(columns, Statement(protocol="postgres", text="", outputs=outputs), {})
    assert [(one.name, one.kind, one.how, one.origins, one.calls) for one in infos] == [
        ("a", "integer", "bare", (origin,), ()),
        ("b", "text", "safe", (), ("public.f",)),
    ]
    unknown = column_infos(columns, Statement(protocol="postgres", text="", outputs=outputs[:1]), {})
    assert [one.how for one in unknown] == ["computed", "computed"]
