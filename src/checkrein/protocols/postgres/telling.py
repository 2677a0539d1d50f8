"""How answers end and fail, and what the target says by itself: errors, notices, notifications, parameters."""

from __future__ import annotations

from typing import Any, Final

from checkrein.core.decision import Decision
from checkrein.core.errors import ProtocolError
from checkrein.core.framing import frame
from checkrein.core.side import Side
from checkrein.core.steps import Answered, Scrub, Steps
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres import codec
from checkrein.protocols.postgres.errors import (
    error_response,
    field,
    fix_texts,
    parse_fields,
    texts_of,
    with_texts,
)
from checkrein.protocols.postgres.exchange import QUERY, REFUSED, REFUSED_QUERY, SYNC, Entry, Result
from checkrein.protocols.postgres.finishing import rollback_names, settled
from checkrein.protocols.postgres.startup import encoding_of
from checkrein.protocols.postgres.state import State

ENCODINGS: Final = {"UTF8": "utf-8", "LATIN1": "latin-1", "SQL_ASCII": "utf-8"}

_ENDS: Final = frozenset({"commit", "prepare_transaction", "set", "call", "do", "execute"})
"""Statements that may run what was deferred: the end of a transaction, SET CONSTRAINTS, and what may hold them."""


class Broken(Exception):
    """The session must end: an answer that may have had its effect cannot be given. The text is for the client."""

    def __init__(self, refusal: Refusal, unknown: bool = False) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
        self.unknown = unknown


class Telling:
    """The part of a session's answers that is not rows."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._muted = False
        self._failed_answer: Refusal | None = None

    def fail(self, result: Result, refusal: Refusal) -> None:
        """End an answer that runs with a native error: the rest of it is swallowed."""
        if result.act.data_modifying or result.act.kind in ("call", "do"):
            raise Broken(refusal, True)
        self.state.answer(error_response(refusal))
        self._muted = True
        self._failed_answer = refusal

    def _encoding(self) -> str:
        return "LATIN1" if self.state.encoding == "latin-1" else "UTF8"

    def summary(self, result: Result, tag: str = "", error: str = "", outcome: str = "") -> Answered:
        """Return the end of an answer for the journal."""
        masked = dict(result.plan.counts) if result.plan is not None else {}
        if result.planned is not None:
            result.planned.busy = False
        return Answered(
            decision=result.decision,
            columns=result.columns,
            rows=result.rows if result.rows and not result.copy else codec.tag_count(tag),
            bytes=result.bytes,
            digest=result.digest.hexdigest() if result.digest is not None else "",
            sample=tuple(result.sample),
            masked=masked,
            tag=tag,
            error=error,
            outcome=outcome or ("error" if error else "done"),
        )

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
        fatal = field(fields, b"V") in (b"FATAL", b"PANIC")
        state.doomed = state.doomed or fatal
        if fatal or not queue:
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
        elif head.hidden and head.collect is not None and not head.collect.told:
            head.collect.error = head.collect.error or data
        elif not self._muted:
            yield from self._say(0x45, data, self._speaker(head))
        self._end_results(head, code)
        if head.kind not in (QUERY, REFUSED_QUERY, SYNC):
            self._skip_to_sync(head)

    def _refused(self, head: Entry, data: bytes, code: str, ours: bool) -> Steps[None]:
        assert head.refusal is not None
        if (code == "26000" and ours) or code == "25P02":
            self.state.answer(error_response(head.refusal, head.code))
        else:
            yield from self._say(0x45, data, head.decision)

    def _end_results(self, head: Entry, code: str) -> None:
        state = self.state
        outcome = "cancelled" if code == "57014" else ""
        for index, result in enumerate(head.results):
            if index == 0:
                state.notes.append(self.summary(result, "", code, outcome))
            else:
                state.notes.append(Answered(decision=result.decision, outcome="abandoned"))
        head.results = []
        head.code = "error"
        if state.copy_wait is head or state.copy_in is head:
            state.copy_wait = state.copy_in = None
        rollback_names(state)

    def _skip_to_sync(self, head: Entry) -> None:
        """The server ignores everything up to Sync: nothing of it will be answered, and its names are as before."""
        state = self.state
        skipped: list[Entry] = []
        while state.queue and state.queue[0].kind != SYNC:
            skipped.append(state.queue.popleft())
        before: dict[tuple[bool, bytes], Any] = {}
        for entry in reversed(skipped):
            if entry.undo is not None:
                before[entry.undo[0], entry.undo[1]] = entry.undo[2]
            if entry.collect is not None and not entry.collect.done:
                entry.collect.done = True
                entry.collect.error = entry.collect.error or b"skipped"
        state.take_back(before)
        for entry in skipped:
            for result in entry.results:
                state.notes.append(Answered(decision=result.decision, outcome="abandoned"))
        if not state.queue:  # no Sync was sent yet; a Query is none, and is ignored too
            state.skipping = True
        state.copy_wait = state.copy_in = None

    def _speaker(self, head: Entry) -> Decision | None:
        """Return the decision whose duties an error or notice is under: that of the statement that runs.

        What ends a transaction, or checks constraints now, speaks of the rows that were written in it.
        """
        running = head.results[0] if head.results else None
        wrote = self.state.wrote_masked
        if wrote is not None:
            last = head.kind == SYNC or (head.kind == QUERY and len(head.results) < 2 and self.state.status == 73)
            if last or (running is not None and running.act.kind in _ENDS):
                return wrote
        return running.decision if running is not None else head.decision

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
        yield from self._say(0x4E, data, self._speaker(head) if head is not None else None)

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

    def _ready(self, head: Entry, data: bytes) -> None:
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
            state.release()
            state.answer(data)
