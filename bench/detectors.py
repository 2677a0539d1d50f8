"""Recall and false alarms of every detector over the labelled corpus, and the speed of both stages."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from checkrein.core.identity import Principal
from checkrein.core.maskplan import ColumnInfo, Scanner
from checkrein.core.verdict import DetectDuty, MaskDuty, Obligations, Refusal
from checkrein.masking.detectors import KNOWN
from checkrein.masking.plan import Masker
from tests.corpus import labelled

TEN = ("credit_card", "us_ssn", "iban", "email", "phone", "ip_address", "jwt", "private_key", "aws_key", "github_token")


def scanner(*names: str) -> Scanner:
    """Return a scanner for the named detectors, all as tokens."""
    detect = tuple(DetectDuty(detector=name, duty=MaskDuty(strategy="token")) for name in names)
    plan = Masker(b"bench" * 8).plan(
        Obligations(detect=detect), Principal("bench", "local"), (ColumnInfo(name="note"),)
    )
    assert plan is not None and not isinstance(plan, Refusal) and plan.scanner is not None
    return plan.scanner


def found(scan: Scanner, cell: str) -> bool:
    """Say whether both stages agree that a cell holds something."""
    value = cell.encode()
    return scan.hit(value) and scan.rewrite(value, "note", "text", {}) is not value


def measure(cells: int) -> dict[str, Any]:
    """Return, by detector, recall over its positives and false alarms over all negatives."""
    quiet = {name: list(labelled.negatives(name, cells)) for name in labelled.NEGATIVES}
    total = sum(map(len, quiet.values()))
    out: dict[str, Any] = {}
    for name in KNOWN:
        scan = scanner(name)
        positives = list(labelled.positives(name, cells))
        hits = sum(found(scan, cell) for cell in positives)
        alarms = {kind: sum(found(scan, cell) for cell in some) for kind, some in quiet.items()}
        out[name] = {
            "recall": hits / len(positives),
            "false_alarms": sum(alarms.values()),
            "cells": total,
            "per_10000": 10_000 * sum(alarms.values()) / total,
            "where": {kind: count for kind, count in alarms.items() if count},
        }
    return out


ROW = (
    b"D\x00\x00\x00\x5d\x00\x05\x00\x00\x00\x06%06d\x00\x00\x00\x10%s\x00\x00\x00\x13%s"
    b"\x00\x00\x00\x06%03d.%02d\x00\x00\x00\x0bsome words."
)


def rows(count: int) -> bytes:
    """Return DataRow messages of five columns with nothing to find in them."""
    return b"".join(
        ROW
        % (
            place,
            hashlib.sha512(b"%d" % place).hexdigest()[:16].encode(),
            b"2024-01-01 12:34:56",
            place % 1000,
            place % 100,
        )
        for place in range(count)
    )


def speed() -> dict[str, float]:
    """Return megabytes a second of stage one with ten detectors and with all, and microseconds for 200 bytes."""
    data = rows(200_000)
    chunks = [data[place : place + 262_144] for place in range(0, len(data), 262_144)]
    out: dict[str, float] = {}
    for label, names in (("ten", TEN), ("all", KNOWN)):
        scan = scanner(*names)
        best = 0.0
        for _ in range(5):
            begin = time.process_time()
            hits = sum(scan.hit(chunk) for chunk in chunks)
            best = max(best, len(data) / (time.process_time() - begin) / 1e6)
        out[f"stage_one_{label}_mb_s"] = round(best, 1)
        out[f"stage_one_{label}_chunks_hit"] = hits / len(chunks)
        small = data[:200]
        spent = []
        for _ in range(5):
            begin = time.process_time()
            for _ in range(20_000):
                scan.hit(small)
            spent.append((time.process_time() - begin) / 20_000 * 1e6)
        out[f"hit_200_bytes_{label}_us"] = round(min(spent), 2)
    return out


def run(cells: int = 2000) -> dict[str, Any]:
    """Measure over so many cells per detector and per class of negatives, print the table and return the figures."""
    figures = measure(cells)
    print(f"{'detector':<14} {'recall':>7} {'false cells':>12} {'per 10,000':>11}  where")
    for name, row in figures.items():
        print(
            f"{name:<14} {row['recall']:>7.4f} {row['false_alarms']:>12} {row['per_10000']:>11.2f}"
            f"  {row['where'] or ''}"
        )
    timing = speed()
    for name, value in timing.items():
        print(f"{name:<32} {value:>9}")
    return {"detectors": figures, "speed": timing}
