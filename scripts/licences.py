"""Refuses licences that may not come with the wheel or its extras: walks what `checkrein[all]` installs."""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

FORBIDDEN = re.compile(r"\b(A?GPL|LGPL|GNU|SSPL|BUSL)", re.IGNORECASE)
ACCEPTED = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla|Unlicense|PostgreSQL)", re.IGNORECASE
)
EXTRAS = ("all", "demo", "ssh")


def licence(found: Distribution) -> str:
    """Return what a distribution says of its licence: the expression, else classifiers, else the first line."""
    meta = found.metadata
    if meta.get("License-Expression"):
        return str(meta["License-Expression"])
    classifiers = [
        c.rsplit("::", 1)[-1].strip() for c in meta.get_all("Classifier") or [] if c.startswith("License ::")
    ]
    text = (meta.get("License") or "").strip().splitlines()
    return "; ".join(c for c in classifiers if c != "OSI Approved") or (text[0] if text else "")


def walk(name: str, extras: tuple[str, ...], seen: dict[str, str]) -> None:
    """Collect the licences of everything that `name` with `extras` installs here."""
    found = distribution(name)
    for line in found.requires or []:
        wanted = Requirement(line)
        marker = wanted.marker
        if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        key = wanted.name.lower().replace("_", "-")
        if key in seen:
            continue
        try:
            seen[key] = licence(distribution(wanted.name)) if key != "checkrein" else "MIT"
        except PackageNotFoundError:
            seen[key] = "not installed"
            continue
        walk(wanted.name, tuple(wanted.extras), seen)


def main() -> int:
    """Print what is refused or unknown; return the exit status."""
    seen: dict[str, str] = {}
    walk("checkrein", EXTRAS, seen)
    bad = {name: text for name, text in sorted(seen.items()) if FORBIDDEN.search(text) or not ACCEPTED.search(text)}
    for name, text in bad.items():
        print(f"{name}: licence {text or 'unknown'} is not accepted")
    print(f"{len(seen)} distributions, {len(bad)} not accepted")
    return 1 if bad or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
