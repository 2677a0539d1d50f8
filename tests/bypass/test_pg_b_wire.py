"""PG-B: masked columns asked for by every way of the protocol: formats, portals, cursors, COPY, split reads."""

from __future__ import annotations

import itertools
import time

import psycopg
import pytest

from tests.bypass.attack import FLUSH, SYNC, describe, execute, extended, parse, query
from tests.bypass.leak import NUMBER, SSN, Leaks, bind_as, leaked

WHO = ("bot", "reader")


def test_pg_b05_copy_of_a_table(leaks: Leaks) -> None:
    """COPY TO STDOUT masks in each format, with every option, for all or some columns."""
    forms = ("", " (FORMAT csv)", " (FORMAT binary)", " WITH BINARY", " CSV", " WITH CSV HEADER FORCE QUOTE *")
    forms += (" (FORMAT csv, DELIMITER ';', QUOTE '|', ESCAPE '/', NULL 'none', HEADER)", " (DELIMITER ',', NULL 'x')")
    forms += (" (FORMAT csv, FORCE_QUOTE (ssn))", " DELIMITERS ':'", " (ENCODING 'UTF8')", " (FORMAT csv, NULL '5')")
    for form in forms:
        with_word = f" WITH{form}" if form.startswith(" (") else form
        leaks.must_not_show(
            f"COPY likes TO STDOUT{with_word}",
            f"COPY people (id, ssn) TO STDOUT{with_word.replace('HEADER', '')}",
            f"COPY people (ssn) TO STDOUT{with_word}",
            f"COPY parts_1 (ssn, id) TO STDOUT{with_word}",
            f"COPY family TO STDOUT{with_word.replace('(ssn)', '*')}",
        )
    with leaks.connect() as connection:
        with connection.cursor().copy("COPY people (id, ssn, gone) TO STDOUT") as copy:
            first, *_ = copy.rows()
            assert first == ("1", "***-**-8264", None)
        with connection.cursor().copy("COPY people (id, ssn) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            first, *_ = copy.rows()
            assert first == (1, "***-**-8264")


def test_pg_b05_copy_of_a_query(leaks: Leaks) -> None:
    """The query inside COPY is read and described like any other."""
    for form in ("", " (FORMAT csv)", " (FORMAT binary)"):
        leaks.must_not_show(
            f"COPY (SELECT ssn FROM people) TO STDOUT{form}",
            f"COPY (SELECT * FROM people) TO STDOUT{form}",
            f"COPY (TABLE people_view) TO STDOUT{form}",
            f"COPY (SELECT ssn || '' FROM people) TO STDOUT{form}",
            f"COPY (SELECT p FROM people p) TO STDOUT{form}",
            f"COPY (SELECT row_to_json(p) FROM people p) TO STDOUT{form}",
            f"COPY (SELECT again FROM people_twice UNION ALL SELECT ssn FROM people) TO STDOUT{form}",
            f"COPY (SELECT max(ssn) FROM people) TO STDOUT{form}",
            f"COPY (SELECT arr, comp, raw, doc, num, hashed FROM people) TO STDOUT{form}",
            f"COPY (UPDATE people SET name = 'x' WHERE id = 1 RETURNING ssn) TO STDOUT{form}",
            f"COPY (WITH w AS (SELECT ssn FROM people) SELECT * FROM w) TO STDOUT{form}",
            f"COPY people_view TO STDOUT{form}",
            f"COPY (SELECT * FROM people_copy) TO STDOUT{form}",
            f"COPY people_copy TO STDOUT{form}",
            f"COPY parts TO STDOUT{form}",
        )
    leaks.must_refuse("COPY people TO '/tmp/stolen'", "COPY people TO PROGRAM 'cat > /tmp/stolen'")
    for text in (
        "COPY (SELECT ssn FROM people) TO STDOUT (ENCODING 'SJIS')",
        "COPY people (ssn) TO STDOUT (ENCODING 'EUC_JP')",
        "COPY people (ssn) TO STDOUT ENCODING 'UTF16'",
    ):
        assert all("E58000" in words and "d" not in words.split() for words, _ in leaks.answers(text))


@pytest.mark.parametrize("block", [False, True])
def test_pg_b05_copy_of_a_query_in_the_extended_protocol(leaks: Leaks, block: bool) -> None:
    """COPY as Parse, Bind, Execute is masked too; what is wrong in it is told, and the session lives."""
    with leaks.raw() as raw:
        if block:
            raw.ask(query(b"BEGIN"))
        end = "ZT" if block else "ZI"
        text = b"COPY (SELECT id, ssn, gone FROM people ORDER BY id) TO STDOUT"
        words = raw.ask(parse(b"", text) + bind_as() + execute() + SYNC).split()
        assert words[:3] == ["1", "2", "H"] and words[-3:] == ["c", "C", end] and set(words[3:-3]) == {"d"}, words
        assert b"1\t***-**-8264\t\\N\n" in raw.seen and not leaked(raw.seen)
        assert (
            raw.ask(parse(b"", b"COPY (SELECT ssn FROM nowhere) TO STDOUT") + bind_as() + execute() + SYNC)[:1] == "E"
        )
        if block:
            raw.ask(query(b"ROLLBACK"))
        assert raw.ask(parse(b"", b"SELECT 1") + bind_as() + execute() + SYNC) == "1 2 D C ZI"
    leaks.nothing_kept()


def test_pg_b05_copy_in_several_statements(leaks: Leaks) -> None:
    """A COPY beside other statements of one Query is masked or refused whole."""
    leaks.must_not_show(
        "COPY people (ssn) TO STDOUT; SELECT 1",
        "SELECT 1; COPY people (ssn) TO STDOUT",
        "COPY numbers TO STDOUT; COPY people TO STDOUT (FORMAT binary)",
        "SELECT ssn FROM people; COPY (SELECT ssn FROM people) TO STDOUT; TABLE people",
    )


def test_pg_b06_binary(leaks: Leaks) -> None:
    """Binary results are masked as text results are, column by column."""
    columns = ("ssn", "dom", "arr", "comp", "comps", "raw", "doc", "doc_j", "num", "hashed", "gone")
    with leaks.raw() as raw:
        for column in columns:
            text = f"SELECT id, {column} FROM people ORDER BY id".encode()
            for forms in ((), (0,), (1,), (0, 1), (1, 0), (1, 1)):
                words = raw.ask(parse(b"", text) + bind_as(results=forms) + describe(b"P") + execute() + SYNC)
                assert words == "1 2 T D C ZI", (column, forms, words, raw.last_error)
                assert not leaked(raw.seen), (column, forms)
    with leaks.connect() as connection:
        cursor = connection.cursor(binary=True)
        assert cursor.execute("SELECT ssn, num FROM people WHERE id = 1").fetchone() == ("***-**-8264", None)
    leaks.nothing_kept()


def test_pg_b06_declared_binary(leaks: Leaks) -> None:
    """A binary cursor answers binary rows to a simple Query."""
    with leaks.raw() as raw:
        raw.ask(query(b"BEGIN"))
        raw.ask(query(b"DECLARE c BINARY CURSOR FOR SELECT ssn, num, doc FROM people ORDER BY id"))
        raw.ask(query(b"FETCH ALL FROM c"))
        assert not leaked(raw.seen)
        assert NUMBER.to_bytes(8, "big") not in raw.seen


@pytest.mark.parametrize("who", WHO)
def test_pg_b07_execute_without_describe(leaks: Leaks, who: str) -> None:
    """Who never asks for a description gets masked rows all the same."""
    text = b"SELECT id, ssn, num, doc FROM people ORDER BY id"
    with leaks.raw(who) as raw:
        assert raw.ask(parse(b"", text) + bind_as() + execute() + SYNC) == "1 2 D C ZI"
        assert raw.ask(parse(b"", text) + bind_as(results=(1,)) + execute() + SYNC) == "1 2 D C ZI"
        assert raw.ask(parse(b"", text) + SYNC) == "1 ZI"
        assert raw.ask(bind_as(results=(0, 1, 1, 0)) + execute() + SYNC) == "2 D C ZI"
        assert raw.ask(bind_as() + execute() + bind_as(results=(1,)) + execute() + SYNC) == "2 D C 2 D C ZI"
        both = parse(b"", text) + bind_as() + execute() + parse(b"", b"SELECT ssn FROM people") + bind_as() + execute()
        assert raw.ask(both + SYNC) == "1 2 D C 1 2 D C ZI"
        assert b"8264" in raw.seen
        assert not leaked(raw.seen)
    leaks.nothing_kept()


def test_pg_b07_execute_without_describe_of_a_write(leaks: Leaks) -> None:
    """So does RETURNING, and an EXECUTE, a FETCH or a SHOW in the place of a statement."""
    texts = (
        b"UPDATE people SET name = name WHERE id = 1 RETURNING ssn, num",
        b"WITH w AS (UPDATE people SET name = name WHERE id = 1 RETURNING ssn) SELECT * FROM w",
        b"EXECUTE named",
        b"FETCH ALL FROM c",
        b"FETCH BACKWARD ALL FROM c",
        b"EXPLAIN ANALYZE VERBOSE SELECT ssn FROM people",
    )
    with leaks.raw() as raw:
        raw.ask(query(b"PREPARE named AS SELECT ssn, num FROM people"))
        raw.ask(query(b"BEGIN"))
        raw.ask(query(b"DECLARE c SCROLL CURSOR FOR SELECT ssn, num FROM people"))
        for text in texts:
            raw.ask(query(b"SAVEPOINT s"))
            raw.ask(parse(b"", text) + bind_as() + execute() + SYNC)
            raw.ask(query(b"ROLLBACK TO s"))
            raw.ask(parse(b"", text) + bind_as(results=(1,)) + execute() + SYNC)
            raw.ask(query(b"ROLLBACK TO s"))
        assert not leaked(raw.seen)
    leaks.nothing_kept()


@pytest.mark.parametrize("who", WHO)
def test_pg_b08_cursors(leaks: Leaks, who: str) -> None:
    """A cursor answers what its query would: masked, in every direction, held or not."""
    queries = (
        b"SELECT ssn, num FROM people",
        b"SELECT * FROM people_twice",
        b"SELECT ssn || '' FROM people",
        b"SELECT p FROM people p",
        b"SELECT ssn FROM people FOR UPDATE",
        b"WITH w AS (SELECT ssn FROM people) SELECT * FROM w",
        b"TABLE people",
    )
    kinds = (b"CURSOR", b"SCROLL CURSOR", b"CURSOR WITH HOLD", b"BINARY CURSOR", b"INSENSITIVE CURSOR")
    fetches = (b"FETCH 2 FROM c", b"FETCH c", b"FETCH ALL c", b"FETCH PRIOR c", b"FETCH ABSOLUTE 1 c", b"MOVE FIRST c")
    with leaks.raw(who) as raw:
        for kind, text in itertools.product(kinds, queries):
            raw.ask(query(b"BEGIN"))
            raw.ask(query(b"DECLARE c " + kind + b" FOR " + text))
            for one in fetches:
                raw.ask(query(b"SAVEPOINT s"))
                raw.ask(query(one))
                raw.ask(query(b"ROLLBACK TO s"))
            raw.ask(query(b"UPDATE people SET name = 'x' WHERE CURRENT OF c RETURNING ssn, num"))
            raw.ask(query(b"ROLLBACK"))
            raw.ask(query(b"CLOSE ALL"))
            assert not leaked(raw.seen), (kind, text)
        raw.ask(query(b"DECLARE h CURSOR WITH HOLD FOR SELECT ssn FROM people ORDER BY id"))
        raw.ask(query(b"FETCH 1 FROM h"))
        assert b"***-**-8264" in raw.seen
        assert not leaked(raw.seen)
    leaks.nothing_kept()


def test_pg_b08_cursor_names(leaks: Leaks) -> None:
    """What a name stands for may change: portals, cursors and prepared statements of one name, closed and made anew."""
    masked, clear = b"SELECT ssn FROM people", b"SELECT name FROM people"
    with leaks.raw() as raw:
        for steps in (
            (b"DECLARE c CURSOR FOR " + clear, b"CLOSE c", b"DECLARE c CURSOR FOR " + masked, b"FETCH ALL c"),
            (b"DECLARE c CURSOR FOR " + clear + b"; CLOSE c; DECLARE c CURSOR FOR " + masked + b"; FETCH ALL c",),
            (b'DECLARE "C" CURSOR FOR ' + clear, b"DECLARE c CURSOR FOR " + masked, b"FETCH ALL C", b'FETCH ALL "C"'),
            (b"SAVEPOINT a", b"DECLARE c CURSOR FOR " + clear, b"ROLLBACK TO a", b"DECLARE c CURSOR FOR " + masked,
             b"FETCH ALL c"),
            (b"DECLARE c CURSOR FOR " + masked, b"SAVEPOINT a", b"CLOSE c", b"DECLARE c CURSOR FOR " + clear,
             b"ROLLBACK TO a", b"FETCH ALL c"),
            (b"SELECT * FROM cursor_to_xml('c', 10, true, true, '')",),
            (b"DECLARE c CURSOR FOR " + masked, b"SELECT * FROM cursor_to_xml('c', 10, true, true, '')"),
            (b"DECLARE c CURSOR FOR " + masked, b"SELECT * FROM pg_cursors"),
        ):  # fmt: skip
            raw.ask(query(b"BEGIN"))
            for step in steps:
                raw.ask(query(step))
            raw.ask(query(b"ROLLBACK"))
            assert not leaked(raw.seen), steps
        raw.ask(query(b"BEGIN"))
        raw.ask(parse(b"", masked) + bind_as(portal=b"p") + SYNC)
        for step in (b"FETCH 2 FROM p", b"FETCH ALL p", b"MOVE 1 IN p"):
            raw.ask(query(step))
        raw.ask(query(b"DECLARE p CURSOR FOR " + clear) + execute(b"p") + SYNC, 2)
        assert not leaked(raw.seen)
    leaks.nothing_kept()


def test_pg_b08_partial_execute(leaks: Leaks) -> None:
    """Every piece of a portal is masked, whoever else is described or run between two pieces."""
    text = b"SELECT id, ssn, num FROM people ORDER BY id"
    with leaks.raw() as raw:
        raw.ask(query(b"BEGIN"))
        raw.ask(parse(b"", text) + bind_as(portal=b"p", results=(0, 1, 1)) + SYNC)
        for _ in range(3):
            assert raw.ask(execute(b"p", 1) + SYNC) == "D s ZT"
            assert raw.ask(query(b"SELECT 1")) == "T D C ZT"
            assert raw.ask(parse(b"", b"SELECT 1, 2, 3") + describe(b"S") + SYNC) == "1 t T ZT"
        assert raw.ask(execute(b"p", 1) + execute(b"p", 1) + execute(b"p") + SYNC) == "D s D s D C ZT"
        assert not leaked(raw.seen)
    leaks.nothing_kept()


def test_pg_b20_split_reads(leaks: Leaks) -> None:
    """Rows longer than a read, and values that end anywhere in one, are masked; so are requests sent byte by byte."""
    with leaks.raw() as raw:
        assert raw.ask(query(b"SELECT * FROM wide")) == "T D C ZI"
        assert raw.seen.count(b"***-**-8264") == 300
        text = parse(b"", b"SELECT pad, ssn, more FROM wide") + bind_as(results=(1,)) + execute() + SYNC
        for index in range(len(text)):
            raw.wire.sendall(text[index : index + 1])
        assert raw.ask(b"") == "1 2 D C ZI"
        assert raw.ask(query(b"COPY wide TO STDOUT")) == "H d c C ZI"
        assert raw.ask(query(b"SELECT repeat('z', 300000), ssn FROM wide LIMIT 4")) == "T D C ZI"
        assert not leaked(raw.seen)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("moving_a", ["CREATE OR REPLACE VIEW moving_a AS SELECT ssn AS a FROM people"]),
        ("moving_b", ["DROP TABLE moving_b", "CREATE VIEW moving_b AS SELECT ssn AS a FROM people"]),
        ("moving_c", ["CREATE OR REPLACE VIEW moving_c AS SELECT ssn || '' AS a FROM people"]),
    ],
)
def test_pg_b29_redefined_under_a_prepared_statement(leaks: Leaks, name: str, changes: list[str]) -> None:
    """A statement that was prepared is judged by what its names mean when it runs."""
    read = f"SELECT a FROM {name}".encode()
    with leaks.raw() as raw:
        assert raw.ask(parse(b"s", read) + describe(b"S", b"s") + SYNC) == "1 t T ZI"
        assert raw.ask(query(b"PREPARE q AS " + read) + query(b"EXECUTE q"), 2).endswith("C ZI")
        with leaks.raw("reader") as other:
            for change in changes:
                assert other.ask(query(change.encode())) == "C ZI", other.last_error
        raw.ask(_bind_named(b"s") + execute() + SYNC)
        raw.ask(_bind_named(b"s") + describe(b"P") + execute() + SYNC)
        raw.ask(query(b"EXECUTE q"))
        raw.ask(query(read))
        assert not leaked(raw.seen)
    leaks.nothing_kept()


