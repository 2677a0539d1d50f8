"""The killable worker: a process that runs pure functions which could crash or hang this one.

One call at a time; a call over its time, or a dead process, is killed and answered Unavailable. The worker is given no
secrets and limits its own memory.
"""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Final

from checkrein.core.errors import Unavailable
from checkrein.core.limits import STATEMENT_WORKER_SECONDS, WORKER_BAR_SECONDS, WORKER_MEMORY_BYTES
from checkrein.core.steps import Offload

_BARRED: Final = 1024
"""So many callers barred at once are kept; then those whose time is over are forgotten."""


class Worker:
    """A worker process, started when first needed and again after a kill.

    Who had it killed is served again after WORKER_BAR_SECONDS: nobody keeps it from the others.
    """

    def __init__(self, seconds: float = STATEMENT_WORKER_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._barred: dict[str, float] = {}  # until when; the thread's alone
        self._context = multiprocessing.get_context("spawn")
        self._process: Any = None
        self._connection: Connection | None = None
        self._thread = ThreadPoolExecutor(1, "checkrein-worker")

    async def offload(self, step: Offload, who: str) -> Any | Unavailable:
        """Run `step.function` on `step.argument` for a caller, one call after the other."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._call, step, who)

    def _call(self, step: Offload, who: str) -> Any | Unavailable:
        if self._clock() < self._barred.get(who, 0.0):
            return Unavailable(f"an earlier one had to be stopped less than {WORKER_BAR_SECONDS:g} s ago")
        try:
            connection = self._started()
            connection.send((step.function, step.argument))
            if not connection.poll(self._seconds):
                self._bar(who)
                return Unavailable(f"reading took longer than {self._seconds:g} s")
            done, result = connection.recv()
        except (OSError, EOFError):
            self._bar(who)
            return Unavailable("the worker died while reading")
        return result if done else Unavailable(str(result))

    def _bar(self, who: str) -> None:
        """Kill the process for what a caller had it do."""
        self._kill()
        now = self._clock()
        if len(self._barred) >= _BARRED:
            self._barred = {name: until for name, until in self._barred.items() if until > now}
        self._barred[who] = now + WORKER_BAR_SECONDS

    def _started(self) -> Connection:
        if self._process is None or not self._process.is_alive() or self._connection is None:
            self._kill()
            ours, theirs = self._context.Pipe()
            self._process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
            self._connection = ours
        return self._connection

    def _kill(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def stop(self) -> None:
        """Kill the process and wait for the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._kill()


def _serve(connection: Connection) -> None:
    """Run in the worker: answer (done, result) for each (function, argument)."""
    resource.setrlimit(resource.RLIMIT_AS, (WORKER_MEMORY_BYTES, WORKER_MEMORY_BYTES))
    while True:
        try:
            name, argument = connection.recv()
        except EOFError:
            return
        try:
            answer = (True, _function(name)(argument))
        except Exception as error:  # noqa: BLE001 - every failure of a pure function is an answer
            answer = (False, f"{type(error).__name__}: {error}"[:200])
        connection.send(answer)


def _function(name: str) -> Callable[[Any], Any]:
    module, _, attribute = name.partition(":")
    found: Callable[[Any], Any] = getattr(importlib.import_module(module), attribute)
    return found
