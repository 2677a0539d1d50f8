"""The open sessions: found by their cancel keys, however many there are."""

from __future__ import annotations

from typing import Any, cast

from checkrein.core.session import Cancelled
from checkrein.dataplane.listener import Sessions
from checkrein.dataplane.relay import Relay


class Crowd:
    """A session of many, which counts how often somebody looks at its key; it is its own gate."""

    looked = 0

    def __init__(self, id: str, key: bytes) -> None:
        self.id = id
        self.key = key
        self.gate = self
        self.told: list[Any] = []

    def cancel_key(self) -> bytes:
        Crowd.looked += 1
        return self.key

    def tell(self, what: Any) -> None:
        self.told.append(what)


def opened(sessions: Sessions, *crowd: Crowd) -> None:
    """Open sessions and let their keys be known."""
    for one in crowd:
        sessions.add(cast(Relay, one))
        sessions.keyed(one.id, one.key)


def test_gw_30_a_cancel_looks_at_no_session_but_its_own() -> None:
    """A stranger's cancel costs the same whatever the number of sessions; the right key reaches its session alone."""
    sessions = Sessions()
    crowd = [Crowd(str(at), at.to_bytes(8, "big")) for at in range(1000)]
    opened(sessions, *crowd)
    Crowd.looked = 0
    for key in (b"", b"\xff" * 8, crowd[7].key[:-1], crowd[7].key + b"\0"):
        sessions.cancel(key)
    assert not any(one.told for one in crowd)
    sessions.cancel(crowd[7].key)
    assert [one.id for one in crowd if one.told] == ["7"] and crowd[7].told == [Cancelled()]
    assert Crowd.looked == 0


def test_a_key_dies_with_its_session() -> None:
    """A closed session's key means nothing; another session that drew the same one keeps it."""
    sessions = Sessions()
    first, second, silent = Crowd("1", b"same"), Crowd("2", b"same"), Crowd("3", b"")
    opened(sessions, first, second)
    sessions.add(cast(Relay, silent))
    for one in (silent, first):
        sessions.remove(cast(Relay, one))
    sessions.cancel(b"same")
    assert (len(first.told), len(second.told), len(silent.told)) == (0, 1, 0)
    sessions.remove(cast(Relay, second))
    sessions.cancel(b"same")
    assert len(second.told) == 1
