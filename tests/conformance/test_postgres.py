"""PostgreSQL passes the kit, against the real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.kit import Conformance
from tests.conformance.postgres_driver import SCHEMA, PostgresDriver
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="module")
def driver(postgres: PostgresServer) -> Iterator[PostgresDriver]:
    """A database of the run's server."""
    database = postgres.create_database(SCHEMA)
    yield PostgresDriver(database)
    database.drop()


class TestPostgres(Conformance):
    """All ten points."""
