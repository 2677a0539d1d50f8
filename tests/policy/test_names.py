"""Names and globs: a star stops at a dot, quoting is exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkrein.core.statement import full_name
from checkrein.policy.names import ColumnPattern, NamePattern, glob, parts_of


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("public.orders", "public.orders", True),
        ("public.orders", "public.Orders", False),
        ("public.*", "public.orders", True),
        ("public.*", "public.a.b", False),
        ("*", "public.orders", False),
        ("*.*", "public.orders", True),
        ("*.or*rs", "public.orders", True),
        ("*.or*rs", "public.ors", False),
        ("*.ab*b*", "x.ab", False),
        ("*.orr*rs", "public.orrs", False),
        ('public."odd.name"', 'public."odd.name"', True),
        ("public.*", 'public."odd.name"', True),
        ('public."*"', "public.x", False),
        ('public."*"', "public.*", True),
        ('"public".orders', "public.orders", True),
        ('a."say ""hi"""', full_name("a", 'say "hi"'), True),
    ],
)
def test_patterns(pattern, name, matches):
    """Each row says whether a pattern matches a full name."""
    assert NamePattern(pattern).matches(name) is matches


@pytest.mark.parametrize("pattern", ["", "a..b", ".a", "a.", '"a', 'a"b', '"a"b', 'a.""x'])
def test_broken_patterns(pattern):
    """Broken quoting and empty parts are refused when the policy is loaded."""
    with pytest.raises(ValueError, match="not a name"):
        NamePattern(pattern)


def test_columns():
    """A column pattern speaks of the columns of relations one part shorter."""
    pattern = ColumnPattern("*.*.card_number")
    assert pattern.on(("public", "orders"))
    assert not pattern.on(("orders",))
    assert pattern.covers("card_number")
    assert not pattern.covers("card")
    assert ColumnPattern("public.orders.*").every()
    with pytest.raises(ValueError, match="names no column"):
        ColumnPattern("ssn")


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_names_round_trip(parts):
    """A full name splits into the parts it was made of, and matches itself as a pattern when quoted."""
    assert parts_of(full_name(*parts)) == tuple(parts)
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in parts)
    assert NamePattern(quoted).matches(full_name(*parts))


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_glob_agrees_with_the_library(pattern, text):
    """The linear matcher agrees with fnmatch where both mean the same."""
    import fnmatch

    assert glob(pattern, text) == fnmatch.fnmatchcase(text, pattern)


@given(st.text())
def test_splitting_is_total(name):
    """Any string whatever has parts: matching never raises on an object's name."""
    assert parts_of(name)
