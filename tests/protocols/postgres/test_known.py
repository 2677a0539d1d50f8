"""The shipped lists against a real server: what is known, what carries an effect, what is behind a door."""

from __future__ import annotations

import pytest

from checkrein.protocols.postgres import doors, known, known_groups, parser
from checkrein.protocols.postgres.catalog import CatalogFunction, CatalogSnapshot
from checkrein.protocols.postgres.catalog_of import catalog_of
from tests.support.catalogs import load_of
from tests.support.postgres import Database


@pytest.fixture
def snapshot(database: Database) -> CatalogSnapshot:
    for extension in ("citext", "hstore", "pg_trgm", "dblink", "tablefunc", "pageinspect", "adminpack"):
        if database.server.has_extension(extension):
            database.run(f"CREATE EXTENSION {extension}")
    return load_of(database)


def test_every_catalog_function_is_classified(snapshot: CatalogSnapshot) -> None:
    """Nothing that SQL can call in the server's own pg_catalog is unknown, so ordinary work is not stopped."""
    uncallable = {2281, 2275, 2279, 3838, 2280, 3115, 325, 3310, 269}  # internal, cstring, trigger, handlers
    unknown = {
        function.name
        for overloads in snapshot.functions.values()
        for function in overloads
        if function.schema == "pg_catalog"
        and not function.extension
        and known.lookup(function) is None
        and not uncallable & {*function.arguments, function.returns}
    }
    assert unknown == set()


def test_the_grammar_is_the_one_that_words_are_compared_with() -> None:
    """The library says itself whose grammar it has, and the shipped keywords and synthetic catalog are of that."""
    assert parser.grammar_major() == parser.GRAMMAR_MAJOR == 18
    assert catalog_of({}).server_version // 10_000 == parser.GRAMMAR_MAJOR
    assert known.changed_words(180_004) == known.changed_calls(180_004) == frozenset()
    assert "system_user" in known.changed_words(150_018)
    assert "json_value" in known.changed_calls(160_000) and "json_value" not in known.changed_calls(170_000)
    assert isinstance(parser.parse_json("UPDATE t SET a = 1 RETURNING WITH (OLD AS o) o.a"), bytes), "18 has it"


@pytest.mark.parametrize(
    ("name", "door", "guard"),
    [
        ("pg_read_file", doors.SERVER_FILES, doors.SERVER_FILES),
        ("pg_ls_dir", doors.SERVER_FILES, doors.SERVER_FILES),
        ("lo_export", doors.SERVER_FILES, doors.SERVER_FILES),
        ("lo_get", doors.LARGE_OBJECTS, ""),
        ("query_to_xml", doors.RUNS_TEXT, ""),
        ("table_to_xml", doors.RUNS_TEXT, ""),
        ("database_to_xml", doors.RUNS_TEXT, ""),
        ("cursor_to_xml", doors.RUNS_TEXT, ""),
        ("ts_stat", doors.RUNS_TEXT, ""),
        ("pg_terminate_backend", doors.BACKEND_CONTROL, ""),
        ("pg_logical_slot_peek_changes", "", doors.REPLICATION),
        ("pg_stat_get_activity", doors.OTHER_SESSIONS, ""),
        ("dblink", doors.OTHER_DATABASE, ""),
        ("crosstab", doors.RUNS_TEXT, ""),
        ("connectby", doors.RUNS_TEXT, ""),
        ("get_raw_page", doors.RAW_STORAGE, ""),
    ],
)
def test_dangerous_functions_are_shut(snapshot: CatalogSnapshot, name: str, door: str, guard: str) -> None:
    """Every overload of a dangerous function has its door or guardrail."""
    if name not in snapshot.functions:
        pytest.skip(f"this server has no {name}")
    for function in snapshot.functions[name]:
        fact = known.lookup(function)
        assert fact is not None and (fact.door, fact.guard) == (door, guard)
        assert not fact.harmless and doors.reason(fact.guard or fact.door)


def test_only_the_overload_that_runs_text_is_shut(snapshot: CatalogSnapshot) -> None:
    """ts_rewrite(tsquery, text) runs a text, its other overload rewrites a value."""
    by_arity = {len(function.arguments): known.lookup(function) for function in snapshot.functions["ts_rewrite"]}
    assert by_arity[3] is not None and by_arity[3].harmless
    assert by_arity[2] is not None and by_arity[2].door == doors.RUNS_TEXT


@pytest.mark.parametrize(
    ("name", "verb", "kind", "argument"),
    [
        ("nextval", "update", "sequence", 0),
        ("setval", "update", "sequence", 0),
        ("currval", "select", "sequence", 0),
        ("pg_notify", "notify", "channel", 0),
        ("pg_advisory_lock", "lock", "advisory", -1),
        ("set_config", "set", "setting", 0),
    ],
)
def test_side_effects_are_effects(snapshot: CatalogSnapshot, name: str, verb: str, kind: str, argument: int) -> None:
    """A known function with a side effect carries it, with the argument that names its object."""
    for function in snapshot.functions[name]:
        fact = known.lookup(function)
        assert fact is not None and (fact.verb, fact.kind, fact.argument) == (verb, kind, argument)


