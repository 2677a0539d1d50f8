"""Values on the wire: neutral kinds of types, and binary forms to text forms and back.

A text form is what the server's text format shows under `DateStyle ISO`, `TimeZone UTC` and `bytea_output hex`, in
UTF-8 (sources: the send and receive functions of the server's `utils/adt`). Decoding raises ValueError for bytes that
are no value of the type, encoding for texts that are none.
"""

from __future__ import annotations

import ipaddress
import struct
import uuid
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from checkrein.core.maskplan import ColumnInfo
from checkrein.core.statement import Statement
from checkrein.protocols.postgres.catalog import CatalogType
from checkrein.protocols.postgres.messages import RowColumn
from checkrein.protocols.postgres.values_time import (
    date_text,
    pack_date,
    pack_timestamp,
    pack_timestamptz,
    timestamp_text,
    timestamptz_text,
)

Decoder = Callable[[bytes], bytes]
Types = Mapping[int, CatalogType]

RECORD: Final = 2249
BYTEA: Final = 17
JSON, JSONB = 114, 3802
_TEXTS: Final = frozenset({18, 19, 25, 142, 705, 1042, 1043, 2275})
"""char, name, text, xml, unknown, bpchar, varchar, cstring: the binary form is the text form."""

_KINDS: Final[dict[int, str]] = {
    16: "boolean", BYTEA: "bytes", 20: "integer", 21: "integer", 23: "integer", 26: "integer", 700: "numeric",
    701: "numeric", 1700: "numeric", 790: "numeric", JSON: "json", JSONB: "json", 2950: "uuid", 1082: "timestamp",
    1114: "timestamp", 1184: "timestamp", 1083: "timestamp", 1266: "timestamp", RECORD: "composite", 2287: "array",
}  # fmt: skip

_ELEMENTS: Final[dict[int, int]] = {
    1000: 16, 1001: 17, 1002: 18, 1003: 19, 1005: 21, 1007: 23, 1009: 25, 1014: 1042, 1015: 1043, 1016: 20, 1021: 700,
    1022: 701, 1028: 26, 1041: 869, 1115: 1114, 1182: 1082, 1185: 1184, 1231: 1700, 143: 142, 199: 114, 651: 650,
    2287: 2249, 2951: 2950, 3807: 3802,
}  # fmt: skip


def base_type(oid: int, types: Types) -> int:
    """Return the type under a domain (domains over domains followed), or the type itself."""
    for _ in range(32):
        found = types.get(oid)
        if found is None or found.kind != "d" or not found.base:
            return oid
        oid = found.base
    return oid


def element_type(oid: int, types: Types) -> int:
    """Return the element type of an array, 0 for everything else."""
    if oid in _ELEMENTS:
        return _ELEMENTS[oid]
    found = types.get(oid)
    return found.element if found is not None and found.category == "A" else 0


def is_text(oid: int, types: Types) -> bool:
    """Whether the binary form of a (base) type is its text form: text and its like, enums, extensions' string types."""
    if oid in _TEXTS:
        return True
    found = types.get(oid)
    return found is not None and (found.kind == "e" or (found.category == "S" and found.kind == "b"))


def kind_of(oid: int, types: Types) -> str:
    """Return the neutral kind of a type, as ColumnInfo names kinds."""
    oid = base_type(oid, types)
    known = _KINDS.get(oid)
    if known:
        return known
    if element_type(oid, types):
        return "array"
    found = types.get(oid)
    if found is not None and found.kind == "c":
        return "composite"
    return "text" if is_text(oid, types) else "other"


def column_infos(columns: tuple[RowColumn, ...], statement: Statement, types: Types) -> tuple[ColumnInfo, ...]:
    """Join what the target says of a result's columns with what reading predicted of them, by position.

    Without a prediction (EXPLAIN, SHOW, opaque rows) columns count as computed from nothing known.
    """
    outputs = statement.outputs
    if outputs is None or len(outputs) != len(columns):
        return tuple(ColumnInfo(name=one.name, kind=kind_of(one.type_oid, types)) for one in columns)
    return tuple(
        ColumnInfo(
            name=column.name,
            kind=kind_of(column.type_oid, types),
            how=output.how,
            output=output.kind,
            origins=output.origins,
            calls=output.calls,
        )
        for column, output in zip(columns, outputs, strict=True)
    )


