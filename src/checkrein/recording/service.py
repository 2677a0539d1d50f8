"""What the control API shows of recordings: list (over an index in the store), show, follow, export, verify.

The index follows the journals by itself (new folders, new lines), so it can be dropped and rebuilt at any time. File
and store work runs in one thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, TypeVarTuple

import msgspec

from checkrein.core.errors import Unavailable
from checkrein.core.limits import SHOW_EVENTS
from checkrein.recording.export import bundle
from checkrein.recording.filters import Filters, parse_filters
from checkrein.recording.journals import LOGINS, SESSION_ID
from checkrein.recording.keys import SigningKey
from checkrein.recording.replay import Follower, Tally, is_closed, read_session
from checkrein.recording.verify_all import verify_path

T = TypeVar("T")
A = TypeVarTuple("A")

_TAIL_SECONDS: Final = 0.3
"""Between two looks at an open journal that someone follows."""

_SETTLED_SECONDS: Final = 2.0
"""A folder that changed less long ago is listed again: file times are coarser than a mkdir."""


class Index(Protocol):
    """The store's side (store.sessions.SessionIndex); synchronous."""

    def put(self, row: dict[str, Any], path: str, terms: Iterable[tuple[str, str]], overflow: bool) -> None:
        """Insert or replace one session with its search terms."""

    def finished(self) -> dict[str, str]:
        """Return id and path of every session that is not open."""

    def path(self, id: str) -> str | None:
        """Return where a session's folder is, relative to the recordings."""

    def search(self, wanted: dict[str, Any]) -> list[tuple[dict[str, Any], bool]]:
        """Return rows, newest first, each with whether its text must still be looked for in the journal."""

    def clear(self) -> None:
        """Forget everything."""


class Recordings:
    """Serves control's SessionsPort. `kill` ends an open session and says whether there was one."""

    def __init__(self, data: Path, index: Index, key: SigningKey, kill: Callable[[str, str], bool]) -> None:
        self._root = data / "recordings"
        self._data = data
        self._index = index
        self._key = key
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recordings")
        self._following: dict[str, tuple[Follower, Tally]] = {}
        self._listed: dict[str, int] = {}
        self._finished: set[str] | None = None
        self.kill = kill

    async def ls(self, filters: dict[str, str]) -> list[dict[str, Any]]:
        """List sessions, newest first. Raises ValueError naming a filter that is wrong."""
        wanted = parse_filters(filters)
        return await self._run(self.list_now, wanted)

    async def show(self, id: str) -> dict[str, Any] | None:
        """Return {session, events, more}; at most SHOW_EVENTS, `more` says that there are further ones."""
        return await self._run(self._show, id)

    def tail(self, id: str) -> AsyncIterator[bytes] | None:
        """Follow a session's events as JSON lines from its first until it is closed; None when there is none."""
        folder = self.folder(id)
        return None if folder is None else self._tail(folder)

    async def export(self, ids: list[str]) -> bytes | None:
        """Return an evidence bundle, None when one of the sessions does not exist."""
        return await self._run(self._export, ids)

    async def verify(self, id: str) -> dict[str, Any] | None:
        """Verify one session with this gateway's keys, None when there is none."""
        folder = self.folder(id)
        if folder is None:
            return None
        keys = sorted((self._data / "keys").glob("*.pub"))
        return (await self._run(verify_path, folder, keys)).as_json()

    def folder(self, id: str) -> Path | None:
        """Return a session's folder, None when there is none."""
        if not SESSION_ID.match(id):
            return None
        return next((day / id for day in self._days() if (day / id).is_dir()), None)

    def list_now(self, wanted: Filters) -> list[dict[str, Any]]:
        """Bring the index up to date and search it (in the thread)."""
        self.refresh()
        found = []
        for row, unsure in self._index.search(msgspec.structs.asdict(wanted)):
            if not unsure or self._contains(row["id"], wanted.text):
                found.append(row)
            if len(found) >= wanted.limit:
                break
        return found

    def rebuild(self) -> None:
        """Drop the index and make it again from the journals."""
        self._index.clear()
        self._finished, self._following, self._listed = None, {}, {}
        self.refresh()

    def refresh(self) -> None:
        """Read what was written since the last time: new sessions, and new events of those not finished."""
        if self._finished is None:
            self._finished = set(self._index.finished())
        for day in self._days():
            self._look_in(day)
        for id, (follower, tally) in list(self._following.items()):
            self._catch_up(id, follower, tally)

    def close(self) -> None:
        """Give the thread back."""
        self._thread.shutdown(wait=True)

    def _look_in(self, day: Path) -> None:
        changed = day.stat().st_mtime_ns
        if self._listed.get(day.name) == changed:
            return
        for folder in sorted(day.iterdir()):
            known = folder.name in self._following or folder.name in (self._finished or ())
            if not known and folder.is_dir() and not folder.is_symlink():
                self._following[folder.name] = (Follower(folder), Tally(folder.name))
        if time.time_ns() - changed > _SETTLED_SECONDS * 1e9:
            self._listed[day.name] = changed

    def _catch_up(self, id: str, follower: Follower, tally: Tally) -> None:
        closed = is_closed(follower.folder)  # asked before reading: nothing follows a summary
        count = 0
        try:
            for event in follower.read():
                tally.add(event)
                count += 1
        except Unavailable:
            closed = True  # damaged: shown as far as it could be read; `verify` says what is wrong
        if count or closed:
            path = str(follower.folder.relative_to(self._root))
            self._index.put(tally.row(closed), path, tally.terms, tally.overflow)
        if closed:
            del self._following[id]
            assert self._finished is not None
            self._finished.add(id)

    def _days(self) -> list[Path]:
        if not self._root.is_dir():
            return []
        days = (day for day in self._root.iterdir() if day.is_dir() and not day.is_symlink() and day.name != LOGINS)
        return sorted(days, reverse=True)

    def _show(self, id: str) -> dict[str, Any] | None:
        folder = self.folder(id)
        if folder is None:
            return None
        row, events = read_session(folder, SHOW_EVENTS + 1)
        return {"session": row, "events": events[:SHOW_EVENTS], "more": len(events) > SHOW_EVENTS}

    def _contains(self, id: str, text: str) -> bool:
        folder = self.folder(id)
        if folder is None:
            return False
        wanted = text.lower()
        try:
            return any(wanted in str(event.get("statement", "")).lower() for event in Follower(folder).read())
        except Unavailable:
            return False  # damaged behind what was looked at; `verify` says what is wrong

    def _export(self, ids: list[str]) -> bytes | None:
        folders = [self.folder(id) for id in dict.fromkeys(ids)]
        there = [folder for folder in folders if folder is not None]
        return bundle(self._data, there, self._key) if len(there) == len(folders) else None

    async def _tail(self, folder: Path) -> AsyncIterator[bytes]:
        follower, closed = Follower(folder), False
        while not closed:
            closed = is_closed(folder)
            lines = await self._run(lambda: b"".join(msgspec.json.encode(event) + b"\n" for event in follower.read()))
            if lines:
                yield lines
            elif not closed:
                await asyncio.sleep(_TAIL_SECONDS)

    async def _run(self, work: Callable[[*A], T], *arguments: *A) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