def _bind_named(name: bytes) -> bytes:
    return bind_as().replace(b"\0\0\0\0\0\0\0\0", b"\0" + name + b"\0\0\0\0\0\0\0", 1)


def test_pg_b29_own_objects(leaks: Leaks) -> None:
    """Temporary objects of the session change what a name means in the middle of it."""
    with leaks.raw() as raw:
        for steps in (
            (b"CREATE TEMP TABLE likes (id int, ssn text)", b"SELECT ssn FROM likes",
             b"DROP TABLE IF EXISTS pg_temp.likes",
             b"SELECT ssn FROM likes"),
            (b"CREATE TEMP TABLE people (ssn text)", b"SELECT ssn FROM people", b"SELECT ssn FROM public.people",
             b"DISCARD TEMP", b"SELECT ssn FROM people"),
            (b"BEGIN", b"CREATE TEMP TABLE people (ssn text) ON COMMIT DROP", b"SELECT ssn FROM people", b"COMMIT",
             b"SELECT ssn FROM people"),
            (b"BEGIN", b"CREATE TEMP TABLE people (ssn text)", b"ROLLBACK; SELECT ssn FROM people",
             b"SELECT ssn FROM people"),
            (b"SET search_path = pg_catalog", b"SELECT ssn FROM people", b"RESET search_path; SELECT ssn FROM people"),
        ):  # fmt: skip
            for step in steps:
                raw.ask(query(step))
                raw.ask(parse(b"", step) + bind_as() + execute() + SYNC)
            raw.ask(query(b"ROLLBACK"))
            raw.ask(query(b"DISCARD ALL"))
            assert not leaked(raw.seen), steps


