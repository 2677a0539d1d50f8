"""Parameters of a Bind as text."""

from __future__ import annotations

from checkrein.protocols.postgres.codec import Bind
from checkrein.protocols.postgres.parameters import read_parameters


def test_parameters_as_text() -> None:
    """Text as sent, binary values of known types in the type's text form, NULL as None."""
    bind = Bind(b"", b"", (1,), (b"\xff\xff\xff\xff", None, b"ab", b"\1"))
    assert read_parameters(bind, (23, 23, 25, 16), "utf-8", {}) == (("-1", None, "ab", "t"), True)
    assert read_parameters(Bind(b"", b"", (), (b"ab",)), (), "utf-8", {}) == (("ab",), True)


def test_what_cannot_be_read_is_said_to_be_so() -> None:
    """A binary value without a type, or that is none of its type, is hex, and no rule may take it for the value."""
    assert read_parameters(Bind(b"", b"", (1,), (b"odin",)), (), "utf-8", {}) == (("\\x6f64696e",), False)
    assert read_parameters(Bind(b"", b"", (1,), (b"odi",)), (23,), "utf-8", {}) == (("\\x6f6469",), False)
    assert read_parameters(Bind(b"", b"", (0, 1), (b"a", b"\1")), (25, 600), "utf-8", {}) == (("a", "\\x01"), False)
