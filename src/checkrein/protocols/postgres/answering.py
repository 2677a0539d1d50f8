"""What the target says in the query phase: matched with what is owed, checked, masked, counted and passed on."""

from __future__ import annotations

from typing import Any, Final

from checkrein.core.errors import MaskError, ProtocolError
from checkrein.core.framing import frame, frame_size, run_of
from checkrein.core.limits import CELL_BYTES, HELD_BYTES, MESSAGE_BYTES, SAMPLE_BYTES, SAMPLE_ROWS
from checkrein.core.side import Side
from checkrein.core.steps import Answered, Describe, Scrub, Steps
from checkrein.core.verdict import Decision, Refusal
from checkrein.protocols.postgres import codec
from checkrein.protocols.postgres.answers import RowMasker, column_infos, parse_row_description, sample_rows
from checkrein.protocols.postgres.copy_formats import CopyMasker
from checkrein.protocols.postgres.errors import (
    error_response,
    field,
    fix_texts,
    parse_fields,
    plain_error,
    texts_of,
    with_texts,
)
from checkrein.protocols.postgres.exchange import (
    BIND,
    CLOSE,
    DESCRIBE,
    EXECUTE,
    LOCAL,
    NAMES,
    PARSE,
    QUERY,
    REFUSED,
    REFUSED_QUERY,
    SYNC,
    Entry,
    Result,
)
from checkrein.protocols.postgres.finishing import finished, rollback_names, settled
from checkrein.protocols.postgres.startup import encoding_of
from checkrein.protocols.postgres.state import State
from checkrein.protocols.postgres.witness import disagreement

ROW: Final = 0x44
COPY_DATA: Final = 0x64
ENCODINGS: Final = {"UTF8": "utf-8", "LATIN1": "latin-1", "SQL_ASCII": "utf-8"}
DESCRIBED_CACHE: Final = 256
"""Row descriptions remembered by their bytes, so that a repeated statement parses its description once."""


class Broken(Exception):
    """The session must end: an answer that may have had its effect cannot be given. The text is for the client."""

    def __init__(self, refusal: Refusal, unknown: bool = False) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
        self.unknown = unknown


