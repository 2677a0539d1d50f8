"""Reaching a target with real clients: TLS, plaintext, wrong tokens, attribution, the local port, and a token's end."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy
import trustme

from tests.support.gateway import Gateway, Target, launch, policy, running
from tests.support.postgres import Database, PostgresServer
from tests.support.shop import Shop

POLICY = policy("agents", '- {name: read, allow: {verbs: [select], touches: ["public.*"]}}')


def _refused(dsn: str) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(dsn).close()
    return str(caught.value)


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_tls_modes(served: Shop, mode: str) -> None:
    """Every mode of libpq that encrypts works with the private CA, and what is negotiated is TLS 1.2 or later."""
    with psycopg.connect(served.gateway.dsn(sslmode=mode)) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_another_authority(served: Shop, tmp_path: Any) -> None:
    """Under verify-full a client that trusts another authority does not get as far as its password."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    assert "certificate verify failed" in _refused(served.gateway.dsn(sslrootcert=str(other)))


def test_old_tls(served: Shop) -> None:
    """TLS 1.1 is not spoken."""
    with pytest.warns(DeprecationWarning):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    assert "SSL" in _refused(served.gateway.dsn(ssl_min_protocol_version="TLSv1", ssl_max_protocol_version="TLSv1.1"))


def test_plaintext_is_refused(served: Shop) -> None:
    """Without TLS the gateway asks for no password, since it would be a token in the clear."""
    assert "TLS" in _refused(served.gateway.dsn(sslmode="disable"))


def test_plaintext_on_loopback(database: Database) -> None:
    """Where the operator allows it, loopback may come without TLS."""
    database.run("CREATE TABLE public.t (id integer); INSERT INTO public.t VALUES (7)")
    with running([Target(database)], {"agents.yaml": POLICY}, "tls: {loopback_plaintext: true}") as gateway:
        with psycopg.connect(gateway.dsn(sslmode="disable")) as connection:
            assert connection.execute("SELECT id FROM t").fetchone() == (7,)
        with psycopg.connect(gateway.dsn()) as connection:
            assert connection.pgconn.ssl_in_use


def test_refused_logins_say_why(served: Shop) -> None:
    """Wrong tokens, targets and profiles: one sentence each, and never the token."""
    gateway = served.gateway
    token = gateway.token("bot")
    for options, wanted in (
        ({"password": "nonsense"}, "token"),
        ({"password": token[:-4] + "AAAA"}, "signature"),
        ({"dbname": "nothing"}, "nothing"),
        ({"user": "root"}, "root"),
    ):
        said = _refused(gateway.dsn(**options))
        assert wanted in said, said
        assert token[:20] not in said and token[-20:-4] not in said
    stranger = _refused(gateway.dsn("stranger"))
    assert "stranger" in stranger or "polic" in stranger, stranger


def test_attribution(served: Shop, target: str) -> None:
    """The server's own view of sessions names the principal, whatever the client calls itself, from start to end."""
    query = "SELECT application_name FROM pg_stat_activity WHERE pid = %s"
    with served.gateway.connect(target=target, application_name="mine") as connection:
        pid = connection.info.backend_pid
        found = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert found is not None
        with served.behind(target).connect() as watch:
            names = [watch.execute(query, found).fetchone()]
            connection.execute("SET application_name = 'other'")
            connection.execute("SELECT set_config('statement_timeout', '0', false)")
            names.append(watch.execute(query, found).fetchone())
            connection.execute("DISCARD ALL")
            connection.execute("SELECT 1")
            names.append(watch.execute(query, found).fetchone())
        assert names == [("embedded:bot",)] * 3
        assert pid


def test_local_port_with_a_pool(served: Shop) -> None:
    """`checkrein connect --listen` opens a port where a pool logs in as often as it likes, without a token."""
    command = [sys.executable, "-m", "checkrein.cli", "connect", "db", "--listen", "0"]
    env = served.gateway.environment("bot")
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            port = int(line.split()[2].rpartition(":")[2])
            url = f"postgresql+psycopg://default:@127.0.0.1:{port}/db"
            engine = sqlalchemy.create_engine(url, connect_args={"sslmode": "disable"}, pool_size=3, pool_recycle=0)
            found: list[Any] = []

            def work(number: int) -> None:
                with engine.connect() as connection:
                    query = sqlalchemy.text("SELECT id FROM orders WHERE id = :id")
                    found.append(connection.execute(query, {"id": number}).scalar())

            threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            engine.dispose()
            assert sorted(found) == list(range(1, 9))
        finally:
            process.terminate()
            process.communicate(timeout=20)


@pytest.fixture
def short(database: Database) -> Iterator[Gateway]:
    """A gateway whose tokens live for ten seconds, the shortest that is allowed."""
    database.run("CREATE TABLE public.t (id integer); INSERT INTO public.t SELECT generate_series(1, 200)")
    with running([Target(database)], {"agents.yaml": POLICY}) as gateway:
        assert gateway.stop() == 0
        file = gateway.folder / "checkrein.yaml"
        file.write_text(file.read_text().replace("ttl: 1h", "ttl: 10s"))
        launch(gateway)
        yield gateway


def test_gw_9_token_ends_in_the_middle_of_a_result(short: Gateway, postgres: PostgresServer) -> None:
    """A session ends with its token, with a native error, in the middle of a result too; the target's side ends."""
    slow = "SELECT id, repeat('x', 4000), pg_sleep(0.2) FROM t"
    began = time.monotonic()
    with short.connect() as idle, short.connect() as busy:
        rows = 0
        with pytest.raises(psycopg.OperationalError, match="expired") as caught:
            for _ in busy.cursor().stream(slow):
                rows += 1
        assert rows > 5
        assert 5 < time.monotonic() - began < 30
        assert caught.value.sqlstate in (None, "57P01"), caught.value
        with pytest.raises(psycopg.OperationalError, match="expired"):
            idle.execute("SELECT 1")
    with postgres.connect() as watch:
        query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s AND pid <> pg_backend_pid()"
        while watch.execute(query, ["SELECT id, repeat(%"]).fetchone() != (0,):
            assert time.monotonic() - began < 40, "the statement still runs on the target"
    # Within the clock skew the token is no more good for a session: the login itself says so.
    with pytest.raises(psycopg.OperationalError, match=r"the token expired at 20.*; get a new one"):
        short.connect()
    assert len(short.sessions(principal="bot")) == 2
