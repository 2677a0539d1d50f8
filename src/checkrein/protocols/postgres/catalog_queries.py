"""The SQL that loads a database's whole catalog over the side link, and what makes a snapshot of its answers.

The queries run on servers 12 to 18, on a link whose `search_path` is empty (so every unqualified name is pg_catalog's
and definitions come back qualified), in text format. Ask VERSION_QUERY first and the rest after it: a change in between
then shows as another version at the next poll. Source: PostgreSQL manual, chapter "System Catalogs".
"""

# ruff: noqa: S608 - the queries are put together of constants of this module alone

# not compiled: runs seldom
from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Final, TypeVar

import msgspec

from checkrein.core.errors import LimitExceeded
from checkrein.core.limits import CATALOG_DEFINITION_BYTES, CATALOG_ROWS
from checkrein.protocols.postgres.catalog import (
    CatalogCast,
    CatalogColumn,
    CatalogFunction,
    CatalogOperator,
    CatalogRelation,
    CatalogSnapshot,
    CatalogType,
    ForeignKey,
)
from checkrein.protocols.postgres.catalog_keys import COMPUTED, FILLED, INDEXES, KEYED
from checkrein.protocols.postgres.catalog_keys import FIRST_USER_OID as FIRST_USER_OID

_IDENTITIES: Final = itertools.count(1)

Row = tuple[str | None, ...]
"""One row of an answer in text format; NULL is None."""

T = TypeVar("T")

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


def assemble(results: dict[str, list[Row]]) -> CatalogSnapshot:
    """Make the snapshot of the answers to QUERIES, by name.

    Raises LimitExceeded when one is longer than CATALOG_ROWS, KeyError or ValueError when one is not what was asked.
    """
    for name, rows in results.items():
        if len(rows) > CATALOG_ROWS:
            raise LimitExceeded(f"the catalog query {name} answers more than {CATALOG_ROWS} rows", "CATALOG_ROWS")
    server_version, database, user, superuser = results["session"][0]
    relations = relations_of(results)
    fields = _by_relation([(_int(row[0]), _column(row)) for row in results["composites"]])
    types = [type_of(row, fields) for row in results["types"]]
    return CatalogSnapshot(
        version=_text(results["version"][0][0]),
        server_version=_int(server_version),
        database=_text(database),
        user=_text(user),
        relations={(relation.schema, relation.name): relation for relation in relations},
        relations_by_oid={relation.oid: relation for relation in relations},
        functions=overloads_of([function_of(row) for row in results["functions"]]),
        operators=overloads_of([operator_of(row) for row in results["operators"]]),
        types={one.oid: one for one in types},
        types_by_name={(one.schema, one.name): one for one in types},
        casts=tuple(map(_cast, results["casts"])),
        schemas=frozenset(_text(row[0]) for row in results["schemas"]),
        is_superuser=superuser == "t",
        identity=next_identity(),
    )


def next_identity() -> int:
    """Return the number of a snapshot that is being made; never the same in one process."""
    return next(_IDENTITIES)


def _text(value: str | None) -> str:
    if value is None:
        raise ValueError("the catalog answered NULL where it never does")
    return value


def _int(value: str | None) -> int:
    return int(_text(value))


Named = TypeVar("Named", CatalogFunction, CatalogOperator)


def overloads_of(found: list[Named]) -> dict[str, tuple[Named, ...]]:
    """Return overloads by name, in the order in which they came."""
    by_name: defaultdict[str, list[Named]] = defaultdict(list)
    for one in found:
        by_name[one.name].append(one)
    return {name: tuple(overloads) for name, overloads in by_name.items()}


def function_of(row: Row) -> CatalogFunction:
    """Make a function of a row of `functions`."""
    oid, schema, name, kind, arguments, variadic, returns, returns_set, definer, extension, outputs, defaults = row
    return CatalogFunction(
        oid=_int(oid),
        schema=_text(schema),
        name=_text(name),
        kind=_text(kind),
        arguments=tuple(map(int, _text(arguments).split())),
        variadic=variadic == "t",
        returns=_int(returns),
        returns_set=returns_set == "t",
        security_definer=definer == "t",
        extension=extension or "",
        outputs=msgspec.json.decode(outputs, type=tuple[str, ...]) if outputs else (),
        defaults=_int(defaults),
    )


def operator_of(row: Row) -> CatalogOperator:
    """Make an operator of a row of `operators`."""
    oid, schema, name, left, right, result, extension = row
    return CatalogOperator(
        _int(oid), _text(schema), _text(name), _int(left), _int(right), _int(result), extension or ""
    )


