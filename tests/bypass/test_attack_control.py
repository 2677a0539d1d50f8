"""GW-14: attacks on the control API by who has no token: what it costs the gateway to refuse them."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.bypass.leak import Leaks

PIECE = 1 << 20


def resident(pid: int) -> int:
    """Return the KiB of memory that a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


@pytest.mark.parametrize("head", [f"Content-Length: {64 * PIECE}", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", ["sessions/export", "sessions/x/kill", "approvals/x/approve"])
def test_a_long_body_is_not_kept(leaks: Leaks, path: str, head: str) -> None:
    """A body is read before the caller is known: it ends at a limit, not in the gateway's memory."""
    where = urlsplit(leaks.gateway.control)
    assert where.hostname is not None
    assert where.port is not None
    before = resident(leaks.gateway.process.pid)
    with socket.create_connection((where.hostname, where.port), timeout=30) as wire:
        start = f"POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{head}\r\n\r\n"
        wire.sendall(start.encode())
        piece = b"a" * PIECE
        piece = b"%x\r\n%s\r\n" % (PIECE, piece) if "chunked" in head else piece
        with contextlib.suppress(ConnectionError):
            for _ in range(48):
                wire.sendall(piece)
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = wire.recv(1024)
    assert not answer or b" 413 " in answer.splitlines()[0]
    assert resident(leaks.gateway.process.pid) - before < 24 * 1024


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host", "client-ip"])
def test_a_header_makes_nobody_the_owner(leaks: Leaks, name: str) -> None:
    """Who calls by TCP is who its token says: no header makes it the owner at the socket."""
    for value in ("local:root", "for=local:root", "local:root, 127.0.0.1"):
        with httpx.Client(base_url=leaks.gateway.control, headers={name: value}, trust_env=False) as client:
            assert client.get("/api/v1/sessions").status_code == 401
            assert client.post("/api/v1/sessions/x/kill", json={}).status_code == 401
            assert client.get("/api/v1/targets").status_code == 401


def test_a_header_does_not_dodge_the_throttle(leaks: Leaks) -> None:
    """Guessing a secret is slowed by the address that guesses, not by what it says of itself."""
    form = {"grant_type": "client_credentials", "client_id": "stranger", "client_secret": "wrong"}
    with httpx.Client(base_url=leaks.gateway.control, trust_env=False) as client:
        said = [
            client.post("/issuer/token", data=form, headers={"x-forwarded-for": f"192.0.2.{number}"}).status_code
            for number in range(25)
        ]
    assert said[0] == 401
    assert said[-1] == 429
