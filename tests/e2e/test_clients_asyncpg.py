"""asyncpg works unchanged: binary types, introspection, statements, cursors, transactions, COPY, pools, time-outs."""

from __future__ import annotations

import asyncio
import contextlib
import io
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from tests.support.shop import Shop

Act = Callable[[asyncpg.Connection], Awaitable[Any]]


async def _through(shop: Shop, target: str = "db", **more: Any) -> asyncpg.Connection:
    context = ssl.create_default_context(cafile=str(shop.gateway.ca))
    return await asyncpg.connect(
        host="127.0.0.1", port=shop.gateway.port, database=target, user="default",
        password=shop.gateway.token("bot"), ssl=context, **more,
    )  # fmt: skip


async def _direct(shop: Shop, target: str = "db") -> asyncpg.Connection:
    return await asyncpg.connect(_url(shop, target))


def _url(shop: Shop, target: str) -> str:
    server = shop.server
    return f"postgresql://{shop.role}:{quote(shop.password)}@{server.host}:{server.port}/{shop.behind(target).name}"


def both(shop: Shop, target: str, act: Act) -> Any:
    """Run an act through the gateway and directly; the results are equal; return one."""

    async def run() -> tuple[Any, Any]:
        found = []
        for connect in (_through, _direct):
            connection = await connect(shop, target)
            try:
                found.append(await asyncio.wait_for(act(connection), 60))
            finally:
                await connection.close(timeout=10)
        return found[0], found[1]

    through, direct = asyncio.run(run())
    assert through == direct
    return through


def test_every_type(served: Shop, target: str) -> None:
    """All columns of a table of many types, in binary, with enum, composite, domain and arrays introspected."""

    async def act(connection: asyncpg.Connection) -> Any:
        return [tuple(row) for row in await connection.fetch("SELECT * FROM kinds")]

    assert both(served, target, act)[0][7] == "text"


def test_parameters_of_every_type(served: Shop, target: str) -> None:
    """Each value goes out as a parameter of its column's type and comes back the same."""

    async def act(connection: asyncpg.Connection) -> Any:
        row = (await connection.fetch("SELECT * FROM kinds"))[0]
        found = []
        for name in row.keys():  # noqa: SIM118  a Record iterates values
            if name not in ("j", "s"):  # json has no equality, and `= $1` makes an anonymous record of a composite
                found.append((name, await connection.fetchval(f"SELECT id FROM kinds WHERE {name} = $1", row[name])))
        return found

    assert {value for _, value in both(served, target, act)} == {1}


def test_transactions_and_savepoints(served: Shop, target: str) -> None:
    """Blocks, savepoints, isolation levels, read-only blocks, and a rollback."""

    async def act(connection: asyncpg.Connection) -> Any:
        found = []
        async with connection.transaction(isolation="serializable", readonly=True, deferrable=True):
            found.append(await connection.fetchval("SELECT count(*) FROM orders"))
        outer = connection.transaction()
        await outer.start()
        await connection.execute("INSERT INTO scratch (id, label) VALUES (500, 'outer')")
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO scratch (id, label) VALUES ($1, $2)", 501, "inner")
                raise LookupError
        except LookupError:
            pass
        found.append([tuple(row) for row in await connection.fetch("SELECT id, label FROM scratch WHERE id >= 500")])
        await outer.rollback()
        found.append(await connection.fetchval("SELECT count(*) FROM scratch WHERE id >= 500"))
        return found

    assert both(served, target, act) == [1000, [(500, "outer")], 0]


def test_cursors(served: Shop, target: str) -> None:
    """Server-side cursors with prefetch, and fetch, forward, fetchrow."""

    async def act(connection: asyncpg.Connection) -> Any:
        async with connection.transaction():
            ids = [row["id"] async for row in connection.cursor("SELECT id FROM orders ORDER BY id", prefetch=70)]
            cursor = await connection.cursor("SELECT id FROM orders WHERE id > $1 ORDER BY id", 10)
            some = [row["id"] for row in await cursor.fetch(5)]
            await cursor.forward(10)
            return ids, some, (await cursor.fetchrow())["id"]

    assert both(served, target, act)[1:] == ([11, 12, 13, 14, 15], 26)


