"""PG-A: the order of messages - pipelines, blocks, savepoints, copies, prepared statements - as a way round."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator

import asyncpg
import pg8000.native
import psycopg
import pytest

from checkrein.core.framing import frame
from tests.bypass.attack import (
    FLUSH,
    SECRET,
    SYNC,
    World,
    bind,
    code_of,
    describe,
    execute,
    extended,
    parse,
    query,
    run,
)
from tests.support.gateway import policy

GOOD = b"INSERT INTO open_queue (what) VALUES ('a34')"
BAD = b"DELETE FROM secret_keys"


def test_pg_a34_everything_up_to_sync_is_dropped(world: World) -> None:
    """After a refusal nothing of the pipeline runs, and what ran before in it is taken back."""
    after = run(GOOD) + describe(b"S") + frame(b"C", b"P\0") + parse(b"later", b"SELECT 1")
    for bad in (
        run(BAD),
        parse(b"", BAD),
        parse(b"x", b"SELECT 1; SELECT 2"),
        parse(b"x", b"SELEKT"),
        bind(b"", b"no such"),
        execute(b"no such"),
        describe(b"P", b"no such"),
    ):
        with world.raw() as raw, world.unchanged():
            assert raw.ask(run(GOOD) + bad + after + SYNC).startswith("1 2 n C E")
            assert raw.ask(bind(b"", b"later") + SYNC).startswith("E26000")
            assert raw.ask(bad + after + after + SYNC).startswith("E")
            assert raw.ask(extended(b"SELECT 1")) == "1 2 T D C ZI"


def test_pg_a34_clients_in_pipelines(world: World) -> None:
    """psycopg's pipeline, asyncpg's and pg8000's transactions see one error and lose what came before it."""
    with world.connect() as connection, world.unchanged():
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.pipeline():
            connection.execute(GOOD)
            connection.execute(BAD)
            connection.execute(GOOD)
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with world.unchanged():
        asyncio.run(_asyncpg(world))
        _pg8000(world)


async def _asyncpg(world: World) -> None:
    connection = await asyncpg.connect(_url(world))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with connection.transaction():
            await connection.execute("INSERT INTO open_queue (what) VALUES ($1)", "x")
            await connection.execute("DELETE FROM secret_keys WHERE id = $1", 1)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.executemany("UPDATE secret_keys SET n = $1 WHERE id = $2", [(1, 1), (2, 2)])
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


def _url(world: World) -> str:
    gateway = world.gateway
    token = gateway.token("bot")
    return f"postgres://default:{token}@127.0.0.1:{gateway.port}/db?sslmode=verify-full&sslrootcert={gateway.ca}"


def _pg8000(world: World) -> None:
    import ssl

    gateway = world.gateway
    connection = pg8000.native.Connection(
        "default",
        host="127.0.0.1",
        port=gateway.port,
        database="db",
        password=gateway.token("bot"),
        ssl_context=ssl.create_default_context(cafile=str(gateway.ca)),
    )
    connection.run("START TRANSACTION")
    connection.run("INSERT INTO open_queue (what) VALUES (:w)", w="x")
    with pytest.raises(pg8000.native.DatabaseError):
        connection.run("DELETE FROM secret_keys WHERE id = :i", i=1)
    connection.run("ROLLBACK")
    assert connection.run("SELECT 1") == [[1]]
    connection.close()


def test_pg_a35_out_of_a_read_only_transaction(world: World) -> None:
    """What ends or loosens a read-only transaction and then writes is judged as a write."""
    writes = (
        b"COMMIT; DROP TABLE open_items",
        b"COMMIT; INSERT INTO open_queue (what) VALUES ('x')",
        b"ROLLBACK; UPDATE open_items SET n = 9 WHERE id = 1",
        b"SET TRANSACTION READ WRITE; DELETE FROM open_items WHERE id = 1",
        b"COMMIT AND CHAIN; DELETE FROM secret_keys",
        b"END; BEGIN READ WRITE; DELETE FROM open_items WHERE id = 1; COMMIT",
        b"ABORT; CREATE TABLE open_new (a int)",
        b"SET default_transaction_read_only = off; DELETE FROM open_items WHERE id = 1",
    )
    for who, texts in (("reader", writes), ("bot", (writes[0], writes[4]))):
        for text in texts:
            with world.raw(who) as raw, world.unchanged():
                assert raw.ask(query(b"BEGIN READ ONLY")) == "C ZT"
                assert raw.ask(query(text)) == "E42501 ZE", (who, text)
                assert raw.ask(query(b"SELECT 1")) == "E25P02 ZE"
                assert raw.ask(query(b"ROLLBACK")) == "C ZI"
                for part in text.split(b"; "):
                    raw.ask(extended(part))
                assert raw.ask(query(b"ROLLBACK")).endswith("ZI")


