"""The relay on real sockets, with the toy protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from checkrein.dataplane.relay import CLIENT
from checkrein.gate.ports import Settled
from tests.dataplane.world import World, world

Test = Callable[[World], Awaitable[None]]


def run(test: Test) -> None:
    """Run one scene in a fresh world."""

    async def scene() -> None:
        async with world() as made:
            await asyncio.wait_for(test(made), 20)

    asyncio.run(scene())


def test_a_line_goes_through_and_a_refusal_lives_on() -> None:
    """I4: after a refusal the next permitted line works and answers stay in order, all in one write."""

    async def scene(made: World) -> None:
        reader, writer = await made.client()
        writer.write(b"SAY hi 1\nSAY no 2\nSAY hi 3\n")
        lines = [await reader.readline() for _ in range(3)]
        assert lines == [b"= SAY hi 1\n", b"! denied rule says deny\n", b"= SAY hi 3\n"]
        writer.close()
        await made.closed()

    run(scene)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_any_cutting_gives_the_same_answers(size: int) -> None:
    """Conformance 1: bytes may arrive in any pieces."""

    async def scene(made: World) -> None:
        reader, writer = await made.client()
        data = b"SAY hi one\nSAY no two\nSAY hi three\n"
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await writer.drain()
        lines = [await reader.readline() for _ in range(3)]
        assert [line[:1] for line in lines] == [b"=", b"!", b"="]
        writer.close()

    run(scene)


def test_waiting_keeps_what_is_pipelined_unjudged_and_in_order() -> None:
    """While a person is waited for, later lines are held; after the yes all run in order."""

    async def scene(made: World) -> None:
        reader, writer = await made.client()
        writer.write(b"SAY pay 1\n")
        assert (await reader.readline()).startswith(b"# checkrein: waiting")
        await made.services.asked.wait()
        writer.write(b"SAY hi 2\n")
        await writer.drain()
        made.services.answer.set_result(Settled("a1", "approved", 1.0))
        assert [await reader.readline() for _ in range(2)] == [b"= SAY pay 1\n", b"= SAY hi 2\n"]
        assert made.services.persisted == 1
        writer.close()

    run(scene)


def test_a_client_that_leaves_while_waiting_withdraws() -> None:
    """AP-11: hang-up is noticed while parked; the question is withdrawn and nothing runs."""

    async def scene(made: World) -> None:
        reader, writer = await made.client()
        writer.write(b"SAY pay 1\n")
        await reader.readline()
        await made.services.asked.wait()
        writer.close()
        await made.closed()
        assert made.desk.withdrawn == [("a1", "the asker went away")]
        assert made.journals.journal.of("decided") == []

    run(scene)


def test_what_a_client_pipelined_behind_a_question_dies_with_it() -> None:
    """GW-16: a client that leaves while it waits: nothing is asked again, and nothing that it sent behind is judged."""

    async def scene(made: World) -> None:
        reader, writer = await made.client()
        writer.write(b"SAY pay 1\n")
        await reader.readline()
        await made.services.asked.wait()
        writer.write(b"SAY hi 2\n")
        await writer.drain()
        await made.until(lambda: any(relay._from_client.queue for relay in made.sessions.by_id.values()))
        writer.close()
        await made.closed()
        assert made.desk.withdrawn == [("a1", "the asker went away")]
        assert made.journals.journal.of("decided") == []

    run(scene)


def test_a_parked_client_with_a_full_buffer_is_still_noticed_leaving() -> None:
    """A paused transport does not notice a hang-up; the relay polls for it."""

    async def scene(made: World) -> None:
        reader, writer = await made.client()
        writer.write(b"SAY pay 1\n")
        await reader.readline()
        await made.services.asked.wait()
        writer.write(b"SAY hi x\n" * 10_000)
        await writer.drain()
        writer.close()
        await made.closed()
        assert made.desk.withdrawn[0][0] == "a1"

    run(scene)


def test_kill_is_told_natively() -> None:
    """A killed session is told why in its protocol, also while it waits for a person."""

    async def scene(made: World) -> None:
        for waiting in (False, True):
            reader, writer = await made.client()
            if waiting:
                writer.write(b"SAY pay 1\n")
                await reader.readline()
                await made.services.asked.wait()
            assert made.sessions.kill(next(iter(made.sessions.by_id)), "an operator ended it")
            assert await reader.read() == b"! an operator ended it\n"
            writer.close()
            await made.closed()

    run(scene)


def test_a_refused_login_is_answered_and_closed() -> None:
    """A bad token gets the reason, then the connection ends."""

    async def scene(made: World) -> None:
        reader, writer = await made.client(login=False)
        writer.write(b"LOGIN words default bad\n")
        assert await reader.read() == b"! bad token\n"
        writer.close()

    run(scene)


def test_a_slow_reader_causes_back_pressure_not_memory() -> None:
    """I9: while the client does not read, the target is not read either: what is buffered stays bounded."""

    async def scene(made: World) -> None:
        reader, writer = await made.client()
        line = b"SAY hi " + b"x" * 50_000 + b"\n"
        reader._limit = 1 << 20  # type: ignore[attr-defined]

        async def feed() -> None:
            for _ in range(400):
                writer.write(line)
                await writer.drain()

        feeding = asyncio.create_task(feed())
        relay = next(iter(made.sessions.by_id.values()))
        await made.until(lambda: CLIENT in relay._full)
        transport, behind = relay.client.transport, relay.target.transport
        assert transport is not None and behind is not None
        assert not behind.is_reading()
        assert transport.get_write_buffer_size() < 4 * 1024 * 1024
        for _ in range(400):
            assert len(await reader.readline()) == len(line) + 2
        await feeding
        writer.close()

    run(scene)
