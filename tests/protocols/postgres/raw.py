"""A raw protocol client for tests: messages out, whole messages in."""

from __future__ import annotations

import socket

from checkrein.core.framing import frame

SYNC = frame(b"S", b"")


def parse(name: bytes, text: bytes) -> bytes:
    return frame(b"P", name + b"\0" + text + b"\0\0\0")


def bind(portal: bytes = b"", statement: bytes = b"") -> bytes:
    return frame(b"B", portal + b"\0" + statement + b"\0" + bytes(6))


def execute(portal: bytes = b"", limit: int = 0) -> bytes:
    return frame(b"E", portal + b"\0" + limit.to_bytes(4, "big"))


def describe(kind: bytes, name: bytes = b"") -> bytes:
    return frame(b"D", kind + name + b"\0")


def query(text: bytes) -> bytes:
    return frame(b"Q", text + b"\0")


def run(text: bytes) -> bytes:
    """One statement in the extended protocol, without Sync."""
    return parse(b"", text) + bind() + execute()


class Raw:
    """A logged-in client. `opened` are those that `close_all` closes."""

    opened: list[Raw] = []

    def __init__(self, port: int, cut: int = 0) -> None:
        self.cut = cut
        self.wire = socket.create_connection(("127.0.0.1", port), timeout=8)
        Raw.opened.append(self)
        body = (3 << 16).to_bytes(4, "big") + b"user\0default\0database\0main\0\0"
        self.send((len(body) + 4).to_bytes(4, "big") + body)
        self.buffer = b""
        assert self.message() == (b"R", (3).to_bytes(4, "big"))
        self.send(frame(b"p", b"token\0"))
        self.until(b"Z")

    @classmethod
    def close_all(cls) -> None:
        """Close every client of the test."""
        while cls.opened:
            cls.opened.pop().wire.close()

    def send(self, data: bytes) -> None:
        size = self.cut or len(data)
        for at in range(0, len(data), size):
            self.wire.sendall(data[at : at + size])

    def message(self) -> tuple[bytes, bytes]:
        """Return the next (type, payload); (b"", b"") at the end."""
        while len(self.buffer) < 5 or len(self.buffer) < 1 + int.from_bytes(self.buffer[1:5], "big"):
            data = self.wire.recv(65536)
            if not data:
                return b"", b""
            self.buffer += data
        size = 1 + int.from_bytes(self.buffer[1:5], "big")
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found[:1], found[5:]

    def until(self, kind: bytes, count: int = 1) -> list[tuple[bytes, bytes]]:
        """Return messages up to the count-th of a type."""
        found = []
        while count:
            one = self.message()
            if not one[0]:
                found.append(one)
                return found
            found.append(one)
            count -= one[0] == kind
        return found

    def ask(self, data: bytes, ready: int = 1) -> str:
        """Send; return the types of the answers up to ReadyForQuery, its state appended, errors as their SQLSTATE."""
        self.send(data)
        return shown(self.until(b"Z", ready))


def code_of(payload: bytes) -> str:
    return next(part[1:].decode() for part in payload.split(b"\0") if part[:1] == b"C")


def shown(messages: list[tuple[bytes, bytes]]) -> str:
    words = []
    for kind, payload in messages:
        if kind == b"S" or kind == b"N":
            continue
        if kind == b"Z":
            words.append("Z" + payload.decode())
        elif kind == b"E":
            words.append("E" + code_of(payload))
        else:
            words.append(kind.decode())
    return " ".join(words)
