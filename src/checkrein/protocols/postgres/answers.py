"""Where cells sit in answers, and how masked ones are re-framed.

DataRow: 'D', length, int16 columns, then int32 size (-1 for NULL) and bytes a cell (manual, "Message Formats"). The
walk is compiled; cells that owe nothing are never looked at, and a chunk is joined once.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from checkrein.core.errors import MaskError, ProtocolError
from checkrein.core.framing import int32_at
from checkrein.core.limits import ROW_COLUMNS
from checkrein.core.maskplan import ColumnPlan, MaskFunction, MaskPlan, Scanner
from checkrein.core.side import Side
from checkrein.core.stars import Partial
from checkrein.protocols.postgres.cells import CellRewriter, mask_leaf, scan_leaf
from checkrein.protocols.postgres.messages import RowColumn
from checkrein.protocols.postgres.row_writer import NOTHING, Memo, RowWriter, framed
from checkrein.protocols.postgres.values import Types, base_type, codec_of, column_infos, is_text

__all__ = ["RowColumn", "RowMasker", "column_infos", "parse_row_description", "sample_rows"]


def parse_row_description(payload: bytes) -> tuple[RowColumn, ...]:
    """Read a RowDescription's payload. Raises ProtocolError unless it is exactly its fields."""
    if len(payload) < 2:
        raise _bad_description()
    count = int.from_bytes(payload[:2], "big")
    if count > ROW_COLUMNS:
        raise _bad_description()
    at = 2
    columns: list[RowColumn] = []
    for _ in range(count):
        end = payload.find(b"\0", at)
        if end < 0 or len(payload) - end < 19:
            raise _bad_description()
        columns.append(_column(payload[at:end], payload, end + 1))
        at = end + 19
    if at != len(payload):
        raise _bad_description()
    return tuple(columns)


def _bad_description() -> ProtocolError:
    return ProtocolError("a malformed RowDescription", Side.TARGET, "08P01")


def _column(name: bytes, payload: bytes, at: int) -> RowColumn:
    form = int.from_bytes(payload[at + 16 : at + 18], "big")
    if form > 1:
        raise _bad_description()
    return RowColumn(
        name.decode("utf-8", "replace"),
        int32_at(payload, at),
        int.from_bytes(payload[at + 4 : at + 6], "big", signed=True),
        int32_at(payload, at + 6),
        int.from_bytes(payload[at + 10 : at + 12], "big", signed=True),
        int.from_bytes(payload[at + 12 : at + 16], "big", signed=True),
        form,
    )


_PASS: Final = 0
_STARS: Final = 1
_MASK: Final = 2
_SCAN: Final = 3
_READ: Final = 4
"""What a column owes: nothing, stars in place, any other mask, detectors after stage one, detectors at once."""

_INTEGER_DIGITS: Final = {21: 5, 23: 10, 26: 10}
"""Digits of the largest int2, int4 and oid: too few for most of what detectors look for."""


class _Column:
    """What one column owes, what does it, and how many of its cells were masked since they were counted."""

    def __init__(self, duty: int, rewriter: MaskFunction | None, stars: Partial | None, label: str) -> None:
        self.duty = duty
        self.rewriter = rewriter
        self.stars = stars
        self.label = label
        self.memo = Memo()
        self.masked: i64 = 0


