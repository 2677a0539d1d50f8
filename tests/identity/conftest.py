"""Keys and tokens of an issuer for the pure tests: real signatures, fixed time."""

from __future__ import annotations

import pytest

from tests.identity.support import Signer


@pytest.fixture(scope="session")
def signer() -> Signer:
    """One issuer's keys, made once a run."""
    return Signer()
