"""The page of attacks and the tests that answer them name one another by the attacks' numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.test_docs import ROOT

PAGE = (ROOT / "docs" / "attacks.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (PG-A|PG-B|AP|GW)-?(\d+) \| .* \| (.*) \|$", re.MULTILINE)
TEST = re.compile(r"^ *(?:async )?def (test_\w+)", re.MULTILINE)
NAMED = re.compile(r"(?<=_)(pg_a|pg_b|ap|gw)_?(\d{1,2})(?=_| |$)")
TOLD = re.compile(r"\b(PG-A|PG-B|AP|GW)-?(\d{1,2})\b")

ROWS = {(kind, int(number)): re.findall(r"\(\.\./([^)]+)\)", cell) for kind, number, cell in ROW.findall(PAGE)}


def named(path: Path) -> set[tuple[str, int]]:
    """Return the attacks that stand in names of a file's tests."""
    tests = " ".join(TEST.findall(path.read_text(encoding="utf-8")))
    return {(kind.upper().replace("_", "-"), int(number)) for kind, number in NAMED.findall(tests)}


def numbers(path: Path) -> set[tuple[str, int]]:
    """Return the attacks that a file of tests says it answers."""
    text = path.read_text(encoding="utf-8")
    return named(path) | {(kind, int(number)) for kind, number in TOLD.findall(text)}


@pytest.mark.parametrize("attack", ROWS, ids=str)
def test_the_files_of_a_row_answer_it(attack: tuple[str, int]) -> None:
    """Every file that a row names has a test that carries the attack's number."""
    for name in ROWS[attack]:
        assert attack in numbers(ROOT / name), f"{attack}: {name}"


def test_every_numbered_attack_has_a_row() -> None:
    """A test named after an attack finds it on the page, with a file beside it."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for attack in sorted(named(path)):
            assert ROWS.get(attack), f"{path.name}: {attack}"
    assert len(ROWS) == 152
