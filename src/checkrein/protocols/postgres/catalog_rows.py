"""What makes a catalog snapshot of the rows that the queries of catalog_queries.py answer."""

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

_IDENTITIES: Final = itertools.count(1)

Row = tuple[str | None, ...]
"""One row of an answer in text format; NULL is None."""

T = TypeVar("T")


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
    indexes = _by_relation([(_int(row[0]), _text(row[1])) for row in results["indexes"]])
    computed = _by_relation([(_int(row[0]), (_text(row[1]), _text(row[2]))) for row in results["computed"]])
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
