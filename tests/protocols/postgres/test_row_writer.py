"""Runs of rows put together of old and new pieces."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from checkrein.core.limits import MASK_MEMO, MASK_MEMO_BYTES
from checkrein.protocols.postgres.row_writer import Memo, RowWriter, framed, pack32
from tests.protocols.postgres.wire import data_row, read_rows

CELL = st.binary(max_size=12)
CHANGE = st.sampled_from(["keep", "cover", "put", "null"])


@given(st.lists(st.lists(st.tuples(CELL, CHANGE, CELL), min_size=1, max_size=5), max_size=6), st.binary(max_size=3))
def test_what_is_written_is_what_was_asked_for(rows: list[list[tuple[bytes, str, bytes]]], before: bytes) -> None:
    """Any mixture of kept, covered and replaced cells, of any size, makes rows whose every length is right."""
    buffer = before + b"".join(data_row([cell for cell, _, _ in row]) for row in rows)
    writer = RowWriter(buffer, len(before))
    expected: list[Any] = []
    at = len(before)
    for row in rows:
        writer.row(at)
        cell = at + 7
        for old, change, new in row:
            after = cell + 4 + len(old)
            if change == "cover" and old:
                writer.cover(cell + 4, b"*" * len(old))
            elif change in ("put", "null"):
                writer.put(cell, after, framed(new if change == "put" else None))
            cell = after
        wanted = {"keep": lambda old, new: old, "cover": lambda old, new: b"*" * len(old), "put": lambda old, new: new}
        expected.append([wanted[change](old, new) if change in wanted else None for old, change, new in row])
        writer.close(cell)
        at = cell
    assert read_rows(writer.joined(at)) == expected


def test_sizes_of_any_magnitude_are_packed() -> None:
    """Small sizes come from a table, large ones are made."""
    for size in (0, 1, 255, 4095, 4096, 1 << 20, (1 << 31) - 1):
        assert pack32(size) == size.to_bytes(4, "big")


def test_a_memo_that_is_of_use_stays() -> None:
    """Values that come again are remembered, and go on being so after the memory was full."""
    memo = Memo()
    for number in range(3 * MASK_MEMO):
        value = b"%d" % (number // 2)
        if memo.get(value) is None:
            memo.keep(value, b"new" + value)
    assert memo.get(b"%d" % ((3 * MASK_MEMO - 1) // 2)) is not None


def test_a_memo_of_values_that_never_repeat_gives_up() -> None:
    """After as many values as fit none is remembered any more; long ones never are."""
    memo = Memo()
    memo.keep(b"x" * (MASK_MEMO_BYTES + 1), b"y")
    assert memo.get(b"x" * (MASK_MEMO_BYTES + 1)) is None
    for number in range(MASK_MEMO + 1):
        assert memo.get(b"%d" % number) is None
        memo.keep(b"%d" % number, b"new")
    memo.keep(b"again", b"new")
    assert memo.get(b"again") is None
