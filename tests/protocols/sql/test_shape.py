"""Shapes: only whole numbers are taken out, and only where nothing else could be meant."""

from __future__ import annotations

import pytest

from checkrein.protocols.sql.boundedness import bounded_by
from checkrein.protocols.sql.lineage import BARE, COMPUTED, SAFE, Value, alternatives, safely
from checkrein.protocols.sql.shape import shape_of


def test_numbers_are_taken_out_with_their_length() -> None:
    """Two texts share a shape when they differ in digits of whole numbers alone, of equal length."""
    assert shape_of("select 12 where a1 = 345") == b"select 00 where a1 = 000"
    assert shape_of("select 99 where a1 = 111") == b"select 00 where a1 = 000"
    assert shape_of("select 12 where id = 345") == b"select 00 where id = 000"
    assert shape_of("select 1") != shape_of("select 12")
    assert shape_of("select a1") != shape_of("select a2")
    assert shape_of("select 1.5") != shape_of("select 1.6")
    assert shape_of("select 1e5") != shape_of("select 1e6")
    assert shape_of("select 1234567890") != shape_of("select 1234567891")


@pytest.mark.parametrize(
    "text", ["a 'x'", 'a "x"', "a $1", "a \\", "a -- 1", "a /* 1 */", "ä", "a\0", "a\u00a01", "a\x0b1"]
)
def test_what_has_no_shape(text: str) -> None:
    """Quotes, comments, dollars, backslashes and anything but printable ASCII have none."""
    assert shape_of(text) is None


@pytest.mark.parametrize("text", ["select a::float(24)", "select a::FLOAT (25)", "create table t (a Float\n( 9 ))"])
def test_gw_33_a_number_that_names_a_type_is_no_constant(text: str) -> None:
    """float(24) is real and float(25) double precision, by the grammar itself: no shape, so neither is read as the
    other, for which a function or operator of another name may be called."""
    assert shape_of(text) is None


def test_bounded_by_a_whole_unique_key() -> None:
    """All columns of one key must be fixed; the count is the product, the least over the keys."""
    assert bounded_by({"a": 1}, (("a", "b"),)) is None
    assert bounded_by({"a": 2, "b": 3}, (("a", "b"),)) == 6
    assert bounded_by({"a": 2, "b": 3}, (("a", "b"), ("a",))) == 2
    assert bounded_by({"a": 1}, ()) is None


def test_values_combine_to_the_strictest() -> None:
    """One computed alternative makes the column computed; a safe function over a computed value stays computed."""
    from checkrein.core.statement import Origin

    column = (Origin("t", "c"),)
    assert alternatives([Value(BARE, column), Value(SAFE, column)]).how == SAFE
    assert alternatives([Value(SAFE, column), Value(COMPUTED, column)]).how == COMPUTED
    assert alternatives([Value(BARE, column), Value()]).how == BARE
    assert safely([Value(BARE, column)]).how == SAFE
    assert safely([Value(COMPUTED, column)]).how == COMPUTED
