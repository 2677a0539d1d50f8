"""A listener of the toy protocol on real sockets, with fake ports behind the gate."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

from checkrein.core.errors import Unavailable
from checkrein.core.identity import Claim, LoginRefused, Principal, Secret
from checkrein.core.steps import Offload, Query
from checkrein.core.target import DialError, Profile, Target
from checkrein.dataplane.listener import Listener, Sessions
from checkrein.dataplane.tasks import Tasks
from checkrein.gate.ports import Await, Consume, Gateway, Question, Settled
from tests.conformance.echo import SPEC, serve_echo
from tests.gate.fakes import PRINCIPAL, Desk, Journals, Masker, NoCatalogs, Policies, Snapshot

RULES = {"hi": "allow", "write": "allow", "pay": "ask", "no": "deny"}


class Services:
    """Services whose approvals wait for `answer` to be set."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        self.errors: list[Exception] = []
        self.persisted = 0

    async def authenticate(self, claim: Claim, now: float) -> Principal | LoginRefused:
        return PRINCIPAL if claim.token.reveal() == b"good" else LoginRefused("bad token", "token")

    async def ask(self, question: Any, session: str) -> Any:
        if isinstance(question, Question):
            return Settled("a1", "pending", 1.0)
        if isinstance(question, Await):
            self.asked.set()
            return await asyncio.shield(self.answer)
        return isinstance(question, Consume)

    async def query(self, target: Target, profile: Profile, step: Query) -> Any | Unavailable:
        return Unavailable("no side link")

    async def offload(self, step: Offload, who: str) -> Any | Unavailable:
        return Unavailable("no worker")

    async def persist(self, session: str) -> Unavailable | None:
        self.persisted += 1
        return None

    def password(self, target: Target, profile: Profile) -> Secret | DialError | None:
        return None

    def client_tls(self) -> ssl.SSLContext | None:
        return None

    def cancel(self, key: bytes) -> None:
        self.sessions.cancel(key)

    def broke(self, session: str, error: Exception) -> None:
        self.errors.append(error)


class World:
    """What a test sees."""

    def __init__(self) -> None:
        self.sessions = Sessions()
        self.services = Services(self.sessions)
        self.tasks = Tasks()
        self.journals = Journals()
        self.desk = Desk()
        self.policies = Policies(Snapshot(RULES))
        self.address = ("", 0)
        self.writers: list[asyncio.StreamWriter] = []

    async def client(self, login: bool = True) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, and log in unless told otherwise."""
        reader, writer = await asyncio.open_connection(*self.address)
        self.writers.append(writer)
        assert await reader.readline() == b"hello\n"
        if login:
            writer.write(b"LOGIN words default good\n")
            assert await reader.readline() == b"welcome\n"
        return reader, writer

    async def closed(self) -> None:
        """Wait until every session is closed."""
        await self.until(lambda: not self.sessions.by_id)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop turn until a condition holds; the test's own time-out bounds it."""
        turned = asyncio.Event()
        while not condition():
            turned.clear()
            asyncio.get_running_loop().call_soon(turned.set)
            await turned.wait()


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Run a toy target and a listener; check at the end that nothing was left behind."""
    made = World()
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        await serve_echo(reader, writer)

    target = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = target.sockets[0].getsockname()[1]
    targets = {"words": Target("words", "echo", "127.0.0.1", port, profiles={"default": Profile("default", "u")})}
    gateway = Gateway(targets, made.policies, Masker(), made.journals, made.desk, NoCatalogs())
    ids = iter(range(10**6))
    listener = Listener(SPEC, gateway, made.services, made.sessions, made.tasks, lambda: str(next(ids)), False, "t")
    made.address = await listener.start("127.0.0.1", 0)
    try:
        yield made
        await made.sessions.drain(2.0, "the test is over")
        assert made.sessions.generators.opened == made.sessions.generators.closed, "generators opened and not closed"
        assert made.services.errors == []
    finally:
        listener.stop()
        for writer in made.writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        target.close()
        await asyncio.wait_for(asyncio.gather(*serving), 10)
        await made.tasks.stop()
