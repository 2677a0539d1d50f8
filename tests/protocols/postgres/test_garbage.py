"""Bytes and texts that a hostile client or server makes up: only the documented errors come of them."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from checkrein.core.errors import ProtocolError, Unavailable
from checkrein.core.identity import Secret
from checkrein.protocols.postgres import codec, startup
from checkrein.protocols.postgres.answers import parse_row_description
from checkrein.protocols.postgres.login import ClientLogin
from checkrein.protocols.postgres.naming import split_path
from checkrein.protocols.postgres.scram import PLAIN, Scram
from checkrein.protocols.postgres.settings import parse_options, refusal_reason, setting_class, startup_parameters

PIECES = st.sampled_from(
    [b"", b"\0", b"user\0a\0", b"\0\3\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x08", b"p", b"R", b"options\0"]
)
BYTES = st.lists(PIECES | st.binary(max_size=6), max_size=12).map(b"".join)
FIELDS = st.sampled_from(
    ["r=", "r=nonce", "s=", "s=c2FsdA==", "s=!", "i=", "i=2", "i=-1", "i=x", "i=1e9", "e=no", "v=AA==", "m=x", "=", "é"]
)


@given(BYTES)
@settings(max_examples=200, deadline=None)
def test_messages_of_either_side(data: bytes) -> None:
    """Start-up packets, logins, row descriptions and rows are read or refused as protocol errors."""
    for read in (startup.parse_packet, parse_row_description, codec.row_values):
        with contextlib.suppress(ProtocolError):
            read(bytes(8 if read is startup.parse_packet else 0) + data)
    with contextlib.suppress(ProtocolError):
        ClientLogin().receive((len(data) + 4).to_bytes(4, "big") + data)
    with contextlib.suppress(ProtocolError):
        packet = startup.parse_packet(bytes(4) + b"\0\3\0\0" + data + b"\0")
        if isinstance(packet, startup.Startup):
            startup.negotiate(packet)
            startup_parameters(packet.parameters)


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(['"', ",", " ", "\\", "-c", "--", "=", "a"]), max_size=20).map("".join)
)
@settings(max_examples=200, deadline=None)
def test_settings_of_any_text(text: str) -> None:
    """Search paths, options and names of settings are total functions."""
    assert all(isinstance(part, str) for part in split_path(text))
    assert all(name for name, _ in parse_options(text) or ())
    assert setting_class(text, text) in ("free", "local", "refused") and refusal_reason(text)


@given(st.lists(FIELDS, max_size=5), st.lists(FIELDS, max_size=3))
@settings(max_examples=100, deadline=None)
def test_a_scram_server_that_makes_things_up(challenge: list[str], proof: list[str]) -> None:
    """No challenge or proof raises anything but the two errors, and none lets a server in that knows no password."""
    scram = Scram((PLAIN,), Secret("planted"), b"", b"nonce")
    scram.first()
    try:
        scram.final(",".join(challenge).encode())
        scram.verify(",".join(proof).encode())
    except (ProtocolError, Unavailable) as error:
        assert "planted" not in str(error)
    else:
        raise AssertionError("a server that knows no password was believed")
