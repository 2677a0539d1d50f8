"""Which parts of the system catalog may be read without a rule, and which are behind a door.

Tools read the system catalog all the time (`\\d`, reflection, completion), so that needs no rule; parts of it hold
credentials, other sessions' statements, or values of columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from checkrein.protocols.postgres import doors
from checkrein.protocols.postgres.catalog import CatalogRelation
from checkrein.protocols.postgres.catalog_keys import FIRST_USER_OID

SYSTEM_SCHEMAS: Final = frozenset({"pg_catalog", "information_schema"})


MISSING_VALUES: Final = ("pg_attribute", "attmissingval")
"""Holds what rows from before ADD COLUMN ... DEFAULT have in that column: a value of it. pg_dump reads it, so it may be
selected as it is, redacted where columns are masked; any other use is behind a door."""


class _Sensitive(msgspec.Struct, frozen=True):
    """Behind `door`: the named columns of a relation, or all of it."""

    door: str
    columns: frozenset[str] | None = None


def _columns(door: str, *names: str) -> _Sensitive:
    return _Sensitive(door, frozenset(names))


_PG_CATALOG: Final[dict[str, _Sensitive]] = {
    # Credentials: of roles, of foreign servers, of subscriptions and of a standby's upstream.
    "pg_authid": _Sensitive(doors.CREDENTIALS),
    "pg_shadow": _Sensitive(doors.CREDENTIALS),
    "pg_user_mapping": _columns(doors.CREDENTIALS, "umoptions"),
    "pg_user_mappings": _columns(doors.CREDENTIALS, "umoptions"),
    "pg_subscription": _columns(doors.CREDENTIALS, "subconninfo"),
    "pg_stat_wal_receiver": _columns(doors.CREDENTIALS, "conninfo"),
    # Values of columns.
    "pg_statistic": _Sensitive(doors.STATISTICS),
    "pg_statistic_ext_data": _Sensitive(doors.STATISTICS),
    "pg_stats": _Sensitive(doors.STATISTICS),
    "pg_stats_ext": _Sensitive(doors.STATISTICS),
    "pg_stats_ext_exprs": _Sensitive(doors.STATISTICS),
    # An update's WAL leaves out what the row's old and new values have in common at either end (heapam.c); a heap-only
    # update is one that changes no indexed value. Tools read the other views of tables whole (see docs/limits.md).
    "pg_stat_wal": _columns(doors.STATISTICS, "wal_records", "wal_bytes"),
    "pg_stat_replication": _columns(doors.STATISTICS, "sent_lsn", "write_lsn", "flush_lsn", "replay_lsn"),
    "pg_replication_slots": _columns(doors.STATISTICS, "restart_lsn", "confirmed_flush_lsn", "safe_wal_size"),
    **{
        f"pg_stat_{tables}_tables": _columns(doors.STATISTICS, "n_tup_hot_upd")
        for tables in ("xact_all", "xact_user", "xact_sys")
    },
    "pg_largeobject": _Sensitive(doors.LARGE_OBJECTS),
    # Statements of other principals, who share this profile's login.
    "pg_stat_activity": _columns(doors.OTHER_SESSIONS, "query"),
    # Who may log in, from where, and how the server is set up.
    "pg_hba_file_rules": _Sensitive(doors.SERVER_CONFIGURATION),
    "pg_ident_file_mappings": _Sensitive(doors.SERVER_CONFIGURATION),
    "pg_file_settings": _Sensitive(doors.SERVER_CONFIGURATION),
}

_INFORMATION_SCHEMA: Final[dict[str, _Sensitive]] = {
    "user_mapping_options": _columns(doors.CREDENTIALS, "option_value"),
    "_pg_user_mappings": _columns(doors.CREDENTIALS, "umoptions"),
}

_EXTENSIONS: Final[dict[str, _Sensitive]] = {
    "pg_stat_statements": _columns(doors.OTHER_SESSIONS, "query", "wal_records", "wal_bytes"),
    "pg_buffercache": _Sensitive(doors.RAW_STORAGE),
}
"""Relations of extensions, which live in any schema: by extension."""


def is_system(relation: CatalogRelation) -> bool:
    """Say whether a relation is initdb's own; one that somebody put into pg_catalog later is not."""
    return relation.schema in SYSTEM_SCHEMAS and relation.oid < FIRST_USER_OID


def holds_missing_values(relation: CatalogRelation, column: str) -> bool:
    """Say whether a column of the system catalog holds values of users' columns (see MISSING_VALUES)."""
    return column == MISSING_VALUES[1] and relation.name == MISSING_VALUES[0] and is_system(relation)


def needs_no_rule(relation: CatalogRelation, columns: Iterable[str] | None) -> bool:
    """Say whether reading these columns (None: all) is housekeeping. Writing never is."""
    return is_system(relation) and not door_of(relation, columns)


def door_of(relation: CatalogRelation, columns: Iterable[str] | None) -> str:
    """Return the door behind which these columns (None: all) of a relation are, or an empty string.

    No columns at all (`count(*)`) still counts as reading where the whole relation is behind the door.
    """
    sensitive = _sensitive(relation)
    if sensitive is None:
        return ""
    if sensitive.columns is None or columns is None:
        return sensitive.door
    return sensitive.door if not sensitive.columns.isdisjoint(columns) else ""


def _sensitive(relation: CatalogRelation) -> _Sensitive | None:
    if relation.extension:
        return _EXTENSIONS.get(relation.extension)
    if not is_system(relation):
        return None
    if relation.schema == "information_schema":
        return _INFORMATION_SCHEMA.get(relation.name)
    return _PG_CATALOG.get(relation.name)
