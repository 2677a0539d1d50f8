"""PG-A45: what a person approved is what runs, however names are moved while they think."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import psycopg
import pytest

from tests.bypass.attack import SYNC, World, bind, execute, parse, query

ASKED = "INSERT INTO open_asked (id, what) VALUES (1, 'x')"


class Asking(threading.Thread):
    """Runs a statement that must be asked about, on a connection of its own."""

    def __init__(self, connection: psycopg.Connection[Any], text: str, *values: Any) -> None:
        super().__init__(daemon=True)
        self._connection = connection
        self._text = text
        self._values = values
        self.error: psycopg.Error | None = None
        self.start()

    def run(self) -> None:
        try:
            self._connection.execute(self._text.encode(), self._values or None)
        except psycopg.Error as error:
            self.error = error


def _pending(world: World) -> dict[str, Any]:
    """Return the one open question, once it is there."""
    with world.gateway.api("anna") as anna:
        for _ in range(2000):
            found = anna.get("/api/v1/approvals", params={"state": "pending"}).raise_for_status().json()
            if found:
                assert len(found) == 1
                return dict(found[0])
    raise AssertionError("nobody was asked")


def _approve(world: World, question: dict[str, Any]) -> int:
    with world.gateway.api("anna") as anna:
        return anna.post(f"/api/v1/approvals/{question['id']}/approve", json={}).status_code


def _ready(world: World, connection: psycopg.Connection[Any]) -> None:
    """Wait until the gateway sees the tables as they are made."""
    for _ in range(20000):
        try:
            connection.execute("SELECT a.what, b.what FROM open_asked a, open_other b, open_parent c WHERE a.id = c.id")
        except psycopg.Error:
            continue
        return
    raise AssertionError("the gateway does not see the tables")


def _names_are_known(world: World) -> None:
    """Wait until the gateway reads the name as the database has it: tests that come behind are not about its delay."""
    oid = world.database.rows("SELECT 'public.open_asked'::regclass::oid::int")[0][0]
    for turn in itertools.count():
        name = f"settled-{oid}-{turn}"
        with world.raw(application_name=name) as raw:
            raw.ask(query(b"SELECT what FROM open_asked"))
        if any(effect["oid"] == oid for one in world.decided(name) for effect in one["effects"]):
            return
        assert turn < 5000


SWAP = "ALTER TABLE open_asked RENAME TO open_moved; ALTER TABLE open_other RENAME TO open_asked"
BACK = "ALTER TABLE open_asked RENAME TO open_other; ALTER TABLE open_moved RENAME TO open_asked"


@pytest.mark.parametrize("way", ["one by one", "directly"])
def test_pg_a45_table_replaced_while_asked(world: World, way: str) -> None:
    """The table is renamed away while a person thinks, by another session or past the gateway: the yes is void."""
    with world.connect() as owner, world.connect() as asker, world.unchanged():
        _ready(world, asker)
        asking = Asking(asker, ASKED)
        question = _pending(world)
        for text in SWAP.split("; "):
            if way == "directly":
                world.database.run(text)
            else:
                owner.execute(text.encode())
        _approve(world, question)
        asking.join(60)
        found = world.database.rows("SELECT * FROM open_asked")
        world.database.run(BACK)
        _names_are_known(world)
        assert found == []
        assert asking.error is not None and asking.error.sqlstate == "42501", asking.error
        assert asker.execute("SELECT 1").fetchone() == (1,)


def test_pg_a45_names_moved_by_the_asker(world: World) -> None:
    """Search path and temporary tables of the asking session: what is bound is what is asked about and what runs."""
    with world.connect() as first:
        _ready(world, first)
    with world.raw() as raw, world.unchanged():
        assert raw.ask(parse(b"s", ASKED.encode()) + SYNC) == "1 ZI"
        assert raw.ask(query(b"CREATE TEMP TABLE open_asked (id int, what text)")) == "C ZI"
        assert raw.ask(bind(b"", b"s") + execute() + SYNC) == "2 C ZI", "the temporary table needs no person"
        assert raw.ask(query(b"SET search_path = vault, public")) == "C ZI"
        assert raw.ask(query(b"BEGIN; SET LOCAL search_path = vault; " + ASKED.encode())).startswith("E42501")
        assert raw.ask(query(b"ROLLBACK")) == "C ZI"
    with world.gateway.api("anna") as anna:
        assert anna.get("/api/v1/approvals", params={"state": "pending"}).json() == []


def test_pg_a45_other_values_than_approved(world: World) -> None:
    """A yes for one set of parameters, and one text, is none for another, and is used once."""
    with world.connect() as asker:
        asking = Asking(asker, "INSERT INTO open_asked (id, what) VALUES (%s, %s)", 45, "approved")
        question = _pending(world)
        assert _approve(world, question) == 200
        asking.join(60)
        assert asking.error is None, asking.error
        assert world.database.rows("SELECT id, what FROM open_asked") == [(45, "approved")]
        with world.unchanged():
            for text, values in (
                ("INSERT INTO open_asked (id, what) VALUES (%s, %s)", (46, "approved")),
                ("INSERT INTO open_asked (id, what) VALUES (%s, %s)", (45, "approved")),
                ("INSERT INTO open_asked (what, id) VALUES (%s, %s)", ("approved", 47)),
            ):
                again = Asking(asker, text, *values)
                other = _pending(world)
                assert other["id"] != question["id"]
                with world.gateway.api("anna") as anna:
                    assert anna.post(f"/api/v1/approvals/{other['id']}/deny", json={}).status_code == 200
                again.join(60)
                assert again.error is not None and again.error.sqlstate == "42501"
    world.database.run("DELETE FROM open_asked")


def test_pg_a45_the_asker_hangs_up(world: World) -> None:
    """A client that goes away while a person thinks takes its question back; a late yes moves nothing."""
    with world.unchanged():
        raw = world.raw()
        raw.send(query(ASKED.encode()))
        question = _pending(world)
        raw.close()
        with world.gateway.api("anna") as anna:
            for _ in range(2000):
                if not anna.get("/api/v1/approvals", params={"state": "pending"}).json():
                    break
        assert _approve(world, question) == 409
