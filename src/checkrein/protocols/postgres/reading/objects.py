"""Which objects a definition names: their full names, wherever its kind keeps them."""

from __future__ import annotations

from typing import Final

from checkrein.core.statement import Effect, full_name
from checkrein.protocols.postgres.catalog import CatalogRelation
from checkrein.protocols.postgres.reading import ranges
from checkrein.protocols.postgres.reading.names import UNKNOWN, find_relation, relation_kind, relation_name
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of

OF_TABLES: Final = frozenset(
    {"OBJECT_COLUMN", "OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY", "OBJECT_TABCONSTRAINT"}
)
"""Parts of a table: what is done to them is done to it."""
RELATIONS: Final = frozenset(
    {"OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_SEQUENCE", "OBJECT_FOREIGN_TABLE", "OBJECT_INDEX"}
)
FUNCTIONS: Final = frozenset({"OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE"})
TYPES: Final = frozenset({"OBJECT_TYPE", "OBJECT_DOMAIN", "OBJECT_DOMCONSTRAINT", "OBJECT_ATTRIBUTE"})


def kind_of(node: Node) -> str:
    """Return the kind of object that an ALTER, COMMENT or DROP names (ObjectType), empty where its tree says none."""
    for field in ("renameType", "objectType", "objtype", "removeType"):
        if field in node:
            return str(node[field])
    return ""


def names_in(node: Node) -> list[str]:
    """Return the parts of an object's name: of a function with its arguments, a type, a list, or a single word."""
    for wrapper in ("ObjectWithArgs", "TypeName", "List"):
        if wrapper in node:
            return names_in(node[wrapper])
    if "String" in node:
        return [str(node["String"].get("sval", ""))]
    listed = node.get("objname") or node.get("names") or node.get("items") or []
    if listed and "TypeName" in listed[0]:  # a constraint of a domain, a cast
        return names_in(listed[0])
    return strings_of([one for one in listed if "String" in one])


def named_objects(reader: Reader, node: Node, makes: bool = False) -> list[str]:
    """Return the full names of the objects that a DDL statement names, wherever its kind keeps them.

    What it `makes` is in its schema or in the first of the path, whatever of that name comes before it in another.
    """
    for field in ("relation", "view", "sequence", "table", "typevar"):
        if isinstance(node.get(field), dict) and "relname" in node[field]:
            made = makes and not any(key in node for key in _MADE_ON)
            return [_made(reader, node[field]) if made else object_of(reader, node[field])]
    if isinstance(node.get("base"), dict):
        return [object_of(reader, node["base"].get("relation", {}))]
    kind = kind_of(node)
    for field in _NAMING:
        found = node.get(field)
        names = names_in(found if isinstance(found, dict) else {"items": found} if isinstance(found, list) else {})
        if kind in OF_TABLES and len(names) > 1:
            return [part_of_table(reader, names)]
        if kind in RELATIONS and names:
            return [object_of(reader, {"schemaname": names[-2] if len(names) > 1 else "", "relname": names[-1]})]
        if names:
            return qualified(reader, names, kind or _KINDS.get(field, ""), makes)
    for field in ("schemaname", "extname", "trigname", "rulename", "plname", "dbname", "tablespacename", "amname"):
        if isinstance(node.get(field), str):
            return [full_name(node[field])]
    return []


_NAMING: Final = (
    "funcname", "func", "defnames", "domainname", "typeName", "object", "opclassname", "opfamilyname", "opername",
    "cfgname", "dictname", "collname", "conversion_name",
)  # fmt: skip
_KINDS: Final = {"func": "OBJECT_FUNCTION", "typeName": "OBJECT_TYPE"}
_BEHIND_METHOD: Final = frozenset({"OBJECT_OPCLASS", "OBJECT_OPFAMILY"})
"""Named behind the access method that they are for."""
_WITHOUT_SCHEMA: Final = frozenset(
    {"OBJECT_SCHEMA", "OBJECT_DATABASE", "OBJECT_ROLE", "OBJECT_TABLESPACE", "OBJECT_EXTENSION", "OBJECT_LANGUAGE",
     "OBJECT_EVENT_TRIGGER", "OBJECT_ACCESS_METHOD", "OBJECT_FDW", "OBJECT_FOREIGN_SERVER", "OBJECT_PUBLICATION",
     "OBJECT_SUBSCRIPTION"}
)  # fmt: skip
_MADE_ON: Final = ("trigname", "rulename", "policy_name", "idxname")
"""What is made on a table that is there, and names it."""


def _made(reader: Reader, node: Node) -> str:
    """Return the full name of a relation that will be there; one that is there already is noted for policy."""
    name = ranges.new_name(reader, node)
    for found in reader.catalog.relations_by_oid.values():
        if relation_name(found) == name:
            reader.relations[found.oid] = found
    return name


def part_of_table(reader: Reader, names: list[str]) -> str:
    """Return the table of a column, trigger, rule, policy or constraint that is named behind its table."""
    table = names[:-1]
    return object_of(reader, {"schemaname": table[-2] if len(table) > 1 else "", "relname": table[-1]})


def qualified(reader: Reader, names: list[str], kind: str = "", makes: bool = False) -> list[str]:
    """Return the full names of what an object's name may mean, which is no relation.

    An unqualified one that is made is in the first schema of the path. Of those that are there, functions and types are
    looked for along it; what the catalog does not have may be in any schema of it.
    """
    if kind in _BEHIND_METHOD and len(names) > 1:
        names = names[1:]
    if len(names) > 1:
        return [full_name(*names[-2:])]
    if kind in _WITHOUT_SCHEMA:
        return [full_name(names[0])]
    if not reader.names.known:
        reader.concede(reader.names.why or UNKNOWN)
    usable = [part for part in reader.names.search_path if part not in ("pg_catalog", "pg_temp")]
    if not makes:
        usable = _there(reader, names[0], kind) or usable
    return [full_name(schema, names[0]) for schema in usable[: 1 if makes else None]] or [full_name(names[0])]


def _there(reader: Reader, name: str, kind: str) -> list[str]:
    """Return the schemas of the path in which the catalog has functions of this name, or the first one with a type."""
    path = reader.names.search_path
    if kind in FUNCTIONS:
        found = {one.schema for one in reader.catalog.functions.get(name, ())}
        return [schema for schema in path if schema in found]
    if kind in TYPES:
        return [schema for schema in path if (schema, name) in reader.catalog.types_by_name][:1]
    return []


def object_of(reader: Reader, node: Node) -> str:
    """Return the full name of a relation that is there or will be, noting it for policy where it is there.

    What is done to an index alters its table.
    """
    schema, name = str(node.get("schemaname", "")), str(node.get("relname", ""))
    found = find_relation(reader, schema, name)
    table = _table_behind(reader, schema, name)
    if table is not None:
        reader.relations[table.oid] = table
        reader.effect(Effect(verb="alter", object=relation_name(table), kind=relation_kind(table), oid=table.oid))
        return full_name(table.schema, name)
    if found is None:
        return ranges.new_name(reader, node)
    reader.relations[found.oid] = found
    return relation_name(found)


def _table_behind(reader: Reader, schema: str, name: str) -> CatalogRelation | None:
    """Return the table of the index that a name means, None when it means none; relations and indexes share names."""
    relations = reader.catalog.relations
    holders = {one.schema: one for one in relations.values() if name in one.indexes}
    for part in ((schema,) if schema else reader.names.search_path) if holders else ():
        if (part, name) in relations or (part == "pg_temp" and name in reader.names.temporary):
            return None
        if part in holders:
            return holders[part]
    return None
