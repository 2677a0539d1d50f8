"""Takes the rows of the target's answers: passed on by frame length where they owe nothing, masked where they do."""

from __future__ import annotations

from typing import Final

from checkrein.core.errors import MaskError, ProtocolError
from checkrein.core.framing import frame_size, run_of
from checkrein.core.limits import (
    CELL_BYTES,
    HELD_BYTES,
    HIDDEN_ROWS,
    MESSAGE_BYTES,
    SAMPLE_BYTES,
    SAMPLE_ROWS,
    WHOLE_ROW_BYTES,
)
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres import codec
from checkrein.protocols.postgres.answers import sample_rows
from checkrein.protocols.postgres.exchange import Entry, Result
from checkrein.protocols.postgres.planning import Planning
from checkrein.protocols.postgres.state import TARGET, State
from checkrein.protocols.postgres.telling import Broken

ROW: Final = 0x44
COPY_DATA: Final = 0x64


class Rows(Planning):
    """Takes runs of DataRow and CopyData for one session. `left`: bytes to come of a long row that owes nothing."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.left = 0

    def _pass_on(self, buffer: bytes, at: int) -> int:
        """Pass on the rest of a long row that owes nothing."""
        piece = buffer[at : at + self.left]
        self.left -= len(piece)
        result = self._running()
        if result is not None and not self._muted:
            result.take(piece)
            self.state.answer(piece)
        return at + len(piece)

    def _running(self) -> Result | None:
        queue = self.state.queue
        return queue[0].results[0] if queue and queue[0].results else None

    def _rows(self, buffer: bytes, at: int, kind: int) -> int:
        """Take a run of rows; return where the next message begins, `at` itself when more bytes are needed."""
        state = self.state
        head = state.queue[0] if state.queue else None
        if head is None or not (head.results or (kind == ROW and head.collect)):
            raise ProtocolError("rows that nobody asked for", TARGET)
        count, end = run_of(buffer, at, kind, 0x7FFFFFFF, TARGET)
        if head.hidden:
            if count:
                self._collect(head, buffer, at, end)
            elif len(buffer) - at > MESSAGE_BYTES:
                raise ProtocolError("a hidden answer is too long", TARGET)
            return end
        result = head.results[0]
        if kind == COPY_DATA and not result.copy:
            raise ProtocolError("copy data outside a copy", TARGET)
        if kind == ROW and not result.described and result.decision.owed:
            raise Broken(Refusal(code="witness", reason="rows came without a description"), result.act.data_modifying)
        if count:
            self._take(result, buffer, at, end, count, kind)
        elif result.masker is None and result.plan is None and state.held is None:
            whole = frame_size(buffer, at, 0x7FFFFFFF, TARGET)
            if whole <= WHOLE_ROW_BYTES:
                return at
            result.rows += 1
            self.left = whole
            return self._pass_on(buffer, at)
        elif len(buffer) - at > CELL_BYTES:
            raise Broken(Refusal(code="limit", reason="a row is too long to be masked"), result.act.data_modifying)
        return end

    def _collect(self, head: Entry, buffer: bytes, at: int, end: int) -> None:
        collected = head.collect
        if collected is None:
            raise ProtocolError("rows that nobody asked for", TARGET)
        while at < end:
            size = frame_size(buffer, at, MESSAGE_BYTES, TARGET)
            if len(collected.rows) >= HIDDEN_ROWS:
                raise ProtocolError("a hidden answer does not end", TARGET)
            collected.rows.append(codec.row_values(buffer[at + 5 : at + size]))
            at += size

    def _take(self, result: Result, buffer: bytes, at: int, end: int, count: int, kind: int) -> None:
        state = self.state
        if self._muted:
            return
        result.rows += count
        wrong = ""
        frames = b""
        if result.masker is None:
            frames = buffer if at == 0 and end == len(buffer) else buffer[at:end]
        else:
            try:
                frames = result.masker.rewrite(buffer, at, end)
            except MaskError as error:
                wrong = f"the answer cannot be masked: {error}"
        if wrong:
            self.fail(result, Refusal(code="mask_failed", reason=wrong))
            return
        result.take(frames)
        if kind == ROW and len(result.sample) < SAMPLE_ROWS and result.row_columns:
            self._sample(result, frames)
        state.answer(frames)
        if state.held is not None and state.held_bytes > HELD_BYTES:
            raise Broken(Refusal(code="limit", reason="the rows of a write are too many to be held"), True)

    def _sample(self, result: Result, frames: bytes) -> None:
        if result.decision.obligations.record != "full":
            return
        left = SAMPLE_ROWS - len(result.sample)
        types = self._types()
        try:
            result.sample.extend(sample_rows(frames, result.row_columns, types, left, SAMPLE_BYTES))
        except IndexError:
            raise ProtocolError("a malformed DataRow", TARGET) from None
