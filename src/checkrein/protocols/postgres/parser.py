"""PostgreSQL's own grammar (libpg_query through ctypes): SQL text to its parse tree.

`pg_query_parse` gives JSON, decoded by msgspec; the protobuf form refuses trees of some 40 levels. The call releases
the GIL. Sizes are the caller's to bound (core.limits): the library crashes on tens of thousands of chained operators.
"""

# not compiled: ctypes
from __future__ import annotations

import ctypes
import importlib.util
import math
import re
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from checkrein.core import limits

GRAMMAR_MAJOR: Final = 18
"""Major version of PostgreSQL whose grammar the library has; the shipped lists of keywords are compared with it."""

DECODE_RECURSION: Final = 10_000
"""Depth at which msgspec's decoder gives up: six levels a token of a text that is parsed in process stay below it."""


class SyntaxProblem(msgspec.Struct, frozen=True):
    """A text that is not SQL: the grammar's message, and the 1-based character it points at (0 when nowhere)."""

    message: str
    position: int = 0


class _Error(ctypes.Structure):
    _fields_ = [
        ("message", ctypes.c_char_p),
        ("function", ctypes.c_char_p),
        ("file", ctypes.c_char_p),
        ("line", ctypes.c_int),
        ("position", ctypes.c_int),
        ("context", ctypes.c_char_p),
    ]


class _Result(ctypes.Structure):
    _fields_ = [("tree", ctypes.c_char_p), ("stderr", ctypes.c_char_p), ("error", ctypes.POINTER(_Error))]


def _library() -> ctypes.CDLL:
    """Load the library that postgast bundles, without importing its Python side."""
    spec = importlib.util.find_spec("postgast")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("postgast, which bundles libpg_query, is not installed")
    folder = Path(spec.submodule_search_locations[0])
    names = {"darwin": "libpg_query.dylib", "win32": "pg_query.dll"}
    library = ctypes.CDLL(str(folder / names.get(sys.platform, "libpg_query.so")))
    library.pg_query_parse.restype = _Result
    library.pg_query_parse.argtypes = [ctypes.c_char_p]
    library.pg_query_free_parse_result.restype = None
    library.pg_query_free_parse_result.argtypes = [_Result]
    return library


_LIBRARY = _library()
_TOKEN = re.compile(r"[\w$]+|[^\w\s]")
_SET = re.compile(r"\bset\b", re.IGNORECASE)
_ASSIGNED = re.compile(r"\)\s*(?:=|--|/\*)")
"""What may end the names of a multiple assignment, comments between the two characters included."""


def parse_json(text: str) -> bytes | SyntaxProblem:
    """Return the parse tree of a text as JSON, or what is wrong with it (NUL and lone surrogates included)."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return SyntaxProblem("the text is not valid Unicode")
    if b"\0" in data:
        return SyntaxProblem("the text holds a NUL")
    result = _LIBRARY.pg_query_parse(data)
    try:
        if result.error:
            problem = result.error.contents
            return SyntaxProblem((problem.message or b"syntax error").decode(errors="replace"), problem.position)
        return result.tree or b""
    finally:
        _LIBRARY.pg_query_free_parse_result(result)


def decode(tree: bytes) -> dict[str, Any]:
    """Return a JSON parse tree as dicts. Raises RecursionError, msgspec.DecodeError."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DECODE_RECURSION))
    try:
        found: dict[str, Any] = msgspec.json.decode(tree)
        return found
    finally:
        sys.setrecursionlimit(before)


def fits_in_process(text: str) -> bool:
    """Say whether a text is small enough, and its tree will be, to be parsed without the worker."""
    if len(text) > limits.STATEMENT_IN_PROCESS_BYTES or _grows(text):
        return False
    tokens = limits.STATEMENT_IN_PROCESS_TOKENS
    return len(text) <= tokens or len(_TOKEN.findall(text)) <= tokens


def _grows(text: str) -> bool:
    """Say whether the tree may be out of all proportion to its text.

    In `SET (a, b, c) = source` the tree has the source once for each name (gram.y, set_clause), and the source may hold
    further ones: a text of 600 characters may have a tree of gigabytes. Names are told by commas, so `m` such lists
    over `c` commas copy a source at most (c / m + 1) ** m times, whatever the commas are.
    """
    lists = len(_ASSIGNED.findall(text))
    if not lists or _SET.search(text) is None:
        return False
    room = limits.STATEMENT_COPIED_CHARACTERS / max(len(text), 1)
    return lists * math.log(text.count(",") / lists + 1) > math.log(max(room, 1))


def grammar_major() -> int:
    """Return the major version of the library's grammar, as it writes it into every tree."""
    tree = parse_json("SELECT 1")
    version = 0 if isinstance(tree, SyntaxProblem) else decode(tree).get("version", 0)
    return int(version) // 10_000


if grammar_major() != GRAMMAR_MAJOR:
    raise ImportError(f"the bundled libpg_query reads as PostgreSQL {grammar_major()}, not as {GRAMMAR_MAJOR}")
