"""Grouped syncs: nobody is answered before the bytes are durable, and few jobs serve many sessions."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import pytest

from checkrein.core.errors import Unavailable
from checkrein.recording.sync import SyncGroup

from .conftest import OPENED, Desk

P = ParamSpec("P")
R = TypeVar("R")


class Counting(ThreadPoolExecutor):
    """An executor that counts its jobs."""

    jobs = 0

    def submit(self, work: Callable[P, R], /, *arguments: P.args, **more: P.kwargs) -> Future[R]:
        self.jobs += 1
        return super().submit(work, *arguments, **more)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Descriptors in the order in which they were synced."""
    seen: list[int] = []
    real = os.fdatasync

    def sync(fd: int) -> None:
        real(fd)
        seen.append(fd)

    monkeypatch.setattr(os, "fdatasync", sync)
    return seen


def test_grouped(desk: Desk, synced: list[int]) -> None:
    """Fifty sessions that wait at once are served by a few jobs, each after its own file was synced."""

    async def run(pool: Counting) -> None:
        group = SyncGroup(pool)
        journals = [desk.start_once().open(f"s{number}", OPENED) for number in range(50)]
        await asyncio.gather(*(group.sync(journal) for journal in journals))
        assert len(synced) >= 50 and pool.jobs <= 2
        await group.close()

    with Counting(1) as pool:
        asyncio.run(run(pool))


def test_later_comes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that nobody waits for is synced by itself, once, through on_dirty."""

    async def run(pool: Executor) -> None:
        group, done, calls = SyncGroup(pool, delay=0.001), asyncio.Event(), []
        loop = asyncio.get_running_loop()

        def sync(fd: int) -> None:
            calls.append(fd)
            loop.call_soon_threadsafe(done.set)

        monkeypatch.setattr(os, "fdatasync", sync)
        journal = desk.start(on_dirty=group.later).open("s1", OPENED)
        journal.append("decided", {})
        journal.flush()
        assert journal.dirty
        await done.wait()
        await group.close()
        assert not journal.dirty and len(calls) == 1

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(run(pool))


def test_relaxed_does_not_wait(desk: Desk, synced: list[int]) -> None:
    """With durability: relaxed a sync returns at once, and closing the group still syncs."""

    async def run(pool: Executor) -> None:
        group = SyncGroup(pool, relaxed=True, delay=60)
        await group.sync(desk.start().open("s1", OPENED))
        assert synced == []
        await group.close()
        assert len(synced) == 1

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(run(pool))


def test_failure_reaches_its_own_waiter(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed sync raises for that session and not for the other in the same batch."""

    async def run(pool: Executor) -> None:
        group = SyncGroup(pool)
        journals = desk.start()
        one, two = journals.open("s1", OPENED), journals.open("s2", OPENED)
        real, bad = os.fdatasync, two._segment.fd

        def fails_for_two(fd: int) -> None:
            if fd == bad:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            real(fd)

        monkeypatch.setattr(os, "fdatasync", fails_for_two)
        results = await asyncio.gather(group.sync(one), group.sync(two), return_exceptions=True)
        assert results[0] is None and isinstance(results[1], Unavailable)
        await group.close()

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(run(pool))


def test_gone_executor_is_unavailable(desk: Desk) -> None:
    """A statement that waits while the gateway shuts down is refused, not let through."""

    async def run() -> None:
        pool = ThreadPoolExecutor(1)
        pool.shutdown()
        with pytest.raises(Unavailable):
            await SyncGroup(pool).sync(desk.start().open("s1", OPENED))

    asyncio.run(run())


def test_the_end_syncs_what_gathered_and_nothing_twice(desk: Desk, synced: list[int]) -> None:
    """Closing waits for what came while a batch ran; a closed journal is made durable by its own end alone."""

    async def run(pool: Counting) -> None:
        group = SyncGroup(pool, delay=60)
        first, second, over = (desk.start_once().open(name, OPENED) for name in ("s1", "s2", "s3"))
        over.close("done", {})
        waiting = asyncio.ensure_future(group.sync(first))
        for _ in range(2):  # until the batch of the first runs
            await asyncio.sleep(0)
        group.later(second)
        group.later(over)
        synced.clear()
        await group.close()
        await waiting
        assert len(synced) == 2 and not second.dirty

    with Counting(1) as pool:
        asyncio.run(run(pool))
