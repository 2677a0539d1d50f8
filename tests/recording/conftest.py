"""A recordings folder with a key, and a journal of the shapes that the gate writes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

from checkrein.recording.journal import Journal, Tools
from checkrein.recording.journals import Journals
from checkrein.recording.keys import load_or_create_key

OPENED = {
    "principal": "bot",
    "issuer": "corp",
    "groups": ["corp:support"],
    "actors": [],
    "target": "orders",
    "protocol": "postgres",
    "profile": "default",
    "client": "127.0.0.1:5000",
}


class Desk:
    """One data folder; `start` is a gateway's start on it, `stop` its orderly end."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.troubles: list[str] = []
        self.now = 1_700_000_000.0
        self.journals: Journals | None = None

    def start(self, segment_bytes: int = 1 << 20, executor: Executor | None = None, **more: Any) -> Journals:
        key = load_or_create_key(self.data / "keys")
        ticks = itertools.count()
        tools = Tools(
            lambda: self.now,
            lambda: next(ticks) / 1000,
            key,
            executor,
            on_trouble=self.troubles.append,
            segment_bytes=segment_bytes,
            **more,
        )
        self.journals = Journals(self.data / "recordings", tools)
        return self.journals

    def start_once(self) -> Journals:
        return self.journals or self.start()

    def stop(self) -> None:
        if self.journals is not None:
            self.journals.close()
            self.journals = None


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    one = Desk(tmp_path / "data")
    yield one
    one.stop()


@pytest.fixture
def work() -> Callable[..., None]:
    def do(journal: Journal, statements: int, text: str = "SELECT 1") -> None:
        for number in range(statements):
            decided = {
                "decision": number,
                "statement": f"{text} /* {number} */",
                "parameters": None,
                "verbs": ["read"],
                "touches": ["public.orders"],
                "verdict": "allow",
                "policy": "p",
                "rule": "r",
                "outcome": "forwarded",
            }
            journal.append("decided", decided)
            journal.flush()
            journal.append("answered", {"decision": number, "rows": 1, "masked": {"email": 2}})

    return do
