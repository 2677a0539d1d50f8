"""What the target says in the query phase: matched with what is owed, checked, masked, counted and passed on."""

from __future__ import annotations

from checkrein.core.errors import ProtocolError
from checkrein.core.framing import HEADER, frame_size, int32_at
from checkrein.core.limits import MESSAGE_BYTES
from checkrein.core.steps import Steps
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres import codec
from checkrein.protocols.postgres.exchange import (
    EXECUTE,
    LOCAL,
    NAMES,
    QUERY,
    REFUSED,
    REFUSED_QUERY,
    Entry,
)
from checkrein.protocols.postgres.finishing import end_copy, finished
from checkrein.protocols.postgres.state import ENDS_BLOCK, TARGET, State
from checkrein.protocols.postgres.taking import COPY_DATA, ROW, Rows
from checkrein.protocols.postgres.telling import Broken
from checkrein.protocols.postgres.transitions import EXPECTED


class Answers(Rows):
    """Takes the target's messages for one session."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._buffer = b""
        self._at = 0
        self._pieces: list[bytes] = []
        self._missing = 0

    def receive(self, data: bytes) -> Steps[None] | None:
        """Take a chunk; return the steps that are left to do, None when there are none.

        Raises ProtocolError for what does not belong here, Broken when the session must end; so may the steps.
        """
        if self._pieces:
            self._pieces.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return None
            data = b"".join(self._pieces)
            self._pieces.clear()
        self._buffer = data
        self._at = self._pass_on(data, 0) if self.left else 0
        rest = self._go_on()
        return None if rest is None else self._finish(rest)

    def _finish(self, rest: Steps[None] | None) -> Steps[None]:
        while rest is not None:
            yield from rest
            rest = self._go_on()

    def _go_on(self) -> Steps[None] | None:
        """Take messages up to the end of the chunk, or up to one that leaves steps to do."""
        buffer = self._buffer
        size = len(buffer)
        at = self._at
        rest: Steps[None] | None = None
        while at < size and rest is None:
            kind = buffer[at]
            if kind in (ROW, COPY_DATA):
                self._at = at
                rest = self._before_rows(kind)
                if rest is not None:
                    return rest
                after = self._rows(buffer, at, kind)
                if after == at:
                    break
                at = after
                continue
            length = frame_size(buffer, at, MESSAGE_BYTES, TARGET)
            if not length or at + length > size:
                break
            rest = self._message(kind, buffer[at : at + length])
            at += length
        self._at = at
        if rest is None:
            if at < size:
                self._keep(buffer[at:])
            self._buffer = b""
        return rest

    def _keep(self, begun: bytes) -> None:
        """Keep the beginning of a message until it is worth another look: all there, or twice as much as now.

        Joined at every arrival, a long message that comes in small pieces would be copied each time.
        """
        held = len(begun)
        size = int32_at(begun, 1) + 1 if held >= HEADER else HEADER
        self._pieces.append(begun)
        self._missing = min(size, 2 * held) - held

    def _before_rows(self, kind: int) -> Steps[None] | None:
        """The first rows of an Execute: what they owe must be settled before they are looked at."""
        queue = self.state.queue
        head = queue[0] if queue else None
        if head is None or head.hidden or head.kind != EXECUTE or not head.results:
            return None
        return self.execute_begins(head)

    # --- everything else -----------------------------------------------------------------------

    def _message(self, kind: int, data: bytes) -> Steps[None] | None:
        """Take one message that is not a row; return the steps that are left to do."""
        rest: Steps[None] | None = None
        if kind == 0x4E:
            rest = self._notice(data)
        elif kind == 0x41:
            rest = self._notification(data)
        elif kind == 0x53:
            self._parameter(data)
        elif kind == 0x45:
            rest = self._error(data)
        else:
            rest = self._reply(kind, data)
        if rest is not None:
            return self._then_local(rest)
        self.local_replies()
        return None

    def _then_local(self, rest: Steps[None]) -> Steps[None]:
        yield from rest
        self.local_replies()

    def local_replies(self) -> None:
        """Answer what the gateway itself owes, once it is its turn."""
        queue = self.state.queue
        while queue and queue[0].kind == LOCAL:
            self.state.answer(queue.popleft().reply)

    def _reply(self, kind: int, data: bytes) -> Steps[None] | None:
        queue = self.state.queue
        if not queue:
            raise ProtocolError(f"message {chr(kind)!r} answers nothing", TARGET)
        head = queue[0]
        wanted = EXPECTED[head.kind].get(kind)
        if wanted is None:
            what = f"message {chr(kind)!r} does not answer {NAMES.get(head.kind, '')}"
            if head.kind in (REFUSED, REFUSED_QUERY):
                raise Broken(Refusal(code="protocol", reason="the target did not fail where it must"), True)
            raise ProtocolError(what, TARGET)
        if wanted == "description":
            return self._description(head, kind, data)
        if wanted == "complete":
            return self._complete(head, kind, data)
        if wanted == "confirm":
            self._confirm(head, data)
        elif wanted == "ready":
            self._ready(head, data)
        elif wanted == "parameters":
            self._parameters(head, data)
        else:
            self._copy(head, kind, data)
        return None

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
        count = (len(data) - 7) // 4  # a server prepares what has more than its 16-bit count can say, and never runs it
        if len(data) < 7 or len(data) != 7 + 4 * count or count & 0xFFFF != int.from_bytes(data[5:7], "big"):
            raise ProtocolError("a malformed ParameterDescription", TARGET)
        if head.collect is not None:
            head.collect.parameters = count
        if head.prepared is not None and head.portal is None:
            head.prepared.types = tuple(
                int.from_bytes(data[7 + 4 * index : 11 + 4 * index], "big") for index in range(count)
            )
        if not head.hidden:
            self.state.answer(data)

    def _description(self, head: Entry, kind: int, data: bytes) -> Steps[None] | None:
        state = self.state
        columns = self._columns(kind, data)
        if head.kind == QUERY:
            rest = self.describe_result(head.results[0], columns)
            if rest is not None:
                return self._then_answer(rest, data)
            state.answer(data)
            return None
        state.queue.popleft()
        if head.collect is not None:
            head.collect.descriptions.append(() if columns is None else columns)
            head.collect.rows.append((data,))
            if head.collect.told:
                head.collect.done = True
        if head.portal is not None:
            head.portal.columns = () if columns is None else columns
        elif head.prepared is not None:
            head.prepared.columns = () if columns is None else columns
        if not head.hidden:
            state.answer(data)
        return None

    def _then_answer(self, rest: Steps[None], data: bytes) -> Steps[None]:
        yield from rest
        if not self._muted:
            self.state.answer(data)

    def _complete(self, head: Entry, kind: int, data: bytes) -> Steps[None] | None:
        """CommandComplete, EmptyQueryResponse or PortalSuspended: one statement ended."""
        if head.hidden:
            self.state.queue.popleft()
            return None
        if not head.results:
            raise ProtocolError("more statements ended than were sent", TARGET)
        rest = self.execute_begins(head) if head.kind == EXECUTE else None
        if rest is not None:
            return self._then_completed(rest, head, kind, data)
        self._completed(head, kind, data)
        return None

    def _then_completed(self, rest: Steps[None], head: Entry, kind: int, data: bytes) -> Steps[None]:
        yield from rest
        self._completed(head, kind, data)

    def _completed(self, head: Entry, kind: int, data: bytes) -> None:
        state = self.state
        if head.kind == EXECUTE:
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
        if result.act.kind in ENDS_BLOCK:
            state.block_over = True
        if kind != 0x73 and not muted:
            finished(state, result.act, result.decision.statement)
        most = result.decision.obligations.rows_changed
        changed = codec.tag_count(tag)
        if most is not None and result.act.data_modifying and (changed is None or changed > most):
            raise Broken(Refusal(code="limit", reason=f"{changed} rows were changed and {most} are allowed"), True)
        if not muted:
            state.answer(data)
        state.notes.append(self.summary(result, tag, "58000" if failed is not None else ""))

    def _copy(self, head: Entry, kind: int, data: bytes) -> None:
        """CopyInResponse, CopyOutResponse, CopyDone: the statement must be the copy that was read."""
        state = self.state
        result = head.results[0] if head.results else None
        if result is None or result.act.kind not in ("copy_in", "copy_out"):
            raise Broken(Refusal(code="witness", reason="the target copies where no COPY was read"), True)
        if kind == 0x63:
            if not result.copy or result.act.kind != "copy_out":
                raise ProtocolError("CopyDone outside a copy", TARGET)
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
                self.fail(result, Refusal(code="mask_failed", reason=wrong))
        if not self._muted:
            state.answer(data)
