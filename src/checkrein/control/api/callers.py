"""Who calls the API, and what that caller may do.

Over TCP a caller is who its bearer token says. Over the socket in the data folder it is `local:<user>`, the user being
the peer's own (SO_PEERCRED): the folder admits its owner and root alone, and those own the gateway anyway.
"""

from __future__ import annotations

import asyncio
import pwd
import socket
import struct
from typing import Any, Final

import h11
from fastapi import HTTPException, Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from checkrein.control.api.ports import Control
from checkrein.core.identity import LoginRefused, Principal, Secret
from checkrein.core.limits import API_CONNECTIONS, API_REQUEST_SECONDS

LOCAL_ISSUER: Final = "local"
LOCAL_GROUP: Final = "local-admins"

MAY: Final[dict[str, frozenset[str]]] = {
    "sessions.ls": frozenset({"admin", "auditor", "viewer"}),
    "sessions.show": frozenset({"admin", "auditor"}),
    "sessions.export": frozenset({"admin", "auditor"}),
    "sessions.kill": frozenset({"admin"}),
    "approvals.ls": frozenset({"admin", "auditor", "approver"}),
    "approvals.answer": frozenset({"approver"}),
    "targets.ls": frozenset({"admin", "auditor", "viewer", "policy-author"}),
    "targets.test": frozenset({"admin"}),
    "reload": frozenset({"admin", "policy-author"}),
    "targets.starter": frozenset({"admin", "policy-author"}),
}
"""Which roles may do what. Whether an approver may answer a question is then up to the rule that asked."""


class LocalAware(H11Protocol):
    """uvicorn's HTTP protocol, which also names the user at the other end of a UNIX socket.

    Whoever reaches the TCP address may hold API_CONNECTIONS, each as long as requests come whole within
    API_REQUEST_SECONDS: silent ones must not take the files that sessions and journals need.
    """

    _late: asyncio.TimerHandle | None = None
    _waits_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream has this kind
        """Put the peer's user in the place of its address; close a TCP connection that is too many."""
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            self.client = (f"{LOCAL_ISSUER}:{_user(sock)}", 0)
            return
        if sum(isinstance(one, LocalAware) and one._late is not None for one in self.connections) >= API_CONNECTIONS:
            transport.close()
            return
        self._waits_since = self.loop.time()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch it no longer."""
        if self._late is not None:
            self._late.cancel()
            self._late = None
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """The next request may take its own time."""
        self._waits_since = self.loop.time()
        super().on_response_complete()

    def _watch(self) -> None:
        """Close the connection when a request is not there whole in time; else look again later."""
        asked = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if asked and self.loop.time() - self._waits_since >= API_REQUEST_SECONDS:
            self.transport.abort()
        self._late = self.loop.call_later(API_REQUEST_SECONDS, self._watch)


def _user(sock: Any) -> str:
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


async def caller(request: Request) -> Principal:
    """Return who calls. Raises 401 with the check that failed."""
    control: Control = request.app.state.control
    header = request.headers.get("authorization", "")
    scheme, _, token = header.partition(" ")
    if scheme.lower() == "bearer" and token:
        found = await control.identities.identify(Secret(token.strip()))
        if isinstance(found, LoginRefused):
            raise HTTPException(401, {"reason": found.reason, "check": found.check})
        return found
    host = request.client.host if request.client else ""
    if host.startswith(f"{LOCAL_ISSUER}:"):
        roles = ("admin", "approver") if control.local_approver else ("admin",)
        return Principal(host.partition(":")[2], LOCAL_ISSUER, (LOCAL_GROUP, f"local:{LOCAL_GROUP}"), roles=roles)
    raise HTTPException(401, {"reason": "give a token: Authorization: Bearer, or CHECKREIN_TOKEN", "check": "token"})


def may(person: Principal, what: str) -> None:
    """Raise 403 unless one of the caller's roles allows it. Roles are people's: an agent that acts for one has none."""
    if person.actors:
        raise HTTPException(403, {"reason": f"{what} is for people, not an agent acting for one: {person.chain}"})
    if MAY[what].isdisjoint(person.roles):
        needed = ", ".join(sorted(MAY[what]))
        has = ", ".join(person.roles) or "none"
        raise HTTPException(403, {"reason": f"{what} needs one of the roles {needed}; {person.name} has {has}"})