def test_foreign_functions_are_not_known(database: Database) -> None:
    """A user's function is not known, even in pg_catalog, even with a known name."""
    database.run("CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT $1::text'")
    in_catalog = "CREATE FUNCTION pg_catalog.upper(int) RETURNS int LANGUAGE sql AS 'SELECT 1'"
    if database.server.version >= 130000:  # before, this took a restart
        database.run(f"SET allow_system_table_mods = on; {in_catalog}")
    snapshot = load_of(database)
    assert [known.lookup(one) for one in snapshot.functions["lower"] if one.schema == "public"] == [None]
    assert {known.lookup(one) for one in snapshot.functions["upper"] if one.arguments == (23,)} <= {None}
    assert known.lookup(CatalogFunction(99, "pg_catalog", "function_of_the_next_version")) is None


def test_members_of_known_extensions_are_known(snapshot: CatalogSnapshot) -> None:
    """citext's overloads of = and max, and pg_trgm's similarity, are harmless; so is its cast."""
    for name in ("max", "similarity"):
        if name in snapshot.functions:
            assert all((fact := known.lookup(one)) is not None and fact.harmless for one in snapshot.functions[name])
    assert all(known.operator_known(operator) for operator in snapshot.operators["="])
    assert all(known.cast_known(cast) for cast in snapshot.casts)


def test_safe_functions_do_not_fail_on_any_value(snapshot: CatalogSnapshot, database: Database) -> None:
    """Each safe overload exists, is strict of one row, and takes awkward values without failing."""
    awkward = {
        25: ["", "x", "ß", "\u0130", "é" * 3000, "a" * 100_000, "'", "\\", "12-34"],
        17: ["\\x", "\\x00ff"],
        1042: ["", "  x "],
        23: ["0", "-2147483648", "2147483647"],
        1700: ["NaN", "1e1000", "-0.5"],
        701: ["NaN", "Infinity", "-1e308"],
        1082: ["infinity", "0001-01-01"],
        1114: ["-infinity"],
        1184: ["infinity"],
        1186: ["1 day"],
        869: ["::1", "10.0.0.1/8"],
        3802: ["null", "[]"],
        114: ["{}"],
        2276: ["x"],
    }
    names = {2276: "text"} | {one.oid: one.name for one in snapshot.types.values() if one.schema == "pg_catalog"}
    tried = 0
    with database.connect() as connection:
        for name, overloads in known._SAFE.items():
            for arguments in overloads:
                there = [one for one in snapshot.functions[name] if one.arguments == arguments]
                if not there and snapshot.server_version < 140000:
                    continue  # an overload of later versions
                (function,) = there
                fact = known.lookup(function)
                assert fact is not None and fact.safe and fact.harmless and not function.returns_set
                for first in awkward[arguments[0]]:
                    casts = ", ".join(f"%s::{names[argument].replace('any', 'text')}" for argument in arguments)
                    values = [first, *(awkward[argument][-1] for argument in arguments[1:])]
                    connection.execute(f"SELECT {name}({casts})", values).fetchone()
                    tried += 1
    assert tried > 100


def test_results_that_may_pass(snapshot: CatalogSnapshot) -> None:
    """count gives a count, a predicate a Boolean, anything else neither."""
    results = {
        name: {getattr(known.lookup(one), "result", "") for one in snapshot.functions[name]}
        for name in ("count", "bool_and", "starts_with", "max", "lower")
    }
    assert results["count"] == {"count"}
    assert results["bool_and"] == results["starts_with"] == {"boolean"}
    assert results["max"] == {"other"}


def test_groups_do_not_overlap() -> None:
    """A name is in one group alone, and none is called harmless beside it."""
    names = [name for group in (*known_groups.EFFECTS, *known_groups.SHUT) for name in group.names]
    assert len(names) == len(set(names))
    assert not set(names) & known_groups.HARMLESS_VOLATILE
    assert not set(known_groups.EXTENSION_DOORS) & known_groups.KNOWN_EXTENSIONS


def test_words_whose_meaning_changed() -> None:
    """Before 16 system_user may be a column; before 17 json_value( may be a function; on the grammar's own, none."""
    assert "system_user" in known.changed_words(150018)
    assert known.changed_words(160000) == frozenset()
    assert {"json_value", "json_table", "merge_action"} <= known.changed_calls(160000)
    assert "json_exists" in known.changed_calls(90600)
    assert known.changed_words(170000) | known.changed_calls(170000) == frozenset()
