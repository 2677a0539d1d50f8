"""What a protocol supplies so that the conformance kit can try it: its target, its requests, and how to read bytes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from checkrein.core.spec import ProtocolSpec
from tests.conformance.wire import Wire

ALLOWED, DENIED, ASKED, MASKED, FAILING = "allowed", "denied", "asked", "masked", "failing"
"""Kinds of request. A masked one's answer holds a planted secret; the target answers a failing one with an error."""

OK, REFUSED, ERROR = "ok", "refused", "error"


@dataclass(frozen=True)
class Request:
    """One request as its bytes on the wire, with the statement's text as the journal keeps it.

    `mark` stands in the bytes and in no other request's.
    """

    data: bytes
    text: str
    mark: bytes


@dataclass(frozen=True)
class Answer:
    """One whole answer: how it ended, and what in it may be compared between runs."""

    outcome: str
    body: bytes


class Driver(Protocol):
    """One protocol. Requests of the same kind and number are the same; numbers are 1 to 200."""

    spec: ProtocolSpec
    policy: str
    """Policies for the group `bots`; what is asked, the group `oncall` answers."""

    target_name: str
    planted: tuple[bytes, ...]
    """Secrets that the target gives and masks cover, and the target's credential: none ever leaves the gateway."""

    garbage: tuple[bytes, ...]
    """What a logged-in client may not send; each must end the session."""

    login_garbage: tuple[bytes, ...]
    """What a client may not begin with; each must end the connection."""

    hostile: tuple[bytes, ...]
    """What a target may not answer; each must end the session."""

    def target(self) -> AbstractAsyncContextManager[tuple[str, int]]:
        """Start the real target, with data; give its address."""

    def target_yaml(self, host: str, port: int, folder: Path) -> str:
        """Return the list entry of `targets`, indented by two, reached at an address; secrets go into the folder."""

    async def login(self, wire: Wire, token: str) -> None:
        """Log a client in, byte by byte of its own; leave nothing unread."""

    def request(self, kind: str, number: int) -> Request:
        """Return a request of a kind."""

    def odd(self, text: str) -> Request:
        """Return an allowed request that carries an arbitrary text."""

    def answers(self, received: bytes) -> tuple[list[Answer], int]:
        """Return the whole answers at the beginning of what a client received, and the bytes they took."""

    def last_words(self, received: bytes) -> str:
        """Return the reason with which the gateway ended a session natively, from all that was received since login."""

    def statements(self, sent: bytes) -> list[str]:
        """Return the texts of the statements in what a link carried to the target, without the gateway's own."""

    def ran(self, sent: bytes, request: Request) -> bool:
        """Say whether a request was run over a link that carried this to the target; preparing it is not running it."""

    def farewell(self) -> bytes:
        """Return how a client takes its leave, empty where it just goes."""

    def oversize(self) -> Iterable[bytes]:
        """Yield parts of one request that is longer than any limit, without end."""

    def long_requests(self) -> Iterable[bytes]:
        """Yield allowed requests without end, each of tens of KiB, each of which may be sent before earlier answers."""

    def large(self, kind: str) -> tuple[Iterable[bytes], int]:
        """Return requests and at least how many bytes of answers they give: far above what may be held in memory."""
