"""Lines and their chain, dry."""

from __future__ import annotations

import hashlib
import json

import pytest

from checkrein.core.errors import Unavailable
from checkrein.core.limits import LINE_BYTES
from checkrein.recording.chain import START, Chain


def test_lines_are_chained() -> None:
    """Every line parses, carries its number and the hash of the line before without its newline."""
    chain = Chain()
    chain.add("opened", {"a": "ü\n\x00"}, 1.5, 2.5)
    chain.add("empty", {}, 1.5, 2.5)
    first, second = chain.take().splitlines()
    assert json.loads(first) == {"seq": 0, "at": 1.5, "mono": 2.5, "prev": START, "kind": "opened", "a": "ü\n\x00"}
    assert json.loads(second)["prev"] == hashlib.sha256(first).hexdigest()
    assert json.loads(second)["seq"] == 1 and chain.pending == 2


def test_rolled_back_numbers_are_given_again() -> None:
    """What was not written does not count: the next line continues from what was."""
    chain = Chain()
    chain.add("a", {}, 1, 1)
    chain.commit()
    kept = chain.prev
    chain.add("b", {}, 1, 1)
    chain.add("c", {}, 1, 1)
    assert chain.roll_back() == 2
    assert (chain.seq, chain.prev, chain.take()) == (1, kept, b"")


@pytest.mark.parametrize(
    "fields",
    [{"x": "\ud800"}, {"x": object()}, {"seq": 7}, {"x": "a" * LINE_BYTES}],
    ids=["surrogate", "type", "envelope", "long"],
)
def test_what_cannot_be_written_is_refused(fields: dict[str, object]) -> None:
    """An event that has no honest line raises Unavailable and leaves the chain as it was."""
    chain = Chain()
    with pytest.raises(Unavailable):
        chain.add("k", fields, 1, 1)
    assert (chain.seq, chain.prev, chain.take()) == (0, START, b"")
