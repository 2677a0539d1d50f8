"""Durability in the background: fsyncs of many journals, grouped, in one thread job at a time."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from checkrein.core.errors import Unavailable
from checkrein.core.limits import SYNC_SECONDS
from checkrein.recording.journal import Journal


class SyncGroup:
    """Groups fsyncs across sessions: while one batch runs in the thread, the next one gathers.

    `sync` is waited for before an effect (asked statements, writes); `later` is what Tools.on_dirty calls and promises
    an fsync within SYNC_SECONDS. With `relaxed` (durability: relaxed) `sync` only promises that too. Everything here is
    called on the loop's thread.
    """

    def __init__(self, executor: Executor, relaxed: bool = False, delay: float = SYNC_SECONDS) -> None:
        self._executor = executor
        self._relaxed = relaxed
        self._delay = delay
        self._waiting: dict[Journal, asyncio.Future[None] | None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._batch: asyncio.Task[None] | None = None
        self._closed = False

    async def sync(self, journal: Journal) -> None:
        """Return when everything that this journal has flushed is durable. Raises Unavailable."""
        if self._relaxed:
            self.later(journal)
            return
        future = self._waiting.get(journal)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._waiting[journal] = future
        self._kick()
        await asyncio.shield(future)

    def later(self, journal: Journal) -> None:
        """See to an fsync of this journal within SYNC_SECONDS; after `close` a journal's own end does that."""
        if self._closed:
            return
        self._waiting.setdefault(journal, None)
        if self._timer is None and self._batch is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # closing at shutdown, in a thread: the closing job itself makes it durable
                return
            self._timer = loop.call_later(self._delay, self._kick)

    async def close(self) -> None:
        """Sync what is still waiting, then return; journals that are closed already are made durable by their end."""
        self._closed = True
        self._waiting = {
            journal: future
            for journal, future in self._waiting.items()
            if future is not None or journal.finished is None
        }
        self._kick()
        while self._batch is not None:
            await asyncio.wait([self._batch])
            await asyncio.sleep(0)

    def _kick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._batch is None and self._waiting:
            self._batch = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        batch, self._waiting = self._waiting, {}
        for journal in batch:
            journal.dirty = False
        try:
            failed = await asyncio.get_running_loop().run_in_executor(self._executor, _sync_all, tuple(batch))
        except RuntimeError as error:  # the executor is shut down
            failed = dict.fromkeys(batch, Unavailable(f"the journal cannot be synced: {error}"))
        for journal, future in batch.items():
            if future is None or future.done():
                continue
            if journal in failed:
                future.set_exception(failed[journal])
                future.exception()  # the waiter may be gone: then nobody is to be warned
            else:
                future.set_result(None)
        self._batch = None
        self._follow_up()

    def _follow_up(self) -> None:
        """Start what gathered meanwhile: at once when someone waits for it or at the end, else after the delay."""
        if self._closed or any(future is not None for future in self._waiting.values()):
            self._kick()
        elif self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._kick)


def _sync_all(journals: tuple[Journal, ...]) -> dict[Journal, Unavailable]:
    failed: dict[Journal, Unavailable] = {}
    for journal in journals:
        try:
            journal.sync()
        except Unavailable as error:
            failed[journal] = error
    return failed
