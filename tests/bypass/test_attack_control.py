"""Attacks on the control API by who has no token: what it costs the gateway to refuse them."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from urllib.parse import urlsplit

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