def test_pg_a36_last_of_several_forbidden(world: World) -> None:
    """Of several statements in one Query none runs when one is refused, wherever it stands."""
    good = GOOD.decode()
    for text in (
        f"{good}; {good}; DELETE FROM secret_keys",
        f"DELETE FROM secret_keys; {good}",
        f"{good}; SELECT key FROM secret_keys; {good}",
        f"BEGIN; {good}; COMMIT; DROP TABLE open_items",
        f"{good};;;; ; TRUNCATE open_queue;",
        f"{good}; SELEKT 1",
        f"{good}; CREATE TABLE open_now (a int); DELETE FROM open_items",
        f"CREATE TEMP TABLE x AS SELECT 1; {good}; SELECT key FROM secret_keys",
        f"{good}; COPY secret_keys TO STDOUT",
        f"{good}; COPY open_queue (what) FROM STDIN; DELETE FROM secret_keys",
        f"SAVEPOINT a; {good}; ROLLBACK TO a; DELETE FROM secret_keys",
        f"{good}; SET ROLE postgres",
        f"{good}; SELECT open_wiper()",
    ):
        with world.raw() as raw, world.unchanged():
            shown = raw.ask(query(text.encode()))
            assert len(shown.split()) == 2, (text, shown)
            assert shown.startswith("E42") and shown.endswith(" ZI"), (text, shown)
            assert raw.ask(query(b"SELECT 1")) == "T D C ZI"
            assert SECRET.encode() not in raw.seen


def test_pg_a42_what_is_told_is_what_is_there(world: World) -> None:
    """A permitted write, then a refusal: in a pipeline, one Query, a block, behind a savepoint."""
    mark = uuid.uuid4().hex
    counted = f"SELECT count(*) FROM open_queue WHERE what LIKE '{mark}%'"

    def put(index: int) -> bytes:
        return f"INSERT INTO open_queue (what) VALUES ('{mark}{index}')".encode()

    def there() -> int:
        return int(world.database.rows(counted)[0][0])

    with world.raw() as raw:
        assert raw.ask(run(put(1)) + run(BAD) + SYNC) == "1 2 n C E42501 ZI"
        assert there() == 0
        assert raw.ask(run(put(1)) + SYNC + run(BAD) + SYNC, 2) == "1 2 n C ZI E42501 ZI"
        assert there() == 1
        assert raw.ask(run(put(2)) + query(BAD)) == "1 2 n C E42501 ZI"
        assert there() == 1, "a Query behind unsynced messages ends them as one transaction"
        assert raw.ask(query(b"BEGIN")) == "C ZT"
        assert raw.ask(query(put(3))) == "C ZT"
        assert raw.ask(query(BAD)) == "E42501 ZE"
        assert raw.ask(query(put(4))) == "E25P02 ZE"
        assert raw.ask(query(b"COMMIT")) == "C ZI"
        assert there() == 1, "COMMIT of a failed block is a ROLLBACK"
        assert raw.ask(query(b"BEGIN")) == "C ZT"
        assert raw.ask(query(put(5))) == "C ZT"
        assert raw.ask(query(b"SAVEPOINT s")) == "C ZT"
        assert raw.ask(query(put(6))) == "C ZT"
        assert raw.ask(extended(BAD)) == "E42501 ZE"
        assert raw.ask(query(b"ROLLBACK TO s")) == "C ZT"
        assert raw.ask(extended(put(7))) == "1 2 n C ZT"
        assert raw.ask(query(b"COMMIT")) == "C ZI"
        assert there() == 3, "1, 5 and 7"
        assert raw.ask(query(put(8) + b"; " + BAD)) == "E42501 ZI"
        assert raw.ask(query(b"BEGIN; " + put(9) + b"; COMMIT; " + BAD)) == "E42501 ZI"
        assert there() == 3
        assert raw.ask(run(b"BEGIN") + run(put(10)) + run(BAD) + run(b"COMMIT") + SYNC) == "1 2 n C 1 2 n C E42501 ZE"
        assert raw.ask(query(b"COMMIT")) == "C ZI"
        assert there() == 3
    world.database.run(f"DELETE FROM open_queue WHERE what LIKE '{mark}%'")


