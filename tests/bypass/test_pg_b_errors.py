"""PG-B: what errors, notices, plans and notifications say of a masked column."""

from __future__ import annotations

import pytest

from tests.bypass.attack import SYNC, execute, extended, parse, query, run
from tests.bypass.leak import SSN, Leaks, bind_as, leaked

_CONFLICT = "UPDATE people SET id = 1 WHERE id = 2"
_ROW = "UPDATE people SET age = -1 WHERE id = 1"


def test_pg_b09_constraint_details(leaks: Leaks) -> None:
    """DETAIL of a violated constraint shows the key or the whole row; code and constraint stay."""
    leaks.must_not_show(
        _ROW,
        _CONFLICT,
        "UPDATE people SET id = NULL WHERE id = 1",
        "UPDATE people SET boss = 999 WHERE id = 1",
        "DELETE FROM people WHERE id = 1",
        "UPDATE shy SET n = 1000 WHERE id = 1",
        "UPDATE people SET name = NULL, age = -5",
        "WITH w AS (UPDATE people SET age = -1 WHERE id = 1 RETURNING 1) SELECT * FROM w",
        "MERGE INTO people p USING numbers n ON p.id = n.n WHEN MATCHED THEN UPDATE SET age = -1",
        "INSERT INTO people (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET age = -1",
        "UPDATE parts SET day = 99",
        "UPDATE parts_1 SET day = 15",
        "ALTER TABLE people ADD CONSTRAINT positive CHECK (age > 100)",
        "ALTER TABLE people ALTER COLUMN name TYPE int USING 1 / (age - 40)",
        "CREATE UNIQUE INDEX once ON people (ssn)",
        "CREATE UNIQUE INDEX once ON shy (ssn, n)",
        "ALTER TABLE people ADD EXCLUDE USING btree (ssn WITH =)",
        "ALTER TABLE shy ADD FOREIGN KEY (ssn) REFERENCES likes (ssn)",
        "ALTER TABLE people ALTER COLUMN gone SET NOT NULL",
        "EXPLAIN ANALYZE UPDATE people SET age = -1 WHERE id = 1",
        f"UPDATE people SET dom = '{SSN}x' WHERE id = 1",
    )
    with leaks.raw() as raw:
        assert raw.ask(query(_ROW.encode())) == "E23514 ZI"
        assert "people_age_check" in raw.last_error


@pytest.mark.parametrize("text", [_ROW, _CONFLICT, "UPDATE shy SET n = 2 WHERE id = 1", "SELECT shouting()"])
def test_pg_b09_beside_harmless_statements(leaks: Leaks, text: str) -> None:
    """An error or notice of one statement is not spoken under the duties of its neighbours."""
    one, other = text.encode(), b"SELECT 1"
    with leaks.raw() as raw:
        for sent in (
            query(one + b"; " + other),
            query(other + b"; " + one),
            query(other + b"; " + one + b"; " + other),
            query(b"BEGIN; " + one + b"; COMMIT"),
            run(other) + run(one) + run(other) + SYNC,
            query(b"PREPARE harmless AS " + one) + query(b"EXECUTE harmless"),
        ):
            count = sent.count(b"PREPARE") + 1
            raw.ask(sent, count)
            raw.ask(query(b"ROLLBACK"))
            raw.ask(query(b"DEALLOCATE ALL"))
        assert not leaked(raw.seen), raw.last_error
    leaks.nothing_kept()


def test_pg_b09_notices(leaks: Leaks) -> None:
    """Triggers and functions may raise what they like; the texts are fixed sentences where masked columns are near."""
    leaks.must_not_show(
        "UPDATE shy SET n = 2 WHERE id = 1",
        "DELETE FROM shy WHERE id = 1",
        "SELECT shouting()",
        "SELECT failing()",
        "SELECT shouts(ssn) FROM people",
        "SELECT fails(ssn) FROM people",
        "SELECT name, shouting() FROM people",
        "UPDATE people SET age = failing() WHERE id = 1",
        "INSERT INTO scratch (what) SELECT fails(ssn) FROM people",
        "DO $$ DECLARE s text; BEGIN SELECT ssn INTO s FROM people WHERE id = 1; RAISE NOTICE '%', s; END $$",
        "DO $$ DECLARE s text; BEGIN SELECT ssn INTO s FROM people WHERE id = 1; RAISE EXCEPTION '%', s; END $$",
        "DO $$ BEGIN RAISE NOTICE '%', (SELECT ssn FROM people WHERE id = 1); END $$",
    )