class RowMasker:
    """Rewrites runs of DataRow frames under one result set's plan. One per result set; `plan.counts` is counted up.

    `columns` are those of the RowDescription in force, with the formats that the portal was bound with. `encoding` is
    the session's client encoding: UTF8, LATIN1 or SQL_ASCII.
    """

    def __init__(self, plan: MaskPlan, columns: tuple[RowColumn, ...], types: Types, encoding: str = "UTF8") -> None:
        if len(plan.columns) != len(columns):
            raise MaskError("the mask plan is for another number of columns")
        self._plan = plan
        self._count: i64 = len(columns)
        self._columns: list[_Column] = [
            self._owed(duty, column, types, encoding) for duty, column in zip(plan.columns, columns, strict=True)
        ]
        duties = [column.duty for column in self._columns]
        self._duties = bytes(duties)
        self._scanned = [column for column in self._columns if column.duty >= _SCAN]
        self._always = [column.duty == _READ for column in self._scanned]
        self._last: i64 = max([at for at, duty in enumerate(duties) if duty != _PASS], default=-1)

    def _owed(self, duty: ColumnPlan | None, column: RowColumn, types: Types, encoding: str) -> _Column:
        """Fix what one column owes, and what does it."""
        mask, scanner = (duty.mask, self._plan.scanner) if duty is not None else (None, None)
        binary = column.format == 1
        oid = base_type(column.type_oid, types)
        if duty is not None and mask is not None:
            if encoding == "LATIN1" or not is_text(oid, types):
                rewriter = CellRewriter(column.type_oid, binary, types, mask_leaf(mask, encoding), True)
                return _Column(_MASK, rewriter, None, duty.label)
            stars = mask if isinstance(mask, Partial) else None
            return _Column(_MASK if stars is None else _STARS, mask, stars, duty.label)
        if duty is None or not duty.scan or scanner is None:
            return _Column(_PASS, None, None, "")
        label = duty.label or column.name
        digits = _INTEGER_DIGITS.get(oid, 0)
        if digits and not scanner.takes_integers(label, digits):
            return _Column(_PASS, None, None, "")
        leaf = scan_leaf(scanner, label, self._plan.counts)
        reader = CellRewriter(column.type_oid, binary, types, leaf, False)
        return _Column(_READ if reader.needs_reading else _SCAN, reader, None, label)

    def rewrite(self, buffer: bytes, start: i64, end: i64) -> bytes:
        """Return the rows of `buffer[start:end]`, which must be whole DataRow frames, masked.

        Raises MaskError when a row is not what its description says or a cell cannot be masked (I5); nothing of the run
        may be sent then.
        """
        if self._last < 0:
            return buffer[start:end]
        cells: list[bytes] = []
        writer = RowWriter(buffer, start)
        self._walk(buffer, start, end, cells, None, writer)
        found = self._scan(cells) if cells else None
        if found is not None:
            for column in self._columns:
                column.masked = 0  # the cells are masked once more
            writer = RowWriter(buffer, start)
            self._walk(buffer, start, end, cells, found, writer)
        self._tally()
        return writer.joined(end)

    def _walk(
        self,
        buffer: bytes,
        start: i64,
        end: i64,
        cells: list[bytes],
        found: list[bytes] | None,
        writer: RowWriter,
    ) -> None:
        """Write masked rows and gather the cells to be scanned; the second time, write what was `found` in these.

        `found` has for each of those cells the framed one that stands instead, or nothing where it stays.
        """
        last: i64 = self._last
        duties = self._duties
        at: i64 = start
        slot: i64 = 0
        while at < end:
            stop: i64 = self._row(buffer, at, end)
            writer.row(at)
            cell: i64 = at + 7
            column: i64 = 0
            while column <= last:
                value: i64 = cell + 4
                if value > stop:
                    raise MaskError("a cell is cut off")
                size: i64 = int32_at(buffer, cell)
                after: i64 = value + size
                null: bool = size == 0xFFFFFFFF
                if null:
                    after = value
                elif after > stop:
                    raise MaskError("a cell is cut off")
                duty: i64 = duties[column]
                if duty >= _SCAN:
                    if found is None:
                        cells.append(NOTHING if null else buffer[value:after])
                    elif found[slot]:
                        writer.put(cell, after, found[slot])
                    slot += 1
                elif duty != _PASS and not null:
                    owes = self._columns[column]
                    owes.masked += 1
                    if duty != _STARS or not _starred(owes, buffer, value, after, writer):
                        writer.put(cell, after, _masked(owes, buffer[value:after]))
                cell = after
                column += 1
            if column == self._count and cell != stop:  # where cells that owe nothing follow, they are not walked
                raise MaskError("bytes behind the last cell")
            writer.close(stop)
            at = stop

    def _row(self, buffer: bytes, at: i64, end: i64) -> i64:
        """Return the end of the row at an offset, having checked that it is one of ours."""
        if end - at < 7 or buffer[at] != 0x44:
            raise MaskError("a row is not a whole DataRow")
        stop: i64 = at + 1 + int32_at(buffer, at + 1)
        high: i64 = buffer[at + 5]
        low: i64 = buffer[at + 6]
        if stop > end or stop < at + 7 or (high << 8 | low) != self._count:
            raise MaskError("a row is not what its description says")
        return stop

    def _scan(self, cells: list[bytes]) -> list[bytes] | None:
        """Return, for every cell in which something was found, the framed new one (else nothing); None: in no cell.

        Raw frames are not scanned: there a size byte or the type byte of the next row may be a letter or digit, and a
        detector that asks for a word boundary would say no.
        """
        scanner = self._plan.scanner
        assert scanner is not None
        found: list[bytes] = [NOTHING] * len(cells)
        changed = False
        for slot in suspects(scanner, cells, self._always):
            rewriter = self._scanned[slot % len(self._scanned)].rewriter
            assert rewriter is not None
            cell = cells[slot]
            new = carefully(rewriter, cell)
            if new is not cell and new != cell:
                found[slot] = framed(new)
                changed = True
        return found if changed else None

    def _tally(self) -> None:
        """Add the masked cells of a run to the totals."""
        totals = self._plan.counts
        for column in self._columns:
            count: int = column.masked
            if count:
                totals[column.label] = totals.get(column.label, 0) + count
                column.masked = 0