def test_prepared_statements(served: Shop, target: str) -> None:
    """Attributes, parameters, explain, many executions, executemany, and the statement cache."""

    async def act(connection: asyncpg.Connection) -> Any:
        statement = await connection.prepare("SELECT id, amount FROM orders WHERE id = $1")
        attributes = [(one.name, one.type.name) for one in statement.get_attributes()]
        rows = [tuple(await statement.fetchrow(number)) for number in range(1, 200)]
        plan = await statement.explain(5)
        await connection.executemany(
            "INSERT INTO scratch (id, label) VALUES ($1, $2)", [(number, f"n{number}") for number in range(700, 900)]
        )
        removed = await connection.execute("DELETE FROM scratch WHERE id BETWEEN 700 AND 899")
        return attributes, rows, plan[0]["Plan"]["Node Type"], removed, statement.get_statusmsg()

    assert both(served, target, act)[3] == "DELETE 200"


def test_fetchmany(served: Shop, target: str) -> None:
    """A batch of executions with rows back, pipelined."""

    async def act(connection: asyncpg.Connection) -> Any:
        rows = await connection.fetchmany("SELECT id, amount FROM orders WHERE id = $1", [(n,) for n in range(1, 60)])
        return [tuple(row) for row in rows]

    assert len(both(served, target, act)) == 59


def test_copies(served: Shop, target: str) -> None:
    """COPY out of a table and a query, in text, CSV and binary; records in by binary COPY, and a file in."""

    async def act(connection: asyncpg.Connection) -> Any:
        found = []
        for options in ({}, {"format": "csv", "header": True}, {"format": "binary"}):
            out = io.BytesIO()
            found.append(await connection.copy_from_table("kinds", columns=["id", "t", "ia"], output=out, **options))
            found.append(out.getvalue())
        out = io.BytesIO()
        await connection.copy_from_query("SELECT id, amount FROM orders WHERE id < $1 ORDER BY id", 10, output=out)
        found.append(out.getvalue())
        records = [(number, f"r{number}") for number in range(1000, 1500)]
        found.append(await connection.copy_records_to_table("scratch", records=records, columns=["id", "label"]))
        source = io.BytesIO(b"1500,a\n1501,b\n")
        found.append(await connection.copy_to_table("scratch", source=source, columns=["id", "label"], format="csv"))
        found.append(await connection.execute("DELETE FROM scratch WHERE id BETWEEN 1000 AND 1501"))
        return found

    assert both(served, target, act)[-1] == "DELETE 502"


def test_a_copy_that_waits_holds_its_client_back(served: Shop, target: str) -> None:
    """A COPY that waits for a lock, its rows sent without waiting for the server: the client is held back, not cut."""

    async def run() -> tuple[int, str, str]:
        connection, other = await _through(served, target), await _direct(served, target)
        asked, given = asyncio.Event(), 0

        async def rows() -> AsyncIterator[bytes]:
            nonlocal given
            for number in range(48):
                given += 1
                asked.set()
                yield f"{2000 + number}\t".encode() + b"x" * 1_000_000 + b"\n"

        lock = other.transaction()
        await lock.start()
        await other.execute("LOCK TABLE scratch IN ACCESS EXCLUSIVE MODE")
        copy = asyncio.create_task(connection.copy_to_table("scratch", source=rows(), columns=["id", "label"]))
        with contextlib.suppress(TimeoutError):
            while not copy.done():  # until nothing more is taken
                await asyncio.wait_for(asked.wait(), 2)
                asked.clear()
        held = given
        await lock.rollback()
        copied = await asyncio.wait_for(copy, 60)
        removed = await connection.execute("DELETE FROM scratch WHERE id BETWEEN 2000 AND 2047")
        await connection.close()
        await other.close()
        return held, copied, removed

    held, copied, removed = asyncio.run(run())
    assert held < 32
    assert (copied, removed) == ("COPY 48", "DELETE 48")


def test_schema_type_codecs(served: Shop, target: str) -> None:
    """set_type_codec, set_builtin_type_codec and reload_schema_state introspect by the catalog."""

    async def act(connection: asyncpg.Connection) -> Any:
        await connection.set_type_codec(
            "jsonb", encoder=str, decoder=lambda value: ("json", value), schema="pg_catalog"
        )
        await connection.set_type_codec("mood", encoder=str, decoder=lambda value: ("mood", value), schema="public")
        if target == "ext":
            await connection.set_builtin_type_codec("hstore", codec_name="pg_contrib.hstore")
        found = tuple(await connection.fetchrow("SELECT jb, m FROM kinds"))
        await connection.reset_type_codec("mood", schema="public")
        await connection.reload_schema_state()
        more = await connection.fetchval("SELECT 'a=>1'::hstore") if target == "ext" else None
        return found, more, await connection.fetchval("SELECT 1")

    assert both(served, target, act)[0][1] == ("mood", "calm")


