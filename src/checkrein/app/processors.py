"""How much of the machine's processors this process may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")


def processors(own: Path = Path("/proc/self/cgroup"), root: Path = CGROUPS) -> float:
    """Return the number of processors this process may keep busy: those it may run on, or its cgroups' quota if less.

    `own` and `root` are where Linux tells of control groups, version 2 (kernel documentation, "Control Group v2",
    cpu.max); where they tell nothing there is no quota.
    """
    try:
        allowed = float(len(os.sched_getaffinity(0)))
    except AttributeError:  # not Linux
        allowed = float(os.cpu_count() or 1)
    return min([allowed, *_quotas(own, root)])


def _quotas(own: Path, root: Path) -> list[float]:
    """Return the quotas of this process's group and of those above it."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found: list[float] = []
    for line in lines:
        if line.startswith("0::/"):
            group = Path(line[4:])
            found += [_quota(root / above / "cpu.max") for above in (group, *group.parents)]
    return found


def _quota(path: Path) -> float:
    try:
        quota, period = path.read_text(encoding="utf-8").split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        return float("inf")
