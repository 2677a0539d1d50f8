"""Rows under real masks and detectors, against one cell at a time: nothing that stage two would find is overlooked."""

from __future__ import annotations

import random

import pytest

from checkrein.core.errors import MaskError
from checkrein.core.maskplan import ColumnInfo, MaskPlan
from checkrein.core.stars import Partial
from checkrein.core.statement import Origin
from checkrein.core.verdict import MaskDuty, Obligations
from checkrein.masking.detectors import KNOWN
from checkrein.protocols.postgres.answers import RowMasker
from checkrein.protocols.postgres.copy_formats import CopyMasker
from checkrein.protocols.postgres.messages import RowColumn
from tests.corpus import labelled
from tests.masking.support import detects, planned, stage_two
from tests.protocols.postgres.wire import data_row, read_rows

OWES = ("mask", "scan", "nothing")
POSITIVES = [cell.encode() for name in KNOWN for cell in labelled.positives(name, 30, seed=3)]
NEGATIVES = [cell.encode() for kind in labelled.NEGATIVES for cell in labelled.negatives(kind, 30, seed=3)]
EDGES = [b"", b"x", b"4444", b"D", b"a@", b"\\", b'""', b"+4", b"219-09-", "é".encode(), b"4111111111111111\n"]
KEEP = Partial(0, 4)


def plan_for(owes: list[str]) -> MaskPlan:
    """Return a plan with every detector; masked columns are masked partially."""
    columns = {
        ("t", f"c{at}"): MaskDuty(strategy="partial", keep_last=4) for at, owed in enumerate(owes) if owed == "mask"
    }
    infos = tuple(
        ColumnInfo(
            name=f"c{at}",
            kind="text" if owed != "nothing" else "timestamp",
            how="bare",
            origins=(Origin("t", f"c{at}"),),
        )
        for at, owed in enumerate(owes)
    )
    return planned(Obligations(columns=columns, detect=detects(*KNOWN)), *infos)


def some_rows(dice: random.Random, owes: list[str]) -> list[list[bytes | None]]:
    """Return rows with values of every kind at random places among cells of every kind."""
    pools = (POSITIVES, NEGATIVES, NEGATIVES, NEGATIVES, EDGES)
    cells = [[dice.choice(dice.choice(pools)) for _ in owes] for _ in range(dice.randint(1, 25))]
    return [[None if dice.random() < 0.1 else cell for cell in row] for row in cells]


def expected(plan: MaskPlan, owes: list[str], row: list[bytes | None]) -> list[bytes | None]:
    """Return what stands instead, one cell at a time, with stage one having no say."""
    assert plan.scanner is not None
    out: list[bytes | None] = []
    for at, (owed, cell) in enumerate(zip(owes, row, strict=True)):
        if cell is None or owed == "nothing":
            out.append(cell)
        else:
            out.append(KEEP(cell) if owed == "mask" else stage_two(plan.scanner, cell, "text", f"c{at}"))
    return out


@pytest.mark.parametrize("seed", range(30))
def test_no_place_column_or_border_hides_a_value(seed: int) -> None:
    """Every cell of random rows, cut into random runs, comes back as it would alone."""
    dice = random.Random(seed)
    owes = [dice.choice(OWES) for _ in range(dice.randint(1, 5))] + ["scan"]
    plan = plan_for(owes)
    columns = tuple(RowColumn(f"c{at}", 0, 0, 25, -1, -1, dice.randint(0, 1)) for at in range(len(owes)))
    rows = some_rows(dice, owes)
    masker = RowMasker(plan, columns, {})
    out = b""
    while rows_left := rows[len(read_rows(out)) :]:
        run = b"".join(data_row(row) for row in rows_left[: dice.randint(1, 12)])
        out += masker.rewrite(b"4" + run + b"4", 1, 1 + len(run))
    assert read_rows(out) == [expected(plan, owes, row) for row in rows]
    masked = sum(cell is not None for row in rows for cell, owed in zip(row, owes, strict=True) if owed == "mask")
    assert sum(count for label, count in plan.counts.items() if label.startswith("t.")) == masked


