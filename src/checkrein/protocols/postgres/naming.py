"""What the session's own link tells of names: the search path and the temporary relations, as `Names`."""

from __future__ import annotations

from checkrein.protocols.postgres.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot, Names

Row = tuple[bytes | None, ...]


def names_of(rows: list[Row], version: str) -> Names:
    """Return Names from the rows of NAMES_QUERY.

    `known` is False when there are none, and where another session's temporary schema is in the path.
    """
    path = tuple(part for part in _text(rows[0][0]).split("\x01") if part) if rows else ()
    if not path or any(part.startswith("pg_temp_") for part in path):
        return Names(known=False, version=version)
    columns: dict[tuple[int, str, str], list[CatalogColumn]] = {}
    for row in rows:
        if row[1] is None:
            continue
        found = columns.setdefault((int(row[1]), _text(row[2]), _text(row[3])), [])
        if row[4] is not None:
            found.append(_column(row))
    temporary = {
        name: CatalogRelation(oid, "pg_temp", name, kind, tuple(listed))
        for (oid, name, kind), listed in columns.items()
    }
    return Names(search_path=path, temporary=temporary, known=True, version=version)


def _column(row: Row) -> CatalogColumn:
    numbers = [int(_text(row[index])) for index in (5, 6, 8)]
    return CatalogColumn(_text(row[4]), numbers[0], numbers[1], _text(row[7]) == "true", numbers[2])


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "replace")


def names_of_path(setting: str, catalog: CatalogSnapshot | None, before: Names, version: str) -> Names:
    """Return Names for what `SHOW search_path` gave inside a block, where nothing else may be asked.

    Unknown when temporary relations may exist, or the setting cannot be resolved against the catalog.
    """
    if catalog is None or before.temporary or not before.known:
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
