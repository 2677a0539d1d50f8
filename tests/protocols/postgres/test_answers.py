"""Rows under a mask plan, with cells as the real server encodes them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkrein.core.errors import MaskError, ProtocolError
from checkrein.core.framing import frame, run_of
from checkrein.core.maskplan import ColumnPlan, MaskPlan
from checkrein.core.side import Side
from checkrein.protocols.postgres.answers import RowMasker, parse_row_description, sample_rows
from checkrein.protocols.postgres.messages import RowColumn
from tests.protocols.postgres.wire import DATA, Numbers, cells, data_row, read_rows, types_of
from tests.support.postgres import Database

CARD = "4111111111111111"
TEXT = RowColumn("t", 0, 0, 25, -1, -1, 0)


def last4(value: bytes) -> bytes | None:
    return b"***" + value[-4:]


def gone(value: bytes) -> bytes | None:
    return None


MASK = ColumnPlan(mask=last4, label="t.c", strategy="partial")
SCAN = ColumnPlan(scan=True, label="t.s")


def masked(columns: tuple[RowColumn, ...], rows: list[list[bytes | None]], plan: MaskPlan, types: Any = None) -> Any:
    data = b"".join(data_row(row) for row in rows)
    out = RowMasker(plan, columns, types or {}).rewrite(b"??" + data + b"!", 2, 2 + len(data))
    count, end = run_of(out, 0, DATA, 1 << 30, Side.TARGET)
    assert (count, end) == (len(rows), len(out))
    return read_rows(out)


CELL = st.none() | st.binary(max_size=30)


@given(st.integers(1, 5).flatmap(lambda n: st.tuples(
    st.lists(st.sampled_from([None, last4, gone]), min_size=n, max_size=n),
    st.lists(st.lists(CELL, min_size=n, max_size=n), max_size=8),
)))  # fmt: skip
def test_every_mask_on_every_row_equals_the_plain_definition(case: Any) -> None:
    """For any rows and masks: masked cells are the function's value, NULL stays NULL, all others are untouched."""
    masks, rows = case
    plan = MaskPlan(tuple(None if one is None else ColumnPlan(mask=one, label="x") for one in masks), None)
    columns = (TEXT,) * len(masks)
    expected = [
        [cell if mask is None or cell is None else mask(cell) for mask, cell in zip(masks, row, strict=True)]
        for row in rows
    ]
    assert masked(columns, rows, plan) == expected
    touched = sum(cell is not None for row in rows for mask, cell in zip(masks, row, strict=True) if mask)
    assert plan.counts.get("x", 0) == touched


@pytest.mark.parametrize("length", [48, 57, 65, 90, 97, 122])
@pytest.mark.parametrize("last", [True, False])
def test_a_value_is_found_beside_size_and_type_bytes_that_are_letters(length: int, last: bool) -> None:
    """A size byte that is a digit, or the D of the next row, does not hide a card from a word boundary (stage one)."""
    value = CARD.encode().ljust(length, b" ") if not last else CARD.encode().rjust(length, b" ")
    rows: list[list[bytes | None]] = [[value], [b"x"]]
    out = masked((TEXT,), rows, MaskPlan((SCAN,), Numbers()))
    assert CARD.encode() not in out[0][0] and out[1] == [b"x"]


