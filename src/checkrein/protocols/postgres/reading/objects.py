"""The objects that a DDL statement names, as the server will find or place them."""

from __future__ import annotations

from typing import Final

from checkrein.core.statement import Effect, full_name
from checkrein.protocols.postgres.reading import ranges
from checkrein.protocols.postgres.reading.names import find_relation, relation_kind, relation_name
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of

PARTS_OF_TABLES: Final = frozenset(
    {"OBJECT_COLUMN", "OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY", "OBJECT_TABCONSTRAINT"}
)
"""Parts of a table: what is done to them is done to it."""

_MADE_ON: Final = ("trigname", "rulename", "policy_name", "idxname")
"""What is made on a table that is there, and names it."""


def named_objects(reader: Reader, node: Node, makes: bool = False) -> list[str]:
    """Return the full names of the objects that a DDL statement names, wherever its kind keeps them.

    What it `makes` is in its schema or in the first of the path, whatever of that name comes before it in another.
    """
    for field in ("relation", "view", "sequence", "table", "typevar"):
        if isinstance(node.get(field), dict) and "relname" in node[field]:
            made = makes and not any(key in node for key in _MADE_ON)
            return [_made(reader, node[field]) if made else relation_named(reader, node[field])]
    if isinstance(node.get("base"), dict):
        return [relation_named(reader, node["base"].get("relation", {}))]
    names: list[str] = []
    for field in ("funcname", "defnames", "domainname", "typeName", "object", "opclassname", "opfamilyname"):
        found = node.get(field)
        names = strings_of(found) if isinstance(found, list) else []
        if isinstance(found, dict):
            inner: Node = found
            names = strings_of(inner.get("List", {}).get("items") or inner.get("names") or inner.get("objname"))
            wrapped: Node = inner.get("TypeName", {})
            names = names or strings_of(wrapped.get("names"))
        if str(node.get("objtype", "")) in PARTS_OF_TABLES and len(names) > 1:
            return [table_of_part(reader, names)]
        if any(names):
            return [qualified(reader, names)]
    for field in ("schemaname", "extname", "trigname", "rulename", "plname", "dbname", "tablespacename", "amname"):
        if isinstance(node.get(field), str):
            return [full_name(node[field])]
    return []


def _made(reader: Reader, node: Node) -> str:
    """Return the full name of a relation that will be there; one that is there already is noted for policy."""
    name = ranges.new_name(reader, node)
    for found in reader.catalog.relations_by_oid.values():
        if relation_name(found) == name:
            reader.relations[found.oid] = found
    return name


def table_of_part(reader: Reader, names: list[str]) -> str:
    """Return the table of a column, trigger, rule, policy or constraint that is named behind its table."""
    table = names[:-1]
    return relation_named(reader, {"schemaname": table[-2] if len(table) > 1 else "", "relname": table[-1]})


def qualified(reader: Reader, names: list[str]) -> str:
    """Return a full name; an unqualified one is in the first schema of the path."""
    if len(names) > 1:
        return full_name(*names[-2:])
    usable = [part for part in reader.names.search_path if part not in ("pg_catalog", "pg_temp")]
    return full_name(usable[0], names[0]) if usable else full_name(names[0])


def relation_named(reader: Reader, node: Node) -> str:
    """Return the full name of a relation that is there or will be, noting it for policy where it is there."""
    found = find_relation(reader, str(node.get("schemaname", "")), str(node.get("relname", "")))
    if found is None:
        return ranges.new_name(reader, node)
    reader.relations[found.oid] = found
    return relation_name(found)


def everything_inside(reader: Reader, schema: str, verb: str, guard: str = "") -> None:
    """Note what is done to a schema for every relation in it: it is renamed, or granted, with it."""
    for relation in reader.catalog.relations_by_oid.values():
        if relation.schema == schema:
            reader.relations[relation.oid] = relation
            name, kind = relation_name(relation), relation_kind(relation)
            reader.effect(Effect(verb=verb, object=name, kind=kind, oid=relation.oid, guard=guard))
