"""The killable worker: a process that runs pure functions which could crash or hang this one.

One call at a time; a call over its time, or a dead process, is killed and answered Unavailable. The worker is given no
secrets and limits its own memory.
"""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Final

from checkrein.core.errors import Unavailable
from checkrein.core.limits import STATEMENT_WORKER_SECONDS
from checkrein.core.steps import Offload

WORKER_MEMORY_BYTES: Final = 1024**3
"""Address space of the worker: a parse that wants more is killed, not the machine."""


class Worker:
    """A worker process, started when first needed and again after a kill."""

    def __init__(self, seconds: float = STATEMENT_WORKER_SECONDS) -> None:
        self._seconds = seconds
        self._context = multiprocessing.get_context("spawn")
        self._process: Any = None
        self._connection: Connection | None = None
        self._thread = ThreadPoolExecutor(1, "checkrein-worker")

    async def offload(self, step: Offload) -> Any | Unavailable:
        """Run `step.function` on `step.argument`; queueing counts towards the time limit of the caller behind it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._call, step)

    def _call(self, step: Offload) -> Any | Unavailable:
        try:
            connection = self._started()
            connection.send((step.function, step.argument))
            if not connection.poll(self._seconds):
                self._kill()
                return Unavailable(f"reading took longer than {self._seconds:g} s")
            done, result = connection.recv()
        except (OSError, EOFError):
            self._kill()
            return Unavailable("the worker died while reading")
        return result if done else Unavailable(str(result))

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