def test_pg_a42_clients_that_hang_up(world: World) -> None:
    """Messages without Sync, or an open block, and then a hang-up: nothing stays."""
    for sent in (run(GOOD), query(b"BEGIN") + query(GOOD), run(GOOD) + FLUSH, run(GOOD) + run(BAD), run(GOOD) + b"Q"):
        with world.unchanged():
            raw = world.raw()
            raw.send(sent + FLUSH)
            raw.message()
            raw.close()
            _no_others(world)


def _no_others(world: World) -> None:
    """Wait until the database has no session but this one: what a gone client left is over."""
    with world.database.connect() as direct:
        for _ in range(2000):
            busy = direct.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_xid IS NOT NULL"
            ).fetchone()
            if busy == (0,):
                return
    raise AssertionError("a transaction of a gone client is still open")


def test_pg_a44_deferred_constraints_and_held_rows(world: World) -> None:
    """A write whose rows are owed a mask tells nothing before it is committed: a deferred constraint fails first."""
    bad = b"INSERT INTO open_child (id, parent, ssn) VALUES (1, 99, '219-09-9999') RETURNING id, ssn"
    good = b"INSERT INTO open_child (id, parent, ssn) VALUES (7, 1, '219-09-9999') RETURNING id, ssn"
    for way in (query, extended):
        with world.raw() as raw, world.unchanged():
            shown = raw.ask(way(bad))
            assert "D" not in shown.split() and "C" not in shown.split(), shown
            assert shown.endswith("E23503 ZI")
            assert raw.ask(query(b"BEGIN")) == "C ZT"
            assert "D C ZT" in raw.ask(way(bad))
            assert raw.ask(query(b"COMMIT")) == "E23503 ZI"
            assert raw.ask(query(b"BEGIN")) == "C ZT"
            assert raw.ask(query(b"SET CONSTRAINTS ALL IMMEDIATE")) == "C ZT"
            shown = raw.ask(way(bad))
            assert "D" not in shown.split() and shown.endswith("E23503 ZE"), shown
            assert raw.ask(query(b"ROLLBACK")) == "C ZI"
            assert b"219-09-9999" not in raw.seen
    with world.raw() as raw:
        assert raw.ask(query(good)) == "T D C ZI"
        assert b"219-09-9999" not in raw.seen
        assert world.database.rows("SELECT ssn FROM open_child WHERE id = 7") == [("219-09-9999",)]
        assert raw.ask(extended(b"DELETE FROM open_child WHERE id = 7 RETURNING ssn")).endswith("D C ZI")
        assert b"219-09-9999" not in raw.seen


@contextlib.contextmanager
def _policies(world: World, name: str, text: str, probe: bytes, refused: bool) -> Iterator[None]:
    """Change one policy, wait until it holds, and change it back."""
    folder = world.gateway.folder / "policies"
    before = {path.name: path.read_text() for path in folder.iterdir()}
    world.gateway.write_policies({**before, name: text})
    _until(world, probe, refused)
    try:
        yield
    finally:
        world.gateway.write_policies(before)
        _until(world, probe, not refused)


def _until(world: World, probe: bytes, refused: bool) -> None:
    with world.raw() as raw:
        for _ in range(20000):
            if raw.ask(query(probe)).startswith("E42501" if refused else "T"):
                return
    raise AssertionError("the policy did not change")


