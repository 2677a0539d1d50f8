"""PG-B60 and on: a masked column carried out by DDL of the same transaction."""

from __future__ import annotations

import pytest

from tests.bypass.attack import query
from tests.bypass.leak import Leaks, leaked

MADE = (b"BEGIN", b"CREATE TABLE mine (id int PRIMARY KEY, ssn text, filler int)")

MOVES = [
    b"ALTER TABLE people RENAME COLUMN ssn TO shown",
    b"ALTER TABLE people RENAME TO shown",
    b"ALTER TABLE people SET SCHEMA pg_temp",
    b"ALTER SCHEMA public RENAME TO shown",
    b"CREATE TABLE taken AS SELECT ssn AS shown FROM people",
    b"CREATE TABLE taken (shown) AS TABLE people",
    b"CREATE TEMP TABLE taken AS SELECT ssn AS shown FROM people",
    b"INSERT INTO mine (id, filler) SELECT 1, length(ssn) FROM people",
    b"INSERT INTO scratch (what) SELECT ssn FROM people",
    b"CREATE TABLE above (); ALTER TABLE people INHERIT above",
    b"CREATE TABLE below () INHERITS (people)",
    b"CREATE OR REPLACE VIEW moving_a AS SELECT ssn AS a FROM people",
    b"ALTER TABLE mine RENAME COLUMN ssn TO shown",
]


@pytest.mark.parametrize("move", MOVES)
def test_pg_b60_moved_amid_a_transaction(leaks: Leaks, move: bytes) -> None:
    """After DDL of the same transaction, guardrails, masks and rules of inference hold as before it."""
    with leaks.raw() as raw:
        for text in (*MADE, b"SAVEPOINT s"):
            raw.ask(query(text))
        assert "E42501" in raw.ask(query(move)), move
        raw.ask(query(b"ROLLBACK TO s"))
        for text in (b"SELECT ssn FROM people WHERE id = 1", b"SELECT shown FROM people_view WHERE id = 1"):
            assert raw.ask(query(text)) == "T D C ZT", text
        raw.ask(query(b"ROLLBACK"))
        assert not leaked(raw.seen)


def test_pg_b61_a_table_of_the_transaction(leaks: Leaks) -> None:
    """Its masked column is masked, whatever DDL comes between."""
    for who in ("bot", "reader"):
        with leaks.raw(who) as raw:
            for text in (*MADE, b"INSERT INTO mine VALUES (1, '531-77-8264', 2)"):
                assert raw.ask(query(text)).startswith("C ZT")
            for ddl in (b"ALTER TABLE mine DROP COLUMN filler", b"ALTER TABLE mine RENAME TO ours"):
                raw.ask(query(b"SAVEPOINT s"))
                assert raw.ask(query(ddl)).endswith(("ZT", "ZE"))
                for text in (b"SELECT ssn FROM mine", b"SELECT * FROM ours", b"TABLE mine", b"COPY mine TO STDOUT"):
                    raw.ask(query(text))
                    raw.ask(query(b"ROLLBACK TO s"))
            assert raw.ask(query(b"SELECT ssn FROM mine")) == "T D C ZT"
            raw.ask(query(b"ROLLBACK"))
            assert not leaked(raw.seen)
