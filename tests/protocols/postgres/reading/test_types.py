"""The types that reading gives expressions are the server's, or none: overloads are told apart by them."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from checkrein.protocols.postgres import parser
from checkrein.protocols.postgres.catalog import CatalogSnapshot, Names
from checkrein.protocols.postgres.reading import dispatch, queries
from checkrein.protocols.postgres.reading.scope import Scope
from checkrein.protocols.postgres.surroundings import Surroundings
from tests.support import catalogs
from tests.support.postgres import PostgresServer

SCHEMA = """
create domain code as text;
create domain numbers as int4[];
create type pair as (a int4, b text);
create type mood as enum ('sad', 'glad');
create table t (id int4, small int2, big int8, name varchar(20), fixed char(3), note text, price numeric, f float4,
    day date, at timestamptz, tags text[], ids int4[], c code, n numbers, p pair, m mood, r int4range, j jsonb, o oid);
create view v as select id + 1 as next, note || 'x' as noted, c from t;
create function twice(int4) returns int8 language sql as 'select 2::int8';
create function codes() returns setof code language sql as 'select ''x''::code';
"""
KNOWN = (
    "id", "c", "n", "p", "m", "1", "3000000000", "99999999999999999999", "-2147483648", "1.5", "1e10", "true",
    "b'101'", "id + 1", "id + big", "id * price", "- small", "small + small", "note || 'x'", "name || name",
    "c || 'x'", "id = 1", "c = 'x'", "f * 2.0", "day - day", "day + 1", "at - at", "j -> 'a'", "j ->> 'a'", "r && r",
    "id::int8", "note::code", "ids::int8[]", "'x'::varchar(3)", "price::numeric(5,2)", "day::text", "coalesce(id, 1)",
    "coalesce(id, big)", "coalesce(note, 'x')", "coalesce(c, 'x')", "coalesce(id, 1.5)", "greatest(id, big)",
    "least(note, 'x')", "nullif(id, 1)", "nullif(id, 1.5)", "nullif(c, 'x')", "nullif(name, 'x')", "array[1, 2]",
    "array[id, big]", "array['a', note]", "array[array[1], array[2]]", "array(select id)", "array(select ids)",
    "ids || 3", "ids || ids", "array_agg(id)", "array_agg(ids)", "unnest(ids)", "array_append(ids, 1)",
    "array_length(ids, 1)", "max(id)", "max(note)", "sum(id)", "sum(big)", "avg(id)", "count(*)",
    "string_agg(note, ',')", "lower(name)", "abs(id)", "abs(price)", "round(price)", "round(price, 2)",
    "length(note)", "now()", "twice(3)", "codes()", "(select id)", "(select max(price))", "id between 1 and 2",
    "id in (1, 2)", "id is null", "not true", "row_number() over ()", "lag(id) over (order by id)",
    "first_value(note) over (order by id)", "concat(id, note)", "case id when 1 then 2 end", "(p).a", "ids[1]",
    "ids[1:2]", "ids[1][2]", "n[1]", "n[1:1]", "j['a']", "(j['a'])['b']", "generate_series(1, 3)",
    "extract(year from day)", "date_trunc('day', at)", "'a' || 'b'", "'1' + 2", "1 / 2.0", "id % 2", "2 ^ 3", "o",
    "tableoid", "ctid", "xmin", "upper(r)", "current_date", "current_user", "localtimestamp", "grouping(id)",
    "to_char(at, 'YYYY')",
)  # fmt: skip
QUERIES = (
    "select next, noted, c from v",
    "select id, note from t a join (select big as id from t) b using (id)",
    "select * from (select id from t) a full join (select price as id from t) b using (id)",
    "select * from (select c from t) a join (select note as c from t) b using (c)",
    "select * from (select c from t) a natural left join (select c from t) b",
    "select 1 union select 2", "select 1 union all select 1.5", "select 'x' union select 'y'",
    "select null union select 1",
    "select c from t union select note from t", "select c from t except select c from t",
    "values (1, 'x'), (2, 'y')", "values (1, 'x')", "values (null), (3)", "select * from (values (1), (2.5)) w",
    "with recursive w(n) as (select 1 union all select n + 1 from w) select n, n = 1 from w",
    "with recursive w(n) as (select 1 union all select n + 1 from w) cycle n set c to text 'y' default text 'n' using p"
    " select c, n from w",
    "select * from codes() x", "select * from generate_series(1, 2) g(n)",
    "select * from unnest(array[1]) with ordinality",
    "select * from json_to_record('{}') as w(a int4, b code)", "select x.* from (select 'x', null, id from t) x",
    "select (select 'x'), (select null), coalesce('a', 'b')", "select t.*, t from t", "select array['a', null]",
)  # fmt: skip


Typed = tuple[psycopg.Connection[object], CatalogSnapshot]


@pytest.fixture(scope="module")
def typed(postgres: PostgresServer) -> Iterator[Typed]:
    """A connection to a database with every kind of type, and its catalog."""
    database = postgres.create_database()
    database.run(SCHEMA)
    with database.connect() as made:
        catalog = catalogs.load(made)
        catalogs.rows(made, "SET search_path = public")
        yield made, catalog
    database.drop()


def _read(typed: Typed, text: str) -> list[int]:
    """Return the types that reading gives the outputs."""
    catalog = typed[1]
    reader = dispatch.reader_for(text, Surroundings(catalog=catalog, names=Names()), catalog)
    json = parser.parse_json(text)
    assert not isinstance(json, parser.SyntaxProblem)
    found = queries.read_select(reader, parser.decode(json)["stmts"][0]["stmt"]["SelectStmt"], Scope())
    return [column.value.type for column in found]


def _told(typed: Typed, text: str) -> list[int]:
    """Return the types that the server gives them; a domain as itself, which RowDescription does not tell."""
    connection = typed[0]
    link = connection.pgconn
    answer = link.exec_(f"CREATE TEMPORARY VIEW told ({_names(link, text)}) AS {text}".encode())
    assert answer.status == 1, (text, answer.error_message.decode())
    query = "SELECT atttypid FROM pg_attribute WHERE attrelid = 'pg_temp.told'::regclass ORDER BY attnum"
    found = [int(row[0] or 0) for row in catalogs.rows(connection, query)]
    catalogs.rows(connection, "DROP VIEW pg_temp.told")
    return found


def _names(link: psycopg.pq.abc.PGconn, text: str) -> str:
    prepared = link.prepare(b"", text.encode())
    assert prepared.status == 1, (text, prepared.error_message.decode())
    return ", ".join(f"c{number}" for number in range(link.describe_prepared(b"").nfields))


def test_an_expressions_type_is_the_servers_or_not_known(typed: Typed) -> None:
    """Constants, operators, functions, casts and constructs: never a type that the server does not give them."""
    known = 0
    for expression in KNOWN:
        text = f"select {expression} from t" + (" group by id" if expression.startswith("grouping") else "")
        read, told = _read(typed, text), _told(typed, text)
        assert read in (told, [0]), (expression, read, told)
        known += read == told
    assert known > 0.75 * len(KNOWN), known


@pytest.mark.parametrize("text", QUERIES)
def test_a_querys_types_are_the_servers_or_not_known(typed: Typed, text: str) -> None:
    """Joins, set operations, VALUES, WITH, functions in FROM: columns keep their type or lose it, never change it."""
    read, told = _read(typed, text), _told(typed, text)
    assert len(read) == len(told)
    assert all(one in (0, other) for one, other in zip(read, told, strict=True)), (read, told)
