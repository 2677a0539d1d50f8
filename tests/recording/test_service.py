"""Listing, showing, following and exporting, over the real store and real journals."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from checkrein.core.errors import Unavailable
from checkrein.core.limits import INDEX_TERMS
from checkrein.recording.filters import parse_filters
from checkrein.recording.keys import load_or_create_key
from checkrein.recording.service import Recordings
from checkrein.recording.verify_all import verify_path
from checkrein.store.engine import open_store
from checkrein.store.sessions import SessionIndex

from .conftest import OPENED, Desk


@pytest.fixture
def recordings(desk: Desk) -> Iterator[Recordings]:
    desk.start()
    engine = open_store(desk.data / "state.db")
    one = Recordings(desk.data, SessionIndex(engine), load_or_create_key(desk.data / "keys"), lambda id, reason: False)
    yield one
    one.close()
    engine.dispose()


def ids(recordings: Recordings, **filters: str) -> list[str]:
    return [row["id"] for row in asyncio.run(recordings.ls(filters))]


def test_open_then_closed(desk: Desk, recordings: Recordings, work: Callable[..., None]) -> None:
    """An open session is listed with its counts so far, and with its end once it is closed; keys as published."""
    assert desk.journals is not None
    journal = desk.journals.open("s1", OPENED)
    work(journal, 2)
    journal.append(
        "decided", {"statement": "DROP TABLE x", "verdict": "deny", "outcome": "refused", "rule": "no", "policy": "p"}
    )
    journal.append("decided", {"statement": "SELECT 1", "verdict": "allow", "outcome": "forwarded", "phase": "prepare"})
    journal.append("approval_asked", {"approval": "a"})
    journal.flush()
    (row,) = asyncio.run(recordings.ls({}))
    wanted = (
        "id principal issuer groups actors target protocol client opened closed state statements refused asked masked"
    )
    assert set(wanted.split()) <= set(row)
    assert (row["state"], row["closed"], row["statements"], row["refused"], row["asked"], row["masked"]) == (
        "open", None, 3, 1, 1, 4,
    )  # fmt: skip
    work(journal, 1)
    journal.close("done", {})
    desk.stop()
    (row,) = asyncio.run(recordings.ls({}))
    assert (row["state"], row["closed"], row["statements"], row["masked"]) == ("closed", desk.now, 4, 6)


def test_filters(desk: Desk, recordings: Recordings) -> None:
    """Every filter finds what it should and nothing else; newest come first."""
    assert desk.journals is not None
    for number, (who, text, table) in enumerate(
        [("bot", "SELECT 100% FROM a", "public.a"), ("ann", "SELECT b_c FROM b", "public.b")]
    ):
        desk.now += 100
        journal = desk.journals.open(f"s{number}", {**OPENED, "principal": who})
        decided = {"statement": text, "touches": [table], "verdict": "deny", "policy": "p", "rule": f"r{number}"}
        journal.append("decided", decided)
        journal.close("done", {})
    start = desk.now - 100
    assert ids(recordings) == ["s1", "s0"]
    assert ids(recordings, principal="bot") == ids(recordings, principal="corp:bot") == ["s0"]
    assert ids(recordings, touches="a") == ids(recordings, touches="public.a") == ["s0"]
    assert ids(recordings, touches="lic.a") == [] == ids(recordings, touches="%")
    assert ids(recordings, rule="r1") == ids(recordings, rule="p/r1") == ["s1"]
    assert ids(recordings, text="select B") == ["s1"] and ids(recordings, text="100%") == ["s0"]
    assert ids(recordings, text="b%c") == []
    assert ids(recordings, verdict="deny", limit="1") == ["s1"] and ids(recordings, verdict="ask") == []
    assert ids(recordings, since=str(start + 50)) == ["s1"] and ids(recordings, until=str(start + 50)) == ["s0"]
    assert ids(recordings, target="other") == []


@pytest.mark.parametrize(
    "filters",
    [
        {"limit": "0"},
        {"limit": "x"},
        {"limit": "0000000010000000000000"},
        {"since": "yesterday"},
        {"verdict": "maybe"},
        {"colour": "red"},
    ],
)
def test_wrong_filters(filters: dict[str, str]) -> None:
    """A filter that is wrong is named, never ignored."""
    with pytest.raises(ValueError, match=next(iter(filters))):
        parse_filters(filters)


def test_search_beyond_the_index(desk: Desk, recordings: Recordings) -> None:
    """A text that the bounded index has no room for is still found, by reading the journal."""
    assert desk.journals is not None
    journal = desk.journals.open("s1", OPENED)
    for number in range(INDEX_TERMS + 5):
        journal.append("decided", {"statement": f"SELECT {number} AS n", "verdict": "allow"})
    journal.append("decided", {"statement": "x" * 5000 + "needle", "verdict": "allow"})
    journal.close("done", {})
    assert ids(recordings, text=f"SELECT {INDEX_TERMS + 4} ") == ["s1"]
    assert ids(recordings, text="needle") == ["s1"] and ids(recordings, text="absent") == []


def test_rebuild_gives_the_same(desk: Desk, recordings: Recordings, work: Callable[..., None]) -> None:
    """The index is nothing but what the journals say."""
    assert desk.journals is not None
    for number in range(3):
        journal = desk.journals.open(f"s{number}", OPENED)
        work(journal, number)
        journal.close("done", {})
    before = asyncio.run(recordings.ls({}))
    recordings.rebuild()
    assert asyncio.run(recordings.ls({})) == before and len(before) == 3


def test_show_and_tail(desk: Desk, recordings: Recordings, work: Callable[..., None]) -> None:
    """Show gives row and events; tail follows an open session over turned segments to its end, each event once."""
    desk.stop()
    journals = desk.start(segment_bytes=2000)
    journal = journals.open("s1", OPENED)
    work(journal, 3)

    async def follow() -> list[int]:
        lines = recordings.tail("s1")
        assert lines is not None
        seen: list[int] = []
        async for piece in lines:
            seen += [json.loads(line)["seq"] for line in piece.splitlines()]
            if len(seen) < 20:
                work(journal, 5)
                journal.flush()
            else:
                journal.close("done", {})
        return seen

    seen = asyncio.run(follow())
    shown = asyncio.run(recordings.show("s1"))
    assert shown is not None and seen == [event["seq"] for event in shown["events"]] == list(range(len(seen)))
    assert shown["session"]["state"] == "closed" and not shown["more"]
    assert asyncio.run(recordings.show("../s1")) is None and recordings.tail("none") is None
    verified = asyncio.run(recordings.verify("s1"))
    assert verified is not None and verified["ok"] and verified["sessions"] == 1


def test_export(desk: Desk, recordings: Recordings, work: Callable[..., None], tmp_path: Path) -> None:
    """A bundle holds what was asked for, with the snapshot that decided; an unknown id gives none."""
    assert desk.journals is not None
    (desk.data / "policies").mkdir()
    (desk.data / "policies" / "abc.json").write_text("{}")
    (desk.data / "secret.json").write_text("{}")
    for number in range(2):
        journal = desk.journals.open(f"s{number}", OPENED)
        journal.append("decided", {"statement": "x", "snapshot": "abc" if number else "../secret"})
        journal.close("done", {})
    assert asyncio.run(recordings.export(["s0", "none"])) is None
    content = asyncio.run(recordings.export(["s0", "s1", "s1"]))
    assert content is not None
    (tmp_path / "b.zip").write_bytes(content)
    found = verify_path(tmp_path / "b.zip").as_json()
    assert found["ok"] and found["sessions"] == 2
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert "policies/abc.json" in names and not [name for name in names if "secret" in name]
    assert not [name for name in names if name.endswith(".key")]


def spoil_not_utf8(line: bytes) -> bytes:
    return line.replace(b"SELECT 1", b"SELECT \xff", 1)


def spoil_deep(line: bytes) -> bytes:
    return line.replace(b'"SELECT 1', b"[" * 5000 + b'"SELECT 1', 1)


def spoil_kinds(line: bytes) -> bytes:
    wrong = (
        line.replace(b'"at":', b'"att":').replace(b'"verbs":["read"]', b'"verbs":7').replace(b'"groups":[', b'"gg":[')
    )
    return wrong.replace(b'"actors":[]', b'"actors":3')


@pytest.mark.parametrize("spoil", [spoil_not_utf8, spoil_deep, spoil_kinds])
def test_gw_34_one_damaged_recording_hides_no_other(
    desk: Desk, recordings: Recordings, work: Callable[..., None], spoil: Callable[[bytes], bytes]
) -> None:
    """Whatever stands in one recording, all sessions are listed and searched; showing it says why it cannot be read."""
    assert desk.journals is not None
    for name in ("s1", "s2"):
        journal = desk.journals.open(name, OPENED)
        work(journal, 3)
        journal.close("done", {})
    damaged = next((desk.data / "recordings").glob("*/s1/0.jsonl.zst"))
    plain = zstandard.ZstdDecompressor().stream_reader(damaged.read_bytes()).read()
    changed = spoil(plain)
    assert changed != plain
    damaged.write_bytes(zstandard.ZstdCompressor().compress(changed))
    assert sorted(ids(recordings)) == ["s1", "s2"]
    assert "s2" in ids(recordings, text="select 1")
    recordings.rebuild()
    assert sorted(ids(recordings)) == ["s1", "s2"]
    if spoil is spoil_kinds:
        assert asyncio.run(recordings.show("s1")) is not None
    else:
        with pytest.raises(Unavailable):
            asyncio.run(recordings.show("s1"))
