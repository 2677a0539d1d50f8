"""The toy protocol in the conformance kit: what a new protocol adds to be tried."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from checkrein.core.spec import ProtocolSpec
from tests.conformance.driver import ALLOWED, ASKED, DENIED, ERROR, MASKED, OK, REFUSED, Answer, Request
from tests.conformance.echo import SPEC, serve_echo
from tests.conformance.wire import Wire

WORDS = {ALLOWED: "hi", DENIED: "no", ASKED: "pay", MASKED: "hi", "failing": "fail"}
CARD = "4111111111111111"
PASSWORD = "not said to anyone"

POLICY = """
apiVersion: checkrein/v1
kind: Policy
metadata: {name: words}
spec:
  subjects: {groups: [bots]}
  targets: {names: ["*"]}
  rules:
    - {name: talk, allow: {verbs: [say], words: [hi, fail]}}
    - {name: never, deny: {words: ["no"]}, message: that word is not said here}
    - name: money
      ask: {words: [pay]}
      approvers: {groups: [oncall]}
      wait: {hold: 15s}
  masks:
    - {detect: [credit_card], with: redact}
"""


class EchoDriver:
    """See driver.Driver. The target says back what it is sent, so a secret is planted in the request itself."""

    spec: ProtocolSpec = SPEC
    policy = POLICY
    target_name = "words"
    planted = (CARD.encode(), PASSWORD.encode())
    garbage = (b"\xff\xfe\xfd\n", b"SAY hi \xc3\n")
    login_garbage = (b"\n", b"GET / HTTP/1.1\r\n\r\n", b"\xff\n", b"LOGIN words default not.a.token\n")
    hostile = (b"= one\n= and another\n", b"x" * 70_000)

    @contextlib.asynccontextmanager
    async def target(self) -> AsyncIterator[tuple[str, int]]:
        """Serve the toy target in this process."""
        serving: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            serving.add(task)
            await serve_echo(reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
        name = server.sockets[0].getsockname()
        try:
            yield str(name[0]), int(name[1])
        finally:
            server.close()
            await asyncio.wait_for(asyncio.gather(*serving), 10)

    def target_yaml(self, host: str, port: int, folder: Path) -> str:
        """The toy target is not logged in to; a profile has a password all the same."""
        secret = folder / "words.password"
        secret.touch(mode=0o600)
        secret.write_text(PASSWORD)
        return (
            f"  - name: words\n    protocol: echo\n    address: {host}:{port}\n    tls: {{mode: disable}}\n"
            f"    profiles: {{default: {{user: nobody, password: 'file:{secret}'}}}}"
        )

    async def login(self, wire: Wire, token: str) -> None:
        """Be greeted, give the token, be welcomed."""
        await wire.take(_line)
        await wire.send(f"LOGIN words default {token}\n".encode())
        assert await wire.take(_line) == b"welcome\n"

    def request(self, kind: str, number: int) -> Request:
        """One line."""
        secret, kept = (f" card {CARD}", " card [redacted]") if kind == MASKED else ("", "")
        text = f"SAY {WORDS[kind]} {kind}-{number}."
        return Request(f"{text}{secret}\n".encode(), text + kept, f"{kind}-{number}.".encode())

    def odd(self, text: str) -> Request:
        """Any text without a line feed."""
        line = f"SAY hi {text}".replace("\n", " ")
        return Request(f"{line}\n".encode(), line, line.encode())

    def answers(self, received: bytes) -> tuple[list[Answer], int]:
        """Lines; notices are none."""
        used = received.rfind(b"\n") + 1
        kinds = {b"=": OK, b"!": REFUSED}
        lines = [line for line in received[:used].split(b"\n")[:-1] if line[:1] != b"#"]
        return [Answer(kinds.get(line[:1], ERROR), line) for line in lines], used

    def last_words(self, received: bytes) -> str:
        """The last line, without its sign."""
        lines = received.decode(errors="replace").splitlines()
        return lines[-1][2:] if lines and lines[-1].startswith("! ") else ""

    def statements(self, sent: bytes) -> list[str]:
        """Every line; a masked one as the journal keeps it."""
        lines = sent.decode(errors="replace").split("\n")[:-1]
        return [line.replace(CARD, "[redacted]") for line in lines]

    def ran(self, sent: bytes, request: Request) -> bool:
        """There is nothing but running."""
        return request.mark in sent

    def farewell(self) -> bytes:
        """There is none."""
        return b""

    def oversize(self) -> Iterable[bytes]:
        """A line without end."""
        yield b"SAY hi "
        while True:
            yield b"x" * 16_384

    def long_requests(self) -> Iterable[bytes]:
        """Long lines."""
        while True:
            yield f"SAY hi {'some words ' * 4000}\n".encode()

    def large(self, kind: str) -> tuple[Iterable[bytes], int]:
        """Lines of 48 KiB."""
        secret = f" {CARD} " if kind == MASKED else ""
        line = f"SAY hi {'some words ' * 4000}{secret}\n".encode()
        count = 1600 if kind == ALLOWED else 500
        return (line for _ in range(count)), count * (len(line) - 64)


def _line(received: bytes) -> int:
    return received.find(b"\n") + 1
