"""psycopg 3 works unchanged: text and binary, prepared statements, pipelines, COPY, cursors, cancels, adapters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.composite import CompositeInfo
from psycopg.types.enum import EnumInfo
from psycopg.types.hstore import register_hstore

from tests.support.shop import Shop

Act = Callable[[psycopg.Connection[Any]], Any]


def both(shop: Shop, target: str, act: Act, **options: Any) -> Any:
    """Run an act through the gateway and directly; the results are equal; return one."""
    found = []
    for dsn in (shop.gateway.dsn(target=target), shop.dsn(target)):
        with psycopg.connect(dsn, autocommit=True, **options) as connection:
            found.append(act(connection))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("binary", [False, True])
def test_every_type(served: Shop, target: str, binary: bool) -> None:
    """All columns of a table of many types, in text and in binary, with their descriptions."""

    def act(connection: psycopg.Connection[Any]) -> Any:
        cursor = connection.execute("SELECT * FROM kinds", binary=binary)
        description = [(one.name, one.type_code, one.precision, one.scale) for one in cursor.description or ()]
        return description, [tuple(map(str, row)) for row in cursor.fetchall()], cursor.statusmessage

    assert both(served, target, act)[2] == "SELECT 1"


def test_type_information(served: Shop, target: str) -> None:
    """CompositeInfo, EnumInfo, TypeInfo ask the catalog."""

    def act(connection: psycopg.Connection[Any]) -> Any:
        spot, mood = CompositeInfo.fetch(connection, "spot"), EnumInfo.fetch(connection, "mood")
        if target == "ext":
            found = psycopg.types.TypeInfo.fetch(connection, "hstore")
            assert found is not None
            register_hstore(found, connection)
        assert spot is not None and mood is not None
        more = connection.execute("SELECT 'a=>1'::hstore").fetchall() if target == "ext" else None
        return spot.field_names, mood.labels, more

    assert both(served, target, act)[0] == ("x", "y")


def test_prepared_after_some_uses(served: Shop, target: str) -> None:
    """Past its threshold psycopg prepares by itself, and deallocates what is oldest."""

    def act(connection: psycopg.Connection[Any]) -> Any:
        connection.prepare_threshold, connection.prepared_max = 2, 3
        found = []
        for round_number in range(5):
            for column in ("id", "amount", "status", "placed", "customer_id"):
                query = sql.SQL("SELECT {} FROM orders WHERE id = %s").format(sql.Identifier(column))
                found.append(connection.execute(query, [round_number + 1]).fetchone())
        return found

    assert len(both(served, target, act)) == 25


def test_pipelines(served: Shop, target: str) -> None:
    """Pipeline mode: many statements in flight, an error ends its segment, the next works."""

    def act(connection: psycopg.Connection[Any]) -> Any:
        found: list[Any] = []
        with connection.pipeline() as pipeline, connection.cursor() as one, connection.cursor() as two:
            one.execute("SELECT id FROM orders WHERE id = %s", [1])
            two.executemany("SELECT id, amount FROM orders WHERE id = %s", [(n,) for n in range(2, 40)], returning=True)
            found.append(one.fetchall())
            while True:
                found.append(two.fetchall())
                if not two.nextset():
                    break
            pipeline.sync()
            with pytest.raises(psycopg.errors.DivisionByZero):
                one.execute("SELECT 1/0").fetchall()
            pipeline.sync()
            found.append(connection.execute("SELECT 5").fetchone())
        return found

    assert both(served, target, act)[0] == [(1,)]


def test_executemany_writes(served: Shop, target: str) -> None:
    """executemany with RETURNING, in a transaction that is rolled back."""

    def act(connection: psycopg.Connection[Any]) -> Any:
        with connection.transaction(force_rollback=True), connection.cursor() as cursor:
            values = [(number, f"l{number}") for number in range(2000, 2100)]
            cursor.executemany("INSERT INTO scratch (id, label) VALUES (%s, %s) RETURNING id", values, returning=True)
            found = []
            while True:
                found.append(cursor.fetchone())
                if not cursor.nextset():
                    break
            return found, cursor.execute("SELECT count(*) FROM scratch").fetchone()

    assert both(served, target, act)[1] == (100,)


@pytest.mark.parametrize("options", ["", "(FORMAT csv, HEADER)", "(FORMAT binary)"])
def test_copies_out(served: Shop, target: str, options: str) -> None:
    """COPY TO STDOUT of a table and a query, in each format."""

    def act(connection: psycopg.Connection[Any]) -> Any:
        found = []
        for source in ("kinds (id, t, ia, jb)", "(SELECT id, amount, placed FROM orders ORDER BY id)"):
            with connection.cursor().copy(f"COPY {source} TO STDOUT {options}") as copy:
                found.append(b"".join(bytes(part) for part in copy))
        return found

    both(served, target, act)


def test_copies_in(served: Shop, target: str) -> None:
    """COPY FROM STDIN by rows, in text and binary; one that the client gives up leaves nothing."""

    def act(connection: psycopg.Connection[Any]) -> Any:
        cursor = connection.cursor()
        for start, options in ((3000, ""), (3100, "(FORMAT binary)")):
            with cursor.copy(f"COPY scratch (id, label) FROM STDIN {options}") as copy:
                copy.set_types(["int4", "text"])
                for number in range(start, start + 100):
                    copy.write_row((number, f"row {number}"))
        with pytest.raises(LookupError), cursor.copy("COPY scratch (id) FROM STDIN") as copy:
            copy.write_row((3300,))
            raise LookupError
        return cursor.execute("DELETE FROM scratch WHERE id BETWEEN 3000 AND 3300").statusmessage

    assert both(served, target, act) == "DELETE 200"


def test_server_cursors(served: Shop, target: str) -> None:
    """Named cursors: fetch in pieces, scroll, with hold, close."""

    def act(connection: psycopg.Connection[Any]) -> Any:
        with connection.transaction(), connection.cursor("c", scrollable=True) as cursor:
            cursor.execute("SELECT id FROM orders WHERE id > %s ORDER BY id", [100])
            cursor.itersize = 50
            first = cursor.fetchmany(3)
            cursor.scroll(10)
            second = cursor.fetchone()
            cursor.scroll(0, mode="absolute")
            found = [row[0] for row in cursor]
        with connection.cursor("held", withhold=True) as held:
            held.execute("SELECT id FROM orders ORDER BY id LIMIT 3")
            return first, second, len(found), held.fetchall()

    assert both(served, target, act)[3] == [(1,), (2,), (3,)]


def test_row_by_row(served: Shop, target: str) -> None:
    """stream() asks for single rows, then chunks."""

    def act(connection: psycopg.Connection[Any]) -> Any:
        return [len(list(connection.cursor().stream("SELECT id FROM orders", size=size))) for size in (1, 100)]

    assert both(served, target, act) == [1000, 1000]


def test_client_cursors_and_transactions(served: Shop, target: str) -> None:
    """ClientCursor binds on the client; nested transactions use savepoints; characteristics are set by BEGIN."""

    def act(connection: psycopg.Connection[Any]) -> Any:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            cursor = psycopg.ClientCursor(connection)
            found = cursor.execute("SELECT %s::text, id FROM orders WHERE id = %s", ["it's \\ fine", 3]).fetchall()
            with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction():
                connection.execute("SELECT 1/0")
            found += connection.execute("SHOW transaction_isolation").fetchall()
            return found + connection.execute("SHOW transaction_read_only").fetchall()

    assert both(served, target, act)[1:] == [("repeatable read",), ("on",)]


def test_cancel(served: Shop) -> None:
    """A cancel from another thread ends the statement with 57014, and the session lives on."""
    with psycopg.connect(served.gateway.dsn(), autocommit=True) as connection:
        timer = threading.Timer(0.3, connection.cancel_safe)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(60)")
        timer.join()
        assert connection.execute("SELECT 3").fetchone() == (3,)


def test_notifies(served: Shop) -> None:
    """notifies() yields what another session sends on an allowed channel."""
    with served.gateway.connect() as listener, served.gateway.connect() as speaker:
        listener.execute("LISTEN news")
        speaker.execute("NOTIFY news, 'one'")
        found = next(listener.notifies(timeout=20))
        assert (found.channel, found.payload) == ("news", "one")
        assert found.pid == speaker.info.backend_pid


def test_process_id(served: Shop, target: str) -> None:
    """The process id that a driver is told is the server's, which its SQL and notifications show; the key is not."""
    with served.gateway.connect(target=target) as connection, served.behind(target).connect() as watch:
        told = connection.info.backend_pid
        assert connection.execute("SELECT pg_backend_pid()").fetchone() == (told,)
        assert watch.execute("SELECT usename FROM pg_stat_activity WHERE pid = %s", [told]).fetchone() == (served.role,)
        connection.execute("LISTEN news")
        connection.execute("SELECT pg_notify('news', 'own')")
        assert next(connection.notifies(timeout=20)).pid == told


def test_what_is_missing(served: Shop, target: str) -> None:
    """A relation that does not exist is told in the server's words, at the place that the server points at."""

    def act(connection: psycopg.Connection[Any]) -> Any:
        found = []
        for text in (
            "SELECT * FROM nix",
            "SELECT 'ä' FROM orders o, public.nix",
            "INSERT INTO nix VALUES (1)",
            "SELECT 1; SELECT * FROM nix",
        ):
            with pytest.raises(psycopg.errors.UndefinedTable) as caught:
                connection.execute(text)
            found.append((caught.value.diag.message_primary, caught.value.diag.statement_position))
        return found

    assert both(served, target, act)[0] == ('relation "nix" does not exist', "15")


def test_notices(served: Shop, target: str) -> None:
    """Warnings of the server reach the notice handler."""

    def act(connection: psycopg.Connection[Any]) -> Any:
        heard: list[str | None] = []
        connection.add_notice_handler(lambda diagnostic: heard.append(diagnostic.message_primary))
        connection.execute("COMMIT")
        return heard

    assert both(served, target, act) == ["there is no transaction in progress"]
