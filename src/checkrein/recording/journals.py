"""The folder of all recordings: makes journals, keeps the chain of refused logins, signs what a crash left."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import threading
import time
from concurrent.futures import wait
from pathlib import Path
from typing import Any, Final

from checkrein.core.errors import Unavailable
from checkrein.core.events import GAP, LOGIN_REFUSED
from checkrein.core.limits import LOGIN_REFUSALS_PER_SECOND, SIGNING_SECONDS
from checkrein.recording.files import private_folder
from checkrein.recording.journal import Journal, Tools
from checkrein.recording.recovery import recover_all

SESSION_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
LOGINS: Final = "logins"
_PRUNE: Final = 64
_BURST: Final = LOGIN_REFUSALS_PER_SECOND * 5


class Journals:
    """See gate.ports.Journals. One at a time owns a recordings folder, by a lock that dies with the process.

    Making it recovers what an earlier process left; `recovered` holds those sessions' ids. Raises Unavailable when the
    folder cannot be used or another gateway uses it.
    """

    def __init__(self, folder: Path, tools: Tools) -> None:
        self._folder = folder
        self._tools = tools
        self._open: dict[str, Journal] = {}
        self._prune_at = _PRUNE
        try:
            private_folder(folder)
            self._lock = _take_lock(folder / ".lock")
        except OSError as error:
            raise Unavailable(f"the recordings folder {folder} cannot be used: {error}") from error
        self.recovered = recover_all(folder, tools.key, tools.clock, tools.on_trouble)
        self._logins: Journal | None = None
        self._tokens = float(_BURST)
        self._refilled = tools.mono()
        self._dropped = 0
        self._login_lock = threading.Lock()

    def open(self, session: str, fields: dict[str, Any]) -> Journal:
        """Create a session's journal with its `opened` event. Raises Unavailable."""
        journal = self._make(self._folder / _day(self._tools.clock()), session, fields)
        if len(self._open) >= self._prune_at:
            self._open = {id: one for id, one in self._open.items() if one.finished is None or not one.finished.done()}
            self._prune_at = max(_PRUNE, 2 * len(self._open))
        self._open[session] = journal
        return journal

    def find(self, session: str) -> Journal | None:
        """Return the journal of a session of this process, None when there is none."""
        return self._open.get(session)

    def healthy(self) -> bool:
        """Whether new statements may be taken: False after a write failed, until one succeeds again."""
        return self._tools.health.ok

    def login_refused(self, fields: dict[str, Any]) -> None:
        """Append to the chain of refused logins, at most LOGIN_REFUSALS_PER_SECOND; the rest are counted in a gap.

        Never raises: the login is refused whether or not that could be written.
        """
        with self._login_lock:
            now = self._tools.mono()
            self._tokens = min(float(_BURST), self._tokens + (now - self._refilled) * LOGIN_REFUSALS_PER_SECOND)
            self._refilled = now
            if self._tokens < 1.0:
                self._dropped += 1
                return
            self._tokens -= 1.0
            try:
                self._write_refusal(fields)
            except Unavailable as error:
                self._dropped += 1
                self._tools.on_trouble(f"a refused login could not be recorded: {error}")

    def close(self, seconds: float = SIGNING_SECONDS) -> int:
        """Wait until every closed journal is signed, at most `seconds`, and close the chain of logins; then give the
        folder up. Return how many are left for the next start to sign.

        Sessions must have been closed before; one that was not is signed as crashed at the next start.
        """
        if self._logins is not None:
            self._logins.close("shutdown", {})
            self._open[LOGINS] = self._logins
        waiting = [one.finished for one in self._open.values() if one.finished is not None]
        _, late = wait(waiting, timeout=seconds)
        left = [one for one in late if one.cancel()]
        wait(waiting)  # those that run already
        os.close(self._lock)
        return len(left)

    def _make(self, parent: Path, session: str, fields: dict[str, Any], stem: str = "") -> Journal:
        if not SESSION_ID.match(session):
            raise Unavailable("a session id is letters, digits, - and _")
        try:
            private_folder(parent)
            (parent / session).mkdir(mode=0o700)
        except OSError as error:
            raise Unavailable(f"no journal can be made: {error.strerror}") from error
        try:
            return Journal(parent / session, session, self._tools, fields, stem)
        except Unavailable:
            shutil.rmtree(parent / session, ignore_errors=True)  # a session that never was
            raise

    def _write_refusal(self, fields: dict[str, Any]) -> None:
        if self._logins is None:
            run = f"{int(self._tools.clock() * 1000):d}-{os.getpid()}"
            self._logins = self._make(self._folder / LOGINS, run, {"what": "refused logins"}, LOGINS)
        if self._dropped:
            self._logins.append(GAP, {"lost": self._dropped, "why": "more refused logins than are recorded a second"})
        self._logins.append(LOGIN_REFUSED, fields)
        self._logins.flush()
        self._dropped = 0


def _day(now: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(now))


def _take_lock(path: Path) -> int:
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd
