"""Looking for input a moment longer before the loop sleeps: an answer that comes at once is not woken up for.

Waking a sleeping process takes longer than most of what it is woken for. So after bytes that were soon followed by
others before, the loop polls for up to POLL_SECONDS instead of sleeping, as hypervisors and schedulers do (Linux
kernel documentation, "Guest halt polling"). It stops by itself where nothing comes soon: idle sessions cost nothing;
and where several sessions are busy at once: then the loop rarely sleeps, and others need the processor.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from checkrein.core.limits import POLL_SECONDS
from checkrein.core.side import Side

CLIENT: Final = Side.CLIENT

SOON_SECONDS: Final = 2 * POLL_SECONDS
"""Bytes that come within this of the ones before, which took a part of it to be dealt with, came soon."""


class Polling:
    """One process's polling. `on` False: it never polls. Everything is called on the loop's thread.

    What a side did last is what is expected of it: an agent that thinks between its statements is not polled for, the
    server that answers it at once is; where two sessions take turns, neither is. `looks` counts the turns of the loop
    that were polled.
    """

    def __init__(self, on: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.on = on
        self.looks = 0
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking = False
        self._who: object = None
        self._last = 0.0
        self._until = 0.0
        self._soon_client = False
        self._soon_target = False

    def arrived(self, side: Side, who: object) -> None:
        """Bytes of a side of the session `who` were dealt with."""
        if not self.on:
            return
        now = self._clock()
        if who is not self._who:
            self._who = who
            self._last = now
            self._until = 0.0
            return
        soon = now - self._last <= SOON_SECONDS
        self._last = now
        if side is CLIENT:
            self._soon_client = soon
            expected = self._soon_target
        else:
            self._soon_target = soon
            expected = self._soon_client
        if not expected:
            self._until = 0.0
            return
        self._until = now + POLL_SECONDS
        if not self._looking:
            self._looking = True
            self._again()

    def _look(self) -> None:
        """The loop has looked once more."""
        self.looks += 1
        if self._clock() < self._until:
            self._again()
        else:
            self._looking = False

    def _again(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._look)
