"""All transitions of the query phase: what the client may say when, and what the target may answer to what.

What is in neither table is a protocol error. Errors and asynchronous messages of the target are apart: they may come at
any time (PostgreSQL manual, "Message Flow").
"""

from __future__ import annotations

from typing import Final

from checkrein.protocols.postgres.exchange import (
    BIND,
    CLOSE,
    DESCRIBE,
    EXECUTE,
    PARSE,
    QUERY,
    REFUSED_QUERY,
    SYNC,
)

TRANSITIONS: Final = {
    "query": {
        ord("Q"): "query",
        ord("P"): "parse",
        ord("B"): "bind",
        ord("D"): "describe",
        ord("E"): "execute",
        ord("C"): "close",
        ord("S"): "sync",
        ord("H"): "flush",
        ord("F"): "function_call",
        ord("X"): "terminate",
        ord("d"): "drop",
        ord("c"): "drop",
        ord("f"): "drop",
    },
    "copy": {
        ord("d"): "copy_data",
        ord("c"): "copy_end",
        ord("f"): "copy_end",
        ord("H"): "drop",
        ord("S"): "drop",
        ord("X"): "terminate",
    },
}


def _expected() -> dict[tuple[int, int], str]:
    """What may answer what: the table of the query phase. Errors and asynchronous messages are apart."""
    table = {
        (PARSE, "1"): "confirm",
        (BIND, "2"): "confirm",
        (CLOSE, "3"): "confirm",
        (DESCRIBE, "t"): "parameters",
        (DESCRIBE, "T"): "description",
        (DESCRIBE, "n"): "description",
        (QUERY, "T"): "description",
        (SYNC, "Z"): "ready",
        (REFUSED_QUERY, "Z"): "ready",
        (QUERY, "Z"): "ready",
        (EXECUTE, "s"): "complete",
    }
    for kind in (EXECUTE, QUERY):
        table |= {(kind, letter): "complete" for letter in "CI"} | {(kind, letter): "copy" for letter in "GHc"}
    return {(kind, ord(letter)): what for (kind, letter), what in table.items()}


EXPECTED: Final = _expected()