NEW_DENY = policy("newer", '- {name: no-parents, deny: {verbs: ["*"], touches: [public.open_parent]}}')


def test_pg_a19_policy_changed_after_parse(world: World) -> None:
    """What was parsed, bound or declared before a policy changed is judged by the policy of now."""
    text = b"SELECT id FROM open_parent"
    with world.raw() as raw:
        assert raw.ask(parse(b"s", text) + SYNC) == "1 ZI"
        assert raw.ask(query(b"PREPARE q AS " + text)) == "C ZI"
        assert raw.ask(bind(b"", b"s") + execute() + SYNC) == "2 D C ZI"
        assert raw.ask(query(b"BEGIN")) == "C ZT"
        assert raw.ask(bind(b"p", b"s") + SYNC) == "2 ZT"
        assert raw.ask(query(b"DECLARE c CURSOR FOR " + text)) == "C ZT"
        with _policies(world, "newer.yaml", NEW_DENY, text, True):
            assert raw.ask(execute(b"p") + SYNC) == "E42501 ZE"
            assert raw.ask(query(b"ROLLBACK")) == "C ZI"
            assert raw.ask(bind(b"", b"s") + execute() + SYNC) == "E42501 ZI"
            assert raw.ask(query(b"EXECUTE q")) == "E42501 ZI"
            assert raw.ask(extended(b"EXECUTE q")) == "E42501 ZI"
            assert raw.ask(query(b"BEGIN")) == "C ZT"
            assert raw.ask(query(b"FETCH ALL FROM c")).endswith("ZE")
            assert raw.ask(query(b"ROLLBACK")) == "C ZI"
        assert raw.ask(bind(b"", b"s") + execute() + SYNC) == "2 D C ZI"
        assert raw.ask(query(b"EXECUTE q")) == "T D C ZI"


def test_pg_a19_policy_changed_under_an_open_cursor(world: World) -> None:
    """A cursor opened before the policy changed gives no more rows."""
    with world.raw() as raw:
        assert raw.ask(query(b"BEGIN")) == "C ZT"
        assert raw.ask(query(b"DECLARE c CURSOR FOR SELECT id FROM open_parent")) == "C ZT"
        with _policies(world, "newer.yaml", NEW_DENY, b"SELECT id FROM open_parent", True):
            assert raw.ask(query(b"FETCH ALL FROM c")) == "E42501 ZE"
        assert raw.ask(query(b"ROLLBACK")) == "C ZI"


def test_pg_a20_prepare_and_execute(world: World) -> None:
    """SQL's PREPARE is judged as what it prepares, EXECUTE as what is prepared, whoever prepared it."""
    world.must_refuse(
        "PREPARE a AS DELETE FROM secret_keys",
        "PREPARE a (int) AS SELECT key FROM secret_keys WHERE id = $1",
        "EXECUTE nobody",
        "PREPARE a AS SELECT 1; EXECUTE a; DELETE FROM secret_keys",
        "EXPLAIN ANALYZE EXECUTE nobody",
        "CREATE TABLE open_x AS EXECUTE nobody",
        "PREPARE a AS PREPARE b AS SELECT 1",
        "EXECUTE nobody((SELECT key FROM secret_keys LIMIT 1))",
    )
    with world.raw() as raw, world.unchanged():
        assert raw.ask(query(b"PREPARE good (int) AS SELECT name FROM open_items WHERE id = $1")) == "C ZI"
        assert raw.ask(query(b"EXECUTE good (1)")) == "T D C ZI"
        assert raw.ask(query(b"EXECUTE good ((SELECT n FROM secret_keys LIMIT 1))")) == "E42501 ZI"
        assert raw.ask(query(b"EXECUTE good (open_wiper())")) == "E42501 ZI"
        assert raw.ask(bind(b"", b"good", (b"1",)) + execute() + SYNC) == "2 D C ZI"
        assert raw.ask(parse(b"good", BAD) + SYNC) == "E42501 ZI"
        assert raw.ask(parse(b"good", b"SELECT 1") + SYNC) == "E42P05 ZI"
        assert raw.ask(query(b"DEALLOCATE good; PREPARE good AS SELECT key FROM secret_keys")) == "E42501 ZI"
        assert raw.ask(query(b"EXECUTE good (1)")) == "T D C ZI"
        remade = query(b"DEALLOCATE good; PREPARE good AS SELECT id FROM open_parent; EXECUTE good")
        assert raw.ask(remade).startswith("E42501"), "what it runs is made by the same request"
        assert raw.ask(parse(b"wire", b"SELECT name FROM open_items") + SYNC) == "1 ZI"
        assert raw.ask(query(b"EXECUTE wire")) == "T D C ZI"
        assert raw.ask(query(b"SET search_path = vault")) == "C ZI"
        assert raw.ask(query(b"EXECUTE wire")) == "E42501 ZI"
        assert raw.ask(query(b"EXECUTE good (1)")) == "E42501 ZI"
        assert raw.ask(query(b"EXPLAIN (ANALYZE) EXECUTE wire")) == "E42501 ZI"
        assert raw.ask(query(b"CREATE TEMP TABLE x AS EXECUTE wire")) == "E42501 ZI"
        assert raw.ask(bind(b"", b"wire") + execute() + SYNC) == "E42501 ZI"
        assert raw.ask(query(b"DEALLOCATE ALL")) == "C ZI"
        assert raw.ask(query(b"EXECUTE wire")).startswith("E42501")
        assert SECRET.encode() not in raw.seen


