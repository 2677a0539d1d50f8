"""What the session's own link tells of names: the search path and the temporary relations, as `Names`."""

from __future__ import annotations

from typing import Final

import msgspec

from checkrein.protocols.postgres.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot, Names

Row = tuple[bytes | None, ...]
_LIST: Final = msgspec.json.Decoder(list[str])


def names_of(rows: list[Row], version: str, encoding: str) -> Names:
    """Return Names from the rows of NAMES_QUERY, which came in the client's encoding.

    `known` is False when there are none, where another session's temporary schema is in the path, and where a name is
    no text of that encoding.
    """
    try:
        return _names_of([_texts(row, encoding) for row in rows], version)
    except (UnicodeDecodeError, msgspec.MsgspecError):
        return Names(known=False, version=version)


def _names_of(rows: list[list[str | None]], version: str) -> Names:
    path = _listed(rows[0][0]) if rows else ()
    if not path or any(part.startswith("pg_temp_") for part in path):
        return Names(known=False, version=version)
    columns: dict[tuple[int, str, str], list[CatalogColumn]] = {}
    for row in rows:
        if row[1] is None:
            continue
        found = columns.setdefault((int(row[1]), row[2] or "", row[3] or ""), [])
        if row[4] is not None:
            found.append(_column(row))
    temporary = {
        name: CatalogRelation(oid, "pg_temp", name, kind, tuple(listed))
        for (oid, name, kind), listed in columns.items()
    }
    types = frozenset(_listed(rows[0][9]))
    return Names(search_path=path, temporary=temporary, known=True, version=version, types=types)


def _listed(value: str | None) -> tuple[str, ...]:
    return () if value is None else tuple(_LIST.decode(value))


def _column(row: list[str | None]) -> CatalogColumn:
    numbers = [int(row[index] or "") for index in (5, 6, 8)]
    return CatalogColumn(row[4] or "", numbers[0], numbers[1], row[7] == "true", numbers[2])


def _texts(row: Row, encoding: str) -> list[str | None]:
    return [None if value is None else value.decode(encoding) for value in row]


def names_of_path(value: bytes, encoding: str, catalog: CatalogSnapshot | None, before: Names, version: str) -> Names:
    """Return Names for what `SHOW search_path` gave inside a block, where nothing else may be asked.

    Unknown when temporary relations or types may exist, or the setting cannot be resolved against the catalog.
    """
    try:
        setting = value.decode(encoding)
    except UnicodeDecodeError:
        return Names(known=False, version=version)
    if catalog is None or before.temporary or before.types or not before.known:
        return Names(known=False, version=version)
    parts = [catalog.user if part == "$user" else part for part in split_path(setting)]
    if any(part.startswith("pg_temp") for part in parts):
        return Names(known=False, version=version)
    path = [part for part in dict.fromkeys(parts) if part in catalog.schemas]
    if "pg_catalog" not in path:
        path.insert(0, "pg_catalog")
    return Names(search_path=tuple(path), known=True, version=version)


def split_path(setting: str) -> list[str]:
    """Split a search_path setting into identifiers: quoted ones keep their case, others are folded."""
    parts: list[str] = []
    at = 0
    while at < len(setting):
        if setting[at] in " ,\t\n":
            at += 1
        elif setting[at] == '"':
            end = at + 1
            piece: list[str] = []
            while end < len(setting):
                if setting[end] == '"':
                    if setting[end + 1 : end + 2] != '"':
                        break
                    end += 1
                piece.append(setting[end])
                end += 1
            parts.append("".join(piece))
            at = end + 1
        else:
            end = at
            while end < len(setting) and setting[end] not in ", \t\n":
                end += 1
            parts.append(setting[at:end].lower())
            at = end
    return parts
