"""The pool of side links against the real server: when a catalog that is at hand may be used, and when not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from checkrein.adapters.sidelinks import Changes, SideLinks, Tls
from checkrein.core.identity import Secret
from checkrein.core.steps import Query
from checkrein.core.target import Profile, Target, TargetTls
from checkrein.dataplane.tls import end_point_binding, target_context
from checkrein.protocols.postgres import SPEC
from checkrein.protocols.postgres.catalog import CatalogChange, CatalogQuestion, CatalogSnapshot, Changer
from tests.support.postgres import PASSWORD, Database

PROFILES = {name: Profile(name, "postgres") for name in ("default", "other")}


def target(database: Database, name: str = "db") -> Target:
    """Return a target over a database."""
    server = database.server
    tls = TargetTls("disable")
    return Target(name, "postgres", server.host, server.port, database.name, tls=tls, profiles=PROFILES)


class Side:
    """One session's view: a target and profile over shared links."""

    def __init__(self, links: SideLinks, target: Target, profile: str = "default") -> None:
        self._links = links
        self._target = target
        self._profile = profile

    async def say(self, question: object, fresh: bool = True) -> object:
        return await self._links.query(self._target, self._target.profiles[self._profile], Query(question, fresh))

    def cached(self) -> CatalogSnapshot | None:
        found = self._links.cached(self._target, self._profile)
        assert found is None or isinstance(found, CatalogSnapshot)
        return found

    async def sees(self, table: str) -> bool:
        """Look at the catalog as a statement does: what is at hand, else what is asked for."""
        found = self.cached() or await self.say(CatalogQuestion(), False)
        assert isinstance(found, CatalogSnapshot)
        return ("public", table) in found.relations


@asynccontextmanager
async def links() -> AsyncIterator[SideLinks]:
    """Links of a gateway, closed afterwards."""
    made = SideLinks({"postgres": SPEC}, lambda *_: Secret(PASSWORD), Tls(target_context, end_point_binding))
    upkeep = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    try:
        yield made
    finally:
        upkeep.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await upkeep


def others(pool: SideLinks, database: Database) -> list[Side]:
    """Return sessions of the same database by another profile, and by another target."""
    one = target(database)
    return [Side(pool, one), Side(pool, one, "other"), Side(pool, target(database, "same"), "default")]


def test_a_settled_change_is_seen_by_every_session(database: Database) -> None:
    """Once one session has settled its DDL, none of the same database uses what it had before: other profiles and
    other targets of that database included; nobody waits for the next poll."""

    async def main() -> None:
        async with links() as pool:
            sides = others(pool, database)
            for side in sides:
                assert not await side.sees("made")
            changer = Changer()
            await sides[0].say(CatalogChange(changer))
            database.run("CREATE TABLE public.made (id int)")
            settled = await sides[0].say(CatalogChange(changer, settled=True))
            assert isinstance(settled, CatalogSnapshot) and ("public", "made") in settled.relations
            for side in sides:
                assert await side.sees("made")
                assert side.cached() is not None, "settled: it may be used again without asking"

    asyncio.run(main())


def test_a_fresh_answer_is_everybodys(database: Database) -> None:
    """What one session asks for anew makes the others ask anew too."""

    async def main() -> None:
        async with links() as pool:
            sides = others(pool, database)
            for side in sides:
                assert not await side.sees("made")
            database.run("CREATE TABLE public.made (id int)")
            assert not await sides[1].sees("made"), "nothing told of it"
            await sides[0].say(CatalogQuestion())
            for side in sides:
                assert await side.sees("made")

    asyncio.run(main())


@pytest.mark.parametrize("ends", ["settled", "gone"])
def test_a_change_under_way_is_not_overlooked(database: Database, ends: str) -> None:
    """While DDL is under way nothing at hand is used, whenever it takes effect; a session that ends ends its change."""

    async def main() -> None:
        async with links() as pool:
            sides = others(pool, database)
            for side in sides:
                await side.sees("made")
            changer: Changer | None = Changer()
            assert changer is not None
            assert await sides[0].say(CatalogChange(changer)) is None
            await sides[0].say(CatalogChange(changer))
            for side in sides:
                assert side.cached() is None
                assert not await side.sees("made")
                assert side.cached() is None
            database.run("CREATE TABLE public.made (id int)")
            for side in sides:
                assert await side.sees("made")
                assert side.cached() is None
            database.run("CREATE TABLE public.later (id int)")
            if ends == "settled":
                await sides[0].say(CatalogChange(changer, settled=True))
            changer = None
            gc.collect()
            for side in sides:
                assert await side.sees("later")
                assert side.cached() is not None

    asyncio.run(main())


def test_an_unchanged_catalog_stays_the_same_object(database: Database) -> None:
    """Asking anew costs a version, not a catalog: readings that were made under it stay good."""

    async def main() -> None:
        async with links() as pool:
            side = Side(pool, target(database))
            first = await side.say(CatalogQuestion())
            assert await side.say(CatalogQuestion()) is first
            assert await side.say(CatalogChange(Changer(), settled=True)) is first

    asyncio.run(main())


def test_another_database_is_not_disturbed(database: Database) -> None:
    """A change in one database leaves the catalogs of others at hand."""

    async def main() -> None:
        async with links() as pool:
            here, there = Side(pool, target(database)), Side(pool, target(_postgres(database), "there"))
            await here.sees("x")
            await there.sees("x")
            changer = Changer()
            await here.say(CatalogChange(changer))
            assert here.cached() is None
            assert there.cached() is not None

    asyncio.run(main())


def _postgres(database: Database) -> Database:
    return Database(database.server, "postgres")


def test_a_session_that_ended_holds_nobody_up() -> None:
    """GW-21: whoever left a change unsettled is known to be gone, though something still holds its token."""
    changes, token = Changes(), Changer()
    changes.begin(token)
    now = time.monotonic()
    assert not changes.allow(now + 1, now + 2)
    changes.gone(Changer())
    assert not changes.allow(now + 1, now + 2)
    changes.gone(token)
    assert changes.allow(now + 1, now + 2)
    assert not changes.allow(now - 1, now), "what was asked for before is not used"
