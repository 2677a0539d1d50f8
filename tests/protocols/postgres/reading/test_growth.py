"""Texts whose meaning grows much faster than they do: read or conceded in bounded time and memory."""

from __future__ import annotations

import time

import msgspec
import pytest

from checkrein.core import limits
from checkrein.protocols.postgres import statements
from checkrein.protocols.postgres.catalog import Names
from checkrein.protocols.postgres.catalog_of import catalog_of
from checkrein.protocols.postgres.surroundings import Surroundings
from tests.support.catalogs import load_of
from tests.support.postgres import Database

SECONDS = 20.0
"""Far more than any of these takes; read without a bound they take hours."""


def chain(first: str, each: str, last: str, count: int = 40) -> str:
    """Return a query of WITH queries, each made of the one before: `{0}` is its own number, `{1}` the one before."""
    more = "".join(f", a{n} AS ({each.format(n, n - 1)})" for n in range(1, count))
    return f"WITH a0 AS ({first}){more} {last.format(count - 1)}"


def laterals(count: int) -> str:
    """Return a FROM list each of whose items has the columns of the one before twice."""
    items = [f"LATERAL (SELECT * FROM (SELECT t{n}.*) q, (SELECT t{n}.*) r) t{n + 1}" for n in range(count)]
    return f"SELECT 1 FROM {', '.join(['t t0', *items])}"


DOUBLING = {
    "stars": chain("SELECT * FROM t", "SELECT x.*, y.* FROM a{1} x, a{1} y", "SELECT * FROM a{0}"),
    "bare stars": chain("SELECT * FROM t", "SELECT * FROM a{1} x, a{1} y", "SELECT count(*) FROM a{0}"),
    "rows": chain("SELECT * FROM t", "SELECT (x).*, (y).* FROM a{1} x, a{1} y", "SELECT * FROM a{0}"),
    "laterals": laterals(40),
    "prepared": "PREPARE p AS " + chain("SELECT * FROM t", "SELECT * FROM a{1} x, a{1} y", "SELECT * FROM a{0}"),
    "wide": "SELECT 1 FROM (SELECT " + ", ".join(["*"] * 600) + " FROM t a, t b, t c) w",
}


def read(text: str) -> tuple[bool, str]:
    """Read a text under a fresh catalog; return whether it was complete, and what was conceded."""
    around = Surroundings(catalog=catalog_of({"public.t": ["id integer", "b text"]}), names=Names())
    statement = statements.read(text, around)[0].statement
    return statement.complete, statement.conceded


@pytest.mark.parametrize("name", DOUBLING)
def test_pg_a41_stars_that_double(name: str) -> None:
    """What each star stands for is counted: a chain that doubles concedes long before it is large."""
    started = time.monotonic()
    complete, why = read(DOUBLING[name])
    assert not complete and "columns" in why
    assert time.monotonic() - started < SECONDS


def test_pg_a41_many_wide_levels() -> None:
    """Each level within what a row may have: together they are bounded as well."""
    first = "SELECT " + ", ".join(f"b AS c{n}" for n in range(150)) + " FROM t"
    levels = limits.READING_SPELT // 3000 + 2
    wide = ", ".join(f"w{n} AS (SELECT x.* FROM (SELECT {', '.join(['a0.*'] * 10)} FROM a0) x)" for n in range(levels))
    assert read(chain(first, "SELECT a{1}.* FROM a{1}", "SELECT c1 FROM a{0}", 100)) == (True, "")
    assert "stars stand for too many columns" in read(f"WITH a0 AS ({first}), {wide} SELECT 1")[1]


@pytest.mark.parametrize("uncommitted", [False, True])
def test_pg_a41_views_that_name_others_twice(database: Database, uncommitted: bool) -> None:
    """Each view is read once a statement, also where nothing may be kept for others."""
    database.run("CREATE TABLE t (id int); CREATE VIEW v0 AS SELECT id FROM t")
    for n in range(1, limits.READING_VIEWS - 1):
        database.run(f"CREATE VIEW v{n} AS SELECT a.id FROM v{n - 1} a, v{n - 1} b, v{n - 1} c, v{n - 1} d")
    catalog = load_of(database)
    if uncommitted:
        catalog = msgspec.structs.replace(catalog, identity=0)
    started = time.monotonic()
    for text in (f"SELECT id FROM v{n}", f"UPDATE v{n} SET id = 1", f"DELETE FROM v{n}"):
        statement = statements.read(text, Surroundings(catalog=catalog, names=Names()))[0].statement
        assert statement.complete or "t" in statement.conceded
        assert {"public.t", f"public.v{n}"} <= {effect.object for effect in statement.effects}
    assert time.monotonic() - started < SECONDS


def test_pg_a41_views_by_many_ways(database: Database) -> None:
    """Where each way that leads to a table is another one, they are counted."""
    database.run("CREATE TABLE t (id int); CREATE VIEW a0 AS SELECT id FROM t; CREATE VIEW b0 AS SELECT id FROM t")
    for n in range(1, limits.READING_VIEWS - 1):
        for name in "ab":
            database.run(f"CREATE VIEW {name}{n} AS SELECT a.id FROM a{n - 1} a, b{n - 1} b")
    around = Surroundings(catalog=load_of(database), names=Names())
    started = time.monotonic()
    assert statements.read("SELECT id FROM a5", around)[0].statement.complete
    assert "touches too much" in statements.read(f"SELECT a{n}.id FROM a{n}, b{n}", around)[0].statement.conceded
    assert time.monotonic() - started < SECONDS


def test_a_view_too_deep_inside_others_is_read_alone(database: Database) -> None:
    """What conceded inside too many views is kept for nobody."""
    database.run("CREATE TABLE t (id int); CREATE VIEW v0 AS SELECT id FROM t")
    for n in range(1, limits.READING_VIEWS + 3):
        database.run(f"CREATE VIEW v{n} AS SELECT id FROM v{n - 1}")
    around = Surroundings(catalog=load_of(database), names=Names())
    assert "nested too deeply" in statements.read(f"SELECT id FROM v{n}", around)[0].statement.conceded
    assert statements.read("SELECT id FROM v0", around)[0].statement.complete
    assert statements.read("SELECT id FROM v3", around)[0].statement.complete
