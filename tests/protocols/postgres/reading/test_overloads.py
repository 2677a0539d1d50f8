"""Which overload is meant is what the server says, or is left open: held against the server's own parse trees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

import pytest

from checkrein.protocols.postgres.catalog import CatalogFunction, CatalogOperator, CatalogSnapshot, Names
from checkrein.protocols.postgres.reading import coercion, functions, overloads
from checkrein.protocols.postgres.reading.overloads import Candidate
from tests.support import catalogs
from tests.support.postgres import Database, PostgresServer

SCHEMA = """
create type pair as (a int, b int);
create type mood as enum ('sad', 'glad');
create domain small as int4;
create domain word as text;
create domain numbers as int4[];
create type inches as (n int);
create function inches_to_int(inches) returns int4 language sql immutable as 'select ($1).n';
create cast (inches as int4) with function inches_to_int as implicit;
create function mood_to_text(mood) returns text language sql immutable as 'select ''x''::text';
create cast (mood as text) with function mood_to_text as assignment;
create schema other;
create function same(int4, text) returns bool language sql as 'select true';
create function same(mood, mood) returns bool language sql as 'select true';
create function same(pair, int4) returns bool language sql as 'select true';
create function same(varchar, varchar) returns bool language sql as 'select true';
create function same(anyelement, int2) returns bool language sql as 'select true';
create function same(anyarray, anyelement) returns bool language sql as 'select true';
create function same(small, float4) returns bool language sql as 'select true';
create function other.same(int4, int4) returns bool language sql as 'select true';
create function other.same(float8, date) returns bool language sql as 'select true';
create function same(variadic int8[]) returns bool language sql as 'select true';
create function same(name, int4 default 1) returns bool language sql as 'select true';
create operator public.= (leftarg = int4, rightarg = text, procedure = same);
create operator public.= (leftarg = varchar, rightarg = varchar, procedure = same);
create operator public.= (leftarg = pair, rightarg = int4, procedure = same);
create operator public.= (leftarg = small, rightarg = float4, procedure = same);
create operator other.= (leftarg = int4, rightarg = int4, procedure = other.same);
create operator other.= (leftarg = float8, rightarg = date, procedure = other.same);
create operator public.+ (leftarg = anyarray, rightarg = anyelement, procedure = same);
create operator public.|| (leftarg = anyelement, rightarg = int2, procedure = same);
create function lower(varchar) returns text language sql as 'select ''captured''';
create function other.abs(int4) returns int4 language sql as 'select 1';
create function public.length(anyarray) returns int4 language sql as 'select 1';
create function public.upper(word) returns text language sql as 'select ''x''';
create function public.round(inches) returns int4 language sql as 'select 1';
"""
TYPES = (
    "int2", "int4", "int8", "numeric", "float4", "float8", "text", "varchar", "bpchar", "name", "bool", "date",
    "timestamptz", "interval", "oid", "regclass", "jsonb", "int4[]", "text[]", "int4range", "inet", "pair", "mood",
    "small", "word", "numbers", "inches", "unknown",
)  # fmt: skip
OPERATORS = ("=", "<", "+", "-", "||", "~~", "@>")
FUNCTIONS = ("same", "lower", "abs", "length", "upper", "round", "concat", "to_char")
PATHS = (("pg_catalog", "public"), ("other", "pg_catalog", "public"), ("public", "pg_catalog"))
_CHOSEN = re.compile(r"TARGETENTRY :expr \{\w+ :(?:opno|funcid|aggfnoid) (\d+)")


@pytest.fixture(scope="module")
def made(postgres: PostgresServer) -> Iterator[tuple[Database, CatalogSnapshot]]:
    """A database in which a user overloaded the system's operators and functions in every way that the rules know."""
    database = postgres.create_database()
    database.run(SCHEMA)
    yield database, catalogs.load_of(database)
    database.drop()


