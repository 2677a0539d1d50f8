"""The question what a transaction defined: it cannot be captured, and it says the truth."""

from __future__ import annotations

from tests.support.postgres import Database

from checkrein.protocols.postgres.uncommitted import learnt
from checkrein.protocols.postgres.uncommitted_query import UNCOMMITTED_QUERY


def test_it_runs(database: Database) -> None:
    """It says the truth."""
    with database.connect() as connection, connection.transaction():
        connection.execute("CREATE TABLE a (id int PRIMARY KEY, b text)")
        rows = connection.execute(UNCOMMITTED_QUERY).fetchall()
        for row in rows:
            print(row)
        names, made = learnt([tuple(None if c is None else c.encode() for c in row) for row in rows], "1")
        print(names, made)
    assert 0
