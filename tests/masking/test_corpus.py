"""Recall and false alarms over the labelled corpus; `scripts/bench --only detectors` prints the larger version."""

from __future__ import annotations

import json
import random

import pytest

from bench import detectors as benchmark
from checkrein.masking.detectors import KNOWN
from tests.corpus import labelled
from tests.masking.support import rewritten, scanner, stage_two

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


def pieces(cell: bytes) -> bytes:
    """Bytes that make up other cells of a row, from the bytes of one: none of them holds a finding by design."""
    return cell[: len(cell) // 2]


@pytest.mark.parametrize("name", KNOWN)
def test_stage_one_never_says_a_false_no(name: str) -> None:
    """A cell in which stage two finds something is pointed at wherever it stands among other cells of any bytes."""
    dice = random.Random(f"places {name}")
    scan = scanner(name)
    cells = [cell.encode() for cell in labelled.positives(name, CELLS, seed=11)]
    found = [cell for cell in cells if stage_two(scan, cell) is not cell]
    calm = [cell.encode() for kind in labelled.NEGATIVES for cell in labelled.negatives(kind, 20, seed=11)]
    edges = [b"", b"4444", b"abcAZ", b"\xff\xe2\x80", b"9\x00", b"\\", b"-", b"D", b"a@", b"+4", *map(pieces, found)]
    for _ in range(40):
        some = dice.choices(found, k=dice.randint(1, 4)) + dice.choices(calm + edges, k=dice.randint(0, 30))
        dice.shuffle(some)
        chunk = b"\n".join(some)
        places = scan.places(chunk)
        assert places is None or places == sorted(places)
        start = 0
        for cell in some:
            stop = start + len(cell)
            if stage_two(scan, cell) is not cell:
                assert scan.hit(chunk)
                assert places is None or any(start < place <= stop for place in places), cell
            start = stop + 1


ESCAPED = (
    '{"a":"\\bVALUE"}',
    '{"a":"x\\fVALUE"}',
    '{"a":"\\u00e9VALUE"}',
    '{"a":"\\ud83d\\ude00VALUE"}',
    '{"a":"\\u0001VALUE\\u0001"}',
    '{"a":"[\\"x\\\\tVALUE\\"]"}',
    '"VALUE\\u0020"',
    '[2,"éVALUEé"]',
)


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("frame", ESCAPED)
def test_escapes_beside_a_value_hide_no_border(name: str, frame: str) -> None:
    """JSON escapes that end in a letter or digit are borders: what stage two finds behind them, stage one hits."""
    scan = scanner(name)
    for value in labelled.positives(name, 60, seed=5):
        cell = frame.replace("VALUE", json.dumps(value, ensure_ascii=False)[1:-1]).encode()
        if stage_two(scan, cell, "json") != cell:
            assert scan.places(cell) != [] and scan.hit(cell), cell
            assert scan.rewrite(cell, "c", "json", {}) != cell, cell


def test_the_benchmark_prints_every_detector(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table over a small corpus, with the figures that are returned."""
    monkeypatch.setattr(benchmark, "speed", lambda: {"stage_one_ten_mb_s": 1.0})
    figures = benchmark.run(cells=20)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[1:]] == [*KNOWN, "stage_one_ten_mb_s"]
    assert figures["detectors"].keys() == set(KNOWN) and all(
        one["recall"] == 1 for one in figures["detectors"].values()
    )
