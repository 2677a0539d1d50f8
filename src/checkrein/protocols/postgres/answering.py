"""What the target says in the query phase: matched with what is owed, checked, masked, counted and passed on."""

from __future__ import annotations

from typing import Any, Final

from checkrein.core.errors import MaskError, ProtocolError
from checkrein.core.framing import frame_size, run_of
from checkrein.core.limits import CELL_BYTES, HELD_BYTES, MESSAGE_BYTES, SAMPLE_BYTES, SAMPLE_ROWS, WHOLE_ROW_BYTES
from checkrein.core.side import Side
from checkrein.core.steps import Describe, Steps
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres import codec
from checkrein.protocols.postgres.answers import RowMasker, column_infos, parse_row_description, sample_rows
from checkrein.protocols.postgres.copy_formats import CopyMasker
from checkrein.protocols.postgres.exchange import (
    EXECUTE,
    LOCAL,
    NAMES,
    QUERY,
    REFUSED,
    REFUSED_QUERY,
    Entry,
    Result,
)
from checkrein.protocols.postgres.finishing import end_copy, finished
from checkrein.protocols.postgres.planned import Plans
from checkrein.protocols.postgres.startup import encoding_of
from checkrein.protocols.postgres.state import State
from checkrein.protocols.postgres.telling import Broken, Telling
from checkrein.protocols.postgres.transitions import EXPECTED
from checkrein.protocols.postgres.witness import disagreement

ROW: Final = 0x44
COPY_DATA: Final = 0x64
DESCRIBED_CACHE: Final = 256
"""Row descriptions remembered by their bytes, so that a repeated statement parses its description once."""