def test_pg_a20_names_that_are_cut(world: World) -> None:
    """The server cuts names at 63 bytes, in SQL and on the wire: names that differ behind are one."""
    long = b"n" * 63
    with world.raw() as raw, world.unchanged():
        assert raw.ask(query(b"PREPARE " + long + b"1 AS SELECT name FROM open_items")) == "C ZI"
        for name in (long, long + b"2"):
            assert raw.ask(query(b"EXECUTE " + name)) == "T D C ZI"
            assert raw.ask(bind(b"", name) + execute() + SYNC) == "2 D C ZI"
        assert raw.ask(parse(long + b"3", b"SELECT 1") + SYNC) == "E42P05 ZI"
        assert raw.ask(frame(b"C", b"S" + long + b"4\0") + SYNC) == "3 ZI"
        assert raw.ask(bind(b"", long) + SYNC) == "E26000 ZI"
    with world.raw() as raw, masked(world) as value:
        assert raw.ask(parse(long + b"1", b"SELECT id::text FROM open_child") + SYNC) == "1 ZI"
        assert raw.ask(frame(b"C", b"S" + long + b"2\0") + SYNC) == "3 ZI"
        assert raw.ask(parse(long + b"3", b"SELECT ssn FROM open_child") + SYNC) == "1 ZI"
        raw.ask(bind(b"", long + b"1") + execute() + SYNC)
        assert raw.ask(query(b"BEGIN")) == "C ZT"
        raw.ask(
            parse(b"clear", b"SELECT id::text FROM open_child") + parse(b"owed", b"SELECT ssn FROM open_child") + SYNC
        )
        raw.ask(bind(long + b"1", b"clear") + frame(b"C", b"P" + long + b"2\0") + bind(long + b"3", b"owed") + SYNC)
        raw.ask(execute(long + b"1") + SYNC)
        raw.ask(query(b"ROLLBACK"))
        assert value not in raw.seen


def test_pg_a20_a_name_remade_in_a_pipeline(world: World) -> None:
    """What EXECUTE means is known before it is judged, however fast the messages come."""
    with world.raw() as raw, world.unchanged():
        piped = run(b"DEALLOCATE ALL") + run(b"PREPARE q AS SELECT 1") + run(b"EXECUTE q") + SYNC
        assert raw.ask(piped).split()[-2].startswith("E")
        piped = query(b"PREPARE r AS SELECT id FROM open_parent") + query(b"EXECUTE r") + query(b"DEALLOCATE r")
        assert raw.ask(piped, 3) == "C ZI T D C ZI C ZI"