def test_pg_b30_portals(leaks: Leaks) -> None:
    """Descriptions, formats and pieces of several portals do not mix."""
    with leaks.raw() as raw:
        raw.ask(query(b"BEGIN"))
        make = parse(b"a", b"SELECT id, name, age FROM people ORDER BY id")
        make += parse(b"b", b"SELECT id, ssn, num FROM people ORDER BY id")
        assert raw.ask(make + SYNC) == "1 1 ZT"
        portals = [_named_portal(b"pa", b"a", (0, 0, 1)), _named_portal(b"pb", b"b", (1, 0, 1))]
        assert raw.ask(b"".join(portals) + SYNC) == "2 2 ZT"
        for first, then in ((b"pa", b"pb"), (b"pb", b"pa")):
            pieces = describe(b"P", first) + execute(then, 1) + describe(b"P", then) + execute(first, 1)
            raw.ask(pieces + SYNC)
            raw.ask(describe(b"P", first) + FLUSH + execute(then, 2) + SYNC)
            raw.ask(describe(b"S", b"a") + execute(b"pb", 1) + execute(b"pa", 1) + execute(b"pb", 1) + SYNC)
        raw.ask(_named_portal(b"", b"b", (0,)) + describe(b"S", b"a") + execute() + SYNC)
        raw.ask(_named_portal(b"", b"a", (0,)) + describe(b"P") + _named_portal(b"", b"b", (1,)) + execute() + SYNC)
        raw.ask(parse(b"", b"SELECT name FROM people") + describe(b"S") + parse(b"", b"SELECT ssn FROM people")
                + bind_as() + execute() + SYNC)  # fmt: skip
        assert not leaked(raw.seen)
        assert raw.seen.count(b"8264") >= 4
    leaks.nothing_kept()


