"""The SQL that loads a database's whole catalog over the side link; catalog_rows.py makes a snapshot of its answers.

The queries run on servers 12 to 18, on a link whose `search_path` is empty (so every unqualified name is pg_catalog's
and definitions come back qualified), in text format. Ask VERSION_QUERY first and the rest after it: a change in between
then shows as another version at the next poll. Source: PostgreSQL manual, chapter "System Catalogs".
"""

# ruff: noqa: S608 - the queries are put together of constants of this module alone

# not compiled: runs seldom
from __future__ import annotations

from typing import Final

from checkrein.core.limits import CATALOG_ROWS
from checkrein.protocols.postgres.catalog_keys import COMPUTED, FILLED, FIRST_USER_OID, INDEXES, KEYED

SETUP: Final = "SET search_path = ''"
"""Must have run on the link before any of the queries."""

_OWN_SCHEMA: Final = "n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp\\_%'"


def _member(system_table: str, owner: str) -> str:
    """SQL of the extension that an object belongs to, believed only where a superuser owns the object.

    Whoever owns an extension may add functions of their own to it (ALTER EXTENSION ADD); those stay their own, while
    an extension's script runs as superuser, even a trusted one's.
    """
    return (
        f"(SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid"
        f" WHERE d.classid = '{system_table}'::regclass AND d.objid = o.oid AND d.deptype = 'e'"
        f" AND d.refclassid = 'pg_extension'::regclass AND o.{owner} IN (SELECT oid FROM pg_roles WHERE rolsuper))"
    )


def _extension(system_table: str, owner: str) -> str:
    """As `_member`, asked only of objects that initdb did not make; those have none."""
    return f"CASE WHEN o.oid >= {FIRST_USER_OID} THEN {_member(system_table, owner)} END"


def _digest(system_table: str, key: str, where: str = "true") -> str:
    return f"(SELECT coalesce(md5(string_agg({key}, ',' ORDER BY {key})), '') FROM {system_table} o WHERE {where})"


_USER: Final = f"o.oid >= {FIRST_USER_OID}"
_OID_XMIN: Final = "o.oid::text || ':' || o.xmin::text"
_LASTING: Final = "(SELECT c.oid FROM pg_class c WHERE c.relpersistence <> 't' AND c.relkind <> 't')"
_CHILD: Final = f"o.inhrelid IN {_LASTING}"
_LASTING_SCHEMA: Final = f"(SELECT n.oid FROM pg_namespace n WHERE {_OWN_SCHEMA})"

VERSION_QUERY: Final = "SELECT concat_ws('-', {})".format(
    ", ".join(
        (
            _digest("pg_class", _OID_XMIN, f"{_USER} AND o.relpersistence <> 't' AND o.relkind <> 't'"),
            _digest(
                "pg_attribute",
                "o.attrelid::text || ':' || o.attnum::text || ':' || o.xmin::text",
                f"o.attrelid >= {FIRST_USER_OID} AND o.attnum > 0 AND o.attrelid IN {_LASTING}",
            ),
            _digest("pg_rewrite", _OID_XMIN, f"{_USER} AND o.ev_class IN {_LASTING}"),
            _digest("pg_type", _OID_XMIN, f"{_USER} AND o.typnamespace IN {_LASTING_SCHEMA}"),
            _digest("pg_constraint", _OID_XMIN, f"{_USER} AND o.connamespace IN {_LASTING_SCHEMA}"),
            _digest("pg_index", "o.indexrelid::text || ':' || o.xmin::text", f"o.indrelid IN {_LASTING}"),
            _digest("pg_inherits", "o.inhrelid::text || ':' || o.inhparent::text || ':' || o.xmin::text", _CHILD),
            _digest("pg_trigger", _OID_XMIN, f"NOT o.tgisinternal AND o.tgrelid IN {_LASTING}"),
            # Of these, initdb's rows count too: a superuser may replace a function of pg_catalog.
            _digest("pg_proc", _OID_XMIN),
            _digest("pg_operator", _OID_XMIN),
            _digest("pg_cast", _OID_XMIN),
            _digest("pg_namespace", _OID_XMIN, f"o.oid IN {_LASTING_SCHEMA}"),
            _digest("pg_depend", "o.objid::text || ':' || o.refobjid::text || ':' || o.xmin::text", "o.deptype = 'e'"),
            "current_setting('server_version_num')",
        )
    )
)
"""One value: a digest over (oid, xmin) of the rows that the other queries read; DDL on any lasting object changes it.

Temporary objects are left out: they are their own session's, and would make every other session read anew.
"""

_OWN_RELATION: Final = f"o.relkind IN ('r','p','v','m','f','S') AND o.relpersistence <> 't' AND {_OWN_SCHEMA}"
_FROM_CLASS: Final = "FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace"

_OUTPUT_NAMES: Final = (
    "CASE WHEN o.proargmodes && '{o,b,t}'::\"char\"[] THEN"
    " (SELECT json_agg(coalesce(a.name, '') ORDER BY a.position)"
    " FROM unnest(o.proargmodes, o.proargnames) WITH ORDINALITY a(mode, name, position)"
    " WHERE a.mode IN ('o','b','t')) END"
)

