"""Entering: a session runs in the database whose catalog its statements are read against."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.gateway import Target, running
from tests.support.postgres import PostgresServer


def test_another_database_is_refused(postgres: PostgresServer) -> None:
    """`target/database` may name the target's own database; any other would be judged by the wrong catalog."""
    database, other = postgres.create_database(), postgres.create_database()
    with running([Target(database)]) as gateway:
        with psycopg.connect(gateway.dsn(target=f"db/{database.name}")) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == (database.name,)
        with pytest.raises(psycopg.OperationalError, match="others are targets of their own"):
            psycopg.connect(gateway.dsn(target=f"db/{other.name}"))