def test_errors(served: Shop, target: str) -> None:
    """Errors keep their class and the session lives on; what does not exist has the server's own SQLSTATE."""

    async def act(connection: asyncpg.Connection) -> Any:
        found: list[Any] = []
        texts = ["SELECT 1/0", "SELECT nothing FROM orders", "SELEC 1", "SELECT 'x'::integer", "SELECT * FROM nix"]
        for text in [*texts, "SELECT o.nothing FROM orders o", "SELECT nix(1)", "INSERT INTO scratch (nix) VALUES (1)"]:
            with pytest.raises(asyncpg.PostgresError) as caught:
                await connection.fetch(text)
            found.append((text, type(caught.value).__name__))
            found.append(await connection.fetchval("SELECT 1"))
        settings = connection.get_settings()
        return found, connection.get_server_version(), settings.client_encoding, settings.server_version

    both(served, target, act)


def test_pools_reset(served: Shop, target: str) -> None:
    """A pool's connections are reset between users (UNLISTEN, RESET ALL, CLOSE ALL, unlocks), many at once."""

    async def run() -> list[int]:
        context = ssl.create_default_context(cafile=str(served.gateway.ca))
        async with asyncpg.create_pool(
            host="127.0.0.1", port=served.gateway.port, database=target, user="default",
            password=served.gateway.token("bot"), ssl=context, min_size=2, max_size=4,
        ) as pool:  # fmt: skip

            async def one(number: int) -> int:
                async with pool.acquire() as connection:
                    await connection.execute("SET statement_timeout = 30000")
                    return int(await connection.fetchval("SELECT id FROM orders WHERE id = $1", number))

            return await asyncio.gather(*(one(number) for number in range(1, 33)))

    assert asyncio.run(run()) == list(range(1, 33))


def test_time_out_cancels(served: Shop) -> None:
    """A time-out sends a cancel request; the connection is usable at once."""

    async def run() -> Any:
        connection = await _through(served)
        with pytest.raises(asyncio.TimeoutError):
            await connection.fetch("SELECT pg_sleep(60)", timeout=0.3)
        answer = await connection.fetchval("SELECT 1", timeout=20)
        await connection.close()
        return answer

    assert asyncio.run(run()) == 1


def test_a_session_that_the_server_ends(served: Shop, target: str) -> None:
    """The server's own words for it reach the client, and nothing behind them."""
    running = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'"  # runs, not just parsed

    async def act(connection: asyncpg.Connection) -> Any:
        other = await _direct(served, target)
        process = await connection.fetchval("SELECT pg_backend_pid()")
        slept = asyncio.create_task(connection.fetch("SELECT pg_sleep(60)"))
        while not await other.fetchval(running, process):
            assert not slept.done()
        await other.fetchval("SELECT pg_terminate_backend($1)", process)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as caught:
            await asyncio.wait_for(slept, 30)
        await other.close()
        return type(caught.value).__name__, str(caught.value)

    assert "terminating connection due to administrator command" in both(served, target, act)[1]


def test_listen(served: Shop) -> None:
    """LISTEN on an allowed channel delivers what another session notifies; another channel is refused."""

    async def run() -> tuple[str, str]:
        listener, speaker = await _through(served), await _through(served)
        heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        await listener.add_listener("news", lambda _, pid, channel, payload: heard.put_nowait((channel, payload)))
        await speaker.execute("NOTIFY news, 'hello'")
        first = await asyncio.wait_for(heard.get(), 20)
        await speaker.execute("SELECT pg_notify('news', 'again')")
        assert (await asyncio.wait_for(heard.get(), 20))[1] == "again"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await speaker.execute("LISTEN gossip")
        await listener.reset()
        await listener.close()
        await speaker.close()
        return first

    assert asyncio.run(run()) == ("news", "hello")


def test_masks_in_binary(served: Shop, target: str) -> None:
    """A masked text column shows its last four; the rest of the row is untouched."""

    async def run() -> Any:
        connection = await _through(served, target)
        rows = await connection.fetch("SELECT id, ssn, name FROM customers WHERE id = $1", 7)
        await connection.close()
        return tuple(rows[0])

    number, ssn, name = asyncio.run(run())
    assert (number, name) == (7, "customer 7")
    assert ssn.endswith("0007") and "219" not in ssn
