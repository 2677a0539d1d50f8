"""psycopg2 and pg8000 work unchanged: types, transactions, cursors, COPY, notifications, cancels."""

from __future__ import annotations

import io
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pg8000.dbapi
import psycopg2
import psycopg2.extensions
import psycopg2.extras
import pytest

from tests.support.shop import Shop

Act = Callable[[Any], Any]


@contextmanager
def _psycopg2(dsn: str) -> Iterator[Any]:
    connection = psycopg2.connect(dsn)
    try:
        yield connection
    finally:
        connection.close()


def both_psycopg2(shop: Shop, target: str, act: Act) -> Any:
    """Run an act through the gateway and directly; the results are equal; return one."""
    found = []
    for dsn in (shop.gateway.dsn(target=target), shop.dsn(target)):
        with _psycopg2(dsn) as connection:
            found.append(act(connection))
    assert found[0] == found[1]
    return found[0]


def test_psycopg2(served: Shop, target: str) -> None:
    """Types, named cursors, execute_values and execute_batch, savepoints, COPY both ways, and settings."""

    def act(connection: Any) -> Any:
        cursor = connection.cursor()
        cursor.execute("SELECT * FROM kinds")
        row = [bytes(one) if isinstance(one, memoryview) else one for one in cursor.fetchone()]
        found: list[Any] = [str(row), [(one.name, one.type_code) for one in cursor.description]]
        with connection.cursor("named", withhold=True) as named:
            named.itersize = 100
            named.execute("SELECT id FROM orders WHERE id > %s ORDER BY id", (10,))
            found.append(len(list(named)))
        psycopg2.extras.execute_values(
            cursor, "INSERT INTO scratch (id, label) VALUES %s RETURNING id", [(n, "x") for n in range(4000, 4250)]
        )
        psycopg2.extras.execute_batch(cursor, "SELECT id FROM orders WHERE id = %s", [(n,) for n in range(50)])
        cursor.execute("SAVEPOINT one")
        with pytest.raises(psycopg2.errors.DivisionByZero):
            cursor.execute("SELECT 1/0")
        cursor.execute("ROLLBACK TO SAVEPOINT one")
        out = io.StringIO()
        cursor.copy_expert("COPY (SELECT id, label FROM scratch WHERE id >= 4000 ORDER BY id) TO STDOUT CSV", out)
        cursor.copy_from(io.StringIO("4300\ta\n4301\t\\N\n"), "scratch", columns=("id", "label"))
        cursor.execute("SELECT count(*) FROM scratch WHERE id BETWEEN 4000 AND 4400")
        found += [out.getvalue(), cursor.fetchall()]
        connection.rollback()
        connection.set_session(isolation_level="SERIALIZABLE", readonly=True, autocommit=False)
        cursor.execute("SHOW transaction_read_only")
        found.append(cursor.fetchall())
        connection.rollback()
        connection.reset()
        return found

    assert both_psycopg2(served, target, act)[4] == [(252,)]


def test_psycopg2_adapters(served: Shop, target: str) -> None:
    """register_hstore, register_composite and register_uuid ask the catalog."""

    def act(connection: Any) -> Any:
        cursor = connection.cursor()
        if target == "ext":
            psycopg2.extras.register_hstore(connection)
            cursor.execute("SELECT 'a=>1, b=>2'::hstore")
            assert cursor.fetchone() == ({"a": "1", "b": "2"},)
        spot = psycopg2.extras.register_composite("spot", connection)
        cursor.execute("SELECT s FROM kinds")
        return spot.attnames, str(cursor.fetchall())

    both_psycopg2(served, target, act)


def test_psycopg2_cancel_and_notify(served: Shop) -> None:
    """cancel() ends a statement with 57014; notifications arrive with poll()."""
    with _psycopg2(served.gateway.dsn()) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        timer = threading.Timer(0.3, connection.cancel)
        timer.start()
        with pytest.raises(psycopg2.extensions.QueryCanceledError):
            cursor.execute("SELECT pg_sleep(60)")
        timer.join()
        cursor.execute("LISTEN news")
        cursor.execute("NOTIFY news, 'self'")
        connection.poll()
        assert [one.payload for one in connection.notifies] == ["self"]


def test_pg8000(served: Shop, target: str) -> None:
    """pg8000: types, parameters, transactions and COPY."""

    def act(connection: Any) -> Any:
        cursor = connection.cursor()
        cursor.execute("SELECT * FROM kinds")
        found = [str(cursor.fetchall())]
        cursor.execute("SELECT id FROM orders WHERE id > %s AND status = %s ORDER BY id", (990, "open"))
        found.append(cursor.fetchall())
        cursor.executemany("INSERT INTO scratch (id, label) VALUES (%s, %s)", [(n, "p") for n in range(4500, 4520)])
        out = io.BytesIO()
        cursor.execute("COPY scratch (id, label) TO STDOUT", stream=out)
        cursor.execute("COPY (SELECT id, label FROM scratch ORDER BY id) TO STDOUT CSV", stream=out)
        cursor.execute("COPY scratch (id, label) FROM STDIN", stream=io.BytesIO(b"4600\tz\n"))
        with pytest.raises(pg8000.dbapi.DatabaseError, match="22012"):
            cursor.execute("SELECT 1/0")
        connection.rollback()
        cursor.execute("SELECT count(*) FROM scratch WHERE id BETWEEN 4500 AND 4600")
        return [*found, out.getvalue(), cursor.fetchall()]

    context = ssl.create_default_context(cafile=str(served.gateway.ca))
    server = served.server
    options = [
        {"port": served.gateway.port, "database": target, "user": "default", "password": served.gateway.token("bot"),
         "ssl_context": context},
        {"port": server.port, "database": served.behind(target).name, "user": served.role, "password": served.password},
    ]  # fmt: skip
    found = []
    for one in options:
        connection = pg8000.dbapi.connect(host="127.0.0.1", **one)
        found.append(act(connection))
        connection.close()
    assert found[0] == found[1]
