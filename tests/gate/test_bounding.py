"""Long texts and parameters in events."""

from __future__ import annotations

import hashlib

from checkrein.core.limits import EVENT_BYTES, STATEMENT_BYTES
from checkrein.gate.bounding import HEAD, bounded


def test_what_fits_is_kept_whole() -> None:
    """Texts and parameters up to the limits are not touched."""
    text, parameters = "x" * STATEMENT_BYTES, ["y" * (EVENT_BYTES - 1), None, "z"]
    assert bounded(text, parameters) == (text, parameters)
    assert bounded("", None) == ("", None)
    assert bounded("", []) == ("", [])


def test_what_is_longer_is_cut_and_digested() -> None:
    """The head, the size and the digest are kept."""
    long = "é" * (STATEMENT_BYTES + 1)
    digest = hashlib.sha256(long.encode()).hexdigest()
    text, parameters = bounded(long, [long, None, "short"])
    assert text == f"{'é' * HEAD} ... {2 * len(long)} bytes, SHA-256 {digest}"
    assert parameters == [text, None, "short"]


def test_many_parameters_stay_bounded() -> None:
    """65,535 parameters of 200 bytes do not make an event of any size."""
    _, parameters = bounded("", ["x" * 200] * 65535)
    assert parameters is not None
    assert sum(len(one or "") for one in parameters) < 8 * 1024 * 1024 - STATEMENT_BYTES
