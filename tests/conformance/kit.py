"""What every protocol must pass, in ten points, against the real gateway and a real target.

A protocol's test module subclasses `Conformance` and has a `driver` fixture for the module (see driver.py); no more.
"""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkrein.core.limits import PARKED_INPUT, READ_CHUNK, WRITE_HIGH_WATER
from tests.conformance.driver import ALLOWED, ASKED, DENIED, FAILING, MASKED, OK, REFUSED, Answer
from tests.conformance.measure import memory_growth
from tests.conformance.stage import Stage, ran, texts
from tests.conformance.wire import Wire
from tests.conformance.world import World, open_files
from tests.support.proxy import DOWN, UP, Cut, turns

TALK = ((ALLOWED, 1), (DENIED, 2), (MASKED, 3), (ALLOWED, 4), (FAILING, 5), (DENIED, 6), (DENIED, 7), (ALLOWED, 8))
CUTS = 24
"""Cut points a way, besides the first and last bytes."""

OWN_QUESTIONS = 4096
"""Bytes that the gateway itself may send a target, to read a request by; far fewer than the request has."""

GROWTH = 64 * 1024 * 1024
"""What the whole process, target and client of the test included, may grow by for a result of any size."""

quick = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


class Conformance:
    """The ten points."""

    # --- 1 and 2 -------------------------------------------------------------------------------

    @quick
    @given(seed=st.lists(st.integers(1, 90), min_size=1, max_size=6))
    def test_any_cutting_gives_the_same_outcome(self, stage: Stage, seed: list[int]) -> None:
        """Points 1 and 5: whole, bytewise or ragged, login included: same answers, same decisions, same statements."""

        async def scene(made: World) -> None:
            whole = await self._talked(made, ())
            assert len(whole[0]) == len(TALK)
            assert await self._talked(made, tuple(seed)) == whole

        stage.play(scene)

    def test_bytewise_gives_the_same_outcome(self, stage: Stage) -> None:
        """Point 1 at its finest, both ways; the gateway really did get the bytes one by one."""

        async def scene(made: World) -> None:
            whole = await self._talked(made, ())
            before = made.app.sessions.generators.chunks
            assert await self._talked(made, (1,)) == whole
            sent = sum(len(made.driver.request(*one).data) for one in TALK)
            assert made.app.sessions.generators.chunks - before > sent // 4

        stage.play(scene)

    async def _talked(self, made: World, sizes: tuple[int, ...]) -> tuple[list[Answer], list[object], list[str]]:
        made.tap.sizes = sizes
        made.tap.connections = []
        wire = await made.client(sizes=sizes)
        answers = await wire.ask(*(made.driver.request(*one).data for one in TALK))
        await wire.send(made.driver.farewell())
        await made.leave()
        made.tap.sizes = ()
        decided = [(one["statement"], one["outcome"]) for one in made.last_session("decided")]
        return answers, list(decided), texts(made.driver, made)

    @quick
    @given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300))
    def test_messages_round_trip(self, stage: Stage, text: str) -> None:
        """Point 2: an allowed request reaches the target byte for byte, and its answer the client."""

        async def scene(made: World) -> None:
            wire = await made.client()
            request = made.driver.request(ALLOWED, 1) if not text else made.driver.odd(text)
            before = wire.everything
            (answer,) = await wire.ask(request.data)
            assert answer.outcome == OK
            assert any(request.data in one.up for one in made.tap.connections)
            got = wire.everything[len(before) :]
            assert any(got in one.down for one in made.tap.connections)

        stage.play(scene)

    # --- 3, 4, 5 -------------------------------------------------------------------------------

    def test_nothing_reaches_the_target_unjudged_nor_refused(self, stage: Stage) -> None:
        """Points 3 and 4: what the tap saw is what was decided to be forwarded, in order; no refused text is in it."""

        async def scene(made: World) -> None:
            driver = made.driver
            wire = await made.client()
            requests = [driver.request(*one) for one in TALK]
            answers = await wire.ask(*(one.data for one in requests))
            assert [one.outcome == REFUSED for one in answers] == [kind == DENIED for kind, _ in TALK]
            carried = b"".join(bytes(one.up) for one in made.tap.connections)
            for request, (kind, _) in zip(requests, TALK, strict=True):
                assert (request.mark in carried) == (kind != DENIED), request
            passed = [request.text for request, (kind, _) in zip(requests, TALK, strict=True) if kind != DENIED]
            assert list(dict.fromkeys(texts(driver, made))) == passed
            await made.leave()
            decided = made.last_session("decided")
            final = [one for one in decided if one.get("phase") != "prepare" or one["outcome"] == "refused"]
            assert [one["statement"] for one in final if one["outcome"] == "forwarded"] == passed
            assert sum(one["outcome"] == "refused" for one in final) == len(TALK) - len(passed)

        stage.play(scene)

    def test_the_session_goes_on_after_a_refusal(self, stage: Stage) -> None:
        """Point 5: one by one and all at once, answers come in order and a permitted request works after a refusal."""

        async def scene(made: World) -> None:
            wire = await made.client()
            one_by_one = [(await wire.ask(made.driver.request(*one).data))[0] for one in TALK]
            at_once = await wire.ask(*(made.driver.request(*one).data for one in TALK))
            assert at_once == one_by_one
            assert one_by_one[0].outcome == one_by_one[3].outcome == one_by_one[-1].outcome == OK
            assert one_by_one[0].body != one_by_one[3].body

        stage.play(scene)

    # --- asking --------------------------------------------------------------------------------

    @pytest.mark.parametrize("number", [10, 11])
    @pytest.mark.parametrize("said", ["approve", "deny"])
    def test_a_person_answers(self, stage: Stage, said: str, number: int) -> None:
        """Nothing asked moves before the yes; what is pipelined behind waits its turn; a no is a refusal in place."""

        async def scene(made: World) -> None:
            wire = await made.client()
            asked = made.driver.request(ASKED, number + 2 * (said == "deny"))
            await wire.send(asked.data + made.driver.request(ALLOWED, 12).data)
            question = await made.asked()
            assert question["statement"] == asked.text
            assert not ran(made, asked)
            await made.api("POST", f"/approvals/{question['id']}/{said}", note="seen")
            first, second = await wire.answers(2)
            assert first.outcome == (OK if said == "approve" else REFUSED)
            assert second.outcome == OK
            assert ran(made, asked) == (said == "approve")

        stage.play(scene)

    @pytest.mark.parametrize("number", [20, 21])
    @pytest.mark.parametrize("way", ["end", "reset", "kill", "full"])
    def test_an_asker_that_goes_withdraws_its_question(self, stage: Stage, way: str, number: int) -> None:
        """Point 10 while a person is waited for: the question is withdrawn and never runs, whoever ends the session."""

        async def scene(made: World) -> None:
            wire = await made.client()
            asked = made.driver.request(ASKED, number)
            await wire.send(asked.data)
            question = await made.asked()
            if way == "kill":
                assert made.app.sessions.kill(made.relay().id, "an operator ended it")
                assert "an operator ended it" in made.driver.last_words(await wire.end())
            elif way == "reset":
                wire.reset()
            else:
                if way == "full":
                    wire.writer.write(made.driver.request(ALLOWED, 22).data * (2 * PARKED_INPUT // 20))
                    await turns(200)
                    wire.reset()
                await wire.close()
            await made.idle()
            await made.app.control.approvals.ls("")
            while (await made.app.control.approvals.show(question["id"]) or {})["state"] == "pending":
                pass
            assert (await made.app.control.approvals.show(question["id"]) or {})["state"] == "withdrawn"
            assert not ran(made, asked)

        stage.play(scene)

    # --- 6 -------------------------------------------------------------------------------------

    def test_garbage_ends_the_session_with_an_error(self, stage: Stage) -> None:
        """Point 6: what is no message is answered by a native error and a close; nothing of it is forwarded."""

        async def scene(made: World) -> None:
            for garbage in made.driver.garbage:
                wire = await made.client()
                await self._must_end(made, wire, garbage)
            for garbage in made.driver.login_garbage:
                wire = await made.client(login=False)
                await self._must_end(made, wire, garbage)
            wire = await made.client()
            assert (await wire.ask(made.driver.request(ALLOWED, 9).data))[0].outcome == OK

        stage.play(scene)

    async def _must_end(self, made: World, wire: Wire, garbage: bytes) -> None:
        """Send garbage, with a good request behind it that must not be served."""
        behind = made.driver.request(ALLOWED, 99)
        await wire.send(garbage + behind.data)
        assert made.driver.last_words(await wire.end()), garbage
        assert not any(behind.mark in one.up for one in made.tap.connections), garbage
        await made.idle()

    @quick
    @given(seed=st.integers(0, 2**32), after_login=st.booleans(), size=st.integers(1, 3000))
    def test_random_bytes_neither_hang_nor_pass(self, stage: Stage, seed: int, after_login: bool, size: int) -> None:
        """Point 6: noise, and messages with noise in them; when the client ends, so does the session."""

        async def scene(made: World) -> None:
            generator = random.Random(seed)
            wire = await made.client(login=after_login)
            noise = bytearray(made.driver.request(ALLOWED, 31).data * 3 if seed % 2 else generator.randbytes(size))
            for _ in range(1 + size // 300):
                noise[generator.randrange(len(noise))] = generator.randrange(256)
            await wire.send(bytes(noise))
            wire.writer.write_eof()
            await wire.end()

        stage.play(scene)

    def test_oversize_is_refused_before_it_is_held(self, stage: Stage) -> None:
        """Points 6 and 7: a request without end is cut off at its limit, with a native error, nothing forwarded."""

        async def scene(made: World) -> None:
            wire = await made.client()
            carried = made.carried()
            before = carried.passed[UP]
            pouring = asyncio.create_task(wire.pour(made.driver.oversize()))
            with memory_growth(GROWTH):
                words = made.driver.last_words(await wire.end())
            await wire.close()
            await pouring
            assert words
            assert carried.passed[UP] - before < OWN_QUESTIONS

        stage.play(scene)

    def test_a_hostile_target_ends_the_session(self, stage: Stage) -> None:
        """Point 6 from the other side: what no target may say ends in an error for the client, never in a crash."""

        async def scene(made: World) -> None:
            for lie in made.driver.hostile:
                wire = await made.client()
                carried = made.carried()
                carried.says = lie
                await wire.send(made.driver.request(ALLOWED, 41).data)
                await wire.end()
                assert carried.says is None, lie
                await made.idle()

        stage.play(scene)

    # --- 7 -------------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", [ALLOWED, MASKED])
    def test_memory_is_bounded_at_any_size_of_result(self, stage: Stage, kind: str) -> None:
        """Point 7: a client that does not read stops the target; all of a large result comes in bounded memory."""

        async def scene(made: World) -> None:
            made.tap.keep = False
            wire = await made.client()
            requests, size = made.driver.large(kind)

            with memory_growth(GROWTH) as look:
                feeding = asyncio.create_task(wire.pour(requests))
                relay = made.relay()
                await made.until(lambda: relay.client.side in relay._full)
                for end in (relay.client, relay.target):
                    assert end.transport is not None
                    assert end.transport.get_write_buffer_size() < WRITE_HIGH_WATER + 8 * READ_CHUNK
                total = 0
                while total < size and await wire.more():
                    total += len(wire.received)
                    wire.received = wire.everything = b""
                    look()
            await feeding
            assert total >= size

        stage.play(scene)

    @pytest.mark.parametrize("end", ["reset", "kill"])
    @pytest.mark.parametrize("stalled", [UP, DOWN])
    def test_a_stalled_session_can_end(self, stage: Stage, stalled: str, end: str) -> None:
        """Points 7 and 10: while the client or the target reads nothing, the session still ends when it must."""

        async def scene(made: World) -> None:
            made.tap.keep = False
            wire = await made.client()
            relay = made.relay()
            requests, _ = made.driver.large(ALLOWED)
            carried = made.carried()
            before = carried.passed[UP]
            pouring = asyncio.create_task(wire.pour(made.driver.long_requests() if stalled == UP else requests))
            if stalled == UP:
                await made.until(lambda: carried.passed[UP] - before > PARKED_INPUT)
                carried.going[UP].clear()
            full = relay.target if stalled == UP else relay.client
            await made.until(lambda: full.side in relay._full or relay.id not in made.app.sessions.by_id)
            if end == "reset":
                wire.reset()
            else:
                made.app.sessions.kill(relay.id, "an operator ended it")
            await made.idle()
            wire.reset()
            await pouring

        stage.play(scene)

    # --- 8 -------------------------------------------------------------------------------------

    def test_a_planted_secret_stays_inside(self, stage: Stage) -> None:
        """Point 8: masked values and credentials reach no client, log or journal, though the target gave them."""

        async def scene(made: World) -> None:
            made.tap.sizes = (7,)
            wire = await made.client(sizes=(11,))
            answers = await wire.ask(*(made.driver.request(MASKED, n).data for n in (1, 2, 3, 4)))
            made.tap.sizes = ()
            assert {one.outcome for one in answers} == {OK}
            secrets = (*made.driver.planted, made.tokens["bot"].encode(), made.tokens["anna"].encode())
            answered = b"".join(bytes(one.down) for one in made.tap.connections)
            assert any(secret in answered for secret in secrets), "the target never gave a secret"
            assert not any(secret in wire.everything for secret in secrets)
            assert made.tokens["bot"].encode() not in b"".join(bytes(one.up) for one in made.tap.connections)
            await made.leave()
            made.verified()
            assert made.leaks(secrets) == []

        stage.play(scene)

    # --- 9 and 10 ------------------------------------------------------------------------------

    @pytest.mark.parametrize("side", ["client", "target"])
    @pytest.mark.parametrize("way", [UP, DOWN])
    def test_killing_either_side_at_any_byte_leaves_nothing(self, stage: Stage, side: str, way: str) -> None:
        """Points 9 and 10: wherever a connection breaks, no session, task or link is left; the journal is signed."""

        async def scene(made: World) -> None:
            proxy = made.door if side == "client" else made.tap
            whole = await self._broken(made, None)
            length = max(one.passed[way] for one in proxy.connections)
            before = made.verified()
            points = cut_points(length)
            for index, point in enumerate(points):
                proxy.cut = Cut(way, point, reset=index % 3 != 0)
                try:
                    await self._broken(made, whole)
                finally:
                    proxy.cut = None
            assert made.verified() <= before + len(points)
            await made.until(lambda: open_files() <= made.files_at_rest + 4)

        stage.play(scene)

    async def _broken(self, made: World, whole: list[Answer] | None) -> list[Answer]:
        """Talk over connections that may break; what was answered before is what is always answered."""
        for proxy in (made.door, made.tap):
            proxy.connections = []
        wire = await made.client(login=False, cut=True)
        answers: list[Answer] = []
        try:
            await made.driver.login(wire, made.tokens["bot"])
            answers = await wire.ask(*(made.driver.request(*one).data for one in TALK))
            await wire.send(made.driver.farewell())
        except (EOFError, ConnectionError):
            pass
        if whole is not None:
            good = [one for one in answers if one.outcome in (OK, REFUSED)]
            assert all(one in whole for one in good)
        await made.leave()
        return answers


def cut_points(length: int) -> list[int]:
    """Return byte counts to cut at: the borders, and the rest spread evenly, the same ones every time."""
    generator = random.Random(length)
    spread = {generator.randrange(length) for _ in range(CUTS)}
    return sorted({0, 1, 2, length - 1, *spread})
