"""PostgreSQL passes the kit, against the real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from checkrein.core.limits import LOGIN_SECONDS
from checkrein.protocols.postgres.startup import SSL_REQUEST
from tests.conformance.kit import Conformance
from tests.conformance.postgres_driver import SCHEMA, PostgresDriver
from tests.conformance.stage import Stage
from tests.conformance.world import World
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="module")
def driver(postgres: PostgresServer) -> Iterator[PostgresDriver]:
    """A database of the run's server."""
    database = postgres.create_database(SCHEMA)
    yield PostgresDriver(database)
    database.drop()


class TestPostgres(Conformance):
    """All ten points."""

    @pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x00\x05nonsense", b"Q\0\0\0\x0dSELECT 1\0"])
    def test_tls_that_fails_ends_the_session_at_once(self, stage: Stage, sent: bytes) -> None:
        """A handshake that is left or is none holds no session until the login's time is over."""

        async def scene(made: World) -> None:
            wire = await made.client(login=False)
            await wire.send(SSL_REQUEST)
            assert await wire.take(lambda received: min(len(received), 1)) == b"S"
            await wire.send(sent)
            await wire.close()
            await made.idle()

        stage.play(scene, LOGIN_SECONDS / 2)
