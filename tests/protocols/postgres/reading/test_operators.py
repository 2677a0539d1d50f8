"""Operators, functions and casts that a user overloaded: seen for what they are, and not where they cannot be meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from checkrein.protocols.postgres.catalog import CatalogSnapshot, Names
from tests.oracles.dependencies import ask
from tests.oracles.reading import read
from tests.support import catalogs
from tests.support.postgres import Database, PostgresServer

SCHEMA = """
create table t (id int4, big int8, name varchar(20), note text, price numeric, day date, tags text[], ids int4[],
    f float4);
create type pair as (a int4, b int4);
create domain code as text;
create domain small as int4;
create type inches as (n int4);
create type mood as enum ('sad', 'glad');
create table own (p pair, c code, s small, i inches, m mood, codes code[], many inches[]);
create function hit(pair, pair) returns bool language sql as 'select true';
create function hit(varchar, varchar) returns bool language sql as 'select true';
create function hit(int4, text) returns bool language sql as 'select true';
create function hit(code, code) returns bool language sql as 'select true';
create function hit(small) returns bool language sql as 'select true';
create function hit(anyarray, anyelement) returns bool language sql as 'select true';
create function hit(anyelement, int2) returns bool language sql as 'select true';
create function hit(mood, mood) returns bool language sql as 'select true';
create function hit(float4, float4) returns bool language sql as 'select true';
create function hit(int4[], int4) returns bool language sql as 'select true';
create operator public.= (leftarg = pair, rightarg = pair, procedure = hit);
create operator public.= (leftarg = varchar, rightarg = varchar, procedure = hit);
create operator public.= (leftarg = int4, rightarg = text, procedure = hit);
create operator public.< (leftarg = code, rightarg = code, procedure = hit);
create operator public.- (rightarg = small, procedure = hit);
create operator public.@> (leftarg = anyarray, rightarg = anyelement, procedure = hit);
create operator public.|| (leftarg = anyelement, rightarg = int2, procedure = hit);
create operator public.~~ (leftarg = mood, rightarg = mood, procedure = hit);
create schema other;
create operator other.= (leftarg = float4, rightarg = float4, procedure = public.hit);
create function inches_to_int(inches) returns int4 language sql immutable as 'select ($1).n';
create cast (inches as int4) with function inches_to_int as implicit;
create function mood_to_int(mood) returns int4 language sql immutable as 'select 1';
create cast (mood as int4) with function mood_to_int as assignment;
create function lower(varchar) returns text language sql as 'select ''captured''';
create function abs(pair) returns int4 language sql as 'select 1';
create function round(inches) returns int4 language sql as 'select 1';
create function concat(variadic pair[]) returns text language sql as 'select ''x''';
create function upper(code) returns text language sql as 'select ''x''';
create function other.sign(numeric) returns numeric language sql as 'select 1.0';
create function length(anyarray) returns int4 language sql as 'select 1';
"""
PLAIN = (
    "select id from t where id = 1",
    "select id from t where id = big and big = 3000000000",
    "select id from t where note = 'x' and 'x' = note",
    "select id from t where price = 1.5 and price = id",
    "select id from t where day = '2020-01-01'",
    "select id from t where tags = '{a}' and tags @> '{b}' and tags @> array['a']",
    "select id from t where id in (1, 2, 3) and note in ('a', 'b')",
    "select id from t where (id, big) = (1, 2)",
    "select id from t where id = any (ids) and note = any ('{a,b}')",
    "select id from t where id = any (select big from t)",
    "select id from t where id between 1 and 2 and note < 'x'",
    "select case id when 1 then 'a' end from t",
    "select nullif(id, 1), nullif(note, 'x') from t",
    "select a.id from t a join t b using (id, note)",
    "select - id, - price from t",
    "select note || 'x' || name from t",
    "select name from t where note like 'a%'",
    "select lower(note), abs(id), abs(price), round(price), concat(id, note), length(note) from t",
    "select sign(price) from t",
    "select (id + big) = 3 and (id * 2.5) = price from t",
    "select coalesce(note, 'x') = 'y' from t",
    "select i from own where m = 'sad'",
    "select c from own where c = 'x'",
    "select upper(note) from t order by id using <",
)
MEANT = (
    "select id from t where name = 'x'",  # exact types in public, where pg_catalog has none
    "select id from t where 'x' = name",
    "select id from t where name in ('a', 'b')",
    "select id from t where name = any ('{a}')",
    "select id from t where name = any (select name from t)",
    "select id from t where (id, name) is distinct from (1, 'x')",
    "select case name when 'x' then 1 end from t",
    "select nullif(name, 'x') from t",
    "select a.id from t a join t b using (name)",
    "select a.id from t a natural join t b",
    "select id from t where id = note",  # otherwise no such operator at all
    "select p from own where p = row(1, 2)::pair",
    "select s from own where p = p",
    "select c from own where c < c",  # on a domain
    "select c from own where c < 'x'",  # a literal is taken for the domain first
    "select - s from own",
    "select id from t where tags @> 'x'::text",  # polymorphic
    "select id from t where ids @> id",
    "select id || 2::int2 from t",
    "select m from own where m like m",
    "select i from own where i operator(public.=) 'x'::text",  # through an implicit cast of the left side
    "select i from own where i = 'x'::text",
    "select f from t where f operator(other.=) f",
    "select lower(name) from t",
    "select abs(p) from own",
    "select concat(p, p) from own",
    "select upper(c) from own",
    "select length(tags) from t",
)
CONVERTED = (
    "select i from own where i = 1",  # the system's operator, but the user's cast runs on the column
    "select i from own where i + 1 > 2",
    "select abs(i) from own",
    "select id from t where id in (select i from own)",
    "select i::int4 from own",
    "select i::small from own",  # a domain over the cast's target
    "select many::int4[] from own",  # element by element
    "select m::int4 from own",
)


@dataclass
class Overloaded:
    """The database, its catalog, and how names are resolved."""

    database: Database
    catalog: CatalogSnapshot

    def conceded(self, text: str, path: tuple[str, ...] = ("pg_catalog", "public")) -> str:
        """Return why reading concedes, or the user's functions that it says are called; empty for neither."""
        statement = read(text, self.catalog, Names(search_path=path))
        called = [effect.object for effect in statement.effects if effect.verb == "call"]
        return statement.conceded if not statement.complete else ", ".join(called)

    def foreign(self, text: str, path: str = "pg_catalog, public") -> bool:
        """Say whether the server notes a user's function, operator, type or cast in a statement."""
        with self.database.connect() as connection, connection.transaction():
            connection.execute(f"set local search_path = {path}".encode())
            oracle = ask(connection, text, "select")
        assert oracle is not None and oracle.columns is not None, text
        return oracle.foreign


