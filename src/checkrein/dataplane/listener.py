"""Accepts clients, keeps the sessions that are open, and ends them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import resource
import secrets
from collections.abc import Callable
from typing import Any, cast

from checkrein.core.limits import MAX_CONNECTIONS, SESSION_FILES, SPARE_FILES
from checkrein.core.session import Cancelled, Killed, SessionContext
from checkrein.core.spec import ProtocolSpec
from checkrein.dataplane.lanes import Generators
from checkrein.dataplane.polling import Polling
from checkrein.dataplane.ports import Services
from checkrein.dataplane.relay import Relay
from checkrein.dataplane.tasks import Tasks
from checkrein.dataplane.transports import Endpoint
from checkrein.gate.gate import Gate
from checkrein.gate.ports import Gateway

LOOPBACK = ("127.", "::1")
CANCEL_KEY_BYTES = 8


KEY_MIX_BYTES = 32


class Sessions:
    """The sessions that are open in this process, by id, and those that can be cancelled by their key.

    Keys are looked up by a keyed digest, so that a look-up costs the same however many sessions there are, and how long
    it takes tells nothing of how near a guess came.
    """

    def __init__(self, poll: bool = False) -> None:
        self.by_id: dict[str, Relay] = {}
        self._by_key: dict[bytes, set[str]] = {}
        self._mix = secrets.token_bytes(KEY_MIX_BYTES)
        self._none = asyncio.Event()
        self.opened = 0
        self.generators = Generators()
        self.polling = Polling(poll)

    def add(self, relay: Relay) -> None:
        """Keep a session until it closes."""
        self._none.clear()
        self.by_id[relay.id] = relay
        self.opened += 1

    def remove(self, relay: Relay) -> None:
        """Forget a closed session."""
        self.by_id.pop(relay.id, None)
        digest = self._digest(relay.gate.cancel_key())
        owners = self._by_key.get(digest, set())
        owners.discard(relay.id)
        if not owners:
            self._by_key.pop(digest, None)
        if not self.by_id:
            self._none.set()

    def keyed(self, id: str, key: bytes) -> None:
        """A session's client will be told the key to cancel it by. Two servers may once make the same key."""
        self._by_key.setdefault(self._digest(key), set()).add(id)

    def cancel(self, key: bytes) -> None:
        """Hand a cancel to the session that owns the key; an unknown key is ignored, as the field does."""
        for id in tuple(self._by_key.get(self._digest(key), ())):
            relay = self.by_id.get(id)
            if relay is not None:
                relay.tell(Cancelled())

    def _digest(self, key: bytes) -> bytes:
        return hashlib.blake2b(key, key=self._mix, digest_size=KEY_MIX_BYTES).digest()

    def kill(self, id: str, reason: str, code: str = "killed") -> bool:
        """End a session natively. Return whether it was open here."""
        relay = self.by_id.get(id)
        if relay is None:
            return False
        relay.tell(Killed(reason, code))
        return True

    async def drain(self, seconds: float, reason: str) -> None:
        """End all sessions natively, then by force."""
        for id in list(self.by_id):
            self.kill(id, reason, "shutdown")
        if self.by_id:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._none.wait(), seconds)
        for relay in list(self.by_id.values()):
            relay.finish(reason)


class Listener:
    """One protocol's listening socket."""

    def __init__(
        self,
        spec: ProtocolSpec,
        gateway: Gateway,
        services: Services,
        sessions: Sessions,
        tasks: Tasks,
        new_id: Callable[[], str],
        loopback_plaintext: bool,
        version: str,
    ) -> None:
        self.spec = spec
        self._gateway = gateway
        self._services = services
        self._sessions = sessions
        self._tasks = tasks
        self._new_id = new_id
        self._loopback_plaintext = loopback_plaintext
        self._version = version
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; port 0 takes a free one. Return the address that was taken. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Accepting(self), host, port, backlog=512)
        name = self._server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    def stop(self) -> None:
        """Accept no more."""
        if self._server is not None:
            self._server.close()

    def accept(self, transport: asyncio.Transport) -> None:
        """Make the session of a new connection, or close it when there are too many."""
        if len(self._sessions.by_id) >= most_connections():
            transport.abort()
            return
        peer: Any = transport.get_extra_info("peername") or ("", 0)
        host = str(peer[0])
        id = self._new_id()
        context = SessionContext(
            id=id,
            client=f"{host}:{peer[1]}",
            random=secrets.token_bytes,
            cancel_key=secrets.token_bytes(CANCEL_KEY_BYTES),
            keyed=functools.partial(self._sessions.keyed, id),
            tls_offered=self._services.client_tls() is not None,
            plaintext_allowed=self._loopback_plaintext and host.startswith(LOOPBACK),
            version=self._version,
        )
        gate = Gate(self._gateway, self.spec, context)
        sessions = self._sessions
        relay = Relay(
            gate,
            self._services,
            id,
            self._tasks.spawn,
            sessions.remove,
            sessions.generators,
            sessions.polling,
        )
        sessions.add(relay)
        relay.client.connection_made(transport)
        transport.set_protocol(relay.client)
        relay.start()


def most_connections() -> int:
    """Return how many connections may be held: MAX_CONNECTIONS, or fewer where the process may open fewer files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, (files - SPARE_FILES) // SESSION_FILES)


def raise_files() -> None:
    """Let the process open as many files as the system allows it; many begin with 1024 for old programs."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a system that names a higher limit than it keeps
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Accepting(asyncio.Protocol):
    """The protocol of a connection until its session's own endpoint takes over, in the same call."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the transport to a new session."""
        # uvloop's transports have the interface without the base class
        self._listener.accept(cast(asyncio.Transport, transport))


__all__ = ["Endpoint", "Listener", "Sessions", "most_connections", "raise_files"]
