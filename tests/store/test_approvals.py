"""Approvals: every transition happens once, whoever races."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect

from checkrein.core.errors import LimitExceeded, Unavailable
from checkrein.core.limits import OPEN_APPROVALS_PER_PRINCIPAL
from checkrein.store import approvals
from checkrein.store.approvals import Approval, ApprovalStore
from checkrein.store.engine import open_store
from checkrein.store.schema import METADATA


def question(id: str, **changes: Any) -> Approval:
    values: dict[str, Any] = {
        "id": id,
        "binding": "b1",
        "issuer": "corp",
        "subject": "bot",
        "target": "orders",
        "profile": "default",
        "protocol": "postgres",
        "session": "s1",
        "statement": "DELETE FROM orders",
        "asked_at": 100.0,
        "expires_at": 200.0,
        "parameters": ["1", None],
        "terms": [{"rule": "r", "approvers": ["oncall"]}],
    }
    return Approval(**{**values, **changes})


@pytest.fixture
def store(tmp_path: Path) -> ApprovalStore:
    return ApprovalStore(open_store(tmp_path / "state.db"))


def test_roundtrip(store: ApprovalStore) -> None:
    """What is added comes back equal, JSON columns and all."""
    store.add(question("a"))
    assert store.get("a") == question("a")
    assert store.get("b") is None
    assert [one.id for one in store.find("pending")] == ["a"]


def test_answered_once(store: ApprovalStore) -> None:
    """The second answer finds nothing to answer, and the first stands."""
    store.add(question("a"))
    yes = store.settle("a", approvals.APPROVED, 110.0, ["corp:anna"])
    assert yes is not None and yes.state == "approved" and yes.answered_by == ["corp:anna"]
    assert store.settle("a", approvals.DENIED, 111.0, ["corp:bob"]) is None
    assert store.get("a") == yes


def test_no_answer_after_expiry(store: ApprovalStore) -> None:
    """A yes that comes after the time is over does nothing, even before anyone swept."""
    store.add(question("a"))
    assert store.settle("a", approvals.APPROVED, 200.0, ["corp:anna"]) is None


def test_consumed_by_one_of_many(tmp_path: Path) -> None:
    """Of twenty that race for a one-use grant over own connections, one gets it."""
    store = ApprovalStore(open_store(tmp_path / "state.db"))
    store.add(question("a"))
    store.settle("a", approvals.APPROVED, 110.0, ["corp:anna"])
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda _: store.consume("a", "s1", 120.0), range(20)))
    assert sum(won) == 1
    one = store.get("a")
    assert one is not None and one.state == "used" and one.uses_left == 0


def test_uses_are_counted(store: ApprovalStore) -> None:
    """A grant of two uses serves two, and is used then."""
    store.add(question("a", uses_left=2))
    store.settle("a", approvals.APPROVED, 110.0, ["corp:anna"])
    assert [store.consume("a", "s", 120.0) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("state", ["pending", "denied", "expired", "withdrawn"])
def test_only_approved_is_consumed(store: ApprovalStore, state: str) -> None:
    """No other state gives a grant."""
    store.add(question("a", state=state))
    assert not store.consume("a", "s1", 120.0)


def test_session_only(store: ApprovalStore) -> None:
    """A grant bound to a session is neither found nor used from another."""
    store.add(question("a", session_only=True))
    store.settle("a", approvals.APPROVED, 110.0, ["corp:anna"])
    assert store.open_for("b1", "s2", 120.0) is None
    assert not store.consume("a", "s2", 120.0)
    assert store.open_for("b1", "s1", 120.0) is not None
    assert store.consume("a", "s1", 120.0)


def test_open_for_prefers_the_grant(store: ApprovalStore) -> None:
    """With a pending question and a grant of the same binding, the grant is found; another binding finds nothing."""
    store.add(question("a", asked_at=90.0))
    store.add(question("b"))
    store.settle("b", approvals.APPROVED, 110.0, ["corp:anna"])
    found = store.open_for("b1", "s1", 120.0)
    assert found is not None and found.id == "b"
    assert store.open_for("b2", "s1", 120.0) is None
    assert store.open_for("b1", "s1", 200.0) is None


def test_withdraw(store: ApprovalStore) -> None:
    """A pending question and an unused grant can be withdrawn, a used one not."""
    store.add(question("a"))
    assert store.withdraw("a", "the asker went away", 120.0)
    assert not store.withdraw("a", "again", 121.0)
    assert store.settle("a", approvals.APPROVED, 130.0, ["corp:anna"]) is None


def test_expire_and_restart(store: ApprovalStore) -> None:
    """Time expires questions and grants; a restart expires what is pending and leaves grants (AP-8)."""
    store.add(question("old", expires_at=150.0))
    store.add(question("grant", expires_at=300.0))
    store.add(question("open", expires_at=300.0))
    store.settle("grant", approvals.APPROVED, 110.0, ["corp:anna"])
    assert store.expire(150.0) == ["old"]
    assert store.restarted() == ["open"]
    assert store.consume("grant", "s", 160.0)


def test_bounded(store: ApprovalStore) -> None:
    """One principal's open questions are bounded; another's are counted apart."""
    for number in range(OPEN_APPROVALS_PER_PRINCIPAL):
        store.add(question(f"q{number}"))
    with pytest.raises(LimitExceeded):
        store.add(question("more"))
    store.add(question("other", subject="bot2"))
    assert store.pending("corp", "bot") == OPEN_APPROVALS_PER_PRINCIPAL
    assert store.pending() == OPEN_APPROVALS_PER_PRINCIPAL + 1


def test_migrations_make_the_schema(tmp_path: Path) -> None:
    """The migrated database has the tables, columns and indexes that `schema` declares; the file is private."""
    path = tmp_path / "state.db"
    open_store(path).dispose()
    engine = open_store(path)  # a second start migrates nothing
    plain = create_engine("sqlite://")
    METADATA.create_all(plain)
    for table in METADATA.tables:
        for look in ("get_columns", "get_indexes", "get_pk_constraint"):
            found, wanted = (getattr(inspect(one), look)(table) for one in (engine, plain))
            assert str(found) == str(wanted)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    engine.dispose()
    plain.dispose()


def test_unusable_store(tmp_path: Path) -> None:
    """A file that is no database is Unavailable, not overwritten."""
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(Unavailable):
        open_store(path)
    assert path.read_bytes().startswith(b"not a database")
