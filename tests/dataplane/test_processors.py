"""How many processors the process may use: the kernel's own files, written by the test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from checkrein.app.processors import processors

ALLOWED = len(os.sched_getaffinity(0))


def told(folder: Path, **quotas: str) -> float:
    """Return what is made of a process in group /a/b, with these cpu.max: `root`, `a`, `b`."""
    folders = {"root": folder, "a": folder / "a", "b": folder / "a" / "b"}
    folders["b"].mkdir(parents=True)
    for name, text in quotas.items():
        (folders[name] / "cpu.max").write_text(text)
    own = folder / "cgroup"
    own.write_text("12:cpu:/elsewhere\n0::/a/b\n")
    return processors(own, folder)


@pytest.mark.parametrize(
    ("quotas", "wanted"),
    [
        ({}, ALLOWED),
        ({"b": "max 100000\n"}, ALLOWED),
        ({"b": "50000 100000\n"}, 0.5),
        ({"b": "max 100000\n", "a": "25000 100000\n"}, 0.25),
        ({"root": "10000 100000\n"}, 0.1),
        ({"b": "nonsense\n"}, ALLOWED),
        ({"b": "1 0\n"}, ALLOWED),
        ({"b": "99900000 100000\n"}, min(ALLOWED, 999)),
    ],
)
def test_the_least_quota_counts(tmp_path: Path, quotas: dict[str, str], wanted: float) -> None:
    """The group's own, or that of one above it; none where nothing is said."""
    assert told(tmp_path, **quotas) == wanted


def test_without_control_groups(tmp_path: Path) -> None:
    """The processors that the process may run on."""
    assert processors(tmp_path / "none", tmp_path) == ALLOWED