def _same(value: bytes) -> bytes:
    return value


def _integer(size: int) -> tuple[Decoder, Decoder]:
    def decode(value: bytes) -> bytes:
        if len(value) != size:
            raise ValueError("an integer of another size")
        return b"%d" % int.from_bytes(value, "big", signed=True)

    def encode(text: bytes) -> bytes:
        return int(text).to_bytes(size, "big", signed=True) if _plain_integer(text) else _refuse()

    return decode, encode


def _refuse() -> bytes:
    raise ValueError("not a value of the type")


def _plain_integer(text: bytes) -> bool:
    digits = text[1:] if text[:1] == b"-" else text
    return digits.isdigit() and len(digits) < 20


def _bool_text(value: bytes) -> bytes:
    return {b"\1": b"t", b"\0": b"f"}.get(value) or _refuse()


def _bool_pack(text: bytes) -> bytes:
    return {b"t": b"\1", b"f": b"\0", b"true": b"\1", b"false": b"\0"}.get(text) or _refuse()


def _bytea_text(value: bytes) -> bytes:
    return b"\\x" + value.hex().encode()


def _bytea_pack(text: bytes) -> bytes:
    return bytes.fromhex(text[2:].decode("ascii")) if text[:2] == b"\\x" else _refuse()


def _json_pack(text: bytes) -> bytes:
    msgspec.json.decode(text)
    return text


def _jsonb_text(value: bytes) -> bytes:
    return value[1:] if value[:1] == b"\1" else _refuse()


def _jsonb_pack(text: bytes) -> bytes:
    return b"\1" + _json_pack(text)


def _uuid_text(value: bytes) -> bytes:
    return str(uuid.UUID(bytes=value)).encode()


def _uuid_pack(text: bytes) -> bytes:
    return uuid.UUID(text.decode("ascii")).bytes


def _shortest(value: float, packer: struct.Struct) -> str:
    """The fewest digits that give the same bytes again, as the server prints since version 12."""
    wanted = packer.pack(value)
    for digits in range(1, 18):
        text = format(value, f".{digits}g")
        try:
            if packer.pack(float(text)) == wanted:
                return text
        except OverflowError:  # rounded up beyond the type's largest
            continue
    return repr(value)


def _float(code: str) -> tuple[Decoder, Decoder]:
    packer = struct.Struct(code)

    def decode(value: bytes) -> bytes:
        if len(value) != packer.size:
            raise ValueError("a float of another size")
        number: float = packer.unpack(value)[0]
        if number != number or number in (float("inf"), float("-inf")):
            return {"nan": b"NaN", "inf": b"Infinity", "-inf": b"-Infinity"}[str(number)]
        return _shortest(number, packer).encode()

    def encode(text: bytes) -> bytes:
        try:
            return packer.pack(float(text))
        except OverflowError:
            return _refuse()

    return decode, encode


def _inet_text(value: bytes, prefix_always: bool = False) -> bytes:
    """`inet_send`: family, bits, is_cidr, size, address."""
    size = {2: 4, 3: 16}.get(value[0] if value else 0, 0)
    if not size or len(value) != 4 + size or value[3] != size or value[1] > size * 8:
        raise ValueError("not an inet value")
    address = ipaddress.ip_address(value[4:])
    text = str(address)
    return (text if value[1] == size * 8 and not (prefix_always or value[2]) else f"{text}/{value[1]}").encode()


def _inet_pack(text: bytes, cidr: int = 0) -> bytes:
    address, _, bits = text.decode("ascii").partition("/")
    parsed = ipaddress.ip_address(address)
    size = len(parsed.packed)
    length = int(bits) if bits else size * 8
    if length > size * 8 or length < 0:
        raise ValueError("prefix too long")
    return bytes([2 if size == 4 else 3, length, cidr, size]) + parsed.packed


