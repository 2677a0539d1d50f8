"""What is looked at around a report of stage one, against the plain pattern that it stands for."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from checkrein.masking import digits

GROUPS = re.compile(digits.GROUPS + rb"\Z")
WHOLE = re.compile(rb"[0-9]{3}" + digits.BETWEEN + rb"{1,7}[0-9]{2,6}" + digits.BETWEEN + rb"{1,6}[0-9]{4}\Z")
TEXT = st.text(alphabet="0123456789-. )x", max_size=30).map(str.encode)
NUMBERS = st.lists(st.sampled_from([b"12", b"345", b"4111", b"-", b". ", b") ", b"x", b"\xc2\xa0"]), max_size=9)


@given(TEXT | NUMBERS.map(b"".join))
@example(b"415) 555-0134")
@example(b"219-09-9999")
@example(b"19-09-9999")
def test_a_group_in_front_is_what_the_whole_pattern_asks(text: bytes) -> None:
    """Where the end of a grouped number matches, looking back says what matching the whole of it would say."""
    for end in range(len(text) + 1):
        if GROUPS.search(text, 0, end):
            assert digits.grouped(text, end) == (WHOLE.search(text, 0, end) is not None)


@given(TEXT, st.integers(0, 20), st.integers(1, 20))
def test_a_run_is_whole_or_nothing(text: bytes, start: int, most: int) -> None:
    """A run that is too long, or that a letter follows, is none."""
    match = re.compile(rb"[0-9]*(?![0-9A-Za-z])").match(text, min(start, len(text)))
    whole = match.group() if match else b""
    assert digits.run(text, min(start, len(text)), most) == (whole if len(whole) <= most else b"")
