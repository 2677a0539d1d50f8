"""Asked statements in every way that a client can send one: scripts, blocks, prepared, pipelines, asyncpg."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import psycopg
import pytest

from tests.e2e.flows import Held, amount, answer, approval, approve, asking, run, until
from tests.support.gateway import Gateway
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="module")
def gateway(postgres: PostgresServer) -> Iterator[Gateway]:
    with asking(postgres) as found:
        yield found


def test_asked_in_a_transaction_block(gateway: Gateway) -> None:
    """Held in a block: the yes lets it run inside; a no fails the block natively, and nothing of it stays."""
    with gateway.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO free (word) VALUES ('kept')")
        held = Held(connection, run("UPDATE orders SET amount = 2000 WHERE id = 9"))
        approve(gateway, held.id)
        assert held.end() == 1
        connection.execute("COMMIT")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO free (word) VALUES ('lost')")
        held = Held(connection, run("UPDATE orders SET amount = 3000 WHERE id = 9"))
        answer(gateway, "anna", held.id, "deny")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            held.end()
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT count(*) FROM free WHERE word = 'lost'").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM free WHERE word = 'kept'").fetchone() == (1,)
    assert amount(gateway, 9) == 2000


def test_asked_in_a_script(gateway: Gateway) -> None:
    """One simple query of several statements: the whole is held where the asked one stands, and runs in order."""
    with gateway.connect() as connection:
        text = "INSERT INTO free (word) VALUES ('s1'); UPDATE orders SET amount = 1 WHERE id = 10; SELECT 3"
        held = Held(connection, run(text))
        approve(gateway, held.id)
        held.end()
    assert amount(gateway, 10) == 1


def prepared(text: str, *parameters: Any) -> Callable[[psycopg.Connection[Any]], int]:
    """Return work that runs a statement prepared on the server."""
    return lambda connection: connection.execute(text.encode(), parameters, prepare=True).rowcount


def test_asked_in_the_extended_protocol(gateway: Gateway) -> None:
    """With parameters, prepared on the server and run three times: every run is asked with its own parameters."""
    with gateway.connect() as connection:
        for value in (21, 22, 23):
            held = Held(connection, prepared("UPDATE orders SET amount = %s WHERE id = 11", value))
            assert approval(gateway, held.id)["parameters"] == [str(value)]
            approve(gateway, held.id)
            assert held.end() == 1
    assert amount(gateway, 11) == 23


def test_asked_in_a_pipeline(gateway: Gateway) -> None:
    """A pipeline with an asked statement in the middle: earlier ones answer, the asked one waits, later ones follow."""

    def work(connection: psycopg.Connection[Any]) -> Any:
        with connection.pipeline():
            one = connection.execute("SELECT 1")
            two = connection.execute("UPDATE orders SET amount = 5 WHERE id = 12 RETURNING id")
            three = connection.execute("SELECT 3")
            return one.fetchall(), two.fetchall(), three.fetchall()

    with gateway.connect() as connection:
        held = Held(connection, work)
        approve(gateway, held.id)
        assert held.end() == ([(1,)], [(12,)], [(3,)])


def test_denied_in_a_pipeline(gateway: Gateway) -> None:
    """A no in the middle of a pipeline: what follows to the Sync is skipped as the protocol says, nothing hangs."""

    def work(connection: psycopg.Connection[Any]) -> Any:
        with connection.pipeline():
            one = connection.execute("SELECT 1")
            connection.execute("UPDATE orders SET amount = 0 WHERE id = 13")
            connection.execute("INSERT INTO free (word) VALUES ('after a no')")
            return one.fetchall()

    with gateway.connect() as connection:
        held = Held(connection, work)
        answer(gateway, "anna", held.id, "deny")
        with pytest.raises(psycopg.Error):
            held.end()
        assert connection.execute("SELECT count(*) FROM free WHERE word = 'after a no'").fetchone() == (0,)
    assert amount(gateway, 13) == 13


def test_asked_of_asyncpg(gateway: Gateway) -> None:
    """asyncpg (binary parameters, prepared by itself) is held, told, and served; a no is its own exception."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ids: asyncio.Queue[str] = asyncio.Queue()
        context = ssl.create_default_context(cafile=str(gateway.ca))
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=gateway.port,
            user="default",
            database="db",
            password=gateway.token("bot"),
            ssl=context,
        )
        connection.add_log_listener(lambda _, m: ids.put_nowait(str(m.message)) if "approval" in m.message else None)
        try:
            for verb in ("approve", "deny"):
                task = asyncio.ensure_future(connection.execute("UPDATE orders SET amount = $1 WHERE id = $2", 77, 14))
                notice = await asyncio.wait_for(ids.get(), 20)
                id = notice.split("for approval ", 1)[1].split()[0]
                await loop.run_in_executor(None, answer, gateway, "anna", id, verb)
                if verb == "approve":
                    assert await asyncio.wait_for(task, 20) == "UPDATE 1"
                else:
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await asyncio.wait_for(task, 20)
            assert await connection.fetchval("SELECT 5") == 5
        finally:
            await connection.close(timeout=10)

    asyncio.run(main())
    assert amount(gateway, 14) == 77


