"""The part that a statement plays in the conversation, sizes, and readings that are kept."""

from __future__ import annotations

import pytest

from checkrein.core import limits
from checkrein.protocols.postgres import statements
from checkrein.protocols.postgres.catalog import CatalogColumn, CatalogRelation, Names
from checkrein.protocols.postgres.catalog_of import catalog_of
from checkrein.protocols.postgres.parser import SyntaxProblem
from checkrein.protocols.postgres.reading import worker
from checkrein.protocols.postgres.surroundings import Surroundings
from tests.protocols.postgres.reading.shop import Shop, shop

__all__ = ["shop"]


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("begin isolation level serializable", "begin", ""), ("start transaction", "begin", ""), ("end", "commit", ""),
        ("abort", "rollback", ""), ("savepoint a", "savepoint", "a"), ("rollback to a", "rollback_to", "a"),
        ("release a", "release", "a"), ("set timezone to 'UTC'", "set", "timezone"), ("reset all", "reset", ""),
        ("show all", "show", "all"), ("discard all", "discard", "all"), ("deallocate all", "deallocate", "*"),
        ("deallocate p", "deallocate", "p"), ("close all", "close", "*"), ("unlisten *", "unlisten", "*"),
        ("prepare p as select 1", "prepare", "p"), ("declare c cursor for select 1", "declare", "c"),
        ("values (1)", "values", ""), ("table customers", "select", ""), ("copy customers to stdout", "copy_out", ""),
        ("copy customers from stdin", "copy_in", ""), ("do $$begin end$$", "do", ""), ("", "empty", ""),
        (" -- nothing\n", "empty", ""), ("copy nosuch from stdin", "copy_in", ""), ("vacuum", "utility", ""),
    ],
)  # fmt: skip
def test_kind_and_name(shop: Shop, text: str, kind: str, name: str) -> None:
    """Every statement is called by its kind, also when it concedes: the session's replies hang on it."""
    (reading,) = shop.readings(text)
    assert (reading.act.kind, reading.act.name) == (kind, name)


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("prepare p (int, text) as select $1", "select $1"),
        ('/* as */ prepare "as" as select 1 as x', "select 1 as x"),
        ("declare c binary scroll cursor with hold for select 'for' ", "select 'for'"),
        ("copy ( select ')' -- )\n ) to stdout", "select ')' -- )\n "),
        ("explain (analyze, costs off) select 1", "select 1"),
        ("explain analyze verbose with x as (select 1) table x", "with x as (select 1) table x"),
        ("explain (select 1)", "(select 1)"),
    ],
)
def test_inner_statement_is_found(shop: Shop, text: str, inner: str) -> None:
    """The statement inside is cut out by the scanner's rules, whatever is quoted or commented around it."""
    (reading,) = shop.readings(text)
    assert reading.statement.complete, reading.statement.conceded
    assert text.encode()[reading.act.inner_start : reading.act.inner_end].decode() == inner


def test_several_statements_are_cut(shop: Shop) -> None:
    """Each statement of a request has its own stretch, in bytes, and its own text."""
    text = "select 'ä;' ; /* x */ delete from orders;;commit"
    readings = shop.readings(text)
    assert [reading.act.kind for reading in readings] == ["select", "delete", "commit"]
    data = text.encode()
    assert [data[reading.act.start : reading.act.end].decode() for reading in readings] == [
        "select 'ä;'", "delete from orders", "commit"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "set search_path to hr; select * from people",
        "drop view v_cust; create view v_cust as select ssn from customers; select * from v_cust",
        "select f(1); select * from customers",
        "select set_config('search_path', 'hr', false); select * from people",
    ],
)
def test_names_after_a_change_concede(shop: Shop, text: str) -> None:
    """Within one request, names that an earlier statement may have changed are not guessed."""
    assert not shop.readings(text)[-1].statement.complete


def test_execute_and_fetch_do_what_was_prepared(shop: Shop) -> None:
    """EXECUTE and FETCH have the effects and outputs of their statement; unknown names concede."""
    prepared = {"p": "select ssn from customers where ssn = $1"}
    executed = shop.read("execute p('123')", prepared=prepared)
    assert [effect.columns for effect in executed.effects] == [("ssn",)]
    assert {origin.column for literal in executed.literals for origin in literal.origins} == {"ssn"}
    cursor = shop.read("select ssn from customers")
    fetched = shop.read("fetch 10 from c", cursors={"c": cursor})
    assert fetched.outputs == cursor.outputs
    assert not shop.read("execute q").complete
    assert not shop.read("fetch all from d").complete


def test_syntax_errors_are_told(shop: Shop) -> None:
    """A text that is not SQL is conceded with the grammar's message and where."""
    statement = shop.read("select from where")
    assert not statement.complete
    assert statement.facts == {"syntax_error": 'syntax error at or near "where"', "position": 13}


