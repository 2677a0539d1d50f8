"""A relay's lanes, and the count of generators that run in them."""

from __future__ import annotations

import asyncio
import collections
from typing import Any

from checkrein.core.steps import Steps


class Generators:
    """How many generators were opened and closed: equal when nothing runs. `chunks` counts what was received."""

    __slots__ = ("chunks", "closed", "opened")

    def __init__(self) -> None:
        self.chunks = 0
        self.opened = 0
        self.closed = 0


class Lane:
    """One stream of generators. `queue` holds what comes after the one that waits."""

    __slots__ = ("end", "held", "name", "queue", "step", "steps", "task")

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps: Steps[None] | None = None
        self.step: Any = None
        self.task: asyncio.Task[None] | None = None
        self.queue: collections.deque[bytes] = collections.deque()
        self.held = 0
        self.end = False
