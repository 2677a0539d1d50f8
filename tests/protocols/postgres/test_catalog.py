"""The catalog snapshot says of a real database what the server's own catalog says."""

from __future__ import annotations

import pytest

from checkrein.core.errors import LimitExceeded
from checkrein.core.limits import CATALOG_DEFINITION_BYTES, CATALOG_ROWS
from checkrein.protocols.postgres import catalog_rows
from checkrein.protocols.postgres.catalog import CatalogSnapshot, ForeignKey
from tests.support.catalogs import load_of, version_of
from tests.support.postgres import PASSWORD, Database

SCHEMA = """
    CREATE SCHEMA hr;
    CREATE TABLE hr.people (id int PRIMARY KEY, name text NOT NULL, ssn varchar(11) UNIQUE, gone int);
    ALTER TABLE hr.people DROP COLUMN gone;
    CREATE UNIQUE INDEX ON hr.people (lower(name));
    CREATE UNIQUE INDEX ON hr.people (name) WHERE id > 5;
    CREATE TABLE public.orders (a int, b int, person int REFERENCES hr.people(id),
        PRIMARY KEY (a, b) INCLUDE (person));
    CREATE VIEW public.people_view AS SELECT id, name FROM hr.people;
    CREATE TABLE parts (k int, v text, PRIMARY KEY (k)) PARTITION BY RANGE (k);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
    CREATE TABLE base (id int PRIMARY KEY);
    CREATE TABLE derived (extra int) INHERITS (base);
    CREATE TABLE ruled (id int);
    CREATE RULE r AS ON INSERT TO ruled DO ALSO NOTHING;
    CREATE FUNCTION public.f(a int, OUT b text, OUT c int, VARIADIC d int[] DEFAULT '{}') LANGUAGE sql SECURITY DEFINER
        AS $$ SELECT 'x'::text, 1 $$;
    CREATE TABLE triggered (id int UNIQUE DEFERRABLE);
    CREATE TRIGGER t BEFORE UPDATE ON triggered EXECUTE FUNCTION suppress_redundant_updates_trigger();
    CREATE DOMAIN public.us_ssn AS text;
"""


@pytest.fixture
def snapshot(database: Database) -> CatalogSnapshot:
    database.run(SCHEMA)
    return load_of(database)


def test_relations_have_their_columns_and_keys(snapshot: CatalogSnapshot) -> None:
    """Columns come in order without dropped ones; only plain unique keys count, without INCLUDE columns."""
    people = snapshot.relations["hr", "people"]
    assert [(column.name, column.number, column.not_null) for column in people.columns] == [
        ("id", 1, True),
        ("name", 2, True),
        ("ssn", 3, False),
    ]
    assert (people.kind, people.columns[2].typmod) == ("r", 15)
    assert people.unique_keys == (("id",), ("ssn",))
    orders = snapshot.relations["public", "orders"]
    assert orders.unique_keys == (("a", "b"),)
    assert orders.foreign_keys == (ForeignKey(("person",), people.oid, ("id",)),)
    assert snapshot.relations_by_oid[people.oid] is people


def test_deferrable_keys_and_inherited_ones_are_no_keys(snapshot: CatalogSnapshot) -> None:
    """A deferrable key can hold twice inside a transaction; an inheritance parent's says nothing of its children."""
    assert snapshot.relations["public", "triggered"].unique_keys == ()
    assert snapshot.relations["public", "base"].unique_keys == ()
    assert snapshot.relations["public", "parts"].unique_keys == (("k",),)


def test_views_rules_triggers_and_parents(snapshot: CatalogSnapshot) -> None:
    """A definition is schema-qualified; rules and triggers show; parents and children point at one another."""
    view = snapshot.relations["public", "people_view"]
    assert "FROM hr.people" in view.definition
    assert not view.rules
    assert snapshot.relations["public", "ruled"].rules
    assert snapshot.relations["public", "triggered"].triggers
    assert not snapshot.relations["public", "orders"].triggers
    parent, child = snapshot.relations["public", "parts"], snapshot.relations["public", "parts_1"]
    assert (parent.children, child.parents) == ((child.oid,), (parent.oid,))


def test_functions_carry_what_calling_them_means(snapshot: CatalogSnapshot) -> None:
    """Input arguments, names of outputs, defaults, variadic and SECURITY DEFINER are the server's."""
    (function,) = snapshot.functions["f"]
    assert (function.schema, function.arguments, function.variadic) == ("public", (23, 1007), True)
    assert (function.outputs, function.defaults, function.security_definer) == (("b", "c"), 1, True)
    assert {overload.schema for overload in snapshot.functions["lower"]} == {"pg_catalog"}
    assert snapshot.types_by_name["public", "us_ssn"].base == 25
    assert snapshot.types_by_name["pg_catalog", "_int4"].element == 23
    assert snapshot.types_by_name["pg_catalog", "point"].element == 0