def _named_portal(portal: bytes, statement: bytes, forms: tuple[int, ...]) -> bytes:
    made = bind_as(results=forms, portal=portal)
    head = 5 + len(portal) + 1
    body = made[5:head] + statement + made[head:]
    return b"B" + (len(body) + 4).to_bytes(4, "big") + body


def test_pg_b30_drivers(leaks: Leaks) -> None:
    """A driver's own cursors, pipelines and fetch sizes see the same masked rows."""
    with leaks.connect() as connection, connection.transaction():
        with connection.cursor("named") as cursor:
            cursor.itersize = 7
            cursor.execute("SELECT ssn, num FROM people ORDER BY id")
            assert next(iter(cursor)) == ("***-**-8264", None)
            assert not leaked(repr(cursor.fetchall()).encode())
        with connection.cursor("scrolling", scrollable=True, binary=True) as cursor:
            cursor.execute("SELECT id, ssn FROM people ORDER BY id")
            cursor.fetchmany(3)
            cursor.scroll(0, mode="absolute")
            assert cursor.fetchone() == (1, "***-**-8264")
    with leaks.connect() as connection, connection.pipeline():
        found = [connection.execute("SELECT ssn FROM people WHERE id = %s", [n]) for n in (1, 2, 1)]
        assert [one.fetchone() for one in found] == [("***-**-8264",), ("***-**-0002",), ("***-**-8264",)]
    with leaks.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT ssn FROM people WHERE ssn = %s", [SSN])
    leaks.nothing_kept()


