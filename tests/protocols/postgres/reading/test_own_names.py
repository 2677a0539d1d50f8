"""What a session has to itself: where its temporary schema stands, and that no other session is read by it."""

from __future__ import annotations

import pytest

from checkrein.core.statement import Statement
from checkrein.protocols.postgres import statements
from checkrein.protocols.postgres.catalog import CatalogColumn, CatalogRelation, Names
from checkrein.protocols.postgres.catalog_of import catalog_of
from checkrein.protocols.postgres.naming import names_of
from checkrein.protocols.postgres.own_messages import NAMES_QUERY
from checkrein.protocols.postgres.surroundings import Surroundings
from tests.support.postgres import Database

CATALOG = catalog_of({"public.people": ["id", "ssn"], "public.other": ["id"]})


def own(name: str, oid: int, *path: str) -> Names:
    """Return the names of a session with one temporary table; versions are sessions' own counts, so all the same."""
    made = CatalogRelation(oid, "pg_temp", name, "r", (CatalogColumn("id", 1, 23), CatalogColumn("ssn", 2, 25)))
    return Names(path or ("pg_temp", "pg_catalog", "public"), {name: made}, version="3")


def read(text: str, names: Names) -> Statement:
    return statements.read(text, Surroundings(catalog=CATALOG, names=names))[0].statement


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
        cells = connection.pgconn.exec_(NAMES_QUERY)
        rows = [tuple(cells.get_value(row, column) for column in range(cells.nfields)) for row in range(cells.ntuples)]
        names = names_of(rows, "1")
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
        cells = connection.pgconn.exec_(NAMES_QUERY)
        rows = [tuple(cells.get_value(row, column) for column in range(cells.nfields)) for row in range(cells.ntuples)]
        assert not names_of(rows, "1").known
