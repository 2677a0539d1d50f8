"""Secret references: resolved anew each time, never shown, refused by name where not built."""

from __future__ import annotations

from pathlib import Path

import pytest

from checkrein.adapters.secrets import resolve, warning
from checkrein.core.errors import Unavailable
from checkrein.core.limits import SECRET_BYTES


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """env: gives the variable's bytes; an unset or empty one is told by name."""
    monkeypatch.setenv("CHECKREIN_TEST_SECRET", "pässword")
    assert resolve("env:CHECKREIN_TEST_SECRET").reveal() == "pässword".encode()
    monkeypatch.setenv("CHECKREIN_TEST_SECRET", "")
    with pytest.raises(Unavailable, match="CHECKREIN_TEST_SECRET is not set or empty"):
        resolve("env:CHECKREIN_TEST_SECRET")


def test_file_and_rotation(tmp_path: Path) -> None:
    """file: gives the contents without one line end, and the new ones once they changed (GW-10)."""
    file = tmp_path / "secret"
    file.write_bytes(b"one\r\n")
    assert resolve(f"file:{file}").reveal() == b"one"
    file.write_bytes(b"two\n\n")
    assert resolve(f"file:{file}").reveal() == b"two\n"


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "is empty"), (b"\n", "is empty"), (b"x" * (SECRET_BYTES + 1), "longer")]
)
def test_files_that_hold_no_secret(tmp_path: Path, content: bytes, says: str) -> None:
    """Empty and oversized files are refused, without their contents."""
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(Unavailable, match=says) as caught:
        resolve(f"file:{tmp_path / 'secret'}")
    assert "xxx" not in str(caught.value)


def test_missing_file_and_other_schemes(tmp_path: Path) -> None:
    """What is not there, and what is not built, is told by name."""
    with pytest.raises(Unavailable, match="cannot be read"):
        resolve(f"file:{tmp_path / 'none'}")
    with pytest.raises(Unavailable, match="vault: are not built yet"):
        resolve("vault:kv/x")


def test_readable_by_others_warns(tmp_path: Path) -> None:
    """A secret file that others may read is said so; a private one is not."""
    file = tmp_path / "secret"
    file.write_bytes(b"x")
    file.chmod(0o644)
    assert "chmod 600" in warning(f"file:{file}")
    file.chmod(0o600)
    assert warning(f"file:{file}") == ""
    assert warning("env:X") == ""