def test_system_relations_are_there(snapshot: CatalogSnapshot) -> None:
    """pg_catalog and information_schema can be read by name, with columns."""
    assert any(column.name == "relname" for column in snapshot.relations["pg_catalog", "pg_class"].columns)
    assert snapshot.relations["information_schema", "tables"].kind == "v"
    assert not snapshot.relations["pg_catalog", "pg_settings"].rules
    assert {"public", "hr", "pg_catalog"} <= snapshot.schemas


def test_overloads_of_an_extension_are_its_own_and_not_a_users(database: Database) -> None:
    """citext's overloads in public are known as citext's; one that its owner added to it is not believed."""
    if database.server.version < 130000:
        pytest.skip("trusted extensions came with version 13")
    owner = database.server.create_role("extension_owner")
    database.run(f"ALTER DATABASE {database.name} OWNER TO {owner}; GRANT ALL ON SCHEMA public TO {owner}")
    with database.connect(owner, PASSWORD) as connection:
        connection.execute("CREATE EXTENSION citext")
        connection.execute("CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT $1::text'")
        connection.execute("ALTER EXTENSION citext ADD FUNCTION public.lower(varchar)")
    snapshot = load_of(database)
    assert {function.extension for function in snapshot.functions["max"] if function.schema == "public"} == {"citext"}
    assert {function.extension for function in snapshot.functions["lower"] if function.schema == "public"} == {""}
    assert {one.extension for one in snapshot.operators["="] if one.schema == "public"} == {"citext"}
    assert snapshot.types_by_name["public", "citext"].extension == "citext"
    assert {cast.extension for cast in snapshot.casts} == {"citext"}


def test_a_role_that_may_read_nothing_can_load_it(database: Database) -> None:
    """Loading needs no privilege on the relations, and says who asked."""
    database.run(SCHEMA)
    role = database.server.create_role("nobody")
    snapshot = load_of(database, role, PASSWORD)
    assert (snapshot.user, snapshot.is_superuser) == (role, False)
    assert snapshot.relations["public", "people_view"].definition
    assert (snapshot.database, snapshot.server_version) == (database.name, database.server.version)


@pytest.mark.parametrize(
    "change",
    [
        "CREATE OR REPLACE VIEW people_view AS SELECT id, ssn::text AS name FROM hr.people",
        "ALTER TABLE hr.people RENAME TO persons",
        "ALTER TABLE hr.people RENAME COLUMN ssn TO number",
        "ALTER TABLE hr.people ADD COLUMN extra int",
        "ALTER TABLE hr.people SET SCHEMA public",
        "ALTER VIEW people_view RENAME TO other",
        "CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
        "CREATE OR REPLACE FUNCTION pg_catalog.lower(text) RETURNS text LANGUAGE internal STRICT IMMUTABLE AS 'upper'",
        "CREATE SCHEMA more",
        "CREATE INDEX ON hr.people (name)",
        "ALTER TABLE hr.people DROP CONSTRAINT people_ssn_key",
        "CREATE RULE r2 AS ON INSERT TO hr.people DO ALSO NOTHING",
        "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20)",
        "ALTER TABLE parts DETACH PARTITION parts_1",
        "CREATE CAST (point AS int) WITH INOUT",
        "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)",
        "CREATE TRIGGER more AFTER UPDATE ON triggered EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM hr.people",
    ],
)
def test_version_changes_with_ddl(database: Database, change: str) -> None:
    """Whatever DDL could make a statement mean something else gives another version."""
    database.run(SCHEMA)
    before = version_of(database)
    database.run(change)
    assert version_of(database) != before


def test_version_stays_with_data_and_temporary_tables(database: Database) -> None:
    """Rows, ANALYZE, VACUUM, and other sessions' temporary tables leave it alone."""
    database.run(SCHEMA)
    before = version_of(database)
    with database.connect() as connection:
        connection.execute("INSERT INTO hr.people VALUES (1, 'a', 'b')")
        connection.execute("ANALYZE hr.people")
        connection.execute("VACUUM FREEZE hr.people")
        connection.execute("CREATE TEMP TABLE mine (id int PRIMARY KEY, note text)")
        connection.execute("CREATE TEMP VIEW over_it AS SELECT * FROM mine")
        assert version_of(database) == before


def test_limits_hold() -> None:
    """A catalog over the limit is refused by its name; a definition over the limit counts as away."""
    many = [("public",)] * (CATALOG_ROWS + 1)
    with pytest.raises(LimitExceeded, match="schemas"):
        catalog_rows.assemble({"schemas": list(many)})
    assert catalog_rows._definition("x" * (CATALOG_DEFINITION_BYTES + 1)) == ""
