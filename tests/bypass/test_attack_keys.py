"""PG-B68 and PG-B69: what keys tell of columns that a write does not name, and of rows that refer to others."""

from __future__ import annotations

import pytest

from tests.bypass.attack import query
from tests.bypass.leak import SSN, Leaks


def test_pg_b68_the_rest_of_a_key(leaks: Leaks) -> None:
    """Writing one column of a key compares the others: equal values would show, or one that is guessed beside them."""
    with leaks.unchanged("pairs", "made_of"):
        leaks.must_refuse(
            "UPDATE pairs SET n = 1 WHERE id = 2",
            "INSERT INTO pairs (id, n) VALUES (3, 1)",
            "MERGE INTO pairs USING (SELECT 2 AS i) s ON id = s.i WHEN MATCHED THEN UPDATE SET n = 1",
            f"INSERT INTO made_of (id, ssn) VALUES (2, '{SSN[:3]}')",
            f"INSERT INTO made_of (id, ssn) VALUES (2, '{SSN[:3]}') ON CONFLICT DO NOTHING",
            f"UPDATE made_of SET ssn = '{SSN[:3]}' WHERE id = 2",
        )
        with leaks.raw() as raw:
            assert "E42501" in raw.ask(query(b"COPY made_of (id, ssn) FROM STDIN"))
            assert "E42501" in raw.ask(query(b"COPY pairs (id, n) FROM STDIN"))


def test_pg_b68_defaults(leaks: Leaks) -> None:
    """An INSERT writes the defaults of what it leaves out: one that somebody chose may be a guess."""
    leaks.must_refuse(
        "INSERT INTO filled (id) VALUES (2)",
        "INSERT INTO filled (id) VALUES (2) ON CONFLICT DO NOTHING",
        "INSERT INTO filled (id) SELECT 2",
        "MERGE INTO filled USING (SELECT 1) s ON false WHEN NOT MATCHED THEN INSERT (id) VALUES (2)",
    )
    leaks.must_answer("UPDATE filled SET n = 2 WHERE id = 1 RETURNING n", pieces=False)
    leaks.must_answer("INSERT INTO drawn (n) VALUES (1) RETURNING n", pieces=False)
    leaks.must_answer("INSERT INTO people (id, name) VALUES (99, 'p') RETURNING id", pieces=False)


@pytest.mark.parametrize("block", [True, False])
def test_pg_b68_a_default_that_is_set_for_it(leaks: Leaks, block: bool) -> None:
    """A default set just before counts, in the same transaction and in an earlier one."""
    with leaks.raw() as raw:
        if block:
            raw.ask(query(b"BEGIN"))
        assert raw.ask(query(b"ALTER TABLE people ALTER ssn SET DEFAULT '123-45-0002'")).startswith("C ")
        try:
            assert "E42501" in raw.ask(query(b"INSERT INTO people (id) VALUES (98)"))
        finally:
            raw.ask(query(b"ROLLBACK" if block else b"ALTER TABLE people ALTER ssn DROP DEFAULT"))


def test_pg_b69_what_refers_to_a_row(leaks: Leaks) -> None:
    """A row that masked values refer to can neither go nor change its key: refused, it would say that they do."""
    with leaks.unchanged("grades", "graded"):
        leaks.must_refuse(
            "DELETE FROM grades WHERE code = '123-45-0002'",
            "DELETE FROM grades_view WHERE shown = '123-45-0002'",
            "UPDATE grades SET code = 'x' WHERE code = '123-45-0002'",
            "UPDATE grades_view SET shown = 'x' WHERE shown = '123-45-0002'",
            "MERGE INTO grades USING (SELECT 1) s ON code = '123-45-0002' WHEN MATCHED THEN DELETE",
            "WITH gone AS (DELETE FROM grades WHERE code = '123-45-0002' RETURNING 1) SELECT * FROM gone",
        )
    leaks.must_answer(
        "UPDATE grades SET what = 'x' WHERE code = '123-45-0003' RETURNING what",
        "INSERT INTO grades VALUES ('new') RETURNING what",
        pieces=False,
    )
