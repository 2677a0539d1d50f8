"""Fixtures of every test: a real PostgreSQL for the run, and a database of it for a test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import postgres as support
from tests.support.shop import Shop, shop


def pytest_configure(config: pytest.Config) -> None:
    """In the process that runs the tests or their workers: make the folder that they share."""
    if not hasattr(config, "workerinput"):
        os.environ[support.RUN_FOLDER] = tempfile.mkdtemp(prefix="checkrein-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what the run started, once every worker is done."""
    if not hasattr(config, "workerinput"):
        run = Path(os.environ.pop(support.RUN_FOLDER))
        support.stop_shared(run)
        shutil.rmtree(run, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> support.PostgresServer:
    """The run's real PostgreSQL; skips, so that it is counted, only where no server is installed."""
    server = support.shared_server()
    if server is None:
        pytest.skip("no PostgreSQL server binaries on this machine")
    return server


@pytest.fixture
def database(postgres: support.PostgresServer) -> Iterator[support.Database]:
    """An empty database of its own for one test."""
    made = postgres.create_database()
    yield made
    made.drop()


@pytest.fixture(scope="session")
def served(postgres: support.PostgresServer) -> Iterator[Shop]:
    """A small shop behind a gateway, as native clients find it; one a worker, so tests leave it as it was."""
    with shop(postgres) as found:
        yield found


@pytest.fixture(params=["db", "ext"])
def target(request: pytest.FixtureRequest) -> str:
    """The shop's targets: a plain database, and one with citext, hstore and pg_trgm in public."""
    return str(request.param)
