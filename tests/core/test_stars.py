"""Partial masks: the quick way for ASCII is the same mask as the way for all texts, in place as well as alone."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from checkrein.core.stars import SHORT_BYTES, Partial

TEXT = st.text(alphabet="09AZaz-.()/+: ,_*", max_size=20) | st.text(alphabet="09AZ-. ", max_size=20)
KEEP = st.integers(-1, 6)


def by_character(text: str, first: int, last: int) -> str:
    """The definition: characters become stars but the first and last ones; separators of a code stay, uncounted."""
    code = any(char.isdigit() for char in text) and all(
        char.isdigit() or char in "-.()/+: " or "A" <= char <= "Z" for char in text
    )
    signs = [place for place, char in enumerate(text) if not code or char.isalnum()]
    first, last = max(0, first), max(0, last)
    if 2 * (first + last) > len(signs):
        first = last = 0
    hidden = set(signs[first : len(signs) - last])
    return "".join("*" if place in hidden else char for place, char in enumerate(text))


@given(TEXT | st.text(max_size=20), KEEP, KEEP)
@example("-4111-1111-1111-1111-", 0, 4)
@example("4111111111111111", 0, 4)
@example("---", 1, 1)
@example("1-2", 1, 0)
@example("", 0, 4)
@example("Émile Zola", 1, 0)
@example("é4111111111111111", 0, 4)
def test_every_text_is_masked_by_the_definition(text: str, first: int, last: int) -> None:
    """ASCII or not, code or not: what stays and what is hidden is what the definition says."""
    value = text.encode("utf-8", "replace")
    assert Partial(first, last)(value) == by_character(value.decode(), first, last).encode()


@given(TEXT, st.integers(0, 6), st.sampled_from([" ", "x", "-", "7"]))
def test_long_values_are_masked_as_short_ones(text: str, last: int, pad: str) -> None:
    """Beyond the size that is read byte by byte the same definition holds."""
    long = text + pad * (SHORT_BYTES + 1)
    assert Partial(1, last)(long.encode()) == by_character(long, 1, last).encode()


@given(st.binary(max_size=9), TEXT, st.binary(max_size=9), KEEP, KEEP)
def test_in_place_is_the_same_as_alone(before: bytes, text: str, after: bytes, first: int, last: int) -> None:
    """Stars written into a buffer at the place that is told give the masked value, and nothing around it changes."""
    mask = Partial(first, last)
    value = text.encode()
    buffer = before + value + after
    stars = mask.hidden(buffer, len(before), len(before) + len(value))
    assert stars is not None and mask.begin >= len(before)
    placed = buffer[: mask.begin] + stars + buffer[mask.begin + len(stars) :]
    assert placed == before + Partial(first, last)(value) + after


@given(st.binary(min_size=1, max_size=20), KEEP, KEEP)
def test_what_is_not_ascii_is_not_masked_in_place(value: bytes, first: int, last: int) -> None:
    """A byte above 127 may be part of a character of any size; and any bytes at all are answered."""
    stars = Partial(first, last).hidden(value, 0, len(value))
    assert (stars is None) == (not value.isascii())
    Partial(first, last)(value)
