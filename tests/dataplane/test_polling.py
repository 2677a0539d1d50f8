"""Polling before sleeping: where bytes follow soon, and nowhere else."""

from __future__ import annotations

import asyncio

from checkrein.core.limits import POLL_SECONDS
from checkrein.core.side import Side
from checkrein.dataplane.polling import SOON_SECONDS, Polling

CLIENT, TARGET = Side.CLIENT, Side.TARGET
ONE, OTHER = object(), object()
SOON = POLL_SECONDS / 2
LATE = SOON_SECONDS * 10


class Scene:
    """A polling whose clock stands still but for what the test says, and for a step at each look at it."""

    def __init__(self, on: bool = True, step: float = POLL_SECONDS / 10) -> None:
        self.now = 100.0
        self.step = step
        self.polling = Polling(on, self._clock)

    def _clock(self) -> float:
        self.now += self.step
        return self.now

    async def arrives(self, side: Side, after: float, who: object = ONE) -> int:
        """Bytes arrive; return how often the loop looked before it would sleep."""
        self.now += after
        before = self.polling.looks
        self.polling.arrived(side, who)
        for _ in range(100):
            await asyncio.sleep(0)
        return self.polling.looks - before


def test_it_polls_where_bytes_follow_soon_and_then_sleeps() -> None:
    """A conversation without pauses is polled for, each time no longer than POLL_SECONDS."""

    async def scene() -> list[int]:
        made = Scene()
        return [await made.arrives(side, SOON) for side in (CLIENT, TARGET) * 4]

    first, *others = asyncio.run(scene())
    assert first == 0
    assert all(5 <= looks <= 11 for looks in others[2:])


def test_a_client_that_thinks_is_not_polled_for() -> None:
    """Its target's quick answers are; and once it does follow soon, it is too."""

    async def scene() -> list[bool]:
        made = Scene()
        pauses = [(CLIENT, LATE), (TARGET, SOON)] * 3 + [(CLIENT, SOON), (TARGET, SOON), (CLIENT, LATE)]
        return [bool(await made.arrives(side, after)) for side, after in pauses]

    assert asyncio.run(scene()) == [False, False, True, False, True, False, True, True, True]


def test_bytes_that_come_while_it_polls_make_no_second_poll() -> None:
    """A look is asked for once however much arrives meanwhile."""

    async def scene() -> int:
        made = Scene(step=0.0)
        for _ in range(50):
            made.polling.arrived(CLIENT, ONE)
            made.polling.arrived(TARGET, ONE)
        before = made.polling.looks
        for _ in range(10):
            await asyncio.sleep(0)
        looks = made.polling.looks - before
        made.now += LATE
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        ended = made.polling.looks
        await asyncio.sleep(0)
        assert made.polling.looks == ended
        return looks

    assert 9 <= asyncio.run(scene()) <= 11


def test_sessions_that_take_turns_are_not_polled_for() -> None:
    """With several busy ones the loop rarely sleeps; once one is alone again it is polled for."""

    async def scene() -> tuple[int, int]:
        made = Scene()
        for side in (CLIENT, TARGET) * 4:
            await made.arrives(side, SOON)
        together = sum([await made.arrives(side, SOON, who) for side in (CLIENT, TARGET) * 4 for who in (OTHER, ONE)])
        alone = sum([await made.arrives(side, SOON, OTHER) for side in (CLIENT, TARGET) * 4])
        return together, alone

    together, alone = asyncio.run(scene())
    assert together == 0
    assert alone >= 20


def test_off_is_off() -> None:
    """It never polls."""

    async def scene() -> int:
        made = Scene(on=False)
        return sum([await made.arrives(side, SOON) for side in (CLIENT, TARGET) * 4])

    assert asyncio.run(scene()) == 0
