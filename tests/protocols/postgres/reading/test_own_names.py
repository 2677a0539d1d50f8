"""What a session has to itself: where its temporary schema stands, and that no other session is read by it."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
import psycopg.sql
import pytest

from checkrein.core.statement import Statement
from checkrein.protocols.postgres import statements
from checkrein.protocols.postgres.catalog import CatalogColumn, CatalogRelation, Names
from checkrein.protocols.postgres.catalog_of import catalog_of
from checkrein.protocols.postgres.naming import names_of, names_of_path
from checkrein.protocols.postgres.own_messages import NAMES_QUERY
from checkrein.protocols.postgres.surroundings import Surroundings
from checkrein.protocols.postgres.uncommitted import learnt
from checkrein.protocols.postgres.uncommitted_query import UNCOMMITTED_QUERY
from tests.support.postgres import Database

CATALOG = catalog_of({"public.people": ["id", "ssn"], "public.other": ["id"]})


def own(name: str, oid: int, *path: str) -> Names:
    """Return the names of a session with one temporary table; versions are sessions' own counts, so all the same."""
    made = CatalogRelation(oid, "pg_temp", name, "r", (CatalogColumn("id", 1, 23), CatalogColumn("ssn", 2, 25)))
    return Names(path or ("pg_temp", "pg_catalog", "public"), {name: made}, version="3")


def read(text: str, names: Names) -> Statement:
    return statements.read(text, Surroundings(catalog=CATALOG, names=names))[0].statement


def names_now(connection: psycopg.Connection[Any], encoding: str = "utf-8") -> Names:
    """Return what the server tells of a session's names now."""
    cells = connection.pgconn.exec_(NAMES_QUERY)
    rows = [tuple(cells.get_value(row, column) for column in range(cells.nfields)) for row in range(cells.ntuples)]
    return names_of(rows, "1", encoding)


@pytest.mark.parametrize("text", ["SELECT count(*) FROM people WHERE ssn = 'x'", "DELETE FROM people WHERE id = 1"])
def test_sessions_are_not_read_by_each_others_tables(text: str) -> None:
    """Two sessions at the same count, with the same path, and with temporary tables of their own: each by its own."""
    mine, theirs, third = own("people", 90_001), own("scratch", 90_001), own("people", 90_002)
    for names, oid in ((mine, 90_001), (theirs, 0), (third, 90_002), (mine, 90_001), (theirs, 0)):
        statement = read(text, names)
        assert statement.complete
        wanted = "pg_temp.people" if oid else "public.people"
        assert {effect.object for effect in statement.effects} == {wanted}
        assert not oid or {effect.oid for effect in statement.effects} == {oid}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("CREATE TABLE people (id int)", "create public.people"),
        ("CREATE OR REPLACE VIEW people AS SELECT 1 AS id", "create public.people"),
        ("CREATE TEMP TABLE other (id int)", "create pg_temp.other"),
        ("ALTER TABLE people ADD more int", "alter pg_temp.people"),
        ("DROP TABLE people", "drop pg_temp.people"),
        ("CREATE INDEX ON people (id)", "alter pg_temp.people"),
    ],
)
def test_what_is_made_is_not_hidden_by_what_is_there(text: str, wanted: str) -> None:
    """CREATE makes its object in the path's first schema, though a temporary table of that name stands before it."""
    effects = {f"{effect.verb} {effect.object}" for effect in read(text, own("people", 90_003)).effects}
    assert effects == {wanted}


def test_a_temporary_table_is_no_type() -> None:
    """Its row type would come before the system's of that name."""
    assert not read("SELECT 'x'::people", own("people", 90_004)).complete
    assert not read("SELECT ssn::name FROM public.people", own("name", 90_005)).complete


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("public", "temporary"),
        ("pg_temp, public", "temporary"),
        ("public, pg_temp", "lasting"),
        ("pg_catalog, public, pg_temp", "lasting"),
        ('"$user", public,pg_temp', "lasting"),
        ("pg_temp", "temporary"),
        ("", "temporary"),
    ],
)
def test_the_place_of_the_temporary_schema(database: Database, path: str, first: str) -> None:
    """Under each search path a name is read as the real server reads it, as its RowDescription shows."""
    database.run("CREATE TABLE both_there (id int)")
    with database.connect() as connection:
        connection.execute("CREATE TEMP TABLE both_there (id int)")
        connection.execute(f"SET search_path = {path or chr(39) * 2}")
        names = names_now(connection)
        shown = connection.pgconn.exec_(b"SELECT id FROM both_there").ftable(0)
    assert names.known and names.temporary.keys() == {"both_there"}
    assert (shown == names.temporary["both_there"].oid) == (first == "temporary")
    lasting = catalog_of({"public.both_there": ["id"]})
    found = statements.read("SELECT id FROM both_there", Surroundings(catalog=lasting, names=names))[0].statement
    wanted = "pg_temp.both_there" if first == "temporary" else "public.both_there"
    assert [effect.object for effect in found.effects] == [wanted]


