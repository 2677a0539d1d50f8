"""Refuses what must not stand in a tracked file: machine paths, registry addresses, large files; wants fragments."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home/[a-z]+)/|/tmp/[a-z]+/venv")
REGISTRY = re.compile(
    r"\b(?:files\.pythonhosted|pypi|registry\.npmjs|proxy\.golang|repo1?\.maven|crates)\.(?:org|io)\b"
)
MOST_BYTES = 2_000_000
KINDS = ("added", "changed", "deprecated", "removed", "fixed", "security")


def tracked() -> list[Path]:
    """Return every tracked file that is there."""
    out = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in out.decode().split("\0") if name and (path := ROOT / name).is_file()]


def problems_of(path: Path) -> list[str]:
    """Return what is wrong in one file."""
    name = path.relative_to(ROOT)
    raw = path.read_bytes()
    if len(raw) > MOST_BYTES:
        return [f"{name}: larger than {MOST_BYTES} bytes"]
    found: list[str] = []
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        for what, pattern in (("a path of one machine", MACHINE), ("the address of a registry", REGISTRY)):
            if pattern.search(line) and path != Path(__file__):
                found.append(f"{name}:{number}: {what}: {line.strip()[:100]}")
    return found


def fragment_problems() -> list[str]:
    """Return what is wrong with the change fragments: at least one, each `kind: sentence`."""
    fragments = [path for path in sorted((ROOT / "changes").glob("*.md")) if path.name != "README.md"]
    if not fragments:
        return ["changes/: no change fragment"]
    return [
        f"changes/{path.name}: begins with one of {', '.join(KINDS)} and a colon"
        for path in fragments
        if path.read_text(encoding="utf-8").partition(":")[0] not in KINDS
    ]


def main() -> int:
    """Print every problem; return the exit status."""
    found = [problem for path in tracked() for problem in problems_of(path)] + fragment_problems()
    print("\n".join(found) or "tracked files are clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