def test_killed_while_asked(gateway: Gateway) -> None:
    """An operator ends a session that waits: the client is told, the question is withdrawn, nothing runs."""
    connection = gateway.connect()
    held = Held(connection, run("UPDATE orders SET amount = 0 WHERE id = 15"))
    shown = approval(gateway, held.id)
    assert gateway.command("sessions", "kill", shown["session"], who="root").returncode == 0
    with pytest.raises(psycopg.errors.AdminShutdown):
        held.end()
    connection.close()
    until(lambda: approval(gateway, held.id)["state"] == "withdrawn", "withdrawn")
    assert amount(gateway, 15) == 15


def test_cancel_in_the_extended_protocol(gateway: Gateway) -> None:
    """A cancel while parameters wait for a person: 57014, and the prepared statement is of use afterwards."""
    work = prepared("UPDATE orders SET amount = %s WHERE id = 16", 3)
    with gateway.connect() as connection:
        held = Held(connection, work)
        id = held.id
        connection.cancel_safe(timeout=10)
        with pytest.raises(psycopg.errors.QueryCanceled):
            held.end()
        assert approval(gateway, id)["state"] == "withdrawn"
        held = Held(connection, work)
        assert held.id != id
        approve(gateway, held.id)
        assert held.end() == 1


@pytest.mark.parametrize("earlier", [True, False], ids=["earlier", "first"])
def test_target_gone_while_asked(gateway: Gateway, postgres: PostgresServer, earlier: bool) -> None:
    """The target ends the link while a person is waited for: the client is told, a yes finds nothing to run.

    A session's first statement waits for the names' answer before it is asked about, later ones do not.
    """
    with gateway.connect() as other:
        name = other.execute("SELECT current_database()").fetchall()[0][0]
    own = f"datname = '{name}' AND application_name = 'embedded:bot'"
    alive = f"SELECT count(*) FROM pg_stat_activity WHERE {own}"
    until(lambda: postgres.rows("postgres", alive) == [(0,)], "no session is left")
    connection = gateway.connect()
    if earlier:
        connection.execute("SELECT 1")
    held = Held(connection, run("UPDATE orders SET amount = 0 WHERE id = 17"))
    assert held.id
    ended = postgres.rows("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {own}")
    assert ended == [(True,)]
    with pytest.raises(psycopg.OperationalError):
        held.end()
    connection.close()
    until(lambda: approval(gateway, held.id)["state"] == "withdrawn", "withdrawn")
    assert answer(gateway, "anna", held.id)[0] == 409
    assert amount(gateway, 17) == 17
