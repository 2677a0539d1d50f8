"""Strict parsing of client messages: what is made is read back, and everything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkrein.core.errors import ProtocolError
from checkrein.protocols.postgres import codec

NAME = st.binary(max_size=8).map(lambda data: data.replace(b"\0", b""))


@given(NAME, NAME)
def test_own_messages_are_read_back(one: bytes, two: bytes) -> None:
    """Every message that the gateway makes is one that it would accept."""
    parse, bind = codec.read_parse(codec.parse_message(one, two)[5:]), codec.read_bind(codec.bind_message(one, two)[5:])
    assert (parse.name, parse.text, parse.types) == (one, two, ())
    assert (bind.portal, bind.statement, bind.formats, bind.values) == (one, two, (), ())
    assert codec.read_named(codec.describe_message(b"P", one)[5:], "Describe") == (False, one)
    assert codec.read_execute(codec.execute_message(one)[5:]) == (one, 0)


@given(st.binary(max_size=40))
def test_garbage_is_refused_or_read_whole(data: bytes) -> None:
    """No payload crashes a parser, and one that is accepted has no byte to spare."""
    for read in (codec.read_parse, codec.read_bind, codec.read_execute, codec.read_query):
        try:
            read(data)
        except ProtocolError:
            continue
        with pytest.raises(ProtocolError):
            read(data + b"\0x")


@pytest.mark.parametrize("tag", ["SELECT ¹", "SELECT ٣", "SELECT " + "9" * 5000, "SELECT -1", "SELECT"])
def test_a_hostile_tag_gives_no_count(tag: str) -> None:
    """What is no number of rows in ASCII digits, or longer than one can be, counts nothing and raises nothing."""
    assert codec.tag_count(tag) is None
    assert codec.tag_count("INSERT 0 12") == 12
