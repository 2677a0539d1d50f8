"""What tests of whole conversations share: gateways in front of a database with the schema of the test's module."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.protocols.postgres.driver import Gateway, Judge, allow_all
from tests.protocols.postgres.raw import Raw
from tests.support.postgres import Database

Open = Callable[..., Gateway]


@pytest.fixture
def gateways(request: pytest.FixtureRequest, database: Database) -> Iterator[Open]:
    """Opens gateways before a database with the module's SCHEMA; none of them may have failed inside at the end."""
    database.run(request.module.SCHEMA)
    opened: list[Gateway] = []

    def make(judge: Judge = allow_all, cut: int = 0) -> Gateway:
        opened.append(Gateway(database, judge, cut))
        return opened[-1]

    yield make
    Raw.close_all()
    for one in opened:
        one.close()
        assert not one.failures
