"""From names to catalog objects, as the server resolves them at that moment (PostgreSQL manual 5.10.3)."""

from __future__ import annotations

from checkrein.core.errors import Conceded
from checkrein.core.statement import Origin, full_name
from checkrein.protocols.postgres.catalog import CatalogRelation, CatalogType
from checkrein.protocols.postgres.reading.state import Node, Reader, strings_of

UNKNOWN = "what unqualified names mean is not known at this point"
_KINDS = {"v": "view", "m": "matview", "S": "sequence"}


def find_relation(reader: Reader, schema: str, name: str) -> CatalogRelation | None:
    """Return the relation of that name, or None when there is none. Concedes when names are not known.

    `schema` is empty for an unqualified name; `pg_temp` is the session's own temporary schema.
    """
    names = reader.names
    if schema == "pg_temp":
        return names.temporary.get(name)
    if schema:
        return _in_schema(reader, schema, name)
    if not names.known:
        reader.concede(names.why or UNKNOWN)
    if "pg_temp" not in names.search_path and name in names.temporary:
        return names.temporary[name]
    for part in names.search_path:
        found = names.temporary.get(name) if part == "pg_temp" else _in_schema(reader, part, name)
        if found is not None:
            return found
    return None


def _in_schema(reader: Reader, schema: str, name: str) -> CatalogRelation | None:
    """Return a relation by its qualified name."""
    return reader.catalog.relations.get((schema, name))


def relation_of(reader: Reader, node: Node) -> CatalogRelation:
    """Return the relation that a RangeVar names. Concedes when it is not in the catalog."""
    database = str(node.get("catalogname", ""))
    schema = str(node.get("schemaname", ""))
    name = str(node.get("relname", ""))
    if database and database != reader.catalog.database:
        reader.concede("it names another database")
    found = find_relation(reader, schema, name)
    if found is None and (reader.names.why or not reader.catalog.version):
        reader.concede(reader.names.why or "the target's catalog is not known")
    if found is None:
        full = f"{schema}.{name}" if schema else name
        reader.concede(f'relation "{full}" does not exist', "42P01", int(node.get("location", -1)))
    if found.schema == "pg_toast":
        reader.concede("it names a TOAST table")
    return found


def relation_name(relation: CatalogRelation) -> str:
    """Return a relation's full name as policies write it."""
    return full_name(relation.schema, relation.name)


def relation_kind(relation: CatalogRelation) -> str:
    """Return the kind of effect object that a relation is."""
    return _KINDS.get(relation.kind, "table")


def origin_of(relation: CatalogRelation, name: str, number: int) -> Origin:
    """Return a base column as an origin."""
    return Origin(relation_name(relation), name, relation.oid, number)


def find_type(reader: Reader, node: Node) -> CatalogType:
    """Return the type that a TypeName names. Concedes when it is not in the catalog, or by %TYPE."""
    if node.get("pct_type"):
        reader.concede("%TYPE is not read")
    names = strings_of(node.get("names"))
    found = type_named(reader, names)
    if found is None:
        reader.concede(f'type "{".".join(names)}" is not in the catalog')
    if node.get("arrayBounds"):
        return array_of(reader, found)
    return found


def type_named(reader: Reader, names: list[str]) -> CatalogType | None:
    """Return the type of that (qualified or not) name.

    An unqualified name is looked for in the session's temporary schema before pg_catalog (PostgreSQL manual 20.11.1):
    a domain there may check, by a function of anyone's, what is cast to it.
    """
    catalog = reader.catalog
    if len(names) >= 2:
        return catalog.types_by_name.get((names[-2], names[-1]))
    if not reader.names.known:
        reader.concede(reader.names.why or UNKNOWN)
    if names[0] in reader.names.temporary or names[0] in reader.names.types:
        reader.concede(f'"{names[0]}" may be a type of the temporary schema; write it with its schema')
    path = reader.names.search_path
    if "pg_catalog" not in path:
        path = ("pg_catalog", *path)
    for schema in path:
        found = catalog.types_by_name.get((schema, names[0]))
        if found is not None:
            return found
    return None


def fields_of(reader: Reader, oid: int) -> list[str] | None:
    """Return the names of a composite type's fields, also through domains; None when it is none, or not known."""
    found = reader.catalog.types.get(oid)
    while found is not None and found.base:
        found = reader.catalog.types.get(found.base)
    if found is None or not found.relation:
        return None
    relation = reader.catalog.relations_by_oid.get(found.relation)
    columns = found.fields if relation is None else relation.columns
    return [column.name for column in columns] or None


def array_of(reader: Reader, element: CatalogType) -> CatalogType:
    """Return the array type over a type."""
    found = reader.catalog.types_by_name.get((element.schema, "_" + element.name))
    if found is not None and found.element == element.oid:
        return found
    for candidate in reader.catalog.types.values():
        if candidate.element == element.oid and candidate.category == "A":
            return candidate
    raise Conceded(f'the array type of "{element.name}" is not in the catalog')
