"""A catalog without a server: what a policy test's `schema` says, on top of PostgreSQL's own system catalog as shipped.

Columns are written `name`, `name type` or `name type key` (`name key`): columns marked `key` form the primary key;
where none is marked, a first column called `id` does. A column without a type has one guessed from its name, so that
ordinary comparisons with constants find their operators.
"""

# not compiled: runs seldom
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Final

import msgspec

from checkrein.protocols.postgres.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot, CatalogType
from checkrein.protocols.postgres.catalog_keys import FIRST_USER_OID
from checkrein.protocols.postgres.catalog_queries import QUERIES
from checkrein.protocols.postgres.catalog_rows import Row, assemble, next_identity

SERVER_VERSION: Final = 180000
"""server_version_num that a synthetic catalog claims: the one its system part was taken from."""

_ALIASES: Final = {
    "int": "int4",
    "integer": "int4",
    "serial": "int4",
    "bigint": "int8",
    "bigserial": "int8",
    "smallint": "int2",
    "boolean": "bool",
    "decimal": "numeric",
    "real": "float4",
    "double precision": "float8",
    "character varying": "varchar",
    "string": "text",
    "char": "bpchar",
    "character": "bpchar",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
}

_GUESSES: Final = (
    (re.compile(r"(^|_)id$"), "int8"),
    (re.compile(r"(^|_)(amount|total|price|cost|quantity|qty|count|balance|salary|age|score|rate)$"), "numeric"),
    (re.compile(r"(_at|_time|timestamp)$"), "timestamptz"),
    (re.compile(r"(^|_)(date|day|birthday)$"), "date"),
    (re.compile(r"^(is|has)_|(^|_)(active|enabled|deleted)$"), "bool"),
)

_NAME_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^."\s]+)')


@cache
def system_catalog() -> CatalogSnapshot:
    """Return the shipped system catalog: pg_catalog and information_schema of an empty database."""
    data = resources.files("checkrein.protocols.postgres") / "data" / "catalog.json"
    shipped = msgspec.json.decode(data.read_bytes(), type=dict[str, list[Row]])
    results: dict[str, list[Row]] = {name: shipped.get(name, []) for name in QUERIES}
    results["version"] = [("shipped",)]
    results["session"] = [(str(SERVER_VERSION), "test", "test", "f")]
    results["schemas"] = [("pg_catalog",), ("information_schema",), ("public",)]
    return assemble(results)


def catalog_of(schema: Mapping[str, Sequence[str]], server_version: int = SERVER_VERSION) -> CatalogSnapshot:
    """Return the snapshot of a database with these tables (`schema.table`, or `table` in public) and columns.

    Raises ValueError, with a sentence for the author, when a name or a type cannot be understood.
    """
    base = system_catalog()
    relations, types = dict(base.relations), dict(base.types)
    oid = FIRST_USER_OID
    for table, columns in schema.items():
        relation, row_type = _table(base, table, columns, oid)
        if (relation.schema, relation.name) in relations:
            raise ValueError(f"{table} is there twice, or is the system's own")
        relations[relation.schema, relation.name] = relation
        types[row_type.oid] = row_type
        oid += 2
    return msgspec.structs.replace(
        base,
        server_version=server_version,
        relations=relations,
        relations_by_oid={one.oid: one for one in relations.values()},
        types=types,
        types_by_name={(one.schema, one.name): one for one in types.values()},
        schemas=base.schemas | {one.schema for one in relations.values()},
        identity=next_identity(),
    )


def _table(base: CatalogSnapshot, table: str, columns: Sequence[str], oid: int) -> tuple[CatalogRelation, CatalogType]:
    schema, name = _split(table)
    made: list[CatalogColumn] = []
    keys: list[str] = []
    for number, text in enumerate(columns, 1):
        column, type_name, key = _column(text)
        found = base.types_by_name.get(("pg_catalog", type_name))
        if found is None:
            raise ValueError(f"{table}: no type {type_name!r} (column {text!r})")
        made.append(CatalogColumn(column, number, found.oid, not_null=key, typmod=-1))
        if key:
            keys.append(column)
    if not keys and made and made[0].name == "id":
        keys = ["id"]
    if len({column.name for column in made}) != len(made):
        raise ValueError(f"{table}: a column is there twice")
    unique_keys = (tuple(keys),) if keys else ()
    relation = CatalogRelation(oid, schema, name, "r", tuple(made), unique_keys)
    return relation, CatalogType(oid + 1, schema, name, "c", "C", relation=oid)


def _split(table: str) -> tuple[str, str]:
    """Split `schema.table`; parts may be double-quoted. A bare name is in public."""
    parts: list[str] = []
    position = 0
    while True:
        match = _NAME_PART.match(table, position)
        if match is None:
            raise ValueError(f"{table!r} is not a table's name (schema.table)")
        parts.append((match[1] or "").replace('""', '"') or match[2])
        position = match.end()
        if position == len(table):
            break
        if table[position] != ".":
            raise ValueError(f"{table!r} is not a table's name (schema.table)")
        position += 1
    if len(parts) > 2:
        raise ValueError(f"{table!r} has more than a schema and a name")
    return (parts[0], parts[1]) if len(parts) == 2 else ("public", parts[0])


def _column(text: str) -> tuple[str, str, bool]:
    """Return name, type name as pg_type has it, and whether it is marked as key."""
    match = re.match(r'\s*(?:"((?:[^"]|"")+)"|(\S+))\s*(.*?)\s*$', text)
    if match is None:
        raise ValueError(f"{text!r} is not a column (name, or name type)")
    name = (match[1] or "").replace('""', '"') or match[2]
    words = match[3].lower().split()
    key = bool(words) and words[-1] == "key"
    if key:
        words = words[: -2 if words[-2:] == ["primary", "key"] else -1]
    return name, _type_name(" ".join(words)) if words else _guess(name), key


def _type_name(written: str) -> str:
    element = re.sub(r"\s*\(.*?\)", "", written)
    array = element.endswith("[]")
    element = element.rstrip("[] ")
    return ("_" if array else "") + _ALIASES.get(element, element)


def _guess(name: str) -> str:
    return next((guess for pattern, guess in _GUESSES if pattern.search(name)), "text")
