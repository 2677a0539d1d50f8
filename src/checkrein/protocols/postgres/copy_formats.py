"""COPY TO STDOUT under a mask plan: CopyData in, CopyData out, one row a frame."""

from __future__ import annotations

from collections.abc import Mapping

from checkrein.core.errors import MaskError
from checkrein.core.framing import frame, int32_at
from checkrein.core.limits import COPY_REMAINDER
from checkrein.core.maskplan import MaskPlan
from checkrein.protocols.postgres.answers import carefully, suspects
from checkrein.protocols.postgres.cells import CellRewriter, mask_leaf, scan_leaf
from checkrein.protocols.postgres.copy_rows import rows_of
from checkrein.protocols.postgres.messages import RowColumn
from checkrein.protocols.postgres.values import Types, kind_of

_Row = list[bytes]


class CopyMasker:
    """Masks the rows of one COPY TO STDOUT. `rows` counts those that were passed on.

    `columns` are the copied columns in order with their types (of the catalog, or of the inner query's description);
    their own formats do not matter. `form` is text, csv or binary; `options` hold delimiter, null, quote, escape and
    header as the statement gives them. CopyData may cut rows anywhere: the rest is kept, up to COPY_REMAINDER bytes.
    Raises MaskError, also for a column mask over an array or composite in the binary format, whose elements a
    client would read under the type it expects.
    """

    def __init__(
        self,
        plan: MaskPlan,
        columns: tuple[RowColumn, ...],
        types: Types,
        form: str,
        options: Mapping[str, str],
        encoding: str = "UTF8",
    ) -> None:
        if len(plan.columns) != len(columns):
            raise MaskError("the mask plan is for another number of columns")
        self._plan = plan
        self._form = rows_of(form, {name.lower(): value for name, value in options.items()})
        self._masks: list[CellRewriter | None] = []
        self._scans: list[CellRewriter | None] = []
        binary = form == "binary"
        for duty, column in zip(plan.columns, columns, strict=True):
            mask = scan = None
            if duty is not None and duty.mask is not None:
                if binary and kind_of(column.type_oid, types) in ("array", "composite"):
                    raise MaskError("a masked array or composite cannot be copied in the binary format")
                mask = CellRewriter(column.type_oid, binary, types, mask_leaf(duty.mask, encoding), True)
            elif duty is not None and duty.scan and plan.scanner is not None:
                leaf = scan_leaf(plan.scanner, duty.label or column.name, plan.counts)
                scan = CellRewriter(column.type_oid, binary, types, leaf, False)
            self._masks.append(mask)
            self._scans.append(scan)
        self._head = b""
        self._started = False
        self._ended = False
        self._rest = b""
        self.rows = 0

    def rewrite(self, buffer: bytes, start: int, end: int) -> bytes:
        """Return the CopyData frames that stand for those of `buffer[start:end]`, which must be whole ones."""
        payloads = [self._rest]
        while start < end:
            stop = start + 1 + int32_at(buffer, start + 1)
            if buffer[start] != 0x64 or stop > end:
                raise MaskError("a COPY answer holds something else than CopyData")
            payloads.append(buffer[start + 5 : stop])
            start = stop
        data = b"".join(payloads)
        at = 0
        out: list[bytes] = []
        if not self._started:
            at = self._begin(data, out)
        rows, at = self._rows(data, at)
        self._rest = data[at:]
        if len(self._rest) > COPY_REMAINDER:
            raise MaskError("a COPY row is longer than the limit")
        self._emit(rows, out)
        return b"".join(out)

    def finish(self) -> bytes:
        """CopyDone came: return what is still to be sent. Raises MaskError when a row was cut off."""
        if self._rest:
            raise MaskError("a COPY answer ends inside a row")
        head, self._head = self._head, b""
        return frame(b"d", head) if head else b""

    def _begin(self, data: bytes, out: list[bytes]) -> int:
        size = self._form.head(data)
        if size < 0:
            return 0
        self._started = True
        if size and data[:6] == b"PGCOPY":
            self._head = data[:size]  # goes out with the first row, as the server does
        elif size:
            out.append(frame(b"d", data[:size]))
        return size

    def _rows(self, data: bytes, at: int) -> tuple[list[_Row | None], int]:
        rows: list[_Row | None] = []
        while self._started and at < len(data):
            if self._ended:
                raise MaskError("bytes behind the end of a COPY answer")
            cells, end = self._form.take(data, at)
            if end < 0:
                break
            if cells is None:
                self._ended = True
            elif len(cells) != len(self._masks):
                raise MaskError("a COPY row has another number of columns")
            rows.append(cells)
            at = end
        return rows, at

    def _emit(self, rows: list[_Row | None], out: list[bytes]) -> None:
        whole = [row for row in rows if row is not None]
        for at in range(len(self._masks)):
            self._column(at, whole)
        self.rows += len(whole)
        for row in rows:
            body = b"\xff\xff" if row is None else self._form.row(row)
            out.append(frame(b"d", self._head + body))
            self._head = b""

    def _column(self, at: int, rows: list[_Row]) -> None:
        """Rewrite one column of some rows in place."""
        mask, scan = self._masks[at], self._scans[at]
        rewriter = mask or scan
        if rewriter is None or not rows:
            return
        values = [self._form.decode(row[at]) for row in rows]
        if scan is not None:
            self._found(at, scan, rows, [value or b"" for value in values])
            return
        masked = 0
        for row, value in zip(rows, values, strict=True):
            if value is not None:
                self._put(row, at, value, carefully(rewriter, value))
                masked += 1
        duty = self._plan.columns[at]
        if duty is not None and masked:
            self._plan.counts[duty.label] = self._plan.counts.get(duty.label, 0) + masked

    def _found(self, at: int, scan: CellRewriter, rows: list[_Row], values: list[bytes]) -> None:
        """Let the detectors read a column's values where stage one points at them."""
        scanner = self._plan.scanner
        assert scanner is not None
        for index in suspects(scanner, values, [scan.needs_reading]):
            self._put(rows[index], at, values[index], carefully(scan, values[index]))

    def _put(self, row: _Row, at: int, value: bytes, new: bytes | None) -> None:
        if new is not value and new != value:
            row[at] = self._form.encode(new)