def _starred(column: _Column, buffer: bytes, start: i64, end: i64, writer: RowWriter) -> bool:
    """Write a partially masked cell in place; False when it is not ASCII."""
    mask = column.stars
    assert mask is not None
    stars = mask.hidden(buffer, start, end)
    if stars is None:
        return False
    writer.cover(mask.begin, stars)
    return True


def _masked(column: _Column, value: bytes) -> bytes:
    """Return the framed new cell of a masked column."""
    known = column.memo.get(value)
    if known is not None:
        return known
    rewriter = column.rewriter
    assert rewriter is not None
    new = framed(carefully(rewriter, value))
    column.memo.keep(value, new)
    return new


def suspects(scanner: Scanner, cells: list[bytes], always: list[bool]) -> list[int]:
    """Return the indices of the cells that stage two has to read; never an empty one.

    Stage one sees the cells joined by line feeds, so that nothing beside a value can hide its border. To be read are
    those that it points at, those with a backslash or doubled quote, whose escapes could hide something from it, and
    the cells of columns that are `always` read (one entry a column; cells are in row order).
    """
    joined = b"\n".join(cells)
    places = scanner.places(joined)
    escaped = joined.find(b"\\") >= 0 or joined.find(b'""') >= 0
    if places is not None and not places and not escaped and True not in always:
        return []
    found: list[int] = []
    width: i64 = len(always)
    marks: i64 = 0 if places is None else len(places)
    mark: i64 = 0
    stop: i64 = -1
    for slot, cell in enumerate(cells):
        stop += 1 + len(cell)
        hit = places is None or always[slot % width]
        while places is not None and mark < marks and places[mark] <= stop:
            hit = True
            mark += 1
        if cell and (hit or (escaped and (b"\\" in cell or b'""' in cell))):
            found.append(slot)
    return found


def carefully(rewriter: MaskFunction, value: bytes) -> bytes | None:
    """Rewrite one cell. Raises MaskError for any failure, which does not carry the value."""
    try:
        return rewriter(value)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a mask, the cell must not pass
        failure = type(error).__name__
    # Outside the handler: compiled, `from None` keeps the context, whose text may hold the value (tried).
    raise MaskError(f"a cell cannot be masked ({failure})")


def sample_rows(
    rows: bytes, columns: tuple[RowColumn, ...], types: Types, count: int, size: int
) -> tuple[tuple[str | None, ...], ...]:
    """Return the first `count` rows of whole DataRow frames as texts, as the client got them, in about `size` bytes.

    Binary values are shown in text form where the type is known, else as hex. Cells beyond `size` are cut.
    """
    found: list[tuple[str | None, ...]] = []
    at = 0
    left = size
    while at + 7 <= len(rows) and rows[at] == 0x44 and len(found) < count and left > 0:
        cell = at + 7
        texts: list[str | None] = []
        for column in columns:
            length = int32_at(rows, cell)
            cell += 4
            if length == 0xFFFFFFFF:
                texts.append(None)
                continue
            text = _shown(rows[cell : cell + length], column, types, max(left, 0))
            texts.append(text)
            left -= len(text)
            cell += length
        found.append(tuple(texts))
        at += 1 + int32_at(rows, at + 1)
    return tuple(found)


def _shown(value: bytes, column: RowColumn, types: Types, most: int) -> str:
    if column.format == 1:
        codec = codec_of(column.type_oid, types)
        try:
            value = codec[0](value) if codec is not None else b"\\x" + value[:most].hex().encode()
        except ValueError:
            value = b"\\x" + value[:most].hex().encode()
    return value[:most].decode("utf-8", "replace")
