"""Partial masks: the quick way for ASCII is the same mask as the way for all texts."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from checkrein.masking import strategies


@given(st.text(alphabet="09AZaz-.()/+: ,_*", max_size=20), st.integers(-1, 6), st.integers(-1, 6))
@example("-4111-1111-1111-1111-", 0, 4)
@example("---", 1, 1)
@example("", 0, 4)
def test_ascii_is_masked_as_any_text_is(text: str, first: int, last: int) -> None:
    """Bytes and characters hide the same."""
    value = text.encode()
    assert strategies.partial(value, first, last) == strategies._partial_unicode(value, first, last)