@contextlib.contextmanager
def masked(world: World) -> Iterator[bytes]:
    """A row in the masked column; the value that nobody may see."""
    world.database.run("INSERT INTO open_child VALUES (8, 1, '219-09-9999')")
    try:
        yield b"219-09-9999"
    finally:
        world.database.run("DELETE FROM open_child WHERE id = 8")


def test_pg_a21_cursors(world: World) -> None:
    """DECLARE is judged as its query; FETCH takes only from cursors whose query is known."""
    world.must_refuse(
        "DECLARE c CURSOR WITH HOLD FOR SELECT key FROM secret_keys",
        "DECLARE c BINARY INSENSITIVE SCROLL CURSOR WITH HOLD FOR TABLE secret_keys",
        "FETCH ALL FROM nobody",
        "MOVE nobody",
        "BEGIN; DECLARE c CURSOR FOR SELECT key FROM secret_keys; FETCH c; COMMIT",
        "DELETE FROM open_items WHERE CURRENT OF nobody",
    )
    with world.raw() as raw, world.unchanged():
        assert raw.ask(query(b"BEGIN")) == "C ZT"
        assert raw.ask(query(b"DECLARE c SCROLL CURSOR FOR SELECT name FROM open_items")) == "C ZT"
        assert raw.ask(query(b"FETCH 2 FROM c")) == "T D C ZT"
        assert raw.ask(query(b"MOVE ABSOLUTE 0 IN c")) == "C ZT"
        assert raw.ask(extended(b"FETCH NEXT FROM c")).endswith("D C ZT")
        assert raw.ask(query(b"UPDATE open_items SET n = 9 WHERE CURRENT OF c")).startswith("E42501")
        assert raw.ask(query(b"ROLLBACK")) == "C ZI"
        assert raw.ask(query(b"BEGIN")) == "C ZT"
        assert raw.ask(query(b"SAVEPOINT s")) == "C ZT"
        assert raw.ask(query(b"DECLARE c CURSOR FOR SELECT name FROM open_items")) == "C ZT"
        assert raw.ask(query(b"ROLLBACK TO s")) == "C ZT"
        assert raw.ask(query(b"SET LOCAL search_path = vault")) == "C ZT"
        assert raw.ask(query(b"DECLARE c CURSOR FOR SELECT name FROM open_items")).startswith("E42501")
        assert raw.ask(query(b"ROLLBACK")) == "C ZI"
        assert SECRET.encode() not in raw.seen


def test_pg_a46_meaning_changed_since_it_was_prepared(world: World) -> None:
    """A prepared statement is read again when its search path, temporary tables or view are others by now."""
    with world.raw() as raw, world.unchanged():
        text = b"SELECT name FROM open_items WHERE id = 1"
        assert raw.ask(parse(b"s", text) + SYNC) == "1 ZI"
        assert raw.ask(bind(b"", b"s") + execute() + SYNC) == "2 D C ZI"
        assert raw.ask(query(b"SET search_path = vault, public")) == "C ZI"
        assert raw.ask(bind(b"", b"s") + execute() + SYNC) == "E42501 ZI"
        assert raw.ask(query(b"SET search_path = public")) == "C ZI"
        assert raw.ask(bind(b"", b"s") + execute() + SYNC) == "2 D C ZI"
        assert raw.ask(query(b"BEGIN")) == "C ZT"
        assert raw.ask(bind(b"p", b"s") + SYNC) == "2 ZT"
        assert raw.ask(query(b"SET LOCAL search_path = vault")) == "C ZT"
        assert raw.ask(bind(b"", b"s") + execute() + SYNC).endswith("E42501 ZE")
        assert raw.ask(query(b"ROLLBACK")) == "C ZI"
        piped = run(b"SET search_path = vault") + bind(b"", b"s") + execute() + SYNC
        assert raw.ask(piped).split()[-2].startswith("E")
        assert raw.ask(bind(b"", b"s") + execute() + SYNC) == "2 D C ZI"
        assert SECRET.encode() not in raw.seen


