"""What a transaction defined, as its own link tells it: the question cannot be captured, the answer is the truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest

from checkrein.core.limits import UNCOMMITTED_ROWS
from checkrein.protocols.postgres import parser
from checkrein.protocols.postgres.catalog import CatalogSnapshot, Names, Uncommitted
from checkrein.protocols.postgres.uncommitted import laid_over, learnt
from checkrein.protocols.postgres.uncommitted_query import UNCOMMITTED_QUERY
from tests.support.catalogs import load_of
from tests.support.postgres import Database

SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, name varchar(9) NOT NULL, ssn text UNIQUE);
CREATE TABLE u (id int PRIMARY KEY, t int REFERENCES t);
CREATE VIEW seen AS SELECT id, name FROM t;
CREATE TABLE parted (id int, day int) PARTITION BY RANGE (day);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE loose (id int, day int);
CREATE TABLE above (id int);
CREATE TABLE below () INHERITS (above);
CREATE SCHEMA other;
CREATE TABLE other.moved (id serial PRIMARY KEY, mine t);
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
"""


def asked(connection: psycopg.Connection[Any]) -> tuple[Names, Uncommitted | None]:
    """Ask the question on a connection."""
    rows = connection.execute(UNCOMMITTED_QUERY).fetchall()
    return learnt([tuple([None if cell is None else cell.encode() for cell in row]) for row in rows], "1", "utf-8")


