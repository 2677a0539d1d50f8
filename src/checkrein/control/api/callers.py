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

from fastapi import HTTPException, Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from checkrein.control.api.ports import Control
from checkrein.core.identity import LoginRefused, Principal, Secret

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
    """uvicorn's HTTP protocol, which also names the user at the other end of a UNIX socket."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream has this kind
        """Put the peer's user in the place of its address."""
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            self.client = (f"{LOCAL_ISSUER}:{_user(sock)}", 0)


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
    """Raise 403 unless one of the caller's roles allows it."""
    if MAY[what].isdisjoint(person.roles):
        needed = ", ".join(sorted(MAY[what]))
        has = ", ".join(person.roles) or "none"
        raise HTTPException(403, {"reason": f"{what} needs one of the roles {needed}; {person.name} has {has}"})
