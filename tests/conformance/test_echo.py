"""The toy protocol passes the kit: a protocol is added by touching one existing line."""

from __future__ import annotations

import pytest

from tests.conformance.echo_driver import EchoDriver
from tests.conformance.kit import Conformance


@pytest.fixture(scope="module")
def driver() -> EchoDriver:
    """The toy protocol."""
    return EchoDriver()


class TestEcho(Conformance):
    """All ten points."""
