"""What is under way on a link: an entry for every message whose answer is awaited, and what has a name."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from checkrein.core.decision import Decision
from checkrein.core.maskplan import MaskPlan
from checkrein.core.verdict import Refusal
from checkrein.protocols.postgres.acts import Act, Reading
from checkrein.protocols.postgres.planned import Planned

_EMPTY: Final = hashlib.sha256()
"""Copied for every answer: cheaper than looking the algorithm up again."""

PARSE: Final = 1
BIND: Final = 2
DESCRIBE: Final = 3
EXECUTE: Final = 4
CLOSE: Final = 5
SYNC: Final = 6
QUERY: Final = 7
REFUSED: Final = 8
REFUSED_QUERY: Final = 9
LOCAL: Final = 10
"""Answered by the gateway itself, in order; nothing went to the target."""

NAMES: Final = {
    PARSE: "Parse",
    BIND: "Bind",
    DESCRIBE: "Describe",
    EXECUTE: "Execute",
    CLOSE: "Close",
    SYNC: "Sync",
    QUERY: "Query",
    REFUSED: "a refused message",
    REFUSED_QUERY: "a refused Query",
}


class Result:
    """The answer to one statement that runs, as far as it has come."""

    __slots__ = (
        "act",
        "bytes",
        "columns",
        "copy",
        "decision",
        "described",
        "digest",
        "masker",
        "plan",
        "planned",
        "row_columns",
        "rows",
        "sample",
    )

    def __init__(self, decision: Decision, act: Act) -> None:
        self.decision = decision
        self.act = act
        self.columns: tuple[str, ...] = ()
        self.row_columns: tuple[Any, ...] = ()
        self.described = False
        self.plan: MaskPlan | None = None
        self.masker: Any = None
        self.copy = False
        self.rows = 0
        self.bytes = 0
        self.digest: Any = None
        self.sample: list[tuple[str | None, ...]] = []
        self.planned: Planned | None = None

    def take(self, frames: bytes) -> None:
        """Count bytes that the client gets into the digest."""
        self.bytes += len(frames)
        if self.digest is None:
            self.digest = _EMPTY.copy()
        self.digest.update(frames)


class Prepared:
    """A prepared statement: its reading and the Decision under which it was prepared.

    `version` (of the session's names) and `catalog` are what it was read under. `columns` is its description once seen
    (None before), `types` its parameter types, `declared` those that its Parse named, `segment` the Sync segment whose
    Parse is not confirmed yet (-1 once it is).
    """

    __slots__ = ("catalog", "columns", "decision", "declared", "reading", "segment", "text", "types", "version")

    def __init__(self, text: str, reading: Reading, decision: Decision, types: tuple[int, ...], segment: int) -> None:
        self.text = text
        self.reading = reading
        self.decision = decision
        self.types = self.declared = types
        self.segment = segment
        self.version = -1
        self.catalog: Any = None
        self.columns: tuple[Any, ...] | None = None


class Portal:
    """A bound portal: what its statement meant at Bind, where the server plans it.

    `asked` is the Decision of a person's yes at Bind, used up by the first Execute. `read` is False where some
    parameter's type is not known, so that its text is not what the server takes it for.
    """

    __slots__ = ("asked", "columns", "described", "parameters", "prepared", "read", "reading", "result", "segment")

    def __init__(self, prepared: Prepared, parameters: tuple[str | None, ...], segment: int, read: bool = True) -> None:
        self.read = read
        self.reading = prepared.reading
        self.prepared = prepared
        self.parameters = parameters
        self.segment = segment
        self.asked: Decision | None = None
        self.columns: tuple[Any, ...] | None = None
        self.described = False
        self.result: Result | None = None


class Entry:
    """One message sent to the target whose answer is awaited, in order.

    `hidden`: the answer is ours and never reaches the client. `segment` counts the client's Syncs. `undo` restores what
    a Parse, Bind or Close changed by name when the target skips or fails it. `collect` receives hidden answers.
    """

    __slots__ = (
        "code",
        "collect",
        "decision",
        "hidden",
        "kind",
        "name",
        "portal",
        "prepared",
        "refusal",
        "reply",
        "results",
        "segment",
        "undo",
    )

    def __init__(self, kind: int, segment: int, hidden: bool = False) -> None:
        self.kind = kind
        self.segment = segment
        self.hidden = hidden
        self.name = b""
        self.code = ""
        self.reply = b""
        self.refusal: Refusal | None = None
        self.decision: Decision | None = None
        self.results: list[Result] = []
        self.prepared: Prepared | None = None
        self.portal: Portal | None = None
        self.collect: Collected | None = None
        self.undo: tuple[bool, bytes, Any] | None = None  # (is a statement, name, what it was)


TOLD: Final = frozenset({"held", "pieces", "copy"})
"""What is described within the client's own segment: an error in it is the client's, and its description ends it."""


class Collected:
    """Answers of hidden messages: rows as cells, descriptions in order, the first error.

    `told`: an error goes to the client, for it is the statement's own.
    """

    __slots__ = ("descriptions", "done", "error", "parameters", "purpose", "rows", "told", "wanted")

    def __init__(self, purpose: str) -> None:
        self.purpose = purpose
        self.told = purpose in TOLD
        self.rows: list[tuple[bytes | None, ...]] = []
        self.descriptions: list[tuple[Any, ...]] = []
        self.parameters = 0
        self.error = b""
        self.done = False
        self.wanted: Any = None
