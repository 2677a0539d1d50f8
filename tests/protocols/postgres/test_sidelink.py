"""The side link against the real server."""

from __future__ import annotations

import pytest

from checkrein.core.errors import ProtocolError, Unavailable
from checkrein.core.framing import frame
from checkrein.protocols.postgres.catalog import CatalogQuestion, CatalogSnapshot
from checkrein.protocols.postgres.sidelink import PostgresSideLink, side_link, text_row
from tests.protocols.postgres.wire import Driver, link_to
from tests.support.postgres import TLS_USER, Database, PostgresServer


def opened(database: Database, **given: str) -> Driver:
    """A side link that is logged in."""
    link = link_to(database.server, database.name, **given)
    driver = Driver(link, side_link(link.target, link.profile, link.password))
    driver.pump(driver.machine.start(), "ready")
    return driver


def ask(driver: Driver, cached: CatalogSnapshot | None) -> CatalogSnapshot:
    driver.pump(driver.machine.ask(CatalogQuestion(), cached), "ready")
    found = driver.machine.result()
    assert isinstance(found, CatalogSnapshot)
    return found


def test_a_catalog_is_loaded_once_and_again_only_when_it_changed(database: Database) -> None:
    """The same object comes back while nothing changed, a new one right after DDL, over one link."""
    database.run("CREATE TABLE orders (id int PRIMARY KEY, note text); CREATE VIEW v AS SELECT id FROM orders")
    with opened(database) as driver:
        first = ask(driver, None)
        assert [one.name for one in first.relations["public", "orders"].columns] == ["id", "note"]
        assert "public.orders" in first.relations["public", "v"].definition
        assert ask(driver, first) is first
        database.run("ALTER TABLE orders ADD secret text")
        second = ask(driver, first)
        assert second is not first and second.version != first.version
        assert [one.name for one in second.relations["public", "orders"].columns] == ["id", "note", "secret"]


def test_it_works_over_tls(database: Database) -> None:
    """TLS is started by the driver when the link says so, and bound to the login."""
    with opened(database, tls="verify-full", user=TLS_USER) as driver:
        assert ask(driver, None).user == TLS_USER


def test_one_question_at_a_time_and_only_known_ones(database: Database) -> None:
    """A question while one is under way, or of another kind, is a mistake of the caller."""
    with opened(database) as driver:
        with pytest.raises(ValueError):
            driver.machine.ask("SELECT 1", None)
        driver.machine.ask(CatalogQuestion(), None)
        with pytest.raises(ValueError):
            driver.machine.ask(CatalogQuestion(), None)


def idle(postgres: PostgresServer) -> PostgresSideLink:
    """A link that is logged in and waits for the answers to its set-up."""
    link = link_to(postgres)
    driver = Driver(link, side_link(link.target, link.profile, link.password))
    with driver:
        driver.pump(driver.machine.start(), "ready")
    machine: PostgresSideLink = driver.machine
    machine.ask(CatalogQuestion(), None)
    return machine


@pytest.mark.parametrize(
    "data",
    [
        frame(b"E", b"C42501\0Msecret\0\0"),
        frame(b"G", b"\0\0\0"),
        frame(b"D", b"\0\1\0\0\0\x09a"),
        frame(b"D", b"\0\2\0\0\0\1a"),
        b"D\xff\xff\xff\xff",
        frame(b"Z", b"I") * 40,
    ],
)
def test_a_target_that_does_not_answer_properly_ends_the_link(postgres: PostgresServer, data: bytes) -> None:
    """Errors, foreign messages, cut rows, huge frames and empty answers raise without the target's text."""
    with pytest.raises((Unavailable, ProtocolError)) as caught:
        idle(postgres).receive(data)
    assert "secret" not in str(caught.value)


def test_rows_are_texts() -> None:
    """Cells are texts, NULL is None."""
    assert text_row(b"\0\2\0\0\0\1a\xff\xff\xff\xff") == ("a", None)
