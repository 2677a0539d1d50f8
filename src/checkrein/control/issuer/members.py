"""Who may have a token from the embedded issuer, and for what secret; guessing is slowed."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec

from checkrein.core.identity import Secret
from checkrein.core.limits import (
    ISSUER_FAILURE_SECONDS,
    ISSUER_FAILURES,
    ISSUER_LONG_SECRET,
    ISSUER_PEERS,
    ISSUER_VARIED_SECRET,
)


class Member(msgspec.Struct, frozen=True):
    """One agent or person; `secret` is a reference that is resolved at each request, so rotation needs no restart."""

    id: str
    groups: tuple[str, ...]
    secret: str


class Members:
    """The members by id. `resolve` turns a reference into its secret and may raise Unavailable."""

    def __init__(self, members: tuple[Member, ...], resolve: Callable[[str], Secret]) -> None:
        self._members = {member.id: member for member in members}
        self._resolve = resolve

    def __contains__(self, id: str) -> bool:
        return id in self._members

    def check(self, id: str, secret: bytes) -> Member | None:
        """Return the member whose secret this is. Takes as long for an unknown id as for a wrong secret.

        Raises Unavailable when the member's secret cannot be read.
        """
        member = self._members.get(id)
        known = self._resolve(member.secret).reveal() if member is not None else b"\0"
        same = hmac.compare_digest(hashlib.sha256(known).digest(), hashlib.sha256(secret).digest())
        return member if same and member is not None else None

    def unguessable(self, id: str) -> bool:
        """Say whether trying secrets for this member is hopeless. Raises Unavailable like `check`."""
        member = self._members.get(id)
        return member is not None and hopeless_to_guess(self._resolve(member.secret).reveal())


def hopeless_to_guess(secret: bytes) -> bool:
    """Say whether a secret is as long and as varied as 128 random bits in hex or base64 are; words are not."""
    return len(secret) >= ISSUER_LONG_SECRET and len(set(secret)) >= ISSUER_VARIED_SECRET


class Throttle:
    """Counts failures by peer and client: ISSUER_FAILURES in ISSUER_FAILURE_SECONDS, then both must wait."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def wait(self, peer: str, client: str, now: float) -> float:
        """Return the seconds that this peer must wait before it may try this client again; 0 for none."""
        times = self._failures.get((peer, client))
        while times and now - times[0] >= ISSUER_FAILURE_SECONDS:
            times.popleft()
        if not times or len(times) < ISSUER_FAILURES:
            return 0.0
        return ISSUER_FAILURE_SECONDS - (now - times[0])

    def failed(self, peer: str, client: str, now: float) -> None:
        """Note a failure."""
        times = self._failures.setdefault((peer, client), deque(maxlen=ISSUER_FAILURES))
        times.append(now)
        self._failures.move_to_end((peer, client))
        while len(self._failures) > ISSUER_PEERS:
            self._failures.popitem(last=False)
