"""Which parts of the system catalog need no rule, and which are behind a door."""

from __future__ import annotations

import pytest

from checkrein.protocols.postgres import doors, housekeeping
from checkrein.protocols.postgres.catalog import CatalogColumn, CatalogRelation
from checkrein.protocols.postgres.catalog_of import system_catalog
from tests.support.postgres import PostgresServer


def relation(schema: str, name: str) -> CatalogRelation:
    return system_catalog().relations[schema, name]


@pytest.mark.parametrize("name", ["pg_class", "pg_attribute", "pg_settings", "pg_stat_user_tables", "pg_roles"])
def test_tools_may_read_the_catalog(name: str) -> None:
    """What \\d and reflection read needs no rule, whole rows included."""
    assert housekeeping.needs_no_rule(relation("pg_catalog", name), None)


def test_information_schema_needs_no_rule() -> None:
    """Its views neither, but for the option values of user mappings."""
    assert housekeeping.needs_no_rule(relation("information_schema", "columns"), None)
    options = relation("information_schema", "user_mapping_options")
    assert housekeeping.door_of(options, ("option_value",)) == doors.CREDENTIALS


@pytest.mark.parametrize(
    ("name", "columns", "door"),
    [
        ("pg_authid", ("rolname",), doors.CREDENTIALS),
        ("pg_shadow", None, doors.CREDENTIALS),
        ("pg_user_mapping", ("umoptions",), doors.CREDENTIALS),
        ("pg_user_mapping", ("umserver",), ""),
        ("pg_user_mappings", None, doors.CREDENTIALS),
        ("pg_stats", ("most_common_vals",), doors.STATISTICS),
        ("pg_stats", (), doors.STATISTICS),
        ("pg_statistic", None, doors.STATISTICS),
        ("pg_stats_ext_exprs", None, doors.STATISTICS),
        ("pg_stat_activity", ("pid", "state"), ""),
        ("pg_stat_activity", ("query",), doors.OTHER_SESSIONS),
        ("pg_stat_activity", None, doors.OTHER_SESSIONS),
        ("pg_largeobject", None, doors.LARGE_OBJECTS),
        ("pg_hba_file_rules", (), doors.SERVER_CONFIGURATION),
        ("pg_subscription", ("subconninfo",), doors.CREDENTIALS),
    ],
)
def test_sensitive_parts_are_behind_doors(name: str, columns: tuple[str, ...] | None, door: str) -> None:
    """Credentials, other sessions' statements and values of columns are behind a door, column by column."""
    assert housekeeping.door_of(relation("pg_catalog", name), columns) == door
    assert housekeeping.needs_no_rule(relation("pg_catalog", name), columns) == (door == "")
    assert door == "" or doors.reason(door)


def test_only_the_systems_own_relations_are_housekeeping() -> None:
    """A user's table is not, even one that somebody put into pg_catalog."""
    columns = (CatalogColumn("id", 1, 23),)
    assert not housekeeping.needs_no_rule(CatalogRelation(16400, "public", "pg_class", "r", columns), None)
    assert not housekeeping.needs_no_rule(CatalogRelation(16400, "pg_catalog", "pg_mine", "r", columns), None)


def test_statements_of_others_in_an_extensions_view() -> None:
    """pg_stat_statements shows other sessions' statements, in whichever schema it lives."""
    view = CatalogRelation(16400, "monitoring", "pg_stat_statements", "v", extension="pg_stat_statements")
    assert housekeeping.door_of(view, ("query",)) == doors.OTHER_SESSIONS
    assert housekeeping.door_of(view, ("calls",)) == ""


def test_sensitive_names_exist(postgres: PostgresServer) -> None:
    """Every relation and column that is guarded by name is the server's own, so none is misspelt."""
    query = "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attnum > 0 AND attrelid < 16384"
    there: dict[str, set[str]] = {}
    for table, column in postgres.rows("postgres", query):
        there.setdefault(table, set()).add(column)
    guarded = {f"information_schema.{name}": one for name, one in housekeeping._INFORMATION_SCHEMA.items()}
    for name, sensitive in (housekeeping._PG_CATALOG | guarded).items():
        if name in there or postgres.version >= 150000:  # older servers lack some of them
            assert (sensitive.columns or set()) <= there[name], name


def test_every_guardrail_and_door_has_its_sentence() -> None:
    """A refused client always reads why."""
    assert all(doors.reason(name).endswith(".") for name in (*doors.GUARDS, *doors.DOORS))