def known(leaks: Leaks, request: bytes) -> None:
    """Ask until the gateway's catalog has what was made beside it: that takes up to CATALOG_SECONDS."""
    began = time.monotonic()
    with leaks.raw() as raw:
        while raw.ask(request) != "T D C ZI":
            assert time.monotonic() - began < 60, raw.last_error


def test_pg_b36_a_plan_of_another_client_encoding(detecting: Leaks) -> None:
    """What was planned under one client encoding is not used under another, where separators are other bytes."""
    spaced = SSN.replace("-", "\u00a0")
    text = query(b"SELECT 'x ' || body AS body FROM plain_spaced")
    detecting.database.run(f"CREATE TABLE plain_spaced (body text); INSERT INTO plain_spaced VALUES ('{spaced}')")
    known(detecting, text)
    with detecting.raw() as raw:
        for encoding, wire in (("LATIN1", "latin-1"), ("UTF8", "utf-8"), ("LATIN1", "latin-1")):
            assert raw.ask(query(f"SET client_encoding TO '{encoding}'".encode())) == "C ZI"
            before = len(raw.seen)
            assert raw.ask(text) == "T D C ZI"
            assert spaced[-4:].encode(wire) not in raw.seen[before:], encoding


def test_pg_b37_a_client_encoding_set_on_the_way_to_the_rows(detecting: Leaks) -> None:
    """A setting that the server tells of only at ReadyForQuery: rows before that are not read in the old encoding."""
    spaced = SSN.replace("-", "\u00a0")
    detecting.database.run(f"CREATE TABLE plain_behind (body text); INSERT INTO plain_behind VALUES ('{spaced}')")
    select = b"SELECT 'x ' || body AS body FROM public.plain_behind"
    known(detecting, query(select))
    changes = [b"SET client_encoding TO 'LATIN1'", b"SELECT set_config('client_encoding', 'LATIN1', false)"]
    for change in (*changes, b"SET NAMES 'LATIN1'", b"BEGIN; SET LOCAL client_encoding TO 'LATIN1'"):
        with detecting.raw() as raw:
            raw.ask(query(change + b"; " + select))
            assert b"8264" not in raw.seen, (change, raw.seen[-200:])
        with detecting.raw() as raw:
            raw.ask(extended(change).replace(SYNC, b"") + extended(select))
            assert b"8264" not in raw.seen, (change, raw.seen[-200:])
    with detecting.raw() as raw:
        raw.ask(query(b"BEGIN; SET LOCAL client_encoding TO 'LATIN1'"))
        raw.ask(query(b"COMMIT; " + select))
        assert b"8264" not in raw.seen, raw.seen[-200:]