def nodes(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield every node of a parse tree with its kind."""
    if isinstance(tree, list):
        for item in tree:
            yield from nodes(item)
    elif isinstance(tree, dict):
        for kind, inner in tree.items():
            yield kind, inner
            yield from nodes(inner)


def test_it_cannot_be_captured() -> None:
    """Every relation, function, operator and type is pg_catalog's by name or a WITH query of its own, and nothing in
    it looks an operator up by itself.

    PG-B63.
    """
    json = parser.parse_json(UNCOMMITTED_QUERY.decode())
    assert not isinstance(json, parser.SyntaxProblem)
    tree = parser.decode(json)
    own = {inner["ctename"] for kind, inner in nodes(tree) if kind == "CommonTableExpr"}
    counted = dict.fromkeys(("RangeVar", "FuncCall", "A_Expr", "names"), 0)
    for kind, inner in nodes(tree):
        if kind in counted:
            counted[kind] += 1
        if kind == "RangeVar":
            assert inner.get("schemaname") == "pg_catalog" or inner["relname"] in own
        elif kind in ("funcname", "names", "name") and isinstance(inner, list):
            assert len(inner) == 2 and inner[0]["String"]["sval"] == "pg_catalog", inner
        elif kind == "A_Expr":
            assert inner["kind"] in ("AEXPR_OP", "AEXPR_OP_ANY")
        elif kind == "SubLink":
            assert inner["subLinkType"] in ("EXISTS_SUBLINK", "EXPR_SUBLINK", "ARRAY_SUBLINK")
        elif kind == "CaseExpr":
            assert "arg" not in inner
        elif kind == "JoinExpr":
            assert not inner.keys() & {"isNatural", "usingClause"}
        elif kind == "SortBy":
            assert "useOp" not in inner
        assert kind not in ("NullIfExpr", "MinMaxExpr", "RowCompareExpr", "distinctClause", "CollateClause")
    assert all(counted.values()), counted


CAPTURES = """
SET search_path = evil, public;
CREATE TEMP TABLE pg_class (oid oid, relname name);
CREATE TEMP TABLE pg_locks (relation oid);
CREATE TEMP TABLE touched (oid oid);
CREATE TEMP TABLE relations (oid oid, schema text, relname text, relkind "char");
CREATE TEMP TABLE schemas (oid oid, name text, fresh boolean);
CREATE SCHEMA evil;
CREATE DOMAIN evil.text AS int;
CREATE DOMAIN evil.oid AS int;
CREATE FUNCTION evil.age(xid) RETURNS int LANGUAGE sql AS 'SELECT 9';
CREATE FUNCTION evil.no(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR evil.= (leftarg = oid, rightarg = oid, function = evil.no);
SET search_path = evil, pg_temp, public, pg_catalog;
"""


def test_it_says_the_same_where_names_are_captured(database: Database) -> None:
    """Temporary tables, types, functions and operators that stand before the system's change no answer.

    PG-B63.
    """
    with database.connect() as connection, connection.transaction():
        connection.execute(CAPTURES)
        connection.execute("CREATE TABLE public.real (id int)")
        names, made = asked(connection)
        assert made is not None
        assert [one.name for one in made.relations if one.schema == "public"] == ["real"]
        assert names.search_path == ("evil", "pg_temp", "public", "pg_catalog")
        assert set(names.temporary) == {"pg_class", "pg_locks", "touched", "relations", "schemas"}
        assert {one.name for one in made.functions} == {"age", "no"}
        assert [one.name for one in made.operators] == ["="]
        assert {"text", "oid"} <= {one.name for one in made.types if one.schema == "evil"}


DDL = [
    "CREATE TABLE made (id int PRIMARY KEY, n numeric(5,2), t int REFERENCES t, UNIQUE (n, t))",
    "CREATE TABLE made (LIKE t INCLUDING ALL)",
    "CREATE TABLE made AS SELECT * FROM t",
    "SELECT * INTO made FROM t",
    "ALTER TABLE u ADD COLUMN more int NOT NULL DEFAULT 1",
    "ALTER TABLE t DROP COLUMN ssn",
    "ALTER TABLE t RENAME COLUMN ssn TO nss",
    "ALTER TABLE t RENAME TO tt; ALTER TABLE u RENAME TO t; ALTER TABLE tt RENAME TO u",
    "ALTER TABLE u ALTER COLUMN id TYPE bigint",
    "ALTER TABLE t ALTER COLUMN ssn SET NOT NULL",
    "ALTER TABLE t SET SCHEMA other",
    "DROP TABLE u; CREATE TABLE u (other int)",
    "DROP TABLE t CASCADE",
    "CREATE UNIQUE INDEX ON u (t)",
    "CREATE UNIQUE INDEX ON u (abs(t)) WHERE t > 1",
    "ALTER TABLE u DROP CONSTRAINT u_pkey",
    "ALTER TABLE u DROP CONSTRAINT u_t_fkey",
    "ALTER TABLE loose ADD CONSTRAINT one EXCLUDE USING hash (id WITH =)",
    "ALTER TABLE parted ATTACH PARTITION loose FOR VALUES FROM (10) TO (20)",
    "ALTER TABLE parted DETACH PARTITION parted_1",
    "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (20) TO (30)",
    "DROP TABLE parted_1",
    "ALTER TABLE loose INHERIT above",
    "ALTER TABLE below NO INHERIT above",
    "DROP TABLE below",
    "CREATE TABLE more () INHERITS (below)",
    "CREATE SCHEMA made; CREATE TABLE made.one (id int); SET LOCAL search_path = made, public",
    "ALTER SCHEMA other RENAME TO another",
    "ALTER SCHEMA other RENAME TO made; CREATE SCHEMA other; CREATE TABLE other.moved (ssn text)",
    "DROP SCHEMA other CASCADE",
    "GRANT USAGE ON SCHEMA other TO PUBLIC",
    "CREATE SEQUENCE numbers; ALTER SEQUENCE numbers OWNED BY t.id",
    "CREATE RULE r AS ON INSERT TO u DO ALSO SELECT 1",
    "CREATE TRIGGER g BEFORE UPDATE ON u FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE made (m mood)",
    "CREATE DOMAIN short AS varchar(3); ALTER TABLE loose ADD COLUMN s short",
    "DO $$BEGIN CREATE TABLE made (id int); ALTER TABLE t RENAME COLUMN ssn TO nss; END$$",
    "SAVEPOINT s; ALTER TABLE t RENAME TO tt; CREATE TABLE t (); ROLLBACK TO s; CREATE TABLE made (id int)",
    "SAVEPOINT s; ALTER TABLE t RENAME TO tt; RELEASE s",
    "SELECT age('3'::xid); SAVEPOINT s; CREATE TABLE made (id int)",
    "ALTER VIEW seen RENAME COLUMN name TO called",
    "LOCK TABLE t, u, seen; ANALYZE t",
    "CREATE TEMP TABLE t (temporary int)",
    "COMMENT ON TABLE t IS 'x'; TRUNCATE u",
]


def comparable(catalog: CatalogSnapshot) -> dict[tuple[str, str], Any]:
    """Return its relations without views' texts, which name what they read as it is called at the moment."""
    return {
        key: msgspec.structs.replace(one, definition="", children=tuple(sorted(one.children)))
        for key, one in catalog.relations.items()
    }


@pytest.mark.parametrize("script", DDL)
def test_it_is_what_will_be_committed(database: Database, script: str) -> None:
    """Laid over the catalog of before, the answer amid the transaction gives relations, types and schemas as they are
    in the catalog after its commit."""
    database.run(SCHEMA)
    before = load_of(database)
    with database.connect() as connection, connection.transaction():
        connection.execute(script)
        names, made = asked(connection)
    after = load_of(database)
    assert names.known and made is not None
    found = laid_over(before, made, "1")
    assert comparable(found) == comparable(after)
    assert found.relations_by_oid == {one.oid: one for one in found.relations.values()}
    assert found.schemas == after.schemas
    assert {(one.oid, one.name, one.schema) for one in found.types.values()} == {
        (one.oid, one.name, one.schema) for one in after.types.values()
    }
    assert found.types_by_name.keys() == after.types_by_name.keys()
    assert bool(found.identity) == (found is before)


def test_a_view_that_is_new_or_replaced_has_no_definition(database: Database) -> None:
    """Its text would be qualified by the session's path, so it is not asked for: looking through concedes."""
    database.run(SCHEMA)
    before = load_of(database)
    with database.connect() as connection, connection.transaction():
        connection.execute("CREATE OR REPLACE VIEW seen AS SELECT id, name FROM t WHERE id > 1")
        connection.execute("CREATE VIEW new AS SELECT id FROM t")
        _, made = asked(connection)
    assert made is not None
    found = laid_over(before, made, "1")
    assert [found.relations["public", name].definition for name in ("seen", "new")] == ["", ""]


def test_functions_operators_and_casts_stand_beside_the_committed_ones(database: Database) -> None:
    """What the transaction made is there as a user's own; what it replaced is there twice, what it dropped still."""
    database.run(SCHEMA)
    before = load_of(database)
    with database.connect() as connection, connection.transaction():
        connection.execute("CREATE OR REPLACE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 1'")
        connection.execute("CREATE FUNCTION lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT $1::text'")
        connection.execute("CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq)")
        _, made = asked(connection)
    assert made is not None
    found = laid_over(before, made, "1")
    assert len(found.functions["twice"]) == 2
    assert {one.schema for one in found.functions["lower"]} == {"pg_catalog", "public"}
    assert [one.schema for one in found.operators["==="]] == ["public"]
    assert found.functions["upper"] is before.functions["upper"]


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_old_snapshot_tells_nothing(database: Database, level: str) -> None:
    """Where the transaction sees the catalog of its beginning, names are not known: the server goes by that of now."""
    with database.connect() as connection, connection.transaction():
        connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        connection.execute("CREATE TABLE made (id int)")
        names, made = asked(connection)
    assert not names.known and made is None and "REPEATABLE READ" in names.why


def test_what_another_session_does_meanwhile(database: Database) -> None:
    """Another session's open DDL is not in the answer; what it committed since this one began does no harm there."""
    database.run(SCHEMA)
    with database.connect() as connection, database.connect() as other, connection.transaction():
        connection.execute("CREATE TABLE made (id int)")
        with other.transaction():
            other.execute("CREATE TABLE theirs (id int)")
            other.execute("ALTER TABLE loose ADD COLUMN theirs int")
            _, made = asked(connection)
            assert made is not None and [one.name for one in made.relations] == ["made"]
        _, made = asked(connection)
        before = load_of(database)
        assert made is not None
        relations = laid_over(before, made, "1").relations
        assert relations.keys() == before.relations.keys() | {("public", "made")}
        assert all(relations[key] == one for key, one in before.relations.items())


def test_too_much_is_not_known() -> None:
    """A longer answer than the limit, an empty one, and one of another shape leave names unknown."""
    row: tuple[bytes | None, ...] = (b"relations", b"[]")
    wrong: tuple[list[tuple[bytes | None, ...]], ...] = (
        [row] * (UNCOMMITTED_ROWS + 1),
        [],
        [row],
        [(b"session", b"{}")],
        [(b"what", b"[]")],
        [(None, b"[]")],
    )
    for rows in wrong:
        names, made = learnt(rows, "1", "utf-8")
        assert not names.known and made is None and names.why


def test_an_unchanged_catalog_stays_itself(database: Database) -> None:
    """A transaction that defined nothing lasting goes on with the committed catalog, whose readings are kept."""
    before = load_of(database)
    with database.connect() as connection, connection.transaction():
        connection.execute("CREATE TEMP TABLE own (id int PRIMARY KEY)")
        names, made = asked(connection)
    assert made is not None
    assert laid_over(before, made, "1") is before
    assert isinstance(before, CatalogSnapshot) and names.temporary["own"].unique_keys == (("id",),)
