"""The shared server is real, and lets in whom its pg_hba says, by the method that it says."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.postgres import CERT_USER, MD5_USER, PASSWORD_USER, TLS_USER, Database, PostgresServer


def test_a_database_runs_scripts_and_answers_rows(database: Database) -> None:
    """Scripts of several statements run, and rows come back."""
    database.run("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2)")
    assert database.rows("SELECT sum(id) FROM t") == [(3,)]


@pytest.mark.parametrize("user", [MD5_USER, PASSWORD_USER])
def test_users_of_older_login_methods_get_in(postgres: PostgresServer, user: str) -> None:
    """The md5 and the password user log in over TCP."""
    with postgres.connect("postgres", user) as connection:
        assert connection.info.user == user


def test_certificate_user_needs_its_certificate(postgres: PostgresServer) -> None:
    """Over verify-full TLS with the client certificate it gets in; without it, it does not."""
    cert, key = postgres.client_cert
    tls = {"sslmode": "verify-full", "sslrootcert": postgres.ca}
    with psycopg.connect(postgres.dsn(user=CERT_USER, sslcert=cert, sslkey=key, **tls)) as connection:
        assert connection.pgconn.ssl_in_use
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres.dsn(user=CERT_USER, **tls))


def test_tls_user_is_rejected_without_tls(postgres: PostgresServer) -> None:
    """A user of hostssl alone cannot come over a plain connection."""
    psycopg.connect(postgres.dsn(user=TLS_USER, sslmode="require")).close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres.dsn(user=TLS_USER, sslmode="disable"))