def test_only_cells_that_stage_one_points_at_are_read() -> None:
    """Stage two sees no cell but those in which stage one may have seen something."""
    scanner = Numbers()
    rows: list[list[bytes | None]] = [[b"calm", b"a"], [b"still", CARD.encode()], [None, b"b"]]
    out = masked((TEXT, TEXT), rows, MaskPlan((SCAN, SCAN), scanner))
    assert out == [[b"calm", b"a"], [b"still", b"[card]"], [None, b"b"]]
    assert {value for value, _ in scanner.read} == {CARD.encode()}


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f"'{CARD}'::text", "***1111"),
        (f"'{CARD}'::varchar", "***1111"),
        (f"'{CARD}'::char(16)", "***1111"),
        (f"'{CARD}'::name", "***1111"),
        (f"'{CARD}'::d", "***1111"),
        (f"'{CARD}'::citext", "***1111"),
        ("'abcdef'::e", "***cdef"),
        (f"{CARD}::int8", None),
        (f"{CARD}::numeric", None),
        ("true", None),
        ("'2024-01-02'::date", None),
        ("now()", None),
        ("'10.0.0.1'::inet", None),
        ("gen_random_uuid()", None),
        (f"to_jsonb('{CARD}'::text)", None),
        (f"'{CARD}'::bytea", None),
        (f"ARRAY['{CARD}', NULL, 'a,\"b']", '{***1111,NULL,"***a,\\"b"}'),
        (f"ARRAY[ARRAY['{CARD}'],ARRAY['x y']]", '{{***1111},{"***x y"}}'),
        (f"ARRAY[{CARD},1]", "{NULL,NULL}"),
        (f"ROW('{CARD}',1)", None),
        (f"ROW(1,'{CARD}')::c", None),
        (f"ARRAY[ROW(1,'{CARD}')::c]", "{NULL}"),
        (f'\'"k"=>"{CARD}"\'::hstore', None),
    ],
)
def test_a_column_mask_meets_every_type_in_both_formats(
    database: Database, binary: bool, expression: str, expected: str | None
) -> None:
    """PG-B6, PG-B19: the masked text where the type holds it, else NULL; the server encodes it the same."""
    database.run(
        "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE DOMAIN d AS text; CREATE TYPE e AS ENUM ('abcdef');"
        "CREATE TYPE c AS (x int, y text)"
    )
    columns, rows = cells(database, f"SELECT {expression}", binary)
    out = masked(columns, rows, MaskPlan((MASK,), None), types_of(database))
    if "hstore" in expression and not binary:  # a text form of no known shape is masked as one text
        expected = '***11"'
        out[0][0] = out[0][0][:3] + out[0][0][-3:]
    if expected is not None and binary and "ARRAY" in expression:
        _, wanted = cells(
            database, f"SELECT $q${expected}$q$::{'int8[]' if '1,1' in expected else _array(columns)}", True
        )
        assert out == wanted
    else:
        assert out == [[None if expected is None else expected.encode()]]


def _array(columns: tuple[RowColumn, ...]) -> str:
    return {1009: "text[]", 1016: "int8[]"}.get(columns[0].type_oid, "c[]")


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(
    "expression",
    [
        f"'see {CARD} there'::text",
        f"'see {CARD} there'::citext",
        f"'{CARD}'::int8",
        f"'{CARD}'::numeric",
        f"jsonb_build_object('a', '{CARD}')",
        f"json_build_object('a', '{CARD}')",
        f"'{CARD}'::bytea",
        f"ARRAY['x', 'a \"{CARD}\" b', NULL]",
        f"ARRAY[{CARD}, 5]",
        f"ROW(1, '{CARD}', ARRAY['y {CARD}'])",
        f"ROW('\\x{CARD.encode().hex()}'::bytea, 2)",
        f"ARRAY[ROW(7, 'q\" {CARD}')::c]",
        f"ROW(ROW(ROW('{CARD}', 1), 2), 3)",
        f'\'"k"=>"{CARD}"\'::hstore',
        f"'{CARD}'::tsvector",
        f"ARRAY[['{CARD}'::bytea]]",
        f"('[0:1]={{a,{CARD}}}')::text[]",
    ],
)
def test_detectors_read_whatever_holds_text_in_both_formats(database: Database, binary: bool, expression: str) -> None:
    """PG-B18, PG-B19: no form or nesting hides a card; what comes out is a value that can still be taken apart."""
    database.run("CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE TYPE c AS (x int, y text)")
    columns, rows = cells(database, f"SELECT {expression}, 5", binary)
    out = masked(columns, rows, MaskPlan((SCAN, None), Numbers()), types_of(database))
    cell = out[0][0] or b""
    raw = rows[0][0]
    assert cell != raw
    for hidden in (
        CARD.encode(),
        CARD.encode().hex().encode(),
        int(CARD).to_bytes(8, "big"),
        b"\x10\x0f\x04\x57\x04\x57",
    ):
        assert hidden not in cell
    if b"[card]" in cell and not binary and "tsvector" not in expression and "hstore" not in expression:
        kind = database.rows(f"SELECT pg_typeof({expression})::text")[0][0]
        if kind != "record":
            database.rows(f"SELECT $q${cell.decode()}$q$::{kind}")


