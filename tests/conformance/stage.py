"""Where scenes are played, and what every one of them must leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.conformance.driver import Driver, Request
from tests.conformance.world import SECONDS, World

Scene = Callable[[World], Awaitable[None]]


class Stage:
    """A gateway that lives as long as a class of tests, and the loop that it runs on."""

    def __init__(self, runner: asyncio.Runner, made: World) -> None:
        self.runner = runner
        self.world = made

    def play(self, scene: Scene, seconds: float = SECONDS) -> None:
        """Run one scene; then nothing may be left of it, and every recording must verify (point 9)."""
        self.runner.run(asyncio.wait_for(self._whole(scene), seconds))

    async def _whole(self, scene: Scene) -> None:
        made = self.world
        made.fresh()
        try:
            await scene(made)
        finally:
            await made.leave()
        made.verified()
        unjudged, made.unjudged = made.unjudged, []
        assert unjudged == [], "the target was sent what the journal had not decided"
        assert made.leaks(made.driver.planted) == []


def texts(driver: Driver, made: World) -> list[str]:
    """Return the statements that reached the target over every connection that the tap remembers."""
    return [text for one in made.tap.connections for text in driver.statements(bytes(one.up))]


def ran(made: World, request: Request) -> bool:
    """Whether the target was told to run a request, over any connection that the tap remembers."""
    return any(made.driver.ran(bytes(one.up), request) for one in made.tap.connections)
