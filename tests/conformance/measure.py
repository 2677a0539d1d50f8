"""How much memory this process takes."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Return the bytes of memory that this process holds (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@contextmanager
def memory_growth(limit: int) -> Iterator[Callable[[], None]]:
    """Fail when the process grew by more than a limit; the given function looks in between."""
    gc.collect()
    before = resident()

    def look() -> None:
        grown = resident() - before
        assert grown <= limit, f"the process grew by {grown / 1e6:.0f} MB"

    yield look
    look()
