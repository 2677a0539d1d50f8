"""A synchronous relay and allow-all gate round one real session: sockets, no policy engine, steps kept in lists."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

from checkrein.core.decision import Decision
from checkrein.core.identity import Claim, LoginRefused, Principal, Secret
from checkrein.core.maskplan import ColumnPlan, MaskPlan
from checkrein.core.session import Cancelled, Killed, SessionContext
from checkrein.core.side import Side
from checkrein.core.statement import Statement
from checkrein.core.steps import (
    Answered,
    Authenticate,
    Breathe,
    CancelSession,
    Close,
    Decide,
    Describe,
    Dial,
    Interrupt,
    Note,
    Query,
    Scrub,
    Send,
    steps_of,
)
from checkrein.core.target import Link, Profile, Target, TargetTls
from checkrein.core.verdict import ALLOW, ASK, DENY, MaskDuty, Obligations, Refusal, Verdict
from checkrein.protocols.postgres import SPEC
from checkrein.protocols.postgres.catalog import CatalogQuestion
from tests.support.postgres import Database

Judge = Callable[[Statement], Verdict]


def allow_all(statement: Statement) -> Verdict:
    """Allow what was read completely; deny what names `forbidden`, ask for what names `asked`."""
    if "forbidden" in statement.text:
        return Verdict(outcome=DENY, reason="not here", instead="try elsewhere", policy="p", rule="r")
    if not statement.complete:
        return Verdict(outcome=DENY, reason=statement.conceded, code="conceded")
    return Verdict(outcome=ASK if "asked" in statement.text else ALLOW)


def masking(*columns: tuple[str, str]) -> Judge:
    """Allow, with these (relation, column) pairs masked."""
    duties = Obligations(columns={pair: MaskDuty(strategy="redact") for pair in columns}, fixed_texts=True)

    def judge(statement: Statement) -> Verdict:
        verdict = allow_all(statement)
        return Verdict(outcome=verdict.outcome, reason=verdict.reason, code=verdict.code, obligations=duties)

    return judge


class Gateway:
    """Listens on loopback; `port` is for a client. The lists record what its sessions yielded."""

    def __init__(self, database: Database, judge: Judge = allow_all, cut: int = 0) -> None:
        self.database = database
        self.judge = judge
        self.cut = cut
        self.asked: list[Statement] = []
        self.answer_asked = True
        self.decided: list[Decision] = []
        self.answered: list[Answered] = []
        self.sent: list[bytes] = []
        self.questions: list[object] = []
        self.failures: list[BaseException] = []
        self.conversations: list[Conversation] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._catalog: Any = None
        self._lock = threading.Lock()
        self.moved = threading.Condition()
        self.threads: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening and wait for the conversations to end."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self.threads:
            thread.join(5)

    def reached(self, piece: bytes) -> bool:
        """Wait until a piece of text was sent to the target; False when it is not within some seconds."""
        with self.moved:
            return self.moved.wait_for(lambda: any(piece in data for data in self.sent), 10)

    def dsn(self, **options: str) -> str:
        """Return a libpq connection string through this gateway."""
        more = "".join(f" {key}={value}" for key, value in options.items())
        return f"host=127.0.0.1 port={self.port} dbname=main user=default password=token sslmode=disable{more}"

    def target(self) -> Target:
        """Return the target as configured."""
        server = self.database.server
        return Target(
            name="main", protocol="postgres", host=server.host, port=server.port, database=self.database.name,
            tls=TargetTls(mode="disable"), profiles={"default": self.profile()},
        )  # fmt: skip

    def profile(self) -> Profile:
        """Return the one credential profile."""
        return Profile("default", self.database.server.user)

    def catalog(self, fresh: bool) -> Any:
        """Return the catalog, asked over a real side link."""
        with self._lock:
            assert SPEC.side_link is not None
            link = SPEC.side_link(self.target(), self.profile(), Secret(self.database.server.password))
            with socket.create_connection((self.database.server.host, self.database.server.port)) as wire:
                wire.sendall(link.start())
                self._drive(link, wire)
                wire.sendall(link.ask(CatalogQuestion(), self._catalog))
                self._drive(link, wire)
                self._catalog = link.result()
            return self._catalog

    @staticmethod
    def _drive(link: Any, wire: socket.socket) -> None:
        while not link.ready:
            data = wire.recv(65536)
            assert data
            out = link.receive(data)
            if out:
                wire.sendall(out)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.threads.append(threading.Thread(target=Conversation(self, client).run, daemon=True))
                self.threads[-1].start()


class Conversation:
    """One session on its sockets."""

    def __init__(self, gateway: Gateway, client: socket.socket) -> None:
        self.gateway = gateway
        self.client = client
        self.server: socket.socket | None = None
        self.events: list[Any] = []
        self._wake, self._woken = socket.socketpair()
        context = SessionContext(
            id="s",
            client="test",
            random=os.urandom,
            cancel_key=os.urandom(8),
            tls_offered=False,
            plaintext_allowed=True,
        )
        self.session = SPEC.session(context)
        self.over = False
        gateway.conversations.append(self)

    def tell(self, what: Any) -> None:
        """Hand an event to the session, from any thread."""
        self.events.append(what)
        with contextlib.suppress(OSError):
            self._wake.send(b"x")

    def run(self) -> None:
        """Carry bytes until both sides are closed."""
        try:
            self._steps(self.session.open(0.0))
            while not self.over:
                ready = [self.client, self._woken] + ([self.server] if self.server else [])
                for one in select.select(ready, [], [])[0]:
                    self._readable(one)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.gateway.failures.append(error)
        finally:
            self._wake.close()
            self._woken.close()
            self.client.close()
            if self.server:
                self.server.close()

    def _readable(self, one: socket.socket) -> None:
        if one is self._woken:
            one.recv(1)
            self._steps(self.session.event(self.events.pop(0), 0.0))
            return
        side = Side.CLIENT if one is self.client else Side.TARGET
        try:
            data = one.recv(65536)
        except OSError:
            data = b""
        if not data:
            if side is Side.TARGET and self.server is not None:
                self.server.close()
                self.server = None
            self._steps(self.session.end(side, 0.0))
            return
        size = self.gateway.cut or len(data)
        for at in range(0, len(data), size):
            if not self.over:
                self._steps(self.session.receive(side, data[at : at + size], 0.0))

    def _steps(self, steps: Any) -> None:
        reply = None
        steps = steps_of(steps)
        while True:
            try:
                step = steps.send(reply)
            except StopIteration:
                return
            reply = self._perform(step)

    def _perform(self, step: Any) -> Any:
        gateway = self.gateway
        if isinstance(step, Send):
            if step.to is Side.CLIENT:
                with contextlib.suppress(OSError):
                    self.client.sendall(step.data)
            else:
                self._warranted(step)
                with gateway.moved:
                    gateway.sent.append(step.data)
                    gateway.moved.notify_all()
                if self.server is not None:
                    with contextlib.suppress(OSError):
                        self.server.sendall(step.data)
        elif isinstance(step, Decide):
            return self._decide(step)
        elif isinstance(step, Query):
            gateway.questions.append(step.question)
            if gateway._catalog is not None and not step.fresh:
                return gateway._catalog
            return gateway.catalog(step.fresh)
        elif isinstance(step, Describe):
            return self._describe(step)
        elif isinstance(step, Scrub):
            return step.texts
        elif isinstance(step, Authenticate):
            return self._authenticate(step.claim)
        elif isinstance(step, Dial):
            server = gateway.database.server
            self.server = socket.create_connection((server.host, server.port))
            for one in (self.server, self.client):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return Link(gateway.target(), gateway.profile(), Secret(server.password))
        elif isinstance(step, Answered):
            gateway.answered.append(step)
        elif isinstance(step, CancelSession):
            for conversation in gateway.conversations:
                if conversation.session.cancel_key() == step.key:
                    conversation.tell(Cancelled())
        elif isinstance(step, Interrupt):
            server = gateway.database.server
            with socket.create_connection((server.host, server.port)) as wire:
                wire.sendall(step.data)
                wire.recv(1)
        elif isinstance(step, Close):
            if step.side is Side.CLIENT:
                self.over = True
        else:
            assert isinstance(step, Note | Breathe), step
        return None

    @staticmethod
    def _warranted(step: Send) -> None:
        warrant = step.warrant
        if isinstance(warrant, Decision):
            assert warrant.refusal is None
        else:
            assert warrant in SPEC.own_messages | SPEC.upkeep, warrant

    def _decide(self, step: Decide) -> Decision:
        gateway = self.gateway
        verdict = gateway.judge(step.statement)
        refusal = verdict.refusal() if verdict.outcome == DENY else None
        asks = verdict.outcome == ASK and step.final and not (step.again is not None and step.again.waited)
        if asks:
            gateway.asked.append(step.statement)
            if not gateway.answer_asked:
                refusal = Refusal(code="approval_denied", reason="the approval was denied")
        decision = Decision(len(gateway.decided) + 1, step.statement, verdict, refusal, not step.final)
        decision.waited = asks and refusal is None
        gateway.decided.append(decision)
        return decision

    @staticmethod
    def _describe(step: Describe) -> MaskPlan | None:
        duties = step.decision.obligations.columns
        plans = tuple(
            ColumnPlan(mask=lambda value: b"***", label=column.name)
            if any((origin.relation, origin.column) in duties for origin in column.origins)
            else None
            for column in step.columns
        )
        return MaskPlan(plans, None) if any(plans) else None

    @staticmethod
    def _authenticate(claim: Claim) -> Principal | LoginRefused:
        if claim.token.reveal() != b"token":
            return LoginRefused("the token is not known", "token")
        return Principal("agent", "test")


def kill(gateway: Gateway) -> None:
    """Kill every session of a gateway."""
    for conversation in gateway.conversations:
        conversation.tell(Killed("ended by an operator"))
