"""Client messages of the query phase: strict parsing, and the few that the gateway itself makes.

PostgreSQL manual, "Message Formats". A payload is what follows the five header bytes. Every parser takes the whole
payload or raises ProtocolError: no byte is skipped.
"""

from __future__ import annotations

from typing import Final

from checkrein.core.errors import ProtocolError
from checkrein.core.framing import frame, int32_at
from checkrein.core.side import Side

SYNC: Final = frame(b"S", b"")
FLUSH: Final = frame(b"H", b"")
TERMINATE: Final = frame(b"X", b"")
FAILING_QUERY: Final = frame(b"Q", b")\0")
"""A fixed syntax error: it fails before the server looks at anything, in every state and encoding."""

NAME_BYTES: Final = 63
"""What the server keeps of a statement's or portal's name (NAMEDATALEN - 1): names that differ behind are one."""


class Parse:
    """A Parse message: statement name, text as sent, type oids of the parameters (0: unspecified)."""

    __slots__ = ("name", "text", "types")

    def __init__(self, name: bytes, text: bytes, types: tuple[int, ...]) -> None:
        self.name = name
        self.text = text
        self.types = types


class Bind:
    """A Bind: `values` are raw, None for NULL; `formats` has 0, 1 or as many entries as values (0 text, 1 binary)."""

    __slots__ = ("formats", "portal", "statement", "values")

    def __init__(
        self, portal: bytes, statement: bytes, formats: tuple[int, ...], values: tuple[bytes | None, ...]
    ) -> None:
        self.portal = portal
        self.statement = statement
        self.formats = formats
        self.values = values


def malformed(what: str) -> ProtocolError:
    """Return the error for a client message whose payload is not what its type says."""
    return ProtocolError(f"a malformed {what} message", Side.CLIENT, "08P01")


def read_query(payload: bytes) -> bytes:
    """Return the text of a Query: one string, closed by the frame's only zero byte."""
    if payload.find(b"\0") != len(payload) - 1 or not payload:
        raise malformed("Query")
    return payload[:-1]


def read_parse(payload: bytes) -> Parse:
    """Read a Parse."""
    first = payload.find(b"\0")
    second = payload.find(b"\0", first + 1)
    if first < 0 or second < 0 or len(payload) < second + 3:
        raise malformed("Parse")
    count = (payload[second + 1] << 8) | payload[second + 2]
    at = second + 3
    if len(payload) != at + 4 * count:
        raise malformed("Parse")
    types = tuple([int32_at(payload, at + 4 * index) for index in range(count)]) if count else ()
    return Parse(payload[: min(first, NAME_BYTES)], payload[first + 1 : second], types)


def read_bind(payload: bytes) -> Bind:
    """Read a Bind; the result formats are checked for their size and not kept."""
    first = payload.find(b"\0")
    second = payload.find(b"\0", first + 1)
    size = len(payload)
    if first < 0 or second < 0:
        raise malformed("Bind")
    formats, at = _int16s(payload, second + 1)
    if at + 2 > size:
        raise malformed("Bind")
    count = (payload[at] << 8) | payload[at + 1]
    at += 2
    values: list[bytes | None] = []
    for _ in range(count):
        if at + 4 > size:
            raise malformed("Bind")
        length = int32_at(payload, at)
        at += 4
        if length == 0xFFFFFFFF:
            values.append(None)
            continue
        if at + length > size:
            raise malformed("Bind")
        values.append(payload[at : at + length])
        at += length
    _, at = _int16s(payload, at)
    if at != size or len(formats) not in (0, 1, count) or any(one > 1 for one in formats):
        raise malformed("Bind")
    statement = payload[first + 1 : min(second, first + 1 + NAME_BYTES)]
    return Bind(payload[: min(first, NAME_BYTES)], statement, formats, tuple(values))


def _int16s(payload: bytes, at: int) -> tuple[tuple[int, ...], int]:
    if at + 2 > len(payload):
        raise malformed("Bind")
    count = (payload[at] << 8) | payload[at + 1]
    at += 2
    if at + 2 * count > len(payload):
        raise malformed("Bind")
    if not count:
        return (), at
    found = tuple([(payload[at + 2 * i] << 8) | payload[at + 2 * i + 1] for i in range(count)])
    return found, at + 2 * count


def read_named(payload: bytes, what: str) -> tuple[bool, bytes]:
    """Return (is a statement, name) of a Describe or Close."""
    if len(payload) < 2 or payload[0] not in b"SP" or payload.find(b"\0", 1) != len(payload) - 1:
        raise malformed(what)
    return payload[0] == 83, payload[1 : min(len(payload) - 1, 1 + NAME_BYTES)]


def read_execute(payload: bytes) -> tuple[bytes, int]:
    """Return (portal, row limit) of an Execute; 0 is no limit."""
    end = payload.find(b"\0")
    if end < 0 or len(payload) != end + 5:
        raise malformed("Execute")
    return payload[: min(end, NAME_BYTES)], int32_at(payload, end + 1)


def parse_message(name: bytes, text: bytes) -> bytes:
    """Return a Parse without parameter types."""
    return frame(b"P", name + b"\0" + text + b"\0\0\0")


def bind_message(portal: bytes, statement: bytes) -> bytes:
    """Return a Bind without parameters, all results as text."""
    return frame(b"B", portal + b"\0" + statement + b"\0" + bytes(6))


def describe_message(kind: bytes, name: bytes) -> bytes:
    """Return a Describe; `kind` is b"S" or b"P"."""
    return frame(b"D", kind + name + b"\0")


def execute_message(portal: bytes) -> bytes:
    """Return an Execute without row limit."""
    return frame(b"E", portal + bytes(5))


def close_message(kind: bytes, name: bytes) -> bytes:
    """Return a Close; `kind` is b"S" or b"P"."""
    return frame(b"C", kind + name + b"\0")


def row_values(payload: bytes) -> tuple[bytes | None, ...]:
    """Return the cells of a DataRow payload. Raises ProtocolError when they do not fill it exactly."""
    size = len(payload)
    count = ((payload[0] << 8) | payload[1]) if size >= 2 else -1
    at = 2
    cells: list[bytes | None] = []
    for _ in range(count):
        if at + 4 > size:
            break
        length = int32_at(payload, at)
        at += 4
        if length == 0xFFFFFFFF:
            cells.append(None)
        elif at + length <= size:
            cells.append(payload[at : at + length])
            at += length
        else:
            break
    if len(cells) != count or at != size:
        raise ProtocolError("a malformed DataRow", Side.TARGET)
    return tuple(cells)


def tag_count(tag: str) -> int | None:
    """Return the number of rows that a command tag gives, None when it gives none."""
    last = tag.rpartition(" ")[2]
    return int(last) if last.isascii() and last.isdigit() and len(last) < 20 else None