QUERIES: Final[dict[str, str]] = {
    "version": VERSION_QUERY,
    "session": (
        "SELECT current_setting('server_version_num'), current_database(), current_user,"
        " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
    ),
    "schemas": f"SELECT n.nspname FROM pg_namespace n WHERE {_OWN_SCHEMA}",
    "relations": (
        "SELECT o.oid, n.nspname, o.relname, o.relkind,"
        f" EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = o.oid AND r.rulename <> '_RETURN' AND {_USER}),"
        " EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = o.oid AND NOT t.tgisinternal),"
        f" {_extension('pg_class', 'relowner')} {_FROM_CLASS} WHERE {_OWN_RELATION}"
    ),
    "columns": (
        f"SELECT a.attrelid, a.attname, a.attnum, a.atttypid, a.attnotnull, a.atttypmod, {FILLED}"
        f" {_FROM_CLASS} JOIN pg_attribute a ON a.attrelid = o.oid"
        f" WHERE a.attnum > 0 AND NOT a.attisdropped AND {_OWN_RELATION} ORDER BY a.attrelid, a.attnum"
    ),
    "definitions": (
        f"SELECT o.oid, pg_get_viewdef(o.oid) {_FROM_CLASS}"
        f" WHERE {_USER} AND o.relkind IN ('v','m') AND {_OWN_RELATION}"
    ),
    # Only keys that `=` of the column's own type decides at once: no expression, predicate, deferral, other opclass.
    "unique_keys": (
        "SELECT i.indrelid, i.indexrelid, a.attname FROM pg_index i"
        " JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY k(attnum, opclass, position) ON true"
        " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
        " WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL"
        f" AND k.position <= i.indnkeyatts AND i.indrelid >= {FIRST_USER_OID}"
        " AND NOT EXISTS (SELECT FROM pg_opclass c WHERE c.oid = ANY (i.indclass::oid[]) AND NOT c.opcdefault)"
        " ORDER BY i.indexrelid, k.position"
    ),
    "keyed": KEYED,
    "computed": COMPUTED,
    "indexes": INDEXES,
    "foreign_keys": (
        "SELECT c.conrelid, c.oid, c.confrelid, a.attname, f.attname FROM pg_constraint c"
        " JOIN LATERAL unnest(c.conkey, c.confkey) WITH ORDINALITY k(own, other, position) ON true"
        " JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.own"
        " JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = k.other"
        " WHERE c.contype = 'f' ORDER BY c.oid, k.position"
    ),
    "inherits": "SELECT i.inhrelid, i.inhparent FROM pg_inherits i ORDER BY i.inhrelid, i.inhseqno",
    "functions": (
        "SELECT o.oid, n.nspname, o.proname, o.prokind, o.proargtypes, o.provariadic <> 0, o.prorettype, o.proretset,"
        f" o.prosecdef, {_extension('pg_proc', 'proowner')},"
        f" {_OUTPUT_NAMES}, o.pronargdefaults"
        f" FROM pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace WHERE {_OWN_SCHEMA}"
        " ORDER BY n.nspname <> 'pg_catalog', o.oid"
    ),
    "operators": (
        "SELECT o.oid, n.nspname, o.oprname, o.oprleft, o.oprright, o.oprresult,"
        f" {_extension('pg_operator', 'oprowner')}"
        f" FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE {_OWN_SCHEMA}"
        " ORDER BY n.nspname <> 'pg_catalog', o.oid"
    ),
    "types": (
        "SELECT o.oid, n.nspname, o.typname, o.typtype, o.typcategory, o.typelem, o.typbasetype, o.typrelid,"
        f" {_extension('pg_type', 'typowner')}"
        f" FROM pg_type o JOIN pg_namespace n ON n.oid = o.typnamespace WHERE {_OWN_SCHEMA}"
    ),
    "composites": (
        "SELECT o.oid, a.attname, a.attnum, a.atttypid, a.attnotnull, a.atttypmod"
        f" {_FROM_CLASS} JOIN pg_attribute a ON a.attrelid = o.oid"
        f" WHERE o.relkind = 'c' AND a.attnum > 0 AND NOT a.attisdropped AND {_OWN_SCHEMA}"
        " ORDER BY a.attrelid, a.attnum"
    ),
    "casts": (
        "SELECT o.castsource, o.casttarget,"
        " (SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid"
        " WHERE d.classid = 'pg_cast'::regclass AND d.objid = o.oid AND d.deptype = 'e'"
        " AND d.refclassid = 'pg_extension'::regclass), o.castcontext, o.castmethod"
        f" FROM pg_cast o WHERE {_USER}"
    ),
}
"""Every query by the name under which `assemble` expects its rows; in the order in which to ask them."""


def bounded(query: str) -> str:
    """Return the query so that it answers at most one row more than the limit, which `assemble` then refuses."""
    return f"{query} LIMIT {CATALOG_ROWS + 1}"