def test_pg_b09_deferred_constraints(leaks: Leaks) -> None:
    """A constraint that is checked at COMMIT speaks of the masked row, though COMMIT reads nothing."""
    write = b"UPDATE deferred SET plain = 'one'"
    with leaks.raw("reader") as raw:
        key = b"UPDATE deferred SET ssn = '" + SSN.encode() + b"'"
        for text in (write, key):
            for sent in (
                query(b"BEGIN") + query(text) + query(b"COMMIT"),
                query(b"BEGIN") + query(text) + query(b"END"),
                query(b"BEGIN") + extended(text) + extended(b"COMMIT"),
                query(b"BEGIN") + query(text) + query(b"SET CONSTRAINTS ALL IMMEDIATE") + query(b"ROLLBACK"),
                query(b"BEGIN") + query(text) + query(b"PREPARE TRANSACTION 'p'"),
                query(text),
                query(text + b"; SELECT 1"),
                extended(text),
                run(text) + run(b"SELECT 1") + SYNC,
                query(b"BEGIN; " + text + b"; COMMIT; SELECT 1"),
            ):
                raw.send(sent + query(b"ROLLBACK") + query(b"SELECT 'end of it'"))
                while b"end of it" not in raw.message()[1]:
                    pass
                assert not leaked(raw.seen.replace(key, b"")), sent
        shown = raw.seen.replace(key, b"")
        assert not leaked(shown), [line for line in shown.split(b"\0") if leaked(line)]
        assert b"C23505" in raw.seen
    leaks.nothing_kept()


def test_pg_b14_explain(leaks: Leaks) -> None:
    """A plan repeats constants, output expressions and estimates; EXPLAIN is judged as its statement."""
    for prefix in ("EXPLAIN", "EXPLAIN ANALYZE", "EXPLAIN VERBOSE", "EXPLAIN (ANALYZE, VERBOSE, FORMAT JSON)"):
        leaks.must_refuse(
            f"{prefix} SELECT id FROM people WHERE ssn = 'x'",
            f"{prefix} SELECT id FROM people ORDER BY ssn",
            f"{prefix} SELECT 1 FROM people WHERE ssn > '5'",
            f"{prefix} UPDATE people SET name = 'x' WHERE ssn = 'y'",
            f"{prefix} DECLARE c CURSOR FOR SELECT 1 FROM people WHERE ssn = 'y'",
        )
    leaks.must_answer(
        "EXPLAIN SELECT ssn FROM people WHERE id = 1",
        "EXPLAIN (COSTS OFF, FORMAT YAML) SELECT ssn FROM people",
        "EXPLAIN VERBOSE SELECT * FROM people",
        "EXPLAIN ANALYZE SELECT ssn FROM people",
    )
    leaks.must_not_show(
        "EXPLAIN (ANALYZE, FORMAT XML) SELECT ssn || '' FROM people",
        "EXPLAIN (GENERIC_PLAN) SELECT id FROM people WHERE ssn = $1",
        "EXPLAIN EXECUTE nothing",
        "EXPLAIN (ANALYZE, VERBOSE) SELECT reader()",
        "EXPLAIN (VERBOSE) SELECT (SELECT ssn FROM people WHERE id = 1)",
    )


def test_pg_b14_constants_of_a_plan(detecting: Leaks) -> None:
    """A plan folds constants; what they become passes the detectors."""
    for words, data in detecting.answers("EXPLAIN SELECT id FROM plain WHERE body = '531-7' || '7-8264'"):
        assert "E" not in words and not leaked(data)
    detecting.must_not_show(f"EXPLAIN VERBOSE SELECT '{SSN}' FROM numbers", who=("bot",))


def test_pg_b15_notifications(leaks: Leaks, detecting: Leaks) -> None:
    """A payload may not carry a masked column, and what looks like a secret is masked in it."""
    leaks.must_refuse("SELECT pg_notify('c', ssn) FROM people", "SELECT pg_notify(ssn, '') FROM people")
    leaks.must_refuse(
        "SELECT pg_notify('c', (SELECT ssn FROM people WHERE id = 1))",
        "WITH w AS (SELECT ssn FROM people) SELECT pg_notify('c', ssn) FROM w",
    )
    with detecting.raw() as raw:
        assert raw.ask(query(b"LISTEN news")) in ("C ZI", "E42501 ZI")
        detecting.database.run(f"SELECT pg_notify('news', 'his ssn is {SSN}')")
        raw.ask(query(b"SELECT 1"))
        assert not leaked(raw.seen)


