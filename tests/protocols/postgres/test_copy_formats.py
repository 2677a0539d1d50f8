"""COPY TO STDOUT of the real server under a mask plan."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkrein.core.errors import MaskError
from checkrein.core.framing import frame
from checkrein.core.limits import COPY_REMAINDER
from checkrein.core.maskplan import ColumnPlan, MaskPlan
from checkrein.protocols.postgres.copy_formats import CopyMasker
from checkrein.protocols.postgres.messages import RowColumn
from tests.protocols.postgres.wire import Numbers
from tests.support.postgres import Database

CARD = "4111111111111111"
INT, TEXT = RowColumn("id", 0, 0, 23, 4, -1, 0), RowColumn("t", 0, 0, 25, -1, -1, 0)
AWKWARD = ["plain", "", "\\N", "a\tb|c,d", "q\"u'o", "back\\slash", "line\nfeed\r", "ü€", "\\.", f"see {CARD} x", None]

FORMS: list[tuple[str, dict[str, str], str]] = [
    ("text", {}, "FORMAT text"),
    ("text", {"delimiter": "|", "null": "nil", "header": "true"}, "FORMAT text, DELIMITER '|', NULL 'nil', HEADER"),
    ("csv", {}, "FORMAT csv"),
    ("csv", {"header": "on", "delimiter": ";"}, "FORMAT csv, HEADER, DELIMITER ';'"),
    ("csv", {"quote": "'", "escape": "\\", "null": "x"}, "FORMAT csv, QUOTE '''', ESCAPE '\\', NULL 'x'"),
    ("binary", {}, "FORMAT binary"),
]


def copied(database: Database, table: str, options: str) -> list[bytes]:
    """The payloads of the server's CopyData messages."""
    with (
        database.connect() as connection,
        connection.cursor().copy(f"COPY {table} TO STDOUT (ENCODING 'UTF8', {options})".encode()) as copy,
    ):
        return [bytes(chunk) for chunk in copy]


def restored(database: Database, options: str, data: bytes, types: str = "(id int, t text)") -> list[tuple[Any, ...]]:
    """What the real server reads from a COPY answer."""
    with database.connect() as connection:
        connection.execute(f"CREATE TEMP TABLE back {types}".encode())
        with connection.cursor().copy(f"COPY back FROM STDIN (ENCODING 'UTF8', {options})".encode()) as copy:
            copy.write(data)
        return connection.execute("SELECT * FROM back").fetchall()


def payloads(frames: bytes) -> list[bytes]:
    found = []
    while frames:
        size = int.from_bytes(frames[1:5], "big") + 1
        assert frames[:1] == b"d" and size <= len(frames)
        found.append(frames[5:size])
        frames = frames[size:]
    return found


def run(masker: CopyMasker, chunks: list[bytes]) -> list[bytes]:
    data = b"".join(frame(b"d", chunk) for chunk in chunks)
    return payloads(masker.rewrite(b"x" + data, 1, 1 + len(data)) + masker.finish())


def filled(database: Database, rows: list[str | None]) -> None:
    database.run("CREATE TABLE t (id int, t text)")
    with database.connect() as connection:
        connection.cursor().executemany("INSERT INTO t VALUES (%s, %s)", list(enumerate(rows)))


def reverse(value: bytes) -> bytes | None:
    return None if value == b"plain" else ('"\\\t|,;\n' + value.decode()[::-1]).encode()


@pytest.mark.parametrize(("form", "options", "sql"), FORMS)
def test_a_masked_copy_is_what_the_server_reads_back(
    database: Database, form: str, options: dict[str, str], sql: str
) -> None:
    """PG-B5: in every format the server restores masked values, NULLs and untouched columns from our output."""
    filled(database, AWKWARD)
    plan = MaskPlan((None, ColumnPlan(mask=reverse, label="t.t")), None)
    masker = CopyMasker(plan, (INT, TEXT), {}, form, options)
    out = run(masker, copied(database, "t", sql))
    expected = []
    for at, value in enumerate(AWKWARD):
        new = None if value is None else reverse(value.encode())
        expected.append((at, None if new is None else new.decode()))
    assert restored(database, sql, b"".join(out)) == expected
    assert masker.rows == len(AWKWARD) and plan.counts == {"t.t": len(AWKWARD) - 1}