@pytest.mark.parametrize("text", ["select '\0'", "select '\ud800'", "x" * (limits.STATEMENT_BYTES + 1)])
def test_what_cannot_be_a_text_concedes(shop: Shop, text: str) -> None:
    """NUL, lone surrogates and too long texts never raise."""
    assert not shop.read(text).complete


def _deep(text: str) -> bytes | SyntaxProblem | None:
    return worker.parse(text) if statements.needs_worker(text) else None


@pytest.mark.parametrize(
    "text",
    [
        " union all ".join(["select id from customers"] * 1000),
        "select " + "||".join(["name"] * 500) + " from customers",
    ],
)
def test_long_chains_are_read(shop: Shop, text: str) -> None:
    """A thousand UNION ALL branches and five hundred chained operators are ordinary statements."""
    (reading,) = statements.read(text, shop.around(), _deep(text))
    assert reading.statement.complete, reading.statement.conceded


@pytest.mark.parametrize(
    "text",
    [
        "select " + "(" * 10_000 + "1" + ")" * 10_000,
        "select 1 where 1 in (" + ",".join(map(str, range(100_000))) + ")",
        ";".join(["select 1"] * 10_000),
        "select " + "not " * 1900 + "true",
        "select " + "array[" * 990 + "1" + "]" * 990,
        "select " + "(select " * 600 + "1" + ")" * 600,
    ],
)
def test_absurd_texts_concede(shop: Shop, text: str) -> None:
    """PG-A41: they end in a conceded reading, not in a crash or a long wait."""
    (reading,) = statements.read(text, shop.around(), _deep(text))
    assert not reading.statement.complete


def test_a_large_text_is_the_workers(shop: Shop) -> None:
    """What is too large for the gateway's own process concedes unless the worker's tree comes with it."""
    text = "select 1 /* " + "x" * limits.STATEMENT_IN_PROCESS_BYTES + " */"
    assert statements.needs_worker(text)
    assert not shop.read(text).complete
    assert statements.read(text, shop.around(), worker.parse(text))[0].statement.complete


def test_a_shape_is_shared_only_where_no_number_matters(shop: Shop) -> None:
    """Texts that differ in a number give the same reading with their own text; a position is looked at each time."""
    one, other = (
        shop.read("select id from customers where id = 17"),
        shop.read("select id from customers where id = 42"),
    )
    assert other.text.endswith("42")
    assert other.effects is one.effects
    first = shop.read("select id, ssn from customers order by 1")
    second = shop.read("select id, ssn from customers order by 2")
    assert {use.origin.column for use in first.uses} == {"id"}
    assert {use.origin.column for use in second.uses} == {"ssn"}


def test_readings_are_kept_apart_by_names(shop: Shop) -> None:
    """One text under two search paths is two statements."""
    text = "select * from people"
    assert not shop.read(text).complete
    hr = Names(search_path=("pg_catalog", "hr"), version="hr")
    assert shop.read(text, names=hr).complete
    assert not shop.read(text).complete


def test_readings_of_temporary_names_are_no_other_session_s(shop: Shop) -> None:
    """PG-B34: pg_temp_N outlives its session's tables: what one session read there means nothing to the next."""
    text = "select ssn from customers where id = 1"
    path = ("pg_temp_3", "pg_catalog", "public")
    own = CatalogRelation(90000, "pg_temp", "customers", "r", (CatalogColumn("ssn", 1, 25),))
    first = shop.read(text, names=Names(search_path=path, temporary={"customers": own}, version="1"))
    assert first.effects[0].oid == 90000
    after = shop.read(text, names=Names(search_path=path, version="1"))
    assert after.effects[0].object == "public.customers"
    again = shop.read(text, names=Names(search_path=path, temporary={"customers": own}, version="1"))
    assert again.effects[0].oid == 90000


def test_readings_of_one_target_are_not_another_s() -> None:
    """PG-B35: two targets made from one image give the same word for different catalogs; readings are kept apart."""
    here, there = catalog_of({"public.t": ["id integer", "a text"]}), catalog_of({"public.t": ["id integer", "b text"]})
    assert here.version == there.version and here.identity != there.identity
    for catalog, column in ((here, "a"), (there, "b"), (here, "a")):
        around = Surroundings(catalog=catalog, names=Names())
        text = "select * from public.t"
        (reading,) = statements.kept(text, catalog, around.names) or statements.read(text, around)
        assert reading.statement.outputs is not None
        assert [output.name for output in reading.statement.outputs] == ["id", column]


def test_without_a_catalog_what_needs_no_names_is_read(shop: Shop) -> None:
    """Where the side link is away, transaction control and settings still work and everything else concedes."""
    assert shop.read("begin", catalog=None).complete
    assert shop.read("set statement_timeout = 5", catalog=None).complete
    assert shop.read("select 1", catalog=None).complete
    assert not shop.read("select now()", catalog=None).complete
    assert not shop.read("select * from public.customers", catalog=None).complete