def test_pg_b23_failing_casts(leaks: Leaks) -> None:
    """What fails on a value says the value: in the message, in the context, in the code."""
    with_text = (
        "SELECT ssn::int FROM people",
        "SELECT CAST(ssn AS date), ssn::uuid, ssn::inet FROM people",
        "SELECT ssn::json FROM people WHERE id = 1",
        "SELECT ('x' || ssn)::numeric FROM people",
        "SELECT to_date(ssn, 'YYYYMMDD'), to_number(ssn, '99') FROM people",
        "SELECT ssn::regclass FROM people",
        "SELECT ssn::regtype, ssn::regproc FROM people",
        "SELECT to_regclass(ssn) FROM people",
        "SELECT regexp_replace('x', ssn || '(', '') FROM people",
        "SELECT 'x' ~ (ssn || '(') FROM people",
        "SELECT 'x' LIKE ssn || '\\' FROM people",
        "SELECT current_setting(ssn) FROM people",
        "SELECT set_config(ssn, 'x', true) FROM people",
        "SELECT nextval(ssn) FROM people",
        "SELECT convert_from(raw, 'UTF16') FROM people",
        "SELECT decode(ssn, 'hex'), encode('x', ssn) FROM people",
        "SELECT '2020-01-01'::timestamptz AT TIME ZONE ssn FROM people",
        "SELECT extract(year FROM ssn::date), date_trunc(ssn, now()) FROM people",
        "SELECT to_tsvector(ssn::regconfig, 'x') FROM people",
        "SELECT ssn::ltree FROM people",
        "SELECT (doc ->> 'ssn')::int FROM people",
        "SELECT doc::text::int FROM people",
        "SELECT (doc -> 'ssn')::int FROM people",
        "SELECT arr::int[] FROM people",
        "SELECT ssn::low FROM people",
        "SELECT ssn::mood FROM people",
        "SELECT num::int, num::smallint FROM people",
        "SELECT chr(num::int) FROM people",
        "SELECT num / 0 FROM people",
        "SELECT comp::text::int FROM people",
        "SELECT jsonb_populate_record(NULL::notes, jsonb_build_object('id', ssn)) FROM people",
        "SELECT * FROM json_to_record((SELECT json_build_object('a', ssn) FROM people LIMIT 1)) AS x (a int)",
        "SELECT xmlparse(document ssn) FROM people",
        "SELECT xpath(ssn, '<a/>') FROM people",
        "SELECT jsonb_path_query('{}', ssn::jsonpath) FROM people",
        "SELECT format(ssn) || format('%' || ssn) FROM people",
        "SELECT repeat(ssn, 1000000000) FROM people",
        "SELECT ssn::varchar(3)::int FROM people",
        "SELECT pg_size_bytes(ssn), pg_lsn(ssn) FROM people",
        "SELECT int4range(ssn::int, 2) FROM people",
        "SELECT 1 FROM people WHERE ssn::int = 1",
        "SELECT 1 FROM people ORDER BY ssn::int",
        "SELECT 1 FROM people LIMIT (SELECT ssn::int FROM people WHERE id = 1)",
        "SELECT n FROM numbers WHERE n = (SELECT ssn FROM people WHERE id = 1)::int",
        "UPDATE people SET age = ssn::int",
        "INSERT INTO scratch (id) SELECT ssn::int FROM people",
        "SELECT 'not a row'::people",
        f"SELECT '{SSN}'::card",
        "SELECT (SELECT ssn FROM people)",
        "SELECT array_fill(0, ARRAY[num]) FROM people",
        "SELECT lpad('x', num) FROM people",
    )
    leaks.must_not_show(*(text for text in with_text if SSN not in text))


def test_pg_b23_parameters_and_copy(leaks: Leaks) -> None:
    """What fails on the way in names the client's own value and, of a row that is there, nothing."""
    with leaks.raw() as raw:
        text = b"UPDATE people SET age = $1 WHERE id = 1"
        words = raw.ask(parse(b"", text) + bind_as((b"-7",)) + execute() + SYNC)
        assert "E23514" in words
        words = raw.ask(parse(b"", text) + bind_as((b"nonsense",)) + execute() + SYNC)
        assert "E22P02" in words
        assert not leaked(raw.seen)
    leaks.nothing_kept()