def _chosen(database: Database, path: tuple[str, ...], expressions: list[str]) -> dict[str, int]:
    """Return the operator or function that the server chooses for each expression that it takes."""
    found: dict[str, int] = {}
    with database.connect() as connection:
        link = connection.pgconn
        catalogs.rows(connection, f"SET search_path = {', '.join(path)}")
        taken = [one for one in expressions if link.prepare(b"", f"SELECT {one}".encode()).status == 1]
        for start in range(0, len(taken), 200):
            part = taken[start : start + 200]
            columns = ", ".join(f"{one} AS c{number}" for number, one in enumerate(part))
            catalogs.rows(connection, f"CREATE TEMPORARY VIEW chosen AS SELECT {columns}")
            query = "SELECT ev_action FROM pg_catalog.pg_rewrite WHERE ev_class = 'pg_temp.chosen'::regclass"
            numbers = _CHOSEN.findall(str(catalogs.rows(connection, query)[0][0]))
            assert len(numbers) == len(part)
            found.update(zip(part, map(int, numbers), strict=True))
            catalogs.rows(connection, "DROP VIEW pg_temp.chosen")
    return found


def _oids(catalog: CatalogSnapshot) -> dict[str, int]:
    """Return the types' object ids as reading has them."""
    found = {"unknown": coercion.UNKNOWN}
    for name in TYPES:
        plain = name.strip('"').removesuffix("[]")
        if name != "unknown":
            key = ("_" if name.endswith("[]") else "") + plain
            one = catalog.types_by_name.get(("pg_catalog", key)) or catalog.types_by_name[("public", key)]
            found[name] = one.oid
    return found


def _held_against(
    catalog: CatalogSnapshot,
    path: tuple[str, ...],
    chosen: dict[str, int],
    asked: dict[str, tuple[str, tuple[int, ...]]],
) -> tuple[int, int]:
    """Check that what the server chose is always among the possible ones. Return how many are sure, of how many."""
    names, sure = Names(search_path=path), 0
    for expression, oid in chosen.items():
        name, types = asked[expression]
        operator = name in OPERATORS
        candidates: list[Candidate] = []
        for one in (catalog.operators if operator else catalog.functions).get(name, ()):
            arguments = _arguments(catalog, one, len(types))
            place = overloads.place_of(names, "", one.schema)
            if place is not None and arguments is not None:
                candidates.append(Candidate(arguments, one, place))
        possible = overloads.possible(catalog, candidates, types, operator)
        assert oid in [one.meant.oid for one in possible], (path, expression, possible)
        sure += len(possible) == 1
    return sure, len(chosen)


def _arguments(catalog: CatalogSnapshot, one: CatalogFunction | CatalogOperator, given: int) -> tuple[int, ...] | None:
    """Return an overload's arguments as a call of so many sees them, None when it cannot be called so."""
    if isinstance(one, CatalogOperator):
        return (
            (one.left, one.right) if one.left and given == 2 else (one.right,) if given == 1 and not one.left else None
        )
    return functions.facing(catalog, one, given) if functions.takes(one, given) else None


@pytest.mark.parametrize("path", PATHS)
def test_operators_are_the_ones_that_the_server_chooses(
    made: tuple[Database, CatalogSnapshot], path: tuple[str, ...]
) -> None:
    """Every pair of types: what the server chose is possible, and nearly always nothing else is."""
    database, catalog = made
    oids = _oids(catalog)
    asked: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, left, right in product(OPERATORS, TYPES, TYPES):
        text = f"({_null(left)} {name} {_null(right)})"
        asked[text] = (name, (oids[left], oids[right]))
    sure, all_of_them = _held_against(catalog, path, _chosen(database, path, list(asked)), asked)
    assert all_of_them > 1000
    assert sure > 0.85 * all_of_them, (sure, all_of_them)


@pytest.mark.parametrize("path", PATHS)
def test_functions_are_the_ones_that_the_server_chooses(
    made: tuple[Database, CatalogSnapshot], path: tuple[str, ...]
) -> None:
    """Every type, and every pair of types: what the server chose is possible."""
    database, catalog = made
    oids = _oids(catalog)
    asked: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, one in product(FUNCTIONS, TYPES):
        asked[f"{name}({_null(one)})"] = (name, (oids[one],))
        for other in TYPES:
            asked[f"{name}({_null(one)}, {_null(other)})"] = (name, (oids[one], oids[other]))
    sure, all_of_them = _held_against(catalog, path, _chosen(database, path, list(asked)), asked)
    assert all_of_them > 300
    assert sure > 0.8 * all_of_them, (sure, all_of_them)


def _null(name: str) -> str:
    return "NULL" if name == "unknown" else f"NULL::{'public.' if name in _OWN else ''}{name}"


_OWN = frozenset({"pair", "mood", "small", "word", "numbers", "inches"})
