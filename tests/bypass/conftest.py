"""The gateways that the attacks are made on: one of each kind a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bypass import leak
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


@pytest.fixture(scope="session")
def leaks(postgres: PostgresServer) -> Iterator[leak.Leaks]:
    """A gateway in front of masked columns; its profile is a superuser, so only the gateway stands before them."""
    database = postgres.create_database(leak.SCHEMA)
    with running([Target(database)], leak.POLICIES) as gateway:
        yield leak.Leaks(gateway, database)
    database.drop()


@pytest.fixture(scope="session")
def detecting(postgres: PostgresServer) -> Iterator[leak.Leaks]:
    """A gateway that masks nothing by name: detectors alone."""
    database = postgres.create_database(leak.SCHEMA)
    with running([Target(database)], leak.DETECTING) as gateway:
        yield leak.Leaks(gateway, database)
    database.drop()
