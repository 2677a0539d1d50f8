"""The catalog of a test's database, as the gateway itself loads it."""

from __future__ import annotations

import psycopg

from checkrein.protocols.postgres import catalog_queries, catalog_rows
from checkrein.protocols.postgres.catalog import CatalogSnapshot
from tests.support.postgres import Database


def rows(connection: psycopg.Connection[object], query: str) -> list[tuple[str | None, ...]]:
    """Run one query by a simple Query and return its rows in text format, as the side link does."""
    answer = connection.pgconn.exec_(query.encode())
    if answer.status not in (psycopg.pq.ExecStatus.TUPLES_OK, psycopg.pq.ExecStatus.COMMAND_OK):
        raise RuntimeError(answer.error_message.decode())
    cells = [[answer.get_value(row, column) for column in range(answer.nfields)] for row in range(answer.ntuples)]
    return [tuple(None if cell is None else cell.decode() for cell in row) for row in cells]


def load(connection: psycopg.Connection[object]) -> CatalogSnapshot:
    """Load the snapshot of the database that the connection is in."""
    rows(connection, catalog_queries.SETUP)
    queries = catalog_queries.QUERIES.items()
    return catalog_rows.assemble({name: rows(connection, catalog_queries.bounded(query)) for name, query in queries})


def load_of(database: Database, user: str = "", password: str = "") -> CatalogSnapshot:
    """Load the snapshot of a database as superuser, or as a user."""
    with database.connect(user, password) as connection:
        return load(connection)


def version_of(database: Database) -> str:
    """Return the version that the database's catalog has now."""
    with database.connect() as connection:
        rows(connection, catalog_queries.SETUP)
        return str(rows(connection, catalog_queries.VERSION_QUERY)[0][0])
