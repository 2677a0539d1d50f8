"""The store of readings is bounded by their number and by what they are made of."""

from __future__ import annotations

from checkrein.core.statement import Output, Statement
from checkrein.protocols.postgres.acts import Act, Reading
from checkrein.protocols.postgres.catalog import Names
from checkrein.protocols.postgres.catalog_of import catalog_of
from checkrein.protocols.postgres.reading.kept import Kept


def wide(text: str, columns: int) -> tuple[Reading, ...]:
    """Return the reading of a statement that answers so many columns."""
    outputs = tuple(Output(name=f"c{n}", how="computed") for n in range(columns))
    return (
        Reading(Statement(protocol="postgres", text=text, outputs=outputs, reads_constants=True), Act(kind="select")),
    )


def test_wide_readings_push_older_ones_out() -> None:
    """However wide the statements are, what is kept of them together stays under the limit; the newest is there."""
    store, catalog, names = Kept(most=1000, most_parts=1000), catalog_of({"t": ["a text"]}), Names()
    for number in range(200):
        store.keep(f"select {number}", catalog, names, wide(f"select {number}", 90))
        assert store.parts <= 1000 and len(store.exact) <= 11
        assert store.find(f"select {number}", catalog, names, False) is not None
    assert store.find("select 0", catalog, names, False) is None
    for _ in range(50):
        store.keep("select 199", catalog, names, wide("select 199", 90))
    assert store.parts == sum(one.statement.parts() for found in store.exact.values() for one in found)


def test_one_that_is_too_wide_is_not_kept() -> None:
    """A statement that alone would fill much of the store is read each time."""
    store, catalog, names = Kept(most=1000, most_parts=1000), catalog_of({"t": ["a text"]}), Names()
    store.keep("select 1", catalog, names, wide("select 1", 200))
    assert store.find("select 1", catalog, names, False) is None and store.parts == 0


def test_many_are_bounded_by_number() -> None:
    """The oldest go first."""
    store, catalog, names = Kept(most=8), catalog_of({"t": ["a text"]}), Names()
    for number in range(100):
        store.keep(f"select {number}", catalog, names, wide(f"select {number}", 1))
        assert len(store.exact) <= 8
    assert store.find("select 99", catalog, names, False) is not None
    assert store.find("select 0", catalog, names, False) is None
