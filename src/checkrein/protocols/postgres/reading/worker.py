"""What runs in the killable worker process: parsing of texts that are too large to parse in the gateway's own."""

from __future__ import annotations

from checkrein.core.limits import READING_TREE_BYTES
from checkrein.protocols.postgres.parser import SyntaxProblem, parse_json


def parse(text: str) -> bytes | SyntaxProblem:
    """Return the parse tree of a text as JSON, or what is wrong with it; picklable, flat, pure.

    Of a tree above READING_TREE_BYTES, which reading refuses by its size, one byte more than that: it may be hundreds
    of megabytes, and is to stay in this process.
    """
    tree = parse_json(text)
    return tree if isinstance(tree, SyntaxProblem) else tree[: READING_TREE_BYTES + 1]
