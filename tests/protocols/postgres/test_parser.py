"""Which texts are parsed in the gateway's own process: none whose tree could hold the loop or fill the memory."""

from __future__ import annotations

import pytest

from checkrein.core.limits import READING_TREE_BYTES
from checkrein.protocols.postgres import parser, statements
from checkrein.protocols.postgres.catalog import Names
from checkrein.protocols.postgres.catalog_of import catalog_of
from checkrein.protocols.postgres.reading import worker
from checkrein.protocols.postgres.surroundings import Surroundings

MOST = 8 * 1024 * 1024
"""The largest tree of a text that may be parsed in process, in bytes of JSON."""


def nested(names: int, deep: int, gap: str) -> str:
    """Return multiple assignments within one another."""
    text = "SELECT 1"
    for _ in range(deep):
        listed = ", ".join(["id"] * names)
        text = f"WITH w AS (UPDATE t SET ({listed}){gap}= ({text}) RETURNING 1) SELECT 1"
    return text


@pytest.mark.parametrize("gap", ["", " ", "\t\n\f\v\r", "/* = */", "/**//**/ ", "--\n", " -- )\n "])
@pytest.mark.parametrize("names", [2, 3, 7, 30, 300, 1500])
def test_pg_a41_no_tree_out_of_proportion_in_process(names: int, gap: str) -> None:
    """Deeper and deeper until the text is left to the worker, which comes before the tree is large."""
    deep = 0
    while parser.fits_in_process(text := nested(names, deep, gap)):
        tree = parser.parse_json(text)
        assert isinstance(tree, bytes) and len(tree) < MOST
        deep += 1
    assert deep and not parser.fits_in_process(nested(names, deep + 3, gap))


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE t SET a = $1, b = 'x', c = 3 WHERE lower(x) = $2 AND upper(y) = $3 AND (a, b) = (1, 2)",
        "INSERT INTO t VALUES " + ", ".join(["(1, 2)"] * 100) + " ON CONFLICT (id) DO UPDATE SET (a, b) = (1, 2)",
        "UPDATE t SET (a, b, c, d) = (SELECT a, b, c, d FROM u WHERE u.id = t.id) WHERE id = 1",
        "SELECT " + ", ".join(["f(x) = 1"] * 200) + " FROM offsets",
    ],
)
def test_usual_texts_stay_in_process(text: str) -> None:
    """Updates with functions and a few multiple assignments need no worker, nor does what only looks like them."""
    assert parser.fits_in_process(text)


def test_pg_a41_a_huge_tree_stays_in_the_worker() -> None:
    """The worker hands over no more of it than shows that it is too large, and the statement is refused for that."""
    text = "UPDATE t SET (" + "id," * 999 + "id) = ROW(" + "1," * 999 + "1)"
    assert not parser.fits_in_process(text)
    tree = worker.parse(text)
    assert isinstance(tree, bytes) and len(tree) == READING_TREE_BYTES + 1
    around = Surroundings(catalog=catalog_of({"public.t": ["id integer"]}), names=Names())
    assert statements.read(text, around, tree)[0].statement.conceded == "its parse tree is too large"
