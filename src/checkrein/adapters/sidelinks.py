"""Side links: what the gateway itself asks a target, over at most two links per target and profile.

A link is opened when first needed, closed when idle for a minute, and thrown away when anything goes wrong. The
protocol's own question (its catalog) is kept and asked again in the background while sessions use it, so that it is
never older than `CATALOG_SECONDS` without a statement having to wait for it.

What one session changes through the gateway, every session of the same database sees at once, whatever target and
profile it came by: see `Changes`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from checkrein.core.errors import CheckreinError, ProtocolError, Unavailable
from checkrein.core.identity import Secret
from checkrein.core.limits import CATALOG_SECONDS, DIAL_SECONDS, READ_CHUNK
from checkrein.core.spec import ProtocolSpec, SideLink
from checkrein.core.steps import Query
from checkrein.core.target import DialError, Profile, Target, TargetTls

LINKS_PER_PROFILE: Final = 2
"""Two, so that one slow answer does not stop the refresh of another."""

IDLE_SECONDS: Final = 60.0
"""An unused link is closed after this, so that targets keep no idle logins."""

ANSWER_SECONDS: Final = 10.0
"""One question's answer; longer and the link is thrown away."""

REFRESH_SECONDS: Final = CATALOG_SECONDS / 2
"""How often a catalog that is in use is asked for again."""

LAST_CHANGE_SECONDS: Final = 1.0
"""After a session ended, the target may still do what it was sent before it looks at its connection."""

Passwords = Callable[[Target, Profile], Secret | DialError | None]
TlsContext = Callable[[TargetTls], ssl.SSLContext]
Binding = Callable[[bytes], bytes]


class Tls(NamedTuple):
    """How TLS towards targets is made: the data path's own two functions."""

    context: TlsContext
    binding: Binding


class _Wire:
    """One open side link with its sockets."""

    def __init__(self, link: SideLink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: Tls) -> None:
        self.link = link
        self._tls = tls
        self._reader = reader
        self._writer = writer
        self.used = time.monotonic()

    async def pump(self, first: bytes, target: Target) -> None:
        """Send, then read until the link is ready again."""
        self._writer.write(first)
        while not self.link.ready:
            if self.link.wants_tls:
                self._writer.write(await self._start_tls(target))
                continue
            data = await self._reader.read(READ_CHUNK)
            if not data:
                raise Unavailable(f"target {target.name} closed the side link")
            out = self.link.receive(data)
            if out:
                self._writer.write(out)
        self.used = time.monotonic()

    async def _start_tls(self, target: Target) -> bytes:
        await self._writer.start_tls(self._tls.context(target.tls), server_hostname=target.host)
        tls = self._writer.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        return self.link.tls_started(self._tls.binding(certificate) if certificate else b"")

    def close(self) -> None:
        """Drop the sockets."""
        self._writer.close()


class Change(Protocol):
    """A question by which a session says that it changes the catalog, or that its change is settled."""

    @property
    def changer(self) -> object:
        """A token of the session: weakly held, so that one that ends unsettled ends its change."""

    @property
    def settled(self) -> bool:
        """Whether the change is over, for good or bad; else it goes to the target now."""


