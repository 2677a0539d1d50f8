"""A toy protocol of lines, only for tests: it shows that a protocol is added without touching another layer.

Client: `LOGIN target profile token`, then `SAY word text`. The target answers each line it is sent with `= ` and the
line. A refused line is answered `! reason`. A word is the object that policy names; every answer line is one text cell.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib

from checkrein.core.decision import Decision
from checkrein.core.identity import Claim, LoginRefused, Secret
from checkrein.core.maskplan import ColumnInfo, MaskPlan
from checkrein.core.session import Killed, SessionContext, SessionEvent
from checkrein.core.side import Side
from checkrein.core.spec import ProtocolSpec, SelectorVocabulary
from checkrein.core.statement import Effect, Output, Statement
from checkrein.core.steps import (
    Answered,
    Authenticate,
    Close,
    Decide,
    Describe,
    Dial,
    Scrub,
    Send,
    Steps,
)
from checkrein.core.target import Link
from checkrein.core.verdict import Refusal

LINE_BYTES = 64 * 1024


def read(text: str, catalog: object = None) -> tuple[Statement, ...]:
    """Return the statement of one line: `SAY word text`; anything else concedes."""
    verb, _, rest = text.partition(" ")
    word = rest.partition(" ")[0]
    if verb != "SAY" or not word:
        return (Statement(protocol="echo", text=text, complete=False, conceded="only SAY word text is known"),)
    effect = Effect(verb="say", object=word, kind="word")
    writes = word == "write"
    output = Output(name="answer", how="computed")
    return (
        Statement(
            protocol="echo", text=text, verbs=("say",), effects=(effect,), outputs=(output,), writes=writes, version="1"
        ),
    )


class EchoSession:
    """The sans-IO session of the toy protocol."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._input: dict[Side, bytes] = {Side.CLIENT: b"", Side.TARGET: b""}
        self._open: collections.deque[Decision | Refusal] = collections.deque()
        self._ready = False

    def open(self, now: float) -> Steps[None]:
        """Greet the client."""
        yield Send(Side.CLIENT, b"hello\n")

    def receive(self, side: Side, data: bytes, now: float) -> Steps[None]:
        """Take whole lines."""
        *lines, rest = (self._input[side] + data).split(b"\n")
        self._input[side] = rest
        for line in lines:
            yield from self._from_client(line) if side is Side.CLIENT else self._from_target(line)
        if len(rest) > LINE_BYTES:
            yield Send(Side.CLIENT, b"! a line is longer than it may be\n")
            yield Close(Side.CLIENT, "a line over its limit")

    def _from_client(self, line: bytes) -> Steps[None]:
        if not self._ready:
            yield from self._login(line)
            return
        try:
            text = line.decode()
        except UnicodeDecodeError:
            yield Send(Side.CLIENT, b"! a line that is not UTF-8\n")
            yield Close(Side.CLIENT, "a line that is not UTF-8")
            return
        decision: Decision = yield Decide(read(text)[0])
        if decision.refusal is None:
            self._open.append(decision)
            yield Send(Side.TARGET, line + b"\n", decision)
        elif self._open:
            self._open.append(decision.refusal)
        else:
            yield Send(Side.CLIENT, _refused(decision.refusal))

    def _login(self, line: bytes) -> Steps[None]:
        words = line.decode(errors="replace").split(" ")
        if len(words) != 4 or words[0] != "LOGIN":
            yield Send(Side.CLIENT, b"! LOGIN target profile token\n")
            yield Close(Side.CLIENT, "no login")
            return
        claim = Claim(Secret(words[3]), words[1], words[2], self._context.client)
        principal = yield Authenticate(claim)
        if isinstance(principal, LoginRefused):
            yield Send(Side.CLIENT, f"! {principal.reason}\n".encode())
            yield Close(Side.CLIENT, "login refused")
            return
        link = yield Dial()
        if not isinstance(link, Link):
            yield Send(Side.CLIENT, f"! {link.reason}\n".encode())
            yield Close(Side.CLIENT, "the target is away")
            return
        self._ready = True
        yield Send(Side.CLIENT, b"welcome\n")

    def _from_target(self, line: bytes) -> Steps[None]:
        if not self._open or isinstance(self._open[0], Refusal):
            yield Close(Side.CLIENT, "the target answered what nobody asked")
            return
        decision = self._open.popleft()
        assert isinstance(decision, Decision)
        plan = yield Describe(decision, (ColumnInfo(name="answer"),))
        masked = self._masked(line, plan)
        yield Send(Side.CLIENT, masked + b"\n")
        yield Answered(
            decision=decision,
            columns=("answer",),
            rows=1,
            bytes=len(masked) + 1,
            sample=((masked.decode(errors="replace"),),),
            masked=dict(plan.counts) if plan else {},
        )
        while self._open and isinstance(self._open[0], Refusal):
            yield Send(Side.CLIENT, _refused(self._open.popleft()))

    def _masked(self, line: bytes, plan: MaskPlan | Refusal | None) -> bytes:
        if isinstance(plan, Refusal):
            return b"! " + plan.reason.encode()
        if plan is None or plan.scanner is None:
            return line
        return plan.scanner.rewrite(line, "answer", "text", plan.counts) or b""

    def event(self, what: SessionEvent, now: float) -> Steps[None]:
        """Tell a kill natively."""
        if isinstance(what, Killed):
            (text,) = yield Scrub(None, (what.reason.encode(),))
            yield Send(Side.CLIENT, b"! " + text + b"\n")
            yield Close(Side.TARGET, what.reason)
            yield Close(Side.CLIENT, what.reason)

    def end(self, side: Side, now: float) -> Steps[None]:
        """When one side goes, the other goes."""
        yield Close(Side.CLIENT if side is Side.TARGET else Side.TARGET, f"the {side.value} went away")

    def notice(self, text: str) -> bytes:
        """Return a line that is no answer."""
        return b"# " + text.encode() + b"\n"

    def cancel_key(self) -> bytes:
        """Nothing is told that could cancel."""
        return b""

    def stuffed(self) -> bool:
        """What waits here waits in a generator, whose lane holds back by itself."""
        return False


def _refused(refusal: Decision | Refusal) -> bytes:
    assert isinstance(refusal, Refusal)
    return f"! {refusal.code} {refusal.reason}\n".encode()


SPEC = ProtocolSpec(
    name="echo",
    default_port=7007,
    vocabulary=SelectorVocabulary(verbs=frozenset({"say"}), objects={"words": frozenset({"word"})}),
    session=EchoSession,
    read=read,
)


async def serve_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The toy target: answer every line with `= ` and the line."""
    with contextlib.suppress(ConnectionError):
        while line := await reader.readline():
            writer.write(b"= " + line)
            await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
