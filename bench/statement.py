"""Microseconds of the gateway's own code for one statement: gate, session, policy, masks, journal; no sockets."""

from __future__ import annotations

import cProfile
import os
import pstats
import socket
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.stage import MASKED, MASKS
from checkrein.core.identity import Principal, Secret
from checkrein.core.session import SessionContext
from checkrein.core.side import Side
from checkrein.core.steps import Ask, Authenticate, Dial, Persist, Query, Send, Steps
from checkrein.core.target import Link, Profile, Target, TargetTls
from checkrein.gate.gate import Gate
from checkrein.gate.ports import Gateway
from checkrein.masking.detectors import KNOWN
from checkrein.masking.plan import Masker
from checkrein.policy.compile import compile_directory
from checkrein.protocols import PROTOCOLS
from checkrein.recording.journal import Tools
from checkrein.recording.journals import Journals
from checkrein.recording.keys import load_or_create_key
from tests.support.catalogs import load_of
from tests.support.postgres import Database

PRINCIPAL = Principal("bot", "embedded", ("bots",), expires_at=None)


class Dry:
    """A gate driven by hand: its target is a real server on a blocking socket, its client this object."""

    def __init__(self, database: Database, target_name: str) -> None:
        spec = PROTOCOLS[0]
        server = database.server
        profiles = {"default": Profile("default", server.user, "set")}
        target = Target(
            target_name, spec.name, server.host, server.port, database.name, tls=TargetTls("disable"), profiles=profiles
        )
        self.target = target
        self.catalog = load_of(database)
        snapshot = compile_directory(
            [("a.yaml", MASKED), ("b.yaml", MASKS)], {spec.name: spec}, (target,), KNOWN
        ).snapshot
        folder = Path(tempfile.mkdtemp())
        tools = Tools(time.time, time.monotonic, load_or_create_key(folder / "keys"))
        gateway = Gateway(
            {target_name: target}, _Held(snapshot), Masker(b"k" * 32), Journals(folder / "r", tools), _Desk(), self
        )
        context = SessionContext(
            id="bench", client="c:1", random=os.urandom, cancel_key=b"12345678", plaintext_allowed=True
        )
        self.gate = Gate(gateway, spec, context)
        self.password = server.password
        self.sock: socket.socket | None = None
        self.back: list[bytes] = []
        self.spent = 0.0

    def cached(self, target: Target, profile: str) -> Any:
        """Give the catalog, as side links do."""
        return self.catalog

    def _answer(self, step: Any) -> Any:
        if type(step) is Send:
            if step.to is Side.CLIENT:
                self.back.append(step.data)
            elif self.sock is not None:
                self.sock.sendall(step.data)
            return None
        if isinstance(step, Authenticate):
            return PRINCIPAL
        if isinstance(step, Dial):
            self.sock = socket.create_connection((self.target.host, self.target.port))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return Link(self.target, self.target.profiles["default"], Secret(self.password))
        if isinstance(step, Query):
            return self.catalog
        if isinstance(step, Persist | Ask):
            return None
        raise RuntimeError(f"unexpected: {step!r}")

    def receive(self, side: Side, data: bytes) -> None:
        """Hand bytes in; only the gateway's own code counts as spent."""
        started = time.thread_time()
        verb = self.gate.receive(side, data, 0.0)
        self.spent += time.thread_time() - started
        if not isinstance(verb, list):
            self.run(verb)
            return
        for step in verb:
            self._answer(step)

    def run(self, steps: Steps[None]) -> None:
        """Run a generator; only the gateway's own code counts as spent."""
        reply = None
        while True:
            started = time.thread_time()
            try:
                step = steps.send(reply)
            except StopIteration:
                self.spent += time.thread_time() - started
                steps.close()
                return
            self.spent += time.thread_time() - started
            reply = self._answer(step)

    def say(self, data: bytes, until: bytes = b"Z\0\0\0\5") -> None:
        """Send bytes as the client; go on until the answer's end was seen."""
        self.receive(Side.CLIENT, data)
        while not (self.back and self.back[-1][-6:-1] == until):
            assert self.sock is not None
            got = self.sock.recv(1 << 18)
            assert got, "the server closed"
            self.receive(Side.TARGET, got)

    def login(self, name: str) -> None:
        """Log in."""
        self.run(self.gate.open(time.time()))
        body = b"user\0default\0database\0" + name.encode() + b"\0\0"
        packet = struct.pack("!ii", len(body) + 8, 196608) + body
        self.receive(Side.CLIENT, packet)
        self.back.clear()
        self.say(b"p" + struct.pack("!i", 10) + b"token\0")


class _Held:
    def __init__(self, snapshot: Any) -> None:
        self._snapshot = snapshot

    def current(self) -> Any:
        return self._snapshot


class _Desk:
    def withdraw(self, id: str, reason: str) -> None:
        pass


def query(text: str) -> bytes:
    """Return a Query message."""
    return b"Q" + struct.pack("!i", len(text) + 5) + text.encode() + b"\0"


def message(kind: bytes, payload: bytes) -> bytes:
    """Return one message."""
    return kind + struct.pack("!i", len(payload) + 4) + payload


def simple(n: int) -> bytes:
    """Return what pgbench -S -M simple sends."""
    return query(f"SELECT abalance FROM pgbench_accounts WHERE aid = {100000 + n};")


def prepared(n: int) -> bytes:
    """Return what pgbench -S -M prepared sends."""
    value = str(100000 + n).encode()
    bind = b"\0P0_0\0" + struct.pack("!hhi", 0, 1, len(value)) + value + struct.pack("!h", 0)
    return message(b"B", bind) + message(b"D", b"P\0") + message(b"E", b"\0\0\0\0\0") + message(b"S", b"")


def run(database: Database, count: int = 2000, profile: str = "") -> dict[str, float]:
    """Measure; `profile` names a mode to profile instead of printing figures alone."""
    found = {}
    for mode, make in (("simple", simple), ("prepared", prepared)):
        dry = Dry(database, "db")
        dry.login("db")
        if mode == "prepared":
            text = b"P0_0\0SELECT abalance FROM pgbench_accounts WHERE aid = $1;\0\0\0"
            dry.say(message(b"P", text) + message(b"S", b""))
        for n in range(200):
            dry.back.clear()
            dry.say(make(n))
        dry.spent = 0.0
        profiler = cProfile.Profile() if profile == mode else None
        if profiler:
            profiler.enable()
        for n in range(count):
            dry.back.clear()
            dry.say(make(n))
        if profiler:
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
        found[mode] = dry.spent / count * 1e6
        print(f"own code, {mode}: {found[mode]:.1f} us a statement", flush=True)
        dry.gate.finish("done")
        if dry.sock is not None:
            dry.sock.close()
    return found
