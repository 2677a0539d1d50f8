"""Readings that are kept by shape, held against readings of each text alone."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from checkrein.protocols.postgres import statements
from checkrein.protocols.postgres.catalog import Names
from checkrein.protocols.postgres.catalog_of import catalog_of
from checkrein.protocols.postgres.catalog_rows import next_identity
from checkrein.protocols.postgres.surroundings import Surroundings

CATALOG = catalog_of({"public.t": ["id integer", "b integer", "ssn text"], "public.u": ["id integer", "k integer"]})
NAMES = Names(search_path=("pg_catalog", "public"), version="1")
NUMBERS = (("1", "2", "3"), ("0", "1", "0"), ("2", "2", "2"), ("7", "0", "9"))

TEXTS = """SELECT ssn, id FROM t ORDER BY #
SELECT ssn, id FROM t GROUP BY #, #
SELECT DISTINCT ON (#) ssn, id FROM t
SELECT id FROM t UNION SELECT id FROM u ORDER BY #
SELECT id FROM t LIMIT # OFFSET #
SELECT id FROM t WHERE id = # OR # = #
DELETE FROM t WHERE # = #
DELETE FROM t WHERE id = # OR # = #
DELETE FROM t WHERE id IN (#, #, #)
DELETE FROM t WHERE id = # OR id = #
DELETE FROM u WHERE id = # AND k IN (#, #)
DELETE FROM t WHERE CASE WHEN # = # THEN true ELSE false END
UPDATE t SET b = # WHERE id = # AND b = #
MERGE INTO t USING u ON t.id = u.id AND # = # WHEN MATCHED THEN DELETE
SELECT #::regclass::text
SELECT pg_get_viewdef(#)
SELECT substring(ssn, #, #) FROM t
SELECT array_agg(ssn ORDER BY #) FROM t
SELECT ssn, id FROM t GROUP BY ROLLUP (#, #)
WITH w AS (SELECT ssn, id FROM t ORDER BY #) SELECT * FROM w
DECLARE c CURSOR FOR SELECT ssn, id FROM t ORDER BY #
PREPARE p AS SELECT ssn, id FROM t ORDER BY #
EXPLAIN (ANALYZE #) DELETE FROM t WHERE id = #
COPY t TO STDOUT (HEADER #)
COPY t TO STDOUT (FORMAT csv, HEADER #)
COPY t FROM STDIN (FORMAT csv, HEADER #)
COPY (SELECT ssn, id FROM t ORDER BY #) TO STDOUT
SET statement_timeout = #
SET row_security = #
SET default_transaction_read_only = #
INSERT INTO t (id, b) VALUES (#, #) ON CONFLICT (id) DO UPDATE SET b = #""".splitlines()


def empty_handed() -> Surroundings:
    """Return the same surroundings under a catalog of which nothing was kept yet."""
    return Surroundings(catalog=msgspec.structs.replace(CATALOG, identity=next_identity()), names=NAMES)


def said(text: str, around: Surroundings) -> dict[str, Any]:
    """Read one text, by what was kept where there is anything; return all that was read but for the text."""
    kept = statements.kept(text, around.catalog, around.names)
    (reading,) = kept or statements.read(text, around)
    found = {name: value for name, value in fields_of(reading.statement).items() if name != "text"}
    assert {"effects", "outputs", "uses", "literals"} <= set(found)
    return found | {f"act.{name}": value for name, value in fields_of(reading.act).items()}


def fields_of(one: object) -> dict[str, str]:
    """Return what an object holds, compiled or not, as texts."""
    values = {name: getattr(one, name) for name in dir(one) if not name.startswith("_")}
    return {name: repr(value) for name, value in values.items() if not callable(value)}


def filled_in(text: str, numbers: tuple[str, ...]) -> str:
    """Return a text with numbers in its places, over and over."""
    first, *rest = text.split("#")
    return first + "".join(number + piece for number, piece in zip(itertools.cycle(numbers), rest))


@pytest.mark.parametrize("text", TEXTS)
def test_a_shape_is_shared_only_where_no_number_matters(text: str) -> None:
    """PG-B38: what was read of a text with other numbers is what reading the text itself gives."""
    filled = [filled_in(text, numbers) for numbers in NUMBERS]
    alone = [said(one, empty_handed()) for one in filled]
    for first in filled:
        around = empty_handed()
        said(first, around)
        assert [said(one, around) for one in filled] == alone
