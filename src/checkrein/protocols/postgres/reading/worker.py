"""What runs in the killable worker process: parsing of texts that are too large to parse in the gateway's own."""

from __future__ import annotations

from checkrein.protocols.postgres.parser import SyntaxProblem, parse_json


def parse(text: str) -> bytes | SyntaxProblem:
    """Return the parse tree of a text as JSON, or what is wrong with it; picklable, flat, pure."""
    return parse_json(text)