@pytest.mark.parametrize("seed", range(10))
def test_copied_rows_hide_nothing_either(seed: int) -> None:
    """COPY in the binary format, whose cells stand as they are, gives the same cells."""
    dice = random.Random(seed)
    owes = [dice.choice(("mask", "scan")) for _ in range(dice.randint(1, 4))] + ["scan"]
    plan = plan_for(owes)
    columns = tuple(RowColumn(f"c{at}", 0, 0, 25, -1, -1, 0) for at in range(len(owes)))
    rows = some_rows(dice, owes)
    head = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    bodies = [data_row(row)[5:] for row in rows]
    frames = [head + bodies[0], *bodies[1:], b"\xff\xff"]
    data = b"".join(b"d" + (len(body) + 4).to_bytes(4, "big") + body for body in frames)
    masker = CopyMasker(plan, columns, {}, "binary", {})
    out = masker.rewrite(data, 0, len(data)) + masker.finish()
    wanted = [data_row(expected(plan, owes, row))[5:] for row in rows]
    frames = [head + wanted[0], *wanted[1:], b"\xff\xff"]
    assert out == b"".join(b"d" + (len(body) + 4).to_bytes(4, "big") + body for body in frames)


def test_integers_too_short_for_any_detector_are_not_read() -> None:
    """An int4 cell passes as it is even where its bytes would stop a reading; an int8 that is a card does not."""
    plan = planned(Obligations(detect=detects(*KNOWN)), *(ColumnInfo(name=name, kind="integer") for name in ("a", "b")))
    columns = (RowColumn("a", 0, 0, 23, 4, -1, 1), RowColumn("b", 0, 0, 20, 8, -1, 1))
    row = data_row([b"\0\0\0\1", (4111111111111111).to_bytes(8, "big")])
    out = read_rows(RowMasker(plan, columns, {}).rewrite(row, 0, len(row)))
    assert out[0][0] == b"\0\0\0\1" and out[0][1] != (4111111111111111).to_bytes(8, "big")


def test_integers_under_a_name_that_says_what_they_are_are_read() -> None:
    """Nine digits in an int4 column are a social security number where the column's name says so."""
    plan = planned(Obligations(detect=detects("us_ssn")), ColumnInfo(name="customer_ssn", kind="integer"))
    row = data_row([(219099999).to_bytes(4, "big")])
    masker = RowMasker(plan, (RowColumn("customer_ssn", 0, 0, 23, 4, -1, 1),), {})
    assert masker.rewrite(row, 0, len(row)) != row


def test_a_partial_mask_of_characters_that_are_not_ascii_changes_sizes() -> None:
    """Stars in place and cells of another size meet in one row, and its lengths are right."""
    plan = plan_for(["mask", "mask", "scan"])
    columns = tuple(RowColumn(f"c{at}", 0, 0, 25, -1, -1, 0) for at in range(3))
    rows: list[list[bytes | None]] = [
        [b"4111111111111111", "Ünïcödé straße".encode(), b"see 219-09-9999"],
        ["Ünïcödé".encode(), b"4111-1111-1111-1111", None],
        [b"", None, b""],
    ]
    data = b"".join(data_row(row) for row in rows)
    out = read_rows(RowMasker(plan, columns, {}).rewrite(data, 0, len(data)))
    assert out == [expected(plan, ["mask", "mask", "scan"], row) for row in rows]
    assert out[0][0] == b"************1111" and out[1][1] == b"****-****-****-1111"


@pytest.mark.parametrize("owed", ["mask", "scan"])
def test_bytes_behind_the_last_cell_do_not_pass(owed: str) -> None:
    """A row whose cells do not fill it ends the answer: what stands behind would reach the client unmasked."""
    plan = plan_for([owed, "scan"])
    columns = tuple(RowColumn(f"c{at}", 0, 0, 25, -1, -1, 0) for at in range(2))
    body = data_row([b"x", None])[5:] + b"4111111111111111"
    row = b"D" + (len(body) + 4).to_bytes(4, "big") + body
    with pytest.raises(MaskError):
        RowMasker(plan, columns, {}).rewrite(row, 0, len(row))