@pytest.fixture(scope="module")
def overloaded(postgres: PostgresServer) -> Iterator[Overloaded]:
    """A database whose users overloaded the system's operators, functions and casts."""
    database = postgres.create_database()
    database.run(SCHEMA)
    yield Overloaded(database, catalogs.load_of(database))
    database.drop()


@pytest.mark.parametrize("text", PLAIN)
def test_what_cannot_be_the_users_is_read(overloaded: Overloaded, text: str) -> None:
    """Overloads that the types rule out do not make a statement concede, and call nothing."""
    assert overloaded.conceded(text) == ""


@pytest.mark.parametrize("text", [*MEANT, *CONVERTED])
def test_what_is_the_users_is_seen(overloaded: Overloaded, text: str) -> None:
    """Where the server takes the user's operator, function or cast, reading concedes or names the call."""
    assert overloaded.foreign(text)
    assert overloaded.conceded(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("select f from t where f = f", "other, pg_catalog, public"),
        ("select f from t where f in (f, f)", "other, pg_catalog, public"),
        ("select sign(price) from t", "other, pg_catalog, public"),
    ],
)
def test_an_earlier_schema_of_the_path_hides_the_systems(overloaded: Overloaded, text: str, path: str) -> None:
    """The same types in a schema before pg_catalog: the user's is meant, behind it the system's."""
    names = tuple(path.split(", "))
    assert overloaded.foreign(text, path) and overloaded.conceded(text, names)
    assert not overloaded.conceded(text, ("pg_catalog", "public", "other"))


def test_an_unknown_path_takes_every_schema_into_account(overloaded: Overloaded) -> None:
    """Where the search path is not known, an overload of the same types in any schema may be the one."""
    (reading,) = [read("select f from public.t where f = f", overloaded.catalog, Names(known=False))]
    assert "may be a user-defined one" in reading.conceded


def test_a_parameter_is_not_converted_against_its_clients_will(overloaded: Overloaded) -> None:
    """An implicit cast of the user's is no reason to stop parameters beside columns of other types."""
    for text in ("select id from t where big = $1", "select id from t where big = any ($1)", "select abs($1::int8)"):
        assert overloaded.conceded(text) == ""
    assert "user-defined cast" in overloaded.conceded("select $1::int4")


@pytest.mark.parametrize(
    "text", ["select id from t where $1 = name", "select id from t where $1 = note", "select - $1"]
)
def test_a_parameter_may_be_of_any_type(overloaded: Overloaded, text: str) -> None:
    """The client says of which type a parameter is, so that an overload which any type fits may be meant."""
    assert "may be a user-defined one" in overloaded.conceded(text)


def test_a_number_is_of_the_type_that_its_size_gives_it(overloaded: Overloaded) -> None:
    """int4, int8 and numeric constants choose their own operators (make_const)."""
    with overloaded.database.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("create function big(int8, text) returns bool language sql as 'select true'")
        connection.execute("create operator public.=== (leftarg = int8, rightarg = text, procedure = big)")
        connection.execute("create operator public.=== (leftarg = int4, rightarg = int4, procedure = int4eq)")
        catalog = catalogs.load(connection)
    for text in ("3000000000 === 'x'::text", "1 === 2", "-2147483648 === 1", "'a' === 'b'"):
        assert "may be a user-defined one" in read(f"select {text}", catalog, Names()).conceded
