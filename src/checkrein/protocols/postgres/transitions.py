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
    LOCAL,
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


def _expected() -> tuple[dict[int, str], ...]:
    """What may answer what, by the kind of entry; errors and what comes by itself are apart."""
    table: tuple[dict[int, str], ...] = tuple([{} for _ in range(LOCAL + 1)])
    for kind, letters, what in (
        (PARSE, "1", "confirm"),
        (BIND, "2", "confirm"),
        (CLOSE, "3", "confirm"),
        (DESCRIBE, "t", "parameters"),
        (DESCRIBE, "Tn", "description"),
        (QUERY, "T", "description"),
        (QUERY, "CI", "complete"),
        (QUERY, "GHc", "copy"),
        (QUERY, "Z", "ready"),
        (EXECUTE, "CIs", "complete"),
        (EXECUTE, "GHc", "copy"),
        (SYNC, "Z", "ready"),
        (REFUSED_QUERY, "Z", "ready"),
    ):
        table[kind].update({ord(letter): what for letter in letters})
    return table


EXPECTED: Final = _expected()
