"""The killable worker: a real process that is given what hangs, dies, fails and eats memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from checkrein.adapters.worker import Worker
from checkrein.core.errors import Unavailable
from checkrein.core.limits import WORKER_BAR_SECONDS
from checkrein.core.steps import Offload

GOOD = Offload("builtins:len", "four")
HANGS = Offload("time:sleep", 600)
DIES = Offload("os:_exit", 3)
FAILS = Offload("builtins:int", "none")
EATS = Offload("builtins:bytearray", 1 << 40)

Test = Callable[[Worker, list[float]], Awaitable[None]]


def run(test: Test, seconds: float = 20.0) -> None:
    """Run a scene with a worker whose clock is the test's own, and stop it."""
    now = [100.0]
    worker = Worker(seconds, lambda: now[0])
    try:
        asyncio.run(asyncio.wait_for(test(worker, now), 100))
    finally:
        worker.stop()


def why(answer: Any) -> str:
    """Return what an answer says is wrong."""
    assert isinstance(answer, Unavailable), answer
    return str(answer)


def test_what_fails_is_told_and_bars_nobody() -> None:
    """A result, an exception and a call that wants too much memory: the same process serves on."""

    async def scene(worker: Worker, now: list[float]) -> None:
        assert await worker.offload(GOOD, "a") == 4
        assert "ValueError" in why(await worker.offload(FAILS, "a"))
        assert "MemoryError" in why(await worker.offload(EATS, "a"))
        assert await worker.offload(GOOD, "a") == 4

    run(scene)


def test_who_had_it_killed_waits_and_others_do_not() -> None:
    """A process that died is replaced; its caller is served again after WORKER_BAR_SECONDS, others at once."""

    async def scene(worker: Worker, now: list[float]) -> None:
        answers = await asyncio.gather(
            *[worker.offload(step, who) for step, who in ((DIES, "a"), (GOOD, "a"), (GOOD, "b"))]
        )
        assert "died" in why(answers[0]) and "had to be stopped" in why(answers[1]) and answers[2] == 4
        now[0] += WORKER_BAR_SECONDS - 1
        assert "had to be stopped" in why(await worker.offload(GOOD, "a"))
        now[0] += 2
        assert await worker.offload(GOOD, "a") == 4

    run(scene)


def test_what_hangs_is_killed() -> None:
    """After its time a call is answered Unavailable, and the next caller is served by a new process."""

    async def scene(worker: Worker, now: list[float]) -> None:
        assert "took longer" in why(await worker.offload(HANGS, "a"))
        worker._seconds = 20.0
        assert await worker.offload(GOOD, "b") == 4

    run(scene, 0.05)
