"""Migrations that run in one transaction, as tools send them: through a real gateway, policy and all."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.test_catalog_flow import POLICY
from tests.support.gateway import Gateway, Target, running
from tests.support.postgres import Database, PostgresServer


@pytest.fixture
def served_database(postgres: PostgresServer) -> Iterator[tuple[Gateway, Database]]:
    """A gateway before a database with one table."""
    database = postgres.create_database("CREATE TABLE public.people (id int, ssn text)")
    try:
        with running([Target(database)], {"all.yaml": POLICY}) as started:
            yield started, database
    finally:
        database.drop()


MIGRATION = """
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL, CONSTRAINT version_pkc PRIMARY KEY (version_num));
CREATE TABLE authors (id serial PRIMARY KEY, name varchar(50) NOT NULL);
INSERT INTO alembic_version (version_num) VALUES ('1') RETURNING alembic_version.version_num;
CREATE TABLE books (id bigserial PRIMARY KEY, author_id int REFERENCES authors (id));
CREATE INDEX ix_books ON books (author_id);
INSERT INTO authors (name) VALUES ('Ada');
INSERT INTO books (author_id) SELECT id FROM authors;
ALTER TABLE books ADD COLUMN title text DEFAULT 'none' NOT NULL;
ALTER TABLE books ALTER COLUMN title DROP DEFAULT;
UPDATE books SET title = 'x' WHERE id = 1;
ALTER TABLE authors RENAME COLUMN name TO called;
UPDATE alembic_version SET version_num = '2' WHERE alembic_version.version_num = '1';
SELECT called, title FROM authors JOIN books ON books.author_id = authors.id;
"""


def test_a_driver(served_database: tuple[Gateway, Database]) -> None:
    """As alembic and Django do: statement by statement in a block, taken back, then once more with a savepoint."""
    gateway, database = served_database
    statements = [one.strip() for one in MIGRATION.split(";") if one.strip()]
    with gateway.connect() as client:
        with client.transaction(force_rollback=True):
            for one in statements:
                answer = client.execute(one)
            assert answer.fetchall() == [("Ada", "x")]
        assert database.rows("SELECT to_regclass('books')::text") == [(None,)]
        with client.transaction(), client.transaction():
            for one in statements:
                client.execute(one)
        assert client.execute("SELECT title FROM books").fetchall() == [("x",)]
        with client.transaction():
            client.execute("DROP TABLE books")
            client.execute("DROP TABLE authors")
            client.execute("DROP TABLE alembic_version")
        assert database.rows("SELECT to_regclass('books')::text") == [(None,)]


def test_psql_in_one_transaction(served_database: tuple[Gateway, Database]) -> None:
    """`psql -1 -f` of the same script ends well, and all of it is there."""
    gateway, database = served_database
    dsn = f"host=127.0.0.1 port={gateway.port} user=default dbname=db sslmode=verify-full sslrootcert={gateway.ca}"
    command = ["psql", "-X", "-1", "-v", "ON_ERROR_STOP=1", "-f", "-", dsn]
    done = subprocess.run(
        command, input=MIGRATION, env={"PGPASSWORD": gateway.token("bot"), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert database.rows("SELECT title FROM books") == [("x",)]