def _cidr_pack(text: bytes) -> bytes:
    return _inet_pack(text, 1)


_NUMERIC_SIGNS: Final = {0xC000: b"NaN", 0xD000: b"Infinity", 0xF000: b"-Infinity"}


_ZERO_GROUPS: Final = 8
"""Groups of four zeros shown that are not on the wire: ten bytes may mean 131,000 digits, a chunk of them minutes."""


def _numeric_text(value: bytes) -> bytes:
    """`numeric_send`: digits, weight, sign, scale, then base-10000 digits. Zeros beyond _ZERO_GROUPS are left out."""
    if len(value) < 8:
        raise ValueError("not a numeric value")
    count, weight, sign, scale = struct.unpack_from(">HhHH", value)
    if sign in _NUMERIC_SIGNS:
        return _NUMERIC_SIGNS[sign]
    if len(value) != 8 + 2 * count or sign not in (0, 0x4000):
        raise ValueError("not a numeric value")
    groups = struct.unpack_from(f">{count}H", value, 8)
    if any(group > 9999 for group in groups):
        raise ValueError("not a numeric value")
    weight = min(weight, count + _ZERO_GROUPS)
    if weight < -_ZERO_GROUPS:
        scale = max(0, scale + 4 * (weight + _ZERO_GROUPS))
        weight = -_ZERO_GROUPS
    scale = min(scale, 4 * max(0, count - weight - 1 + _ZERO_GROUPS))
    whole = "".join(f"{groups[at] if at < count else 0:04d}" for at in range(weight + 1)).lstrip("0") or "0"
    places = -(-scale // 4)
    fraction = "".join(f"{groups[at] if 0 <= at < count else 0:04d}" for at in range(weight + 1, weight + 1 + places))[
        :scale
    ]
    return (("-" if sign else "") + whole + ("." + fraction if scale else "")).encode()


def _numeric_pack(text: bytes) -> bytes:
    for sign, name in _NUMERIC_SIGNS.items():
        if text == name:
            return struct.pack(">HhHH", 0, 0, sign, 0 if sign == 0xC000 else 0x20)  # as make_result gives
    negative = text[:1] == b"-"
    whole, _, fraction = text[1 if negative else 0 :].decode("ascii").partition(".")
    if not (whole + fraction).isdigit() or not whole or len(text) > 10_000:
        raise ValueError("not a numeric value")
    padded = whole.zfill(-(-len(whole) // 4) * 4) + fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    groups = [int(padded[at : at + 4]) for at in range(0, len(padded), 4)]
    weight = -(-len(whole) // 4) - 1
    while groups and not groups[0]:
        groups.pop(0)
        weight -= 1
    while groups and not groups[-1]:
        groups.pop()
    sign = 0x4000 if negative and groups else 0
    weight = weight if groups else 0
    return struct.pack(f">HhHH{len(groups)}H", len(groups), weight, sign, len(fraction), *groups)


_CODECS: Final[dict[int, tuple[Decoder, Decoder]]] = {
    16: (_bool_text, _bool_pack),
    BYTEA: (_bytea_text, _bytea_pack),
    20: _integer(8),
    21: _integer(2),
    23: _integer(4),
    JSON: (_same, _json_pack),
    JSONB: (_jsonb_text, _jsonb_pack),
    650: (_inet_text, _cidr_pack),
    700: _float(">f"),
    701: _float(">d"),
    869: (_inet_text, _inet_pack),
    1082: (date_text, pack_date),
    1114: (timestamp_text, pack_timestamp),
    1184: (timestamptz_text, pack_timestamptz),
    1700: (_numeric_text, _numeric_pack),
    2950: (_uuid_text, _uuid_pack),
}


def codec_of(oid: int, types: Types) -> tuple[Decoder, Decoder] | None:
    """Return (binary to text, text to binary) of a scalar type, domains resolved; None when it is not known."""
    oid = base_type(oid, types)
    found = _CODECS.get(oid)
    if found is not None:
        return found
    return (_same, _same) if is_text(oid, types) else None