def test_latin1_values_are_masked_as_characters() -> None:
    """With client_encoding LATIN1 a mask sees UTF-8 and its answer goes out as LATIN1."""
    seen: list[bytes] = []

    def mask(value: bytes) -> bytes:
        seen.append(value)
        return "é€".encode()

    row = data_row(["ü".encode("latin-1")])
    masker = RowMasker(MaskPlan((ColumnPlan(mask=mask),), None), (TEXT,), {}, "LATIN1")
    assert read_rows(masker.rewrite(row, 0, len(row))) == [["é?".encode("latin-1")]]
    assert seen == ["ü".encode()]


@pytest.mark.parametrize(
    "broken",
    [
        frame(b"D", b"\0\2" + b"\0\0\0\1a"),
        frame(b"D", b"\0\1" + b"\0\0\0\5a"),
        frame(b"D", b"\0\1" + b"\x80\0\0\0a"),
        frame(b"D", b"\0\1"),
        frame(b"D", b""),
        frame(b"C", b"\0\1" + b"\0\0\0\1a"),
        frame(b"D", b"\0\1\0\0\0\1a")[:-1],
    ],
)
@pytest.mark.parametrize("duty", [MASK, SCAN])
def test_a_row_that_cannot_be_reframed_is_an_error(broken: bytes, duty: ColumnPlan) -> None:
    """I5: a hostile row (wrong number of cells, cell beyond its row, no row at all) never passes unmasked."""
    with pytest.raises(MaskError):
        RowMasker(MaskPlan((duty,), Numbers()), (TEXT,), {}).rewrite(broken, 0, len(broken))


def test_a_mask_that_fails_is_an_error_without_the_value() -> None:
    """I5, I8: an exception in a mask becomes MaskError, and its text does not hold the cell."""

    def fails(value: bytes) -> bytes:
        raise RuntimeError(value.decode())

    row = data_row([b"secret"])
    with pytest.raises(MaskError) as caught:
        RowMasker(MaskPlan((ColumnPlan(mask=fails),), None), (TEXT,), {}).rewrite(row, 0, len(row))
    assert "secret" not in str(caught.value) and caught.value.__context__ is None


def test_a_binary_array_that_is_cut_is_an_error() -> None:
    """A malformed value under a duty ends in MaskError, not in its bytes."""
    row = data_row([b"\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\1\0\0\0\1\0\0\0\x09abc"])
    column = RowColumn("a", 0, 0, 1009, -1, -1, 1)
    with pytest.raises(MaskError):
        RowMasker(MaskPlan((MASK,), None), (column,), {}).rewrite(row, 0, len(row))


@given(st.binary(max_size=60))
def test_a_row_description_is_read_strictly(payload: bytes) -> None:
    """Any bytes give columns whose fields make up the payload exactly, or a ProtocolError."""
    try:
        columns = parse_row_description(payload)
    except ProtocolError:
        return
    assert len(payload) == 2 + sum(19 + size for size in _name_sizes(payload, len(columns)))


def _name_sizes(payload: bytes, count: int) -> list[int]:
    sizes: list[int] = []
    at = 2
    for _ in range(count):
        sizes.append(payload.index(b"\0", at) - at)
        at += sizes[-1] + 19
    return sizes


def test_samples_show_what_the_client_got(database: Database) -> None:
    """Rows in both formats as texts, NULL as None, unknown binary types as hex, within the size."""
    for binary in (False, True):
        columns, rows = cells(database, "SELECT 1, 'ab', NULL, '1 day'::interval FROM generate_series(1, 9)", binary)
        data = b"".join(data_row(row) for row in rows)
        shown = sample_rows(data, columns, {}, 5, 2048)
        assert len(shown) == 5
        assert shown[0][:3] == ("1", "ab", None)
        assert shown[0][3] == ("\\x" + (rows[0][3] or b"").hex() if binary else "1 day")
        assert len(sample_rows(data, columns, {}, 5, 10)) < 5
