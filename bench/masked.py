"""The masking of result rows by itself: CPU microseconds a row, without sockets, gate or database.

Rows are those of `bench.rows` (five columns, one masked, three read by ten detectors). Usage: python -m bench.masked
[--rows N] [--json FILE]; what is imported (compiled or pure) is what is measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import time
from pathlib import Path
from typing import Any

from checkrein.core.identity import Principal
from checkrein.core.maskplan import ColumnInfo, MaskPlan
from checkrein.core.statement import Origin
from checkrein.core.verdict import DetectDuty, MaskDuty, Obligations, Refusal
from checkrein.masking.plan import Masker
from checkrein.protocols.postgres import answers
from checkrein.protocols.postgres.messages import RowColumn

TEN = (
    "us_ssn",
    "iban",
    "email",
    "jwt",
    "private_key",
    "aws_key",
    "github_token",
    "slack_token",
    "stripe_key",
    "credit_card",
)
NAMES = ("id", "name", "card", "at", "note")
TYPES = (23, 25, 25, 1184, 25)
KINDS = ("integer", "text", "text", "timestamp", "text")
COLUMNS = tuple(RowColumn(name, 0, 0, oid, -1, -1, 0) for name, oid in zip(NAMES, TYPES, strict=True))
CHUNK = 256 * 1024
ROUNDS = 7


def row(number: int, note: bytes | None = None) -> bytes:
    """Return the DataRow of one row of `public.wide`; `note` stands instead of its last column."""
    cells = (
        b"%d" % number,
        b"customer %d" % number,
        b"%016d" % (4 * 10**15 + number * 7919),
        b"2026-01-%02d %02d:%02d:%02d.123456+00" % (1 + number % 28, number % 24, number % 60, number % 59),
        note if note is not None else b"order " + hashlib.md5(b"%d" % number).hexdigest().encode(),
    )
    body = b"".join(len(cell).to_bytes(4, "big") + cell for cell in cells)
    return b"D" + (len(body) + 6).to_bytes(4, "big") + b"\0\5" + body


def chunks(rows: list[bytes]) -> list[bytes]:
    """Join rows into what reads of a transport give."""
    out: list[bytes] = []
    held: list[bytes] = []
    size = 0
    for one in rows:
        held.append(one)
        size += len(one)
        if size >= CHUNK:
            out.append(b"".join(held))
            held, size = [], 0
    return [*out, b"".join(held)]


def plan(mask: bool, detect: bool) -> MaskPlan:
    """Return the plan of a result set with the duties of `bench.stage`."""
    duty = MaskDuty(strategy="partial", keep_last=4)
    owed = Obligations(
        columns={("public.wide", "card"): duty} if mask else {},
        detect=tuple(DetectDuty(detector=name, duty=MaskDuty(strategy="token")) for name in TEN) if detect else (),
    )
    infos = tuple(
        ColumnInfo(name=name, kind=kind, how="bare", origins=(Origin("public.wide", name),))
        for name, kind in zip(NAMES, KINDS, strict=True)
    )
    found = Masker(b"bench" * 8).plan(owed, Principal("bench", "local"), infos)
    assert found is not None and not isinstance(found, Refusal)
    return found


def measure(one: MaskPlan, parts: list[bytes], rows: int) -> float:
    """Return microseconds of CPU a row, the median of several rounds."""
    spent: list[float] = []
    for _ in range(ROUNDS):
        masker = answers.RowMasker(one, COLUMNS, {})
        begin = time.thread_time()
        for part in parts:
            masker.rewrite(part, 0, len(part))
        spent.append((time.thread_time() - begin) / rows * 1e6)
    return statistics.median(spent)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    numbers = range(500_000, 500_000 + options.rows)
    calm = chunks([row(number) for number in numbers])
    mails = chunks([row(number, b"write to u%d@example.org" % number) for number in numbers])
    repeated = chunks([row(500_000 + number % 1000) for number in numbers])
    figures: dict[str, Any] = {
        "compiled": not answers.__file__.endswith(".py"),
        "mask": measure(plan(True, False), calm, options.rows),
        "mask, values that repeat": measure(plan(True, False), repeated, options.rows),
        "mask and ten detectors": measure(plan(True, True), calm, options.rows),
        "one e-mail address a row": measure(plan(True, True), mails, options.rows),
    }
    for name, value in figures.items():
        print(f"{name:<28} {value if isinstance(value, bool) else f'{value:.3f} us a row'}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
