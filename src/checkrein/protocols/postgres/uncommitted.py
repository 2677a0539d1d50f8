"""What the open transaction of a session defined: learnt from its own link, and laid over the committed catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from checkrein.core.limits import UNCOMMITTED_ROWS
from checkrein.protocols.postgres.catalog import (
    CatalogCast,
    CatalogFunction,
    CatalogOperator,
    CatalogRelation,
    CatalogSnapshot,
    CatalogType,
    Names,
    Uncommitted,
)
from checkrein.protocols.postgres.catalog_queries import QUERIES
from checkrein.protocols.postgres.catalog_rows import Row, function_of, operator_of, overloads_of, relations_of, type_of

_ROWS: Final = msgspec.json.Decoder(list[tuple[str | None, ...]])
_NOT_LEARNT: Final = "what this transaction redefined could not be learnt; roll it back"
_TOO_MUCH: Final = "this transaction redefined too much to be followed; commit first"
_OLD_SNAPSHOT: Final = (
    "after DDL in a REPEATABLE READ or SERIALIZABLE transaction the server takes names by what is committed later; "
    "commit first"
)
_FOREIGN_PATH: Final = "the search path holds another session's temporary schema"

Named = TypeVar("Named", CatalogFunction, CatalogOperator)


def learnt(rows: list[tuple[bytes | None, ...]], version: str, encoding: str) -> tuple[Names, Uncommitted | None]:
    """Return Names and what the transaction defined, from the rows of UNCOMMITTED_QUERY, which came in the client's
    encoding; unknown Names where there are none, too many, or such that they do not tell what names mean.
    """
    if not rows:
        return _unknown(version, _NOT_LEARNT), None
    if len(rows) > UNCOMMITTED_ROWS:
        return _unknown(version, _TOO_MUCH), None
    results: dict[str, list[Row]] = {name: [] for name in (*QUERIES, "path", "gone", "redefined", "own_types")}
    try:
        for what, found in rows:
            if found is not None:
                results[(what or b"").decode()].extend(_ROWS.decode(found.decode(encoding)))
        return _learnt(results, version)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, ValueError, IndexError):
        return _unknown(version, _NOT_LEARNT), None


def _unknown(version: str, why: str) -> Names:
    return Names(known=False, version=version, why=why)


def _learnt(results: dict[str, list[Row]], version: str) -> tuple[Names, Uncommitted | None]:
    """Raises ValueError and the like where the answer is not what was asked for."""
    if results["session"][0][0] not in ("read committed", "read uncommitted"):
        return _unknown(version, _OLD_SNAPSHOT), None
    path = tuple([part or "" for part in results["path"][0]])
    if not path or any(part.startswith("pg_temp_") for part in path):
        return _unknown(version, _FOREIGN_PATH), None
    relations = relations_of(results)
    lasting = tuple([one for one in relations if one.schema != "pg_temp"])
    gone = [_number(row) for row in results["gone"]]
    made = Uncommitted(
        touched=frozenset([one.oid for one in lasting]).union(gone),
        relations=lasting,
        redefined=frozenset([_number(row) for row in results["redefined"]]),
        functions=tuple([function_of(row) for row in results["functions"]]),
        operators=tuple([operator_of(row) for row in results["operators"]]),
        types=tuple([type_of(row, {}) for row in results["types"]]),
        casts=tuple([CatalogCast(_number(row), int(row[1] or "")) for row in results["casts"]]),
        schemas=frozenset([row[0] or "" for row in results["schemas"]]),
    )
    temporary = {one.name: one for one in relations if one.schema == "pg_temp"}
    types = frozenset([row[0] or "" for row in results["own_types"]])
    return Names(search_path=path, temporary=temporary, known=True, version=version, types=types), made


def _number(row: Row) -> int:
    return int(row[0] or "")


def laid_over(catalog: CatalogSnapshot, made: Uncommitted, version: str) -> CatalogSnapshot:
    """Return the catalog as the session sees it amid its transaction; the committed one where that is the same.

    It has no identity: nothing that is worked out from it is kept.
    """
    schemas = made.schemas - {"pg_temp"}
    touched = made.touched.intersection(catalog.relations_by_oid).union([one.oid for one in made.relations])
    if not (touched or made.functions or made.operators or made.types or made.casts or schemas != catalog.schemas):
        return catalog
    relations = _relations(catalog, made)
    types = _types(catalog, made)
    return msgspec.structs.replace(
        catalog,
        version=f"{catalog.version}+{version}",
        relations={(one.schema, one.name): one for one in relations},
        relations_by_oid={one.oid: one for one in relations},
        functions=_more(catalog.functions, made.functions),
        operators=_more(catalog.operators, made.operators),
        types={one.oid: one for one in types},
        types_by_name={(one.schema, one.name): one for one in types},
        casts=(*catalog.casts, *made.casts),
        schemas=schemas,
        identity=0,
        uncommitted=touched,
    )


def _relations(catalog: CatalogSnapshot, made: Uncommitted) -> list[CatalogRelation]:
    """Return all relations: the touched ones as they are now, the rest as committed."""
    parents = {one.oid: one.parents for one in made.relations}
    found: list[CatalogRelation] = []
    for one in catalog.relations.values():
        if one.oid not in made.touched:
            found.append(_with_children(one, made.touched, parents) if one.children else one)
    return found + [_with_before(one, catalog.relations_by_oid.get(one.oid), made.redefined) for one in made.relations]


def _with_before(
    relation: CatalogRelation, before: CatalogRelation | None, redefined: frozenset[int]
) -> CatalogRelation:
    """A view keeps its query as committed unless it has a new one; the extension that owned a relation still does."""
    if before is None:
        return relation
    definition = "" if relation.oid in redefined else before.definition
    return msgspec.structs.replace(relation, definition=definition, extension=before.extension)


def _with_children(
    relation: CatalogRelation, touched: frozenset[int], parents: Mapping[int, tuple[int, ...]]
) -> CatalogRelation:
    """A child is dropped, or inherits no more, without a lock on its parent (ATExecDropInherit, tablecmds.c)."""
    left = [oid for oid in relation.children if oid not in touched or relation.oid in parents.get(oid, ())]
    return relation if len(left) == len(relation.children) else msgspec.structs.replace(relation, children=tuple(left))


def _types(catalog: CatalogSnapshot, made: Uncommitted) -> list[CatalogType]:
    """Return all types; the row types of relations that are gone are gone too."""
    left = {one.oid for one in made.relations}
    renewed = {one.oid for one in made.types}
    lost = {
        one.oid
        for one in catalog.types.values()
        if one.oid in renewed or (one.relation in made.touched and one.relation not in left)
    }
    found = [one for one in catalog.types.values() if one.oid not in lost and one.element not in lost - renewed]
    return [*found, *made.types]


def _more(catalog: dict[str, tuple[Named, ...]], made: tuple[Named, ...]) -> dict[str, tuple[Named, ...]]:
    """Return overloads by name with those that the transaction made or altered; what it replaced stays beside them."""
    if not made:
        return catalog
    new: dict[str, tuple[Named, ...]] = overloads_of(list(made))
    return {**catalog, **{name: catalog.get(name, ()) + found for name, found in new.items()}}
