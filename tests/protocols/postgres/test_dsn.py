"""The connection line that `checkrein connect` prints."""

from __future__ import annotations

import psycopg
import pytest

from checkrein.protocols.postgres import dsn


@pytest.mark.parametrize(
    "path",
    [
        "/etc/ca.pem",
        "/my data/ca.pem",
        "/o'neil/ca.pem",
        "C:\\\\ca.pem",
        "/x host=evil/ca.pem",
        "/tab\thost=evil",
        "/end ",
    ],
)
def test_any_path_is_one_value(path: str) -> None:
    """libpq reads the line back as it was meant, whatever stands in the authority's path."""
    told = psycopg.conninfo.conninfo_to_dict(dsn("127.0.0.1", 15432, "db", "default", path))
    assert told["sslrootcert"] == path
    assert (told["host"], told["sslmode"]) == ("127.0.0.1", "verify-full")


def test_no_authority() -> None:
    """Without an authority of its own the line names none."""
    assert "sslrootcert" not in dsn("127.0.0.1", 15432, "db", "default")
