"""The hot modules: those that every byte or statement passes, compiled by mypyc when the wheel is built.

The one list; `setup.py` compiles what it names and `checkrein version` looks whether it was. No import of the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

PATTERNS: Final = (
    "core/decision.py",
    "core/prompt.py",
    "core/statement.py",
    "core/framing.py",
    "core/stars.py",
    "dataplane/lanes.py",
    "dataplane/polling.py",
    "dataplane/relay.py",
    "dataplane/transports.py",
    "gate/*.py",
    "masking/*.py",
    "policy/names.py",
    "policy/rules.py",
    "policy/view.py",
    "policy/duties.py",
    "policy/engine.py",
    "policy/trace.py",
    "policy/reasons.py",
    "policy/snapshot.py",
    "protocols/sql/*.py",
    "protocols/*/*.py",
    "protocols/*/reading/kept.py",
    "recording/chain.py",
    "recording/journal.py",
    "recording/journals.py",
)
"""Paths below `checkrein/`; a star stands for a protocol's folder."""

_PURE: Final = "# not compiled:"
"""A module in the hot list's folders that says so near its head, with its reason, stays Python."""


def _compiles(path: Path) -> bool:
    """Whether a module may be compiled: no package face, no Struct (its options are lost on a compiled class)."""
    text = path.read_text(encoding="utf-8")
    return path.name != "__init__.py" and "msgspec.Struct" not in text and _PURE not in text


def hot_files() -> list[Path]:
    """Return the sources of the hot modules, sorted."""
    root = Path(__file__).parent
    return sorted({path for pattern in PATTERNS for path in root.glob(pattern) if _compiles(path)})


def hot_modules() -> list[str]:
    """Return their module names, sorted."""
    root = Path(__file__).parent.parent
    return [".".join(path.relative_to(root).with_suffix("").parts) for path in hot_files()]
