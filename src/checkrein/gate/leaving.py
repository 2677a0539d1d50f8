"""What leaves a session's gate, and when: behind the journal's write, and behind its fsync where that is owed (I6)."""

from __future__ import annotations

from typing import Final

from checkrein.core.decision import Decision
from checkrein.core.errors import Unavailable
from checkrein.core.side import Side
from checkrein.core.steps import Persist, Send, Step, Steps
from checkrein.gate.ports import SessionJournal

CLIENT: Final = Side.CLIENT
TARGET: Final = Side.TARGET


class Leaving:
    """Lets a session's output go: one write a side. `journal` is None before the login."""

    def __init__(self) -> None:
        self.journal: SessionJournal | None = None
        self._persist = False
        self._deferred = False
        self._waiting: list[bytes] | None = None

    def runs(self, decision: Decision, deferred: bool, settles: bool) -> None:
        """Note what runs now, and whether the journal must be durable before it: a write's effect may come later."""
        writes = decision.statement.writes
        if decision.approval or (writes and not deferred) or (settles and self._deferred):
            self._persist = True
            self._deferred = False
        elif deferred and writes:
            self._deferred = True

    def must_wait(self) -> bool:
        """Whether bytes for the target may not leave at once."""
        return self._persist or self._waiting is not None

    def written(self, out: list[bytes], back: list[bytes]) -> list[Step]:
        """Return what leaves now, the journal written. Raises Unavailable when it cannot be."""
        if self.journal is not None:
            self.journal.flush()
        sends: list[Step] = []
        if out:
            sends.append(_gathered(TARGET, out))
        if back:
            sends.append(_gathered(CLIENT, back))
        return sends

    def flush(self, out: list[bytes], back: list[bytes]) -> Steps[None]:
        """Journal, then forward. Writes and approved statements only once the journal is durable.

        What the other lane forwards meanwhile goes behind the bytes that wait: a target answers in the order of what it
        was sent, and answers are matched, masked and counted in the order of decisions.
        """
        if self.journal is not None:
            self.journal.flush()
        if out and self._waiting is not None:
            self._waiting += out
            out.clear()
        if out:
            if self._persist:
                yield from self._persisted(out)
            yield _gathered(TARGET, out)
        if back:
            yield _gathered(CLIENT, back)

    def _persisted(self, out: list[bytes]) -> Steps[None]:
        """Wait until the journal is durable; `out` may grow until then. Raises Unavailable when it cannot be."""
        self._waiting = out
        try:
            while self._persist:
                self._persist = False
                failed = yield Persist()
                if isinstance(failed, Unavailable):
                    raise failed
        finally:
            self._waiting = None


def _gathered(to: Side, pieces: list[bytes]) -> Send:
    """Return one Send of everything that was gathered for a side, and empty the list."""
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    pieces.clear()
    return Send(to, data)