class Changes:
    """What is known of one database's changes: when the last one was settled, and who has one under way.

    A change under way may be committed at any moment without the gateway being told first, so until it is settled no
    catalog is used that was asked for before.
    """

    def __init__(self) -> None:
        self._under_way: dict[int, weakref.ref[Any]] = {}
        self._settled_at = 0.0

    def allow(self, asked_at: float, now: float) -> bool:
        """Whether a catalog asked for at a moment (monotonic seconds) may be used now. Asked at every statement."""
        return not self._under_way and asked_at > self._settled_at and now - asked_at < CATALOG_SECONDS

    def since(self, now: float) -> float:
        """Return the moment (monotonic seconds) after which a catalog must have been asked for to be used now."""
        return now if self._under_way else max(self._settled_at, now - CATALOG_SECONDS)

    def begin(self, changer: object) -> None:
        """A change goes to the target."""
        ident = id(changer)
        if ident not in self._under_way:
            self._under_way[ident] = weakref.ref(changer, lambda _: self._over(ident))

    def settle(self, changer: object) -> None:
        """A change is over, for good or bad."""
        self._over(id(changer))

    def gone(self, changer: object) -> bool:
        """Whoever changed something has ended: its object may live on until the collector comes by.

        Returns whether it had a change under way.
        """
        left = id(changer) in self._under_way
        if left:
            self._over(id(changer))
        return left

    def _over(self, ident: int) -> None:
        self._under_way.pop(ident, None)
        self.renew()

    def renew(self) -> None:
        """What was asked for before now is not used any more."""
        self._settled_at = time.monotonic()


class _Pool:
    """The links of one target and profile, and the last catalog."""

    def __init__(
        self, target: Target, profile: Profile, spec: ProtocolSpec, passwords: Passwords, tls: Tls, changes: Changes
    ) -> None:
        self.target = target
        self.profile = profile
        self._spec = spec
        self._passwords = passwords
        self._tls = tls
        self.changes = changes
        self._idle: list[_Wire] = []
        self._slots = asyncio.Semaphore(LINKS_PER_PROFILE)
        self._asking = asyncio.Lock()
        self.catalog: Any = None
        self.asked_at = 0.0
        self.used_at = 0.0
        self.error = ""

    def fresh(self) -> Any:
        """Return the catalog when it is young enough, else None."""
        now = time.monotonic()
        self.used_at = now
        return self.catalog if self.changes.allow(self.asked_at, now) else None

    async def catalog_now(self, since: float) -> Any:
        """Return a catalog asked for after `since` (monotonic seconds); concurrent askers share one question."""
        self.used_at = time.monotonic()
        async with self._asking:
            if self.asked_at > since and self.catalog is not None:
                return self.catalog
            asked_at = time.monotonic()
            answer = await self.ask(self._spec.catalog_question, self.catalog)
            if isinstance(answer, Unavailable):
                self.error = str(answer)
            else:
                self.catalog, self.asked_at, self.error = answer, asked_at, ""
            return answer

    async def ask(self, question: Any, cached: Any) -> Any:
        """Ask over a link of the pool. Answers Unavailable instead of raising.

        A kept link may have died with its server: what fails over one at once is asked once more over a new one.
        """
        async with self._slots:
            kept = bool(self._idle)
            try:
                return await self._once(question, cached)
            except TimeoutError as error:
                return self._away(error)
            except (OSError, ProtocolError, Unavailable, ValueError) as error:
                if not kept:
                    return self._away(error)
            self.close_idle(float("inf"))
            try:
                return await self._once(question, cached)
            except (OSError, TimeoutError, ProtocolError, Unavailable, ValueError) as error:
                return self._away(error)

    async def _once(self, question: Any, cached: Any) -> Any:
        wire: _Wire | None = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                wire = self._idle.pop() if self._idle else await self._open()
                await wire.pump(wire.link.ask(question, cached), self.target)
                answer = wire.link.result()
        except BaseException:
            if wire is not None:
                wire.close()
            raise
        self._idle.append(wire)
        return answer

    def _away(self, error: Exception) -> Unavailable:
        return Unavailable(f"the side link to target {self.target.name} failed: {error or type(error).__name__}")

    async def _open(self) -> _Wire:
        make = self._spec.side_link
        if make is None:
            raise Unavailable("this protocol has no side link")
        password = self._passwords(self.target, self.profile)
        if isinstance(password, DialError):
            raise Unavailable(password.reason)
        link = make(self.target, self.profile, password)
        async with asyncio.timeout(DIAL_SECONDS):
            reader, writer = await asyncio.open_connection(self.target.host, self.target.port, limit=READ_CHUNK)
            wire = _Wire(link, reader, writer, self._tls)
            try:
                await wire.pump(link.start(), self.target)
            except BaseException:
                wire.close()
                raise
        return wire

    def close_idle(self, before: float) -> None:
        """Close links unused since before `before` (monotonic seconds)."""
        for wire in [wire for wire in self._idle if wire.used < before]:
            self._idle.remove(wire)
            wire.close()


