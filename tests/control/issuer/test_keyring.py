"""The signing keys: kept across restarts, private, replaced by age without invalidating what they signed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from checkrein.control.issuer.keyring import Keyring
from checkrein.core.errors import Unavailable
from checkrein.core.limits import CLOCK_SKEW_SECONDS, ISSUER_KEY_SECONDS
from checkrein.identity.keys import read_keys
from checkrein.identity.tokens import Peeked, check_signature, peek

NOW = 1_800_000_000.0
CLAIMS = {"iss": "x", "sub": "bot"}


def holds(token: str, ring: Keyring) -> bool:
    """Return whether a ring's published keys verify a token."""
    peeked = peek(token.encode())
    assert isinstance(peeked, Peeked)
    return check_signature(token.encode(), peeked, read_keys(ring.document())) is None


def test_keys_survive_a_restart_and_are_private(tmp_path: Path) -> None:
    """A token of before verifies after a restart; files are 0600 in a folder of 0700."""
    folder = tmp_path / "keys"
    token = Keyring.open(folder, 900, NOW).sign(CLAIMS, NOW)
    assert holds(token, Keyring.open(folder, 900, NOW + 1))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600]


def test_rotation_keeps_what_was_signed(tmp_path: Path) -> None:
    """At its age the key is replaced; old tokens verify until the last has expired, then the old file goes."""
    ring = Keyring.open(tmp_path, 900, NOW)
    old = ring.sign(CLAIMS, NOW)
    later = NOW + ISSUER_KEY_SECONDS
    new = ring.sign(CLAIMS, later)
    assert peek(old.encode()).kid != peek(new.encode()).kid  # type: ignore[union-attr]
    assert holds(old, ring)
    assert holds(new, ring)
    ring.upkeep(later + 900 + CLOCK_SKEW_SECONDS + 1)
    assert not holds(old, ring)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_broken_key_file_stops_the_start(tmp_path: Path) -> None:
    """A key that cannot be read is an error, not a silent new key."""
    Keyring.open(tmp_path, 900, NOW)
    next(tmp_path.iterdir()).write_text("{}")
    with pytest.raises(Unavailable, match="cannot be used"):
        Keyring.open(tmp_path, 900, NOW)