def test_pg_a46_planned_at_bind(world: World) -> None:
    """The server plans at Bind: a path that is moved before it and back after it hides nothing."""
    moved, back = b"SET search_path = vault", b"SET search_path = public"
    prepared = parse(b"s", b"SELECT name FROM open_items WHERE id = 1") + SYNC
    for steps in (
        [query(moved), bind(b"p", b"s") + SYNC, query(back), execute(b"p") + SYNC],
        [run(moved) + bind(b"p", b"s") + run(back) + execute(b"p") + SYNC],
        [query(moved), bind(b"p", b"s") + run(back) + execute(b"p") + SYNC],
        [run(moved) + bind(b"p", b"s") + SYNC, run(back) + execute(b"p") + SYNC],
        [query(moved), parse(b"t", b"EXECUTE s") + SYNC, query(back), bind(b"p", b"t") + execute(b"p") + SYNC],
        [query(moved), query(b"DECLARE p CURSOR FOR EXECUTE s"), query(back), query(b"FETCH p")],
        [query(moved), query(b"DECLARE p CURSOR FOR SELECT name FROM open_items"), query(back), query(b"FETCH p")],
        [query(b"SAVEPOINT a"), query(moved), bind(b"p", b"s") + SYNC, query(b"ROLLBACK TO a"), execute(b"p") + SYNC],
        [
            query(b"CREATE TEMP TABLE open_items AS SELECT 1 AS id, 'x' AS name"),
            bind(b"p", b"s") + execute(b"p") + SYNC,
        ],
    ):
        for block in (b"", b"BEGIN"):
            with world.raw() as raw, world.unchanged():
                if block:
                    assert raw.ask(query(block)) == "C ZT"
                assert raw.ask(prepared).startswith("1 Z")
                for step in steps:
                    raw.ask(step)
                assert SECRET.encode() not in raw.seen, steps
                raw.ask(query(b"ROLLBACK"))
    name = uuid.uuid4().hex
    with world.raw(application_name=name) as raw:
        raw.ask(prepared)
        raw.ask(run(moved) + bind(b"p", b"s") + run(back) + execute(b"p") + SYNC)
    assert [one["outcome"] for one in world.decided(name) if "open_items" in one["statement"]][-1] == "refused"


def test_pg_a46_view_redefined(world: World) -> None:
    """A view redefined under a prepared statement: what it shows then is judged, from when the catalog is seen."""
    world.database.run("CREATE VIEW open_shift AS SELECT id, name FROM open_items")
    try:
        with world.raw() as raw:
            _until(world, b"SELECT name FROM open_shift", False)
            assert raw.ask(parse(b"s", b"SELECT name FROM open_shift") + SYNC) == "1 ZI"
            assert raw.ask(bind(b"", b"s") + execute() + SYNC) == "2 D C ZI"
            world.database.run("CREATE OR REPLACE VIEW open_shift AS SELECT id, key AS name FROM secret_keys")
            _until(world, b"SELECT name FROM open_shift", True)
            assert raw.ask(query(b"SELECT 1")) == "T D C ZI"
            assert raw.ask(bind(b"", b"s") + execute() + SYNC) == "E42501 ZI"
            assert SECRET.encode() not in raw.seen
    finally:
        world.database.run("DROP VIEW open_shift")


def test_pg_a46_temporary_table_in_front(world: World) -> None:
    """A temporary table of the same name comes first, for what is prepared as well; dropped, it is gone."""
    with world.raw() as raw, world.unchanged():
        assert raw.ask(parse(b"s", b"SELECT name FROM open_items WHERE id = 1") + SYNC) == "1 ZI"
        assert raw.ask(query(b"CREATE TEMP TABLE open_items (id int, name text)")) == "C ZI"
        assert raw.ask(bind(b"", b"s") + execute() + SYNC).startswith("2 ")
        assert raw.ask(query(b"DELETE FROM open_items WHERE id = 1")).startswith("E42501"), "not bounded by a key"
        assert raw.ask(query(b"SELECT pg_catalog.count(*) FROM open_items")) == "T D C ZI"
        assert raw.ask(query(b"CREATE TEMP VIEW secret AS SELECT key FROM secret_keys")).startswith("E42501")
        assert raw.ask(query(b"SELECT name FROM public.open_items WHERE id = 1")) == "T D C ZI"