class Answers(Telling):
    """Takes the target's messages for one session."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.left = 0
        self._described: dict[bytes, tuple[Any, ...]] = {}
        self._plans = Plans()

    def receive(self, data: bytes) -> Steps[None]:
        """Take a chunk. Raises ProtocolError for what does not belong here, Broken when the session must end."""
        state = self.state
        buffer = state.incoming + data if state.incoming else data
        state.incoming = b""
        at = 0
        if self.left:
            at = self._pass_on(buffer, 0)
        size = len(buffer)
        while at < size:
            kind = buffer[at]
            if kind in (ROW, COPY_DATA):
                after = yield from self._rows(buffer, at, kind)
                if after == at:
                    break
                at = after
                continue
            length = frame_size(buffer, at, MESSAGE_BYTES, Side.TARGET)
            if not length or at + length > size:
                break
            yield from self._message(kind, buffer[at : at + length])
            at += length
        if at < size:
            state.incoming = buffer[at:]

    # --- rows ----------------------------------------------------------------------------------

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

    def _rows(self, buffer: bytes, at: int, kind: int) -> Steps[int]:
        """Take a run of rows; return where the next message begins, `at` itself when more bytes are needed."""
        state = self.state
        head = state.queue[0] if state.queue else None
        if head is None or (kind == ROW and not (head.results or head.collect)):
            raise ProtocolError("rows that nobody asked for", Side.TARGET)
        count, end = run_of(buffer, at, kind, 0x7FFFFFFF, Side.TARGET)
        if head.hidden:
            if count:
                self._collect(head, buffer, at, end)
            elif len(buffer) - at > MESSAGE_BYTES:
                raise ProtocolError("a hidden answer is too long", Side.TARGET)
            return end
        result = head.results[0]
        if head.kind == EXECUTE:
            yield from self.execute_begins(head)
        if kind == COPY_DATA and not result.copy:
            raise ProtocolError("copy data outside a copy", Side.TARGET)
        if kind == ROW and not result.described and result.decision.owed:
            raise Broken(Refusal(code="witness", reason="rows came without a description"), result.act.data_modifying)
        if count:
            yield from self._take(result, buffer, at, end, count, kind)
        elif result.masker is None and result.plan is None and state.held is None:
            whole = frame_size(buffer, at, 0x7FFFFFFF, Side.TARGET)
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
            raise ProtocolError("rows that nobody asked for", Side.TARGET)
        while at < end:
            size = frame_size(buffer, at, MESSAGE_BYTES, Side.TARGET)
            if len(collected.rows) >= 65536:
                raise ProtocolError("a hidden answer does not end", Side.TARGET)
            collected.rows.append(codec.row_values(buffer[at + 5 : at + size]))
            at += size

    def _take(self, result: Result, buffer: bytes, at: int, end: int, count: int, kind: int) -> Steps[None]:
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
            yield from self.fail(result, Refusal(code="mask_failed", reason=wrong))
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
            raise ProtocolError("a malformed DataRow", Side.TARGET) from None

    def _types(self) -> dict[int, Any]:
        catalog = self.state.catalog
        return catalog.types if catalog is not None else {}

    # --- everything else -----------------------------------------------------------------------

    def _message(self, kind: int, data: bytes) -> Steps[None]:
        if kind == 0x4E:
            yield from self._notice(data)
        elif kind == 0x41:
            yield from self._notification(data)
        elif kind == 0x53:
            self._parameter(data)
        elif kind == 0x45:
            yield from self._error(data)
        else:
            yield from self._reply(kind, data)
        self.local_replies()

    def local_replies(self) -> None:
        """Answer what the gateway itself owes, once it is its turn."""
        queue = self.state.queue
        while queue and queue[0].kind == LOCAL:
            self.state.answer(queue.popleft().reply)

    def _reply(self, kind: int, data: bytes) -> Steps[None]:
        queue = self.state.queue
        if not queue:
            raise ProtocolError(f"message {chr(kind)!r} answers nothing", Side.TARGET)
        head = queue[0]
        wanted = EXPECTED.get((head.kind, kind))
        if wanted is None:
            what = f"message {chr(kind)!r} does not answer {NAMES.get(head.kind, '')}"
            if head.kind in (REFUSED, REFUSED_QUERY):
                raise Broken(Refusal(code="protocol", reason="the target did not fail where it must"), True)
            raise ProtocolError(what, Side.TARGET)
        if wanted == "confirm":
            self._confirm(head, data)
        elif wanted == "parameters":
            self._parameters(head, data)
        elif wanted == "description":
            yield from self._description(head, kind, data)
        elif wanted == "complete":
            yield from self._complete(head, kind, data)
        elif wanted == "copy":
            yield from self._copy(head, kind, data)
        elif wanted == "ready":
            yield from self._ready(head, data)

    def _confirm(self, head: Entry, data: bytes) -> None:
        state = self.state
        state.queue.popleft()
        if head.prepared is not None:
            head.prepared.segment = -1
        if head.portal is not None:
            head.portal.segment = -1
        if not head.hidden:
            state.answer(data)

    def _parameters(self, head: Entry, data: bytes) -> None:
        count = int.from_bytes(data[5:7], "big")
        if len(data) != 7 + 4 * count:
            raise ProtocolError("a malformed ParameterDescription", Side.TARGET)
        if head.collect is not None:
            head.collect.parameters = count
        if head.prepared is not None and head.portal is None:
            head.prepared.types = tuple(
                int.from_bytes(data[7 + 4 * index : 11 + 4 * index], "big") for index in range(count)
            )
        if not head.hidden:
            self.state.answer(data)

    def _columns(self, kind: int, data: bytes) -> tuple[Any, ...] | None:
        """Read a RowDescription; None for NoData."""
        if kind == 0x6E:
            if len(data) != 5:
                raise ProtocolError("a malformed NoData", Side.TARGET)
            return None
        known = self._described.get(data)
        if known is None:
            known = parse_row_description(data[5:])
            if len(self._described) >= DESCRIBED_CACHE:
                self._described.clear()
            self._described[data] = known
        return known

    def _description(self, head: Entry, kind: int, data: bytes) -> Steps[None]:
        state = self.state
        columns = self._columns(kind, data)
        if head.kind == QUERY:
            result = head.results[0]
            yield from self.describe_result(result, columns)
            if not self._muted:
                state.answer(data)
            return
        state.queue.popleft()
        if head.collect is not None:
            head.collect.descriptions.append(() if columns is None else columns)
            head.collect.rows.append((data,))
            if head.collect.purpose in ("held", "pieces"):
                head.collect.done = True
        if head.portal is not None:
            head.portal.columns = () if columns is None else columns
        elif head.prepared is not None:
            head.prepared.columns = () if columns is None else columns
        if not head.hidden:
            state.answer(data)

    def describe_result(self, result: Result, columns: tuple[Any, ...] | None) -> Steps[None]:
        """Hold a description against the prediction and fix the mask plan."""
        decision = result.decision
        result.described = True
        if columns:
            result.row_columns = columns
            result.columns = tuple([column.name for column in columns])
        if not decision.obligations.owed:
            return
        refusal = yield from self.plan(result, columns)
        if refusal is not None:
            yield from self.fail(result, refusal)

    def plan(self, result: Result, columns: tuple[Any, ...] | None) -> Steps[Refusal | None]:
        """Ask for the plan of a described result; a Refusal where the witness disagrees or a duty cannot be met."""
        act = result.act
        plain = columns is not None and act.kind != "copy_out" and result.decision.statement.outputs is not None
        if plain and self._plans.before(result, columns, self._types()):
            return None
        silent = columns is None and not act.returns_rows
        wrong = "" if act.copy_relation or silent else disagreement(columns, result.decision.statement)
        if wrong:
            reason = f"the target describes the answer otherwise than it was read: {wrong}"
            return Refusal(code="witness", reason=reason)
        if columns is None:
            return None
        if act.copy_encoding and encoding_of(act.copy_encoding) != self._encoding():
            return Refusal(code="mask_failed", reason="COPY with an ENCODING other than the session's cannot be masked")
        types = self._types()
        found = yield Describe(result.decision, column_infos(columns, result.decision.statement, types))
        if isinstance(found, Refusal):
            return found
        if found is not None:
            result.plan = found
            try:
                if act.kind == "copy_out":
                    form, options = act.copy_format, act.copy_options
                    result.masker = CopyMasker(found, columns, types, form, options, self._encoding())
                else:
                    result.masker = RowMasker(found, columns, types, self._encoding())
            except MaskError as error:
                return Refusal(code="mask_failed", reason=f"the answer cannot be masked: {error}")
        if plain:
            self._plans.remember(result, columns, types)
        return None

    def execute_begins(self, head: Entry) -> Steps[None]:
        """The first answer to an Execute: its portal's description is known by now if anyone asked for it."""
        result = head.results[0]
        if head.code == "hold" and self.state.held is None:
            self.state.held = []
            self.state.held_rows = 0
        portal = head.portal
        if result.described or portal is None:
            return
        columns = portal.columns
        if columns is None:
            columns = portal.prepared.columns
            if columns is None:
                return
            result.columns = tuple([column.name for column in columns])
            if result.decision.owed:
                return
            result.described = True
            return
        yield from self.describe_result(result, columns or None)

    def _complete(self, head: Entry, kind: int, data: bytes) -> Steps[None]:
        """CommandComplete, EmptyQueryResponse or PortalSuspended: one statement ended."""
        state = self.state
        if head.hidden:
            state.queue.popleft()
            return
        if not head.results:
            raise ProtocolError("more statements ended than were sent", Side.TARGET)
        if head.kind == EXECUTE:
            yield from self.execute_begins(head)
            state.queue.popleft()
        result = head.results.pop(0)
        tag = data[5:-1].decode("ascii", "replace") if kind == 0x43 else ""
        failed, self._failed_answer, muted = self._failed_answer, None, self._muted
        if head.kind == EXECUTE or not head.results:
            self._muted = muted and head.kind == QUERY
        state.copy_in = None
        state.copy_wait = None
        if result.decision.obligations.fixed_texts and (result.act.data_modifying or result.act.kind != "select"):
            state.wrote_masked = result.decision
        if kind != 0x73 and not muted:
            finished(state, result.act, result.decision.statement)
        most = result.decision.obligations.rows_changed
        changed = codec.tag_count(tag)
        if most is not None and result.act.data_modifying and (changed is None or changed > most):
            raise Broken(Refusal(code="limit", reason=f"{changed} rows were changed and {most} are allowed"), True)
        if not muted:
            state.answer(data)
        yield self.summary(result, tag, "58000" if failed is not None else "")

    def _copy(self, head: Entry, kind: int, data: bytes) -> Steps[None]:
        """CopyInResponse, CopyOutResponse, CopyDone: the statement must be the copy that was read."""
        state = self.state
        result = head.results[0] if head.results else None
        if result is None or result.act.kind not in ("copy_in", "copy_out"):
            raise Broken(Refusal(code="witness", reason="the target copies where no COPY was read"), True)
        if kind == 0x63:
            if not result.copy or result.act.kind != "copy_out":
                raise ProtocolError("CopyDone outside a copy", Side.TARGET)
        elif (kind == 0x47) != (result.act.kind == "copy_in"):
            raise Broken(Refusal(code="witness", reason="the target copies the other way"), True)
        else:
            result.copy = True
            if kind == 0x47:
                state.copy_in, state.copy_wait = head, None
            elif result.decision.owed and not result.described:
                raise Broken(Refusal(code="witness", reason="COPY owes masks and was not described"))
        if kind == 0x63 and result.masker is not None and not self._muted:
            wrong = end_copy(state, result)
            if wrong:
                yield from self.fail(result, Refusal(code="mask_failed", reason=wrong))
        if not self._muted:
            state.answer(data)
