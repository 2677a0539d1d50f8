"""The gateway that the attacks of PG-A are made on: one a worker, since each test proves that nothing changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bypass.attack import POLICIES, SCHEMA, World
from tests.support.gateway import Target, running
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def world(postgres: PostgresServer) -> Iterator[World]:
    """A gateway whose profile is a superuser: what it lets through, the target does."""
    database = postgres.create_database(SCHEMA)
    with running([Target(database)], POLICIES) as gateway:
        yield World(gateway, database)
    database.drop()
