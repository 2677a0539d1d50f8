"""Recall and false alarms over the labelled corpus; bench/detectors.py prints the larger version."""

from __future__ import annotations

import pytest

from checkrein.masking.detectors import KNOWN
from tests.corpus import labelled
from tests.masking.support import rewritten, scanner

CELLS = 300


@pytest.mark.parametrize("name", KNOWN)
def test_recall(name: str) -> None:
    """At least 98 of 100 cells that hold a value of the kind come back without it, each hit by stage one."""
    scan = scanner(name)
    missed = [cell for cell in labelled.positives(name, CELLS, seed=7) if rewritten(scan, cell) == cell]
    assert len(missed) <= CELLS * 0.02, missed[:5]


@pytest.mark.parametrize("name", KNOWN)
def test_false_alarms(name: str) -> None:
    """At most one cell in 10,000 of order numbers, timestamps, UUIDs, hashes, prices and serials is touched."""
    scan = scanner(name)
    cells = [cell for kind in labelled.NEGATIVES for cell in labelled.negatives(kind, CELLS * 2, seed=7)]
    wrong = [cell for cell in cells if scan.hit(cell.encode()) and rewritten(scan, cell) != cell]
    assert len(wrong) <= len(cells) / 10_000, wrong[:5]


@pytest.mark.parametrize("name", KNOWN)
def test_stage_one_never_says_a_false_no(name: str) -> None:
    """Whatever stands beside a value on the wire, length prefixes that look like digits too, stage one hits it."""
    scan = scanner(name)
    for cell in labelled.positives(name, CELLS, seed=11):
        value = cell.encode()
        if scan.rewrite(value, "note", "text", {}) is value:
            continue
        for before, after in (
            (b"\x00\x00\x004", b"9\x00"),
            (b"4444", b"4444"),
            (b"abcAZ", b"Za-_"),
            (b"\xff\xe2\x80", b"\x80"),
        ):
            assert scan.hit(before + value + after), (cell, before)