class SideLinks:
    """All pools; implements the gate's Catalogs port."""

    def __init__(self, specs: Mapping[str, ProtocolSpec], passwords: Passwords, tls: Tls) -> None:
        self._specs = specs
        self._passwords = passwords
        self._tls = tls
        self._pools: dict[tuple[str, str], _Pool] = {}
        self._changes: dict[tuple[str, str, int, str], Changes] = {}

    def _pool(self, target: Target, profile: Profile) -> _Pool:
        key = (target.name, profile.name)
        pool = self._pools.get(key)
        if pool is None or pool.target != target:
            if pool is not None:
                pool.close_idle(float("inf"))
            spec, changes = self._specs[target.protocol], self._changes_of(target)
            pool = self._pools[key] = _Pool(target, profile, spec, self._passwords, self._tls, changes)
        return pool

    def _changes_of(self, target: Target) -> Changes:
        """Return what is shared by every target and profile that reaches the same database."""
        return self._changes.setdefault((target.protocol, target.host, target.port, target.database), Changes())

    def gone(self, changer: object) -> None:
        """The session that told of changes by this token has ended. Its last one may take effect a moment later."""
        for changes in self._changes.values():
            if changes.gone(changer):
                asyncio.get_running_loop().call_later(LAST_CHANGE_SECONDS, changes.renew)

    def cached(self, target: Target, profile: str) -> Any:
        """Return a catalog that is young enough, else None."""
        pool = self._pools.get((target.name, profile))
        return None if pool is None or pool.target is not target else pool.fresh()

    async def query(self, target: Target, profile: Profile, step: Query) -> Any | Unavailable:
        """Serve a Query step. A fresh one waits for an answer that was asked for after now, and others do then too."""
        pool = self._pool(target, profile)
        if hasattr(step.question, "changer"):
            return await self._changed(pool, step.question)
        if step.question != self._specs[target.protocol].catalog_question:
            return await pool.ask(step.question, None)
        if step.fresh:
            pool.changes.renew()
        return await pool.catalog_now(pool.changes.since(time.monotonic()))

    async def _changed(self, pool: _Pool, change: Change) -> Any | Unavailable:
        """Take note of a change; answer None, or the catalog of now when it is settled."""
        if not change.settled:
            pool.changes.begin(change.changer)
            return None
        pool.changes.settle(change.changer)
        return await pool.catalog_now(time.monotonic())

    def renew(self, target: Target, profile: Profile) -> None:
        """Let go of kept links, so that the next question logs in anew."""
        self._pool(target, profile).close_idle(float("inf"))

    def problem(self, target: Target, profile: Profile) -> str:
        """Return why the last question failed, empty when it did not: for readiness and `targets test`."""
        pool = self._pools.get((target.name, profile.name))
        return "" if pool is None else pool.error

    async def run(self) -> None:
        """Refresh catalogs that are in use and close idle links, until cancelled."""
        try:
            while True:
                await asyncio.sleep(REFRESH_SECONDS)
                await self._tick(time.monotonic())
        finally:
            for pool in self._pools.values():
                pool.close_idle(float("inf"))

    async def _tick(self, now: float) -> None:
        for pool in list(self._pools.values()):
            pool.close_idle(now - IDLE_SECONDS)
            if now - pool.used_at < IDLE_SECONDS and pool.catalog is not None:
                with contextlib.suppress(CheckreinError):
                    await pool.catalog_now(now)