def _cast(row: Row) -> CatalogCast:
    source, target, extension, context, method = row
    return CatalogCast(_int(source), _int(target), extension or "", _text(context), _text(method))


def type_of(row: Row, fields: dict[int, list[CatalogColumn]]) -> CatalogType:
    """Make a type of a row of `types`; `fields` are those of composite types, by relation."""
    oid, schema, name, kind, category, element, base, relation, extension = row
    return CatalogType(
        oid=_int(oid),
        schema=_text(schema),
        name=_text(name),
        kind=_text(kind),
        category=_text(category),
        element=_int(element) if category == "A" else 0,  # point and name have typelem too, but are no arrays
        base=_int(base),
        relation=_int(relation),
        extension=extension or "",
        fields=tuple(fields.get(_int(relation), ())),
    )


def relations_of(results: dict[str, list[Row]]) -> list[CatalogRelation]:
    """Make relations of the answers to `relations` and what is asked of them."""
    columns = _by_relation([(_int(row[0]), _column(row)) for row in results["columns"]])
    definitions = {_int(row[0]): _definition(row[1]) for row in results["definitions"]}
    parents = _by_relation([(_int(child), _int(parent)) for child, parent in results["inherits"]])
    children = _by_relation([(_int(parent), _int(child)) for child, parent in results["inherits"]])
    unique_keys = _by_relation(_unique_keys(results["unique_keys"]))
    foreign_keys = _by_relation(_foreign_keys(results["foreign_keys"]))
    keyed = _by_relation(_unique_keys(results["keyed"]))
    computed = _by_relation([(_int(row[0]), (_text(row[1]), _text(row[2]))) for row in results["computed"]])
    indexes = _by_relation([(_int(row[0]), _text(row[1])) for row in results["indexes"]])
    relations = []
    for number, schema, name, kind, rules, triggers, extension in results["relations"]:
        oid = _int(number)
        # A key of a table that others inherit from holds in that table alone, not in what a query of it reaches.
        inherited = kind != "p" and oid in children
        relations.append(
            CatalogRelation(
                oid=oid,
                schema=_text(schema),
                name=_text(name),
                kind=_text(kind),
                columns=tuple(columns.get(oid, ())),
                unique_keys=() if inherited else tuple(unique_keys.get(oid, ())),
                keyed=tuple(keyed.get(oid, ())),
                computed=tuple(computed.get(oid, ())),
                indexes=tuple(indexes.get(oid, ())),
                foreign_keys=tuple(foreign_keys.get(oid, ())),
                parents=tuple(parents.get(oid, ())),
                children=tuple(children.get(oid, ())),
                definition=definitions.get(oid, ""),
                rules=rules == "t",
                triggers=triggers == "t",
                extension=extension or "",
            )
        )
    return relations


def _by_relation(pairs: list[tuple[int, T]]) -> dict[int, list[T]]:
    found: defaultdict[int, list[T]] = defaultdict(list)
    for oid, value in pairs:
        found[oid].append(value)
    return found


def _column(row: Row) -> CatalogColumn:
    filled = len(row) > 6 and row[6] == "t"
    return CatalogColumn(_text(row[1]), _int(row[2]), _int(row[3]), row[4] == "t", _int(row[5]), filled)


def _definition(text: str | None) -> str:
    """An over-long definition becomes empty, as one that is away: looking through such a view concedes."""
    return text if text is not None and len(text) <= CATALOG_DEFINITION_BYTES else ""


def _unique_keys(rows: list[Row]) -> list[tuple[int, tuple[str, ...]]]:
    indexes: dict[tuple[int, int], list[str]] = {}
    for relation, index, column in rows:
        indexes.setdefault((_int(relation), _int(index)), []).append(_text(column))
    return [(relation, tuple(columns)) for (relation, _), columns in indexes.items()]


def _foreign_keys(rows: list[Row]) -> list[tuple[int, ForeignKey]]:
    keys: dict[tuple[int, int, int], tuple[list[str], list[str]]] = {}
    for relation, constraint, referenced, own, other in rows:
        columns, referenced_columns = keys.setdefault((_int(relation), _int(constraint), _int(referenced)), ([], []))
        columns.append(_text(own))
        referenced_columns.append(_text(other))
    return [
        (relation, ForeignKey(tuple(columns), referenced, tuple(referenced_columns)))
        for (relation, _, referenced), (columns, referenced_columns) in keys.items()
    ]