@pytest.mark.parametrize(("form", "options", "sql"), FORMS)
def test_a_scanned_copy_changes_only_what_was_found(
    database: Database, form: str, options: dict[str, str], sql: str
) -> None:
    """Rows without a finding are byte for byte the server's; headers and frames stand as there."""
    filled(database, AWKWARD)
    theirs = copied(database, "t", sql)
    plan = MaskPlan((None, ColumnPlan(scan=True, label="t")), Numbers())
    ours = run(CopyMasker(plan, (INT, TEXT), {}, form, options), theirs)
    assert len(ours) == len(theirs)
    differing = [(a, b) for a, b in zip(theirs, ours, strict=True) if a != b]
    assert len(differing) == 1 and CARD.encode() in differing[0][0] and CARD.encode() not in differing[0][1]
    assert plan.counts == {"card": 1}


@pytest.mark.parametrize(("form", "options", "sql"), FORMS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 30), min_size=1, max_size=60))
def test_rows_may_be_cut_anywhere(
    form: str, options: dict[str, str], sql: str, stream: dict[str, bytes], cuts: list[int]
) -> None:
    """PG-B20: however the stream is cut into CopyData frames and reads, what comes out is the same."""
    data = stream[sql]
    plan = MaskPlan((None, ColumnPlan(mask=reverse, label="t")), None)
    whole = b"".join(run(CopyMasker(plan, (INT, TEXT), {}, form, options), [data]))
    masker = CopyMasker(plan, (INT, TEXT), {}, form, options)
    out = b""
    at = 0
    for size in [*cuts, len(data)]:
        piece = frame(b"d", data[at : at + size])
        out += b"".join(payloads(masker.rewrite(piece, 0, len(piece))))
        at += size
    assert out + b"".join(payloads(masker.finish())) == whole


@pytest.fixture(scope="module")
def stream(postgres: Any) -> dict[str, bytes]:
    """One table's COPY in every format."""
    database = postgres.create_database()
    filled(database, AWKWARD)
    found = {sql: b"".join(copied(database, "t", sql)) for _, _, sql in FORMS}
    database.drop()
    return found


def test_binary_types_are_masked_by_their_text_and_arrays_are_refused(database: Database) -> None:
    """A value that the type cannot hold is NULL; a masked array in COPY BINARY is a native error (MaskError)."""
    database.run(f"CREATE TABLE b (id int8, t text[]); INSERT INTO b VALUES ({CARD}, ARRAY['{CARD}'])")
    columns = (RowColumn("id", 0, 0, 20, 8, -1, 0), RowColumn("t", 0, 0, 1009, -1, -1, 0))
    mask = ColumnPlan(mask=reverse, label="x")
    plan = MaskPlan((mask, ColumnPlan(scan=True)), Numbers())
    out = run(CopyMasker(plan, columns, {}, "binary", {}), copied(database, "b", "FORMAT binary"))
    assert restored(database, "FORMAT binary", b"".join(out), "(id int8, t text[])") == [(None, ["[card]"])]
    with pytest.raises(MaskError):
        CopyMasker(MaskPlan((None, mask), None), columns, {}, "binary", {})


def test_an_empty_copy_keeps_its_header(database: Database) -> None:
    """Signature and trailer of an empty binary COPY, and a csv header alone, pass."""
    database.run("CREATE TABLE t (id int, t text)")
    for form, options, sql in FORMS:
        plan = MaskPlan((None, ColumnPlan(mask=reverse)), None)
        theirs = copied(database, "t", sql)
        assert b"".join(run(CopyMasker(plan, (INT, TEXT), {}, form, options), theirs)) == b"".join(theirs)


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("text", b"1\n"),
        ("text", b"1\ta\tb\n"),
        ("text", b"1\ta"),
        ("text", b"1\ta\\\n"),
        ("csv", b'1,"a\n'),
        ("binary", b"PGCOPY\n\xff\r\n\0" + b"\0\1\0\0" + bytes(4) + b"\xff\xff"),
        ("binary", b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\0\1\xff\xff\xff\xff"),
        ("binary", b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\xff\xff\0\2"),
        ("binary", b"x" * 30),
    ],
)
def test_a_stream_that_cannot_be_read_is_an_error(form: str, data: bytes) -> None:
    """I5: cut rows, other numbers of columns, unknown flags, bytes behind the trailer."""
    plan = MaskPlan((None, ColumnPlan(mask=reverse)), None)
    with pytest.raises(MaskError):
        run(CopyMasker(plan, (INT, TEXT), {}, form, {}), [data])


def test_a_row_without_end_meets_a_limit() -> None:
    """I9: what is kept of a row is bounded."""
    masker = CopyMasker(MaskPlan((None, ColumnPlan(mask=reverse)), None), (INT, TEXT), {}, "text", {})
    data = frame(b"d", b"x" * (COPY_REMAINDER + 1))
    with pytest.raises(MaskError):
        masker.rewrite(data, 0, len(data))