def test_another_sessions_temporary_schema_is_not_looked_into(database: Database) -> None:
    """With one in the path nothing unqualified is resolved."""
    with database.connect() as other, database.connect() as connection:
        other.execute("CREATE TEMP TABLE theirs (id int)")
        (schema,) = other.execute("SELECT pg_my_temp_schema()::regnamespace::text").fetchone() or ("",)
        connection.execute("CREATE TEMP TABLE mine (id int)")
        connection.execute(f"SET search_path = {schema}, public")
        assert not names_now(connection).known


@pytest.mark.parametrize("name", ["a\x01public", 'a", public, "', "\xe9", "[]", "a\\", "\x7f\x80\xff"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_pg_b67_a_schema_of_any_name(database: Database, name: str, encoding: str) -> None:
    """A name in the path is read as it is: not cut where a list would be, not lost for a letter of LATIN1."""
    with database.connect() as connection, connection.transaction(force_rollback=True):
        quoted = psycopg.sql.Identifier(name)
        connection.execute(psycopg.sql.SQL("CREATE SCHEMA {}").format(quoted))
        connection.execute(psycopg.sql.SQL("SET LOCAL search_path = {}, public").format(quoted))
        connection.execute(f"SET LOCAL client_encoding = '{encoding}'")
        setting = connection.pgconn.exec_(b"SHOW search_path").get_value(0, 0)
        names = names_now(connection, encoding)
    assert names.known and names.search_path == ("pg_catalog", name, "public")
    known = msgspec.structs.replace(CATALOG, schemas=frozenset([name, "public"]))
    assert names_of_path(setting or b"", encoding, known, Names(), "1").search_path == names.search_path


def test_a_name_of_no_known_encoding_is_not_guessed(database: Database) -> None:
    """Bytes that are no text of the session's encoding leave names unknown."""
    with database.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute('CREATE SCHEMA "\xe9"')
        connection.execute('SET LOCAL search_path = "\xe9", public')
        connection.execute("SET LOCAL client_encoding = 'latin1'")
        assert not names_now(connection, "utf-8").known
    assert not names_of_path(b'"\xe9", public', "utf-8", CATALOG, Names(), "1").known


def test_temporary_types_are_told(database: Database) -> None:
    """Domains, enums and row types of the temporary schema, with those of the open transaction; no other session's."""
    with database.connect() as connection, database.connect() as other:
        other.execute("CREATE TEMP TABLE theirs (id int)")
        other.execute("CREATE DOMAIN pg_temp.name AS text")
        assert names_now(connection).types == frozenset()
        connection.execute("CREATE DOMAIN pg_temp.text AS pg_catalog.text")
        with connection.transaction():
            connection.execute("CREATE TYPE pg_temp.date AS ENUM ('a')")
            connection.execute("CREATE TEMP TABLE mine (id int)")
            rows = connection.execute(UNCOMMITTED_QUERY).fetchall()
        names = names_now(connection)
        amid, _ = learnt([tuple([cell and cell.encode() for cell in row]) for row in rows], "1", "utf-8")
    assert names.types == amid.types == {"text", "_text", "date", "_date", "mine", "_mine"}
    assert not names_of_path(b"public", "utf-8", CATALOG, names, "2").known


@pytest.mark.parametrize("text", ["SELECT ssn::text FROM public.people", "SELECT text 'x'", "SELECT '{a}'::text[]"])
def test_a_type_of_ones_own_comes_before_the_systems(text: str) -> None:
    """Unqualified, its name is not read as pg_catalog's, nor where it is not known what names mean; nor kept so."""
    own_type = Names(types=frozenset(["text"]))
    for names, complete in ((Names(), True), (own_type, False), (Names(known=False), False), (Names(), True)):
        assert read(text, names).complete == complete
    assert read(text.replace("text", "pg_catalog.text"), own_type).complete