def test_pg_a47_refusals_in_odd_places(world: World) -> None:
    """Refusals behind an earlier error, behind unsynced messages, and with Flush instead of Sync."""
    with world.raw() as raw, world.unchanged():
        broken = run(b"SELECT 1/0")
        assert raw.ask(broken + run(BAD) + SYNC) == "1 E22012 ZI"
        assert raw.ask(broken + parse(b"", BAD) + query(b"SELECT 1") + SYNC).startswith("1 E22012")
        assert raw.ask(query(b"SELECT 1")).endswith("ZI")
    with world.raw() as raw, world.unchanged():
        raw.send(parse(b"", BAD) + FLUSH)
        kind, payload = raw.message()
        assert (kind, code_of(payload)) == (b"E", "42501")
        raw.send(run(GOOD) + FLUSH)
        assert raw.ask(SYNC) == "ZI"
        raw.send(run(GOOD) + FLUSH)
        assert [raw.message()[0] for _ in range(4)] == [b"1", b"2", b"n", b"C"]
        raw.send(run(BAD) + FLUSH)
        assert raw.message()[0] == b"E"
        assert raw.ask(SYNC) == "ZI"
        assert raw.ask(run(GOOD) + query(BAD)) == "1 2 n C E42501 ZI"
        assert raw.ask(query(b"SELECT 1")) == "T D C ZI"
    name = uuid.uuid4().hex
    with world.raw(application_name=name) as raw, world.unchanged():
        do = f"DO $$BEGIN EXECUTE 'PREPARE \"{'0' * 32}\" AS SELECT 1'; END$$".encode()
        assert raw.ask(query(do)).startswith("E42501")
        assert raw.ask(parse(b"0" * 32, b"SELECT 1") + parse(b"", BAD) + SYNC) == "1 E42501 ZI"
        assert raw.ask(bind(b"", b"0" * 32) + execute() + SYNC) == "2 D C ZI"


def test_pg_a47_refusals_round_copy_in(world: World) -> None:
    """Before, during and after COPY FROM STDIN; data sent after a refused COPY goes nowhere."""
    data = frame(b"d", b"mark47\n") + frame(b"c", b"")
    with world.raw() as raw, world.unchanged():
        assert raw.ask(query(b"COPY secret_keys FROM STDIN") + data) == "E42501 ZI"
        assert raw.ask(query(b"SELECT 1")) == "T D C ZI"
        assert raw.ask(run(b"COPY secret_keys FROM STDIN") + data + SYNC) == "E42501 ZI"
        assert raw.ask(data + frame(b"f", b"no\0") + query(b"SELECT 1")) == "T D C ZI"
        assert raw.ask(query(b"COPY open_queue (what) FROM STDIN") + frame(b"f", b"no\0")) == "G E57014 ZI"
        assert raw.ask(query(b"SELECT 1")) == "T D C ZI"
    for sent in (query(BAD), run(BAD), query(b"SELECT 1"), parse(b"", b"SELECT 1"), frame(b"F", b"\0" * 8)):
        with world.raw() as raw, world.unchanged():
            raw.send(query(b"COPY open_queue (what) FROM STDIN"))
            assert raw.message()[0] == b"G"
            raw.send(frame(b"d", b"mark47\n") + sent)
            assert raw.over()
            _no_others(world)
    with world.raw() as raw, world.unchanged():
        raw.send(query(b"COPY open_queue (what) FROM STDIN") + query(BAD))
        assert raw.over()
        _no_others(world)
    with world.raw() as raw, world.unchanged():
        assert raw.ask(query(b"BEGIN")) == "C ZT"
        sent = query(b"COPY open_queue (what) FROM STDIN") + frame(b"S", b"") + frame(b"H", b"") + data
        assert raw.ask(sent) == "G C ZT"
        assert raw.ask(query(b"COPY secret_keys FROM STDIN") + data) == "E42501 ZE"
        assert raw.ask(query(b"ROLLBACK")) == "C ZI"