class Answers:
    """Takes the target's messages for one session."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._left = 0
        self._muted = False
        self._failed_answer: Refusal | None = None
        self._described: dict[bytes, tuple[Any, ...]] = {}

    def receive(self, data: bytes) -> Steps[None]:
        """Take a chunk. Raises ProtocolError for what does not belong here, Broken when the session must end."""
        state = self.state
        buffer = state.incoming + data if state.incoming else data
        state.incoming = b""
        at = 0
        if self._left:
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
        piece = buffer[at : at + self._left]
        self._left -= len(piece)
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
        if kind == ROW and not result.described and result.decision.obligations.owed:
            raise Broken(Refusal(code="witness", reason="rows came without a description"), result.act.data_modifying)
        if count:
            yield from self._take(result, buffer, at, end, count, kind)
        elif result.masker is None and result.plan is None and state.held is None:
            whole = frame_size(buffer, at, 0x7FFFFFFF, Side.TARGET)
            if not whole:
                return at
            result.rows += 1
            self._left = whole
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
        if result.masker is not None:
            try:
                frames = result.masker.rewrite(buffer, at, end)
            except MaskError as error:
                yield from self.fail(
                    result, Refusal(code="mask_failed", reason=f"the answer cannot be masked: {error}")
                )
                return
        else:
            frames = buffer if at == 0 and end == len(buffer) else buffer[at:end]
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

    def fail(self, result: Result, refusal: Refusal) -> Steps[None]:
        """End an answer that runs with a native error: the rest of it is swallowed."""
        if result.act.data_modifying or result.act.kind in ("call", "do"):
            raise Broken(refusal, True)
        self.state.answer(error_response(refusal))
        self._muted = True
        self._failed_answer = refusal
        return
        yield Scrub(None, ())

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
        wrong = "" if act.copy_relation else disagreement(columns, result.decision.statement)
        if wrong:
            reason = f"the target describes the answer otherwise than it was read: {wrong}"
            return Refusal(code="witness", reason=reason)
        if columns is None:
            return None
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
        return None

    def _encoding(self) -> str:
        return "LATIN1" if self.state.encoding == "latin-1" else "UTF8"

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
            if result.decision.obligations.owed:
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
        if kind != 0x73 and not muted:
            finished(state, result.act, result.decision.statement)
        most = result.decision.obligations.rows_changed
        changed = codec.tag_count(tag)
        if most is not None and result.act.data_modifying and (changed is None or changed > most):
            raise Broken(Refusal(code="limit", reason=f"{changed} rows were changed and {most} are allowed"), True)
        if not muted:
            state.answer(data)
        yield self.summary(result, tag, "58000" if failed is not None else "")

    def summary(self, result: Result, tag: str = "", error: str = "", outcome: str = "") -> Answered:
        """Return the end of an answer for the journal."""
        return Answered(
            decision=result.decision,
            columns=result.columns,
            rows=result.rows if result.rows and not result.copy else codec.tag_count(tag),
            bytes=result.bytes,
            digest=result.digest.hexdigest() if result.digest is not None else "",
            sample=tuple(result.sample),
            masked=dict(result.plan.counts) if result.plan is not None else {},
            tag=tag,
            error=error,
            outcome=outcome or ("error" if error else "done"),
        )

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
            elif result.decision.obligations.owed and not result.described:
                raise Broken(Refusal(code="witness", reason="COPY owes masks and was not described"))
        if kind == 0x63 and result.masker is not None and not self._muted:
            try:
                self._copied(result, result.masker.finish())
            except MaskError as error:
                yield from self.fail(result, Refusal(code="mask_failed", reason=f"the copy cannot be masked: {error}"))
        if not self._muted:
            state.answer(data)

    def _copied(self, result: Result, frames: bytes) -> None:
        if frames:
            result.take(frames)
            self.state.answer(frames)

    def _ready(self, head: Entry, data: bytes) -> Steps[None]:
        state = self.state
        if len(data) != 6 or data[5] not in b"ITE":
            raise ProtocolError("a malformed ReadyForQuery", Side.TARGET)
        if head.kind == QUERY and head.results and head.code != "error":
            raise ProtocolError("a Query ended before its statements", Side.TARGET)
        state.queue.popleft()
        self._muted = False
        state.copy_in = state.copy_wait = None
        settled(state, data[5], head.segment)
        if head.collect is not None:
            head.collect.done = True
        if not head.hidden:
            self.release()
            state.answer(data)
        return
        yield Scrub(None, ())

    def release(self) -> None:
        """What was held may be seen now."""
        state = self.state
        held = state.held
        if held is None:
            return
        state.held = None
        state.held_rows = -1
        state.held_bytes = 0
        for piece in held:
            state.answer(piece)

    def drop_held(self) -> None:
        """An error ended what was held: its rows were never so."""
        state = self.state
        if state.held is not None:
            kept = state.held[: max(state.held_rows, 0)]
            state.held = None
            state.held_rows = -1
            state.held_bytes = 0
            for piece in kept:
                state.answer(piece)

    # --- errors and what comes by itself ---------------------------------------------------------

    def _error(self, data: bytes) -> Steps[None]:
        state = self.state
        queue = state.queue
        fields = parse_fields(data[5:])
        code = field(fields, b"C").decode("ascii", "replace")
        if field(fields, b"V") in (b"FATAL", b"PANIC") or not queue:
            decision = queue[0].decision if queue else None
            yield from self._say(0x45, data, decision)
            return
        head = queue[0]
        self.drop_held()
        if head.kind == REFUSED:
            yield from self._refused(head, data, code, head.name in field(fields, b"M"))
        elif head.kind == REFUSED_QUERY:
            if code != "42601" and code != "25P02":
                raise Broken(Refusal(code="protocol", reason="the target failed otherwise than it must"), True)
            assert head.refusal is not None
            state.answer(error_response(head.refusal, head.code))
        elif head.hidden and head.collect is not None and head.collect.purpose not in ("held", "pieces"):
            head.collect.error = head.collect.error or data
        elif not self._muted:
            yield from self._say(0x45, data, head.decision)
        yield from self._end_results(head, code)
        if head.kind not in (QUERY, REFUSED_QUERY, SYNC):
            yield from self._skip_to_sync(head)

    def _refused(self, head: Entry, data: bytes, code: str, ours: bool) -> Steps[None]:
        assert head.refusal is not None
        if (code == "26000" and ours) or code == "25P02":
            self.state.answer(error_response(head.refusal, head.code))
        else:
            yield from self._say(0x45, data, head.decision)

    def _end_results(self, head: Entry, code: str) -> Steps[None]:
        state = self.state
        outcome = "cancelled" if code == "57014" else ""
        for index, result in enumerate(head.results):
            if index == 0:
                yield self.summary(result, "", code, outcome)
            else:
                yield Answered(decision=result.decision, outcome="abandoned")
        head.results = []
        head.code = "error"
        if state.copy_wait is head or state.copy_in is head:
            state.copy_wait = state.copy_in = None
        rollback_names(state)

    def _skip_to_sync(self, head: Entry) -> Steps[None]:
        """The server ignores everything up to Sync: nothing of it will be answered, and its names are as before."""
        state = self.state
        skipped: list[Entry] = []
        while state.queue and state.queue[0].kind != SYNC:
            skipped.append(state.queue.popleft())
        for entry in reversed(skipped):
            if entry.undo is not None:
                state.restore(entry.undo)
            if entry.collect is not None and not entry.collect.done:
                entry.collect.done = True
                entry.collect.error = entry.collect.error or b"skipped"
        for entry in skipped:
            for result in entry.results:
                yield Answered(decision=result.decision, outcome="abandoned")
            if entry.kind == QUERY or entry.kind == REFUSED_QUERY:
                continue
        if head.segment == state.segment:
            state.skipping = True
        state.copy_wait = state.copy_in = None

    def _say(self, kind: int, data: bytes, decision: Decision | None) -> Steps[None]:
        """Pass an error or notice on with its texts fixed or scrubbed."""
        payload = data[5:]
        if decision is not None and decision.obligations.fixed_texts:
            data = frame(bytes([kind]), fix_texts(payload))
        elif decision is None or decision.obligations.detect:
            texts = texts_of(payload)
            clean = yield Scrub(decision, texts)
            if clean is not None and tuple(clean) != texts:
                data = frame(bytes([kind]), with_texts(payload, tuple(clean)))
        self.state.answer(data)

    def _notice(self, data: bytes) -> Steps[None]:
        queue = self.state.queue
        head = queue[0] if queue else None
        if head is not None and head.hidden and head.collect is not None:
            return
        yield from self._say(0x4E, data, head.decision if head is not None else None)

    def _notification(self, data: bytes) -> Steps[None]:
        parts = data[9:].split(b"\0")
        if len(parts) != 3 or parts[2]:
            raise ProtocolError("a malformed NotificationResponse", Side.TARGET)
        clean = yield Scrub(None, (parts[1],))
        payload = parts[1] if clean is None else clean[0]
        self.state.answer(frame(b"A", data[5:9] + parts[0] + b"\0" + payload.replace(b"\0", b"") + b"\0"))

    def _parameter(self, data: bytes) -> None:
        parts = data[5:].split(b"\0")
        if len(parts) != 3 or parts[2]:
            raise ProtocolError("a malformed ParameterStatus", Side.TARGET)
        name, value = parts[0], parts[1].decode("utf-8", "replace")
        state = self.state
        if name == b"client_encoding":
            known = encoding_of(value)
            if not known:
                raise Broken(Refusal(code="protocol", reason="the client encoding became one with traps"))
            state.encoding = ENCODINGS[known]
        elif name == b"standard_conforming_strings" and value != "on":
            raise Broken(Refusal(code="protocol", reason="standard_conforming_strings is no longer on"))
        elif name == b"search_path":
            state.names_dirty = True
        elif name == b"application_name":
            return
        state.answer(data)


def _expected() -> dict[tuple[int, int], str]:
    """What may answer what: the table of the query phase. Errors and asynchronous messages are apart."""
    table = {
        (PARSE, "1"): "confirm",
        (BIND, "2"): "confirm",
        (CLOSE, "3"): "confirm",
        (DESCRIBE, "t"): "parameters",
        (DESCRIBE, "T"): "description",
        (DESCRIBE, "n"): "description",
        (QUERY, "T"): "description",
        (SYNC, "Z"): "ready",
        (REFUSED_QUERY, "Z"): "ready",
        (QUERY, "Z"): "ready",
        (EXECUTE, "s"): "complete",
    }
    for kind in (EXECUTE, QUERY):
        table |= {(kind, letter): "complete" for letter in "CI"} | {(kind, letter): "copy" for letter in "GHc"}
    return {(kind, ord(letter)): what for (kind, letter), what in table.items()}


EXPECTED: Final = _expected()
__all__ = ["Answers", "Broken", "plain_error"]
