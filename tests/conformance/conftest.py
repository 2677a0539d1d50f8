"""One gateway for each protocol's module of the conformance kit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.conformance.driver import Driver
from tests.conformance.stage import Stage
from tests.conformance.world import SECONDS, world


def loop() -> asyncio.AbstractEventLoop:
    """Return the loop that the gateway runs on where it is installed."""
    uvloop = pytest.importorskip("uvloop")
    made: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return made


@pytest.fixture(scope="module")
def stage(driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway in front of the target of the module's driver."""
    with asyncio.Runner(loop_factory=loop) as runner:
        opened = world(driver, tmp_path_factory.mktemp("conformance"))
        yield Stage(runner, runner.run(opened.__aenter__()))
        runner.run(asyncio.wait_for(opened.__aexit__(None, None, None), SECONDS))
