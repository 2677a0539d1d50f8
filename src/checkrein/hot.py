"""The hot modules: those that every byte or statement passes, compiled by mypyc when the wheel is built.

The one list; `setup.py` compiles what it names and `checkrein version` looks whether it was. No import of the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

PATTERNS: Final = (
    "core/framing.py",
    "protocols/*/codec.py",
    "protocols/*/answers.py",
    "recording/chain.py",
)
"""Paths below `checkrein/`; a star stands for a protocol's folder."""


def hot_files() -> list[Path]:
    """Return the sources of the hot modules, sorted."""
    root = Path(__file__).parent
    return sorted(path for pattern in PATTERNS for path in root.glob(pattern))


def hot_modules() -> list[str]:
    """Return their module names, sorted."""
    root = Path(__file__).parent.parent
    return [".".join(path.relative_to(root).with_suffix("").parts) for path in hot_files()]