def test_pg_b38_a_copy_that_differs_in_an_option_alone(leaks: Leaks) -> None:
    """A header by number: what was read of COPY with one is not taken for COPY without, whose first line is a row."""
    for form in ("HEADER %d", "FORMAT csv, HEADER %d", "HEADER %d, FORMAT text"):
        for header in (1, 0, 1):
            leaks.must_not_show(f"COPY people (id, ssn) TO STDOUT ({form % header})")


def test_pg_b39_copy_with_capital_delimiters(leaks: Leaks) -> None:
    """Delimiters, quotes and nulls are taken as they stand: folded to lower case, cells would be cut elsewhere."""
    leaks.must_not_show(
        "COPY (SELECT 'p', ssn, 'qaraz' FROM people) TO STDOUT (DELIMITER 'A')",
        "COPY (SELECT 'p', ssn, 'qaraz' FROM people) TO STDOUT (FORMAT csv, DELIMITER 'A')",
        "COPY (SELECT 'p', ssn, 'qaraz' FROM people) TO STDOUT DELIMITER 'A'",
        "COPY (SELECT 'pq', ssn, 'qr' FROM people) TO STDOUT (FORMAT csv, QUOTE 'Q', FORCE_QUOTE *)",
        "COPY (SELECT 'q,', ssn, 'q' FROM people) TO STDOUT (FORMAT csv, QUOTE 'Q')",
    )
    with leaks.connect() as connection:
        statement = "COPY (SELECT 'p', ssn, 'q' FROM people WHERE id = 1) TO STDOUT (DELIMITER 'A')"
        with connection.cursor().copy(statement) as copy:
            assert b"".join(bytes(part) for part in copy) == b"pA***-**-8264Aq\n"
