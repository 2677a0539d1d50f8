"""A million rows through every route, read by a client that only counts bytes; memory over two million."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import ssl
import statistics
import struct
import time
from pathlib import Path
from typing import Any

from bench.stage import Route, Stage, with_tls

ROUNDS = 3
CHUNK = 1 << 18


class Counter:
    """A PostgreSQL client that does nothing but log in and count the bytes of an answer."""

    def __init__(self, route: Route) -> None:
        self._sock: socket.socket = socket.create_connection(("127.0.0.1", route.port))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if route.tls != "disable":
            self._sock.sendall(struct.pack("!ii", 8, 80877103))
            assert self._sock.recv(1) == b"S"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._sock = context.wrap_socket(self._sock)
        self._buffer = b""
        self._login(route)

    def _login(self, route: Route) -> None:
        body = f"user\0{route.user}\0database\0{route.database}\0\0".encode()
        self._sock.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
        scram: _Scram | None = None
        while True:
            kind, payload = self._message()
            if kind == b"E":
                raise RuntimeError(payload.decode(errors="replace"))
            if kind == b"Z":
                return
            if kind != b"R":
                continue
            code = struct.unpack("!i", payload[:4])[0]
            if code == 3:
                self._send(b"p", route.password.encode() + b"\0")
            elif code == 10:
                scram = _Scram(route.password)
                first = scram.first()
                self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first)
            elif code == 11 and scram is not None:
                self._send(b"p", scram.final(payload[4:]))

    def _send(self, kind: bytes, payload: bytes) -> None:
        self._sock.sendall(kind + struct.pack("!i", len(payload) + 4) + payload)

    def _message(self) -> tuple[bytes, bytes]:
        while len(self._buffer) < 5 or len(self._buffer) < 1 + struct.unpack("!i", self._buffer[1:5])[0]:
            data = self._sock.recv(CHUNK)
            if not data:
                raise RuntimeError("closed")
            self._buffer += data
        size = 1 + struct.unpack("!i", self._buffer[1:5])[0]
        message, self._buffer = self._buffer[:size], self._buffer[size:]
        return message[:1], message[5:]

    def count(self, query: str) -> tuple[int, float]:
        """Run a query; return the bytes of its answer and the seconds it took. Raises when it ends in an error."""
        started = time.perf_counter()
        self._send(b"Q", query.encode() + b"\0")
        total, tail = 0, b""
        view = bytearray(CHUNK)
        while True:
            size = self._sock.recv_into(view)
            if not size:
                raise RuntimeError("closed")
            total += size
            tail = (tail + bytes(view[max(0, size - 200) : size]))[-200:]
            if tail[-6:-1] == b"Z\x00\x00\x00\x05":
                break
        if b"SELECT " not in tail:
            raise RuntimeError(f"the answer did not end well: {tail!r}")
        return total, time.perf_counter() - started

    def close(self) -> None:
        """Hang up."""
        self._sock.close()


class _Scram:
    """SCRAM-SHA-256 (RFC 7677), as small as a benchmark's client needs it."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._nonce = base64.b64encode(os.urandom(18)).decode()

    def first(self) -> bytes:
        return f"n,,n=,r={self._nonce}".encode()

    def final(self, server_first: bytes) -> bytes:
        fields = dict(part.split("=", 1) for part in server_first.decode().split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(fields["s"]), int(fields["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        bare = f"c=biws,r={fields['r']}"
        signed = f"n=,r={self._nonce},{server_first.decode()},{bare}".encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True))).decode()
        return f"{bare},p={proof}".encode()


def rate(route: Route, table: str, rows: int) -> float:
    """Return rows per second of one reading."""
    client = Counter(route)
    try:
        _, seconds = client.count(f"SELECT id, name, card, at, note FROM public.{table} LIMIT {rows}")
    finally:
        client.close()
    return rows / seconds


def run(stage: Stage, rows: int) -> list[dict[str, Any]]:
    """Read with and without masks, with and without TLS; print ratios."""
    results = []
    for tls in (False, True):
        ways = {
            "direct": stage.direct,
            "pgbouncer": stage.bouncer,
            "unmasked": stage.unmasked,
            "masked": stage.checkrein,
        }
        seen: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, route in ways.items():
                seen[name].append(rate(with_tls(route, stage) if tls else route, "wide", rows))
        best = {name: statistics.median(found) for name, found in seen.items()}
        found = {
            "tls": tls,
            "rows_per_second": best,
            "unmasked_of_pgbouncer": best["unmasked"] / best["pgbouncer"],
            "masked_of_pgbouncer": best["masked"] / best["pgbouncer"],
        }
        results.append(found)
        print(
            f"rows/s {'TLS' if tls else 'no TLS'}: direct {best['direct']:.0f}, pgbouncer {best['pgbouncer']:.0f}, "
            f"unmasked {best['unmasked']:.0f} ({found['unmasked_of_pgbouncer']:.2f}), "
            f"one column masked and ten detectors {best['masked']:.0f} ({found['masked_of_pgbouncer']:.2f})",
            flush=True,
        )
    return results


def resident(pid: int, field: str = "VmRSS") -> int:
    """Return a process's resident memory in bytes (or its peak: VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no such process")


def memory(stage: Stage, rows: int) -> dict[str, Any]:
    """Read two million masked rows; return how much the gateway's memory grew at its peak."""
    pid = stage.gateway.process.pid
    rate(stage.checkrein, "wide", 1000)
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = resident(pid)
    client = Counter(stage.checkrein)
    client.count(
        f"SELECT id, name, card, at, note FROM public.wide UNION ALL "
        f"SELECT id, name, card, at, note FROM public.wide LIMIT {rows}"
    )
    client.close()
    peak = resident(pid, "VmHWM")
    print(f"memory over {rows} masked rows: {before / 2**20:.0f} MiB before, peak {peak / 2**20:.0f} MiB", flush=True)
    return {"rows": rows, "before": before, "peak": peak, "grown": peak - before}
