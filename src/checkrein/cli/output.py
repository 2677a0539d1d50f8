"""What commands print: JSON for scripts, plain tables for people. What came over the wire cannot move the cursor."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click


def print_json(value: Any) -> None:
    """Print one JSON value, indented, ASCII."""
    click.echo(json.dumps(value, indent=2, default=str))


def printable(value: object) -> str:
    """Return a value as text in which control, format and bidi characters are shown, not sent to the terminal."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
    return "".join(_shown(c) if unicodedata.category(c)[0] == "C" else c for c in text)


def _shown(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def print_table(rows: Sequence[dict[str, Any]], columns: Sequence[str], empty: str = "nothing to show") -> None:
    """Print rows as aligned columns, headed by their names; `empty` where there are none."""
    if not rows:
        click.echo(empty)
        return
    cells = [[column.upper() for column in columns]]
    cells += [[printable(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def when(seconds: float | None) -> str:
    """Return epoch seconds as UTC date and time, empty for None."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
