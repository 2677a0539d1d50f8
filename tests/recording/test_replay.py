"""Reading a journal while it is written and closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from checkrein.recording import replay

from .conftest import OPENED, Desk


def test_a_segment_that_closes_meanwhile_is_read_all_the_same(
    desk: Desk, work: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that ends between listing its segments and opening one is read whole, not found empty."""
    journal = desk.start().open("s1", OPENED)
    work(journal, 20)
    listed = replay.segments

    def closing(names: Iterable[str]) -> list[str]:
        found = listed(names)
        journal.close("done", {})
        return found

    monkeypatch.setattr(replay, "segments", closing)
    row, events = replay.read_session(journal.folder)
    kinds = [event["kind"] for event in events]
    assert kinds[0] == "opened" and kinds[-1] == "closed" and len(kinds) > 20
    assert row["state"] == "closed"
