"""The page of attacks and the tests that answer them name one another."""

from __future__ import annotations

import re

from tests.docs.test_docs import ROOT

PAGE = (ROOT / "docs" / "attacks.md").read_text(encoding="utf-8")
TESTS = re.compile(r"^ *(?:async )?def (test_\w+)", re.MULTILINE)
NUMBERED = re.compile(r"^test_(pg_a|pg_b|ap|gw)_?(\d{1,2})_")


def names() -> set[str]:
    """Return the names of all tests of the repository."""
    files = (ROOT / "tests").rglob("test_*.py")
    return {found for path in files for found in TESTS.findall(path.read_text(encoding="utf-8"))}


def test_every_test_on_the_page_exists() -> None:
    """A row never names a test that is gone."""
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 50
    assert not named - names()


def test_every_numbered_attack_has_a_row() -> None:
    """A test that carries an attack's number finds that number on the page, with a test beside it."""
    rows = {line.split("|")[1].strip(): line for line in PAGE.splitlines() if line.startswith("| ")}
    for test in sorted(names()):
        if found := NUMBERED.match(test):
            kind, number = found[1].upper().replace("_", "-"), int(found[2])
            label = f"{kind}{number}" if kind.startswith("PG") else f"{kind}-{number}"
            assert label in rows and "`test_" in rows[label], f"{test}: {label}"
