"""Names that ended while a later segment, which fails, gave them anew."""

from __future__ import annotations

from checkrein.core.framing import frame
from tests.protocols.postgres.conftest import Open
from tests.protocols.postgres.driver import masking
from tests.protocols.postgres.raw import SYNC, Raw, bind, execute, parse, query, shown
from tests.protocols.postgres.test_session import SCHEMA as SCHEMA

MASKED = masking(("public.t", "ssn"))
SLEEPS = parse(b"s", b"SELECT pg_sleep(0.3)") + bind(b"s", b"s") + execute(b"s")
FAILS = parse(b"x", b"SELECT 1 / 0") + bind(b"x", b"x")


def test_a_deallocated_statement_does_not_come_back(gateways: Open) -> None:
    """DEALLOCATE holds though a later segment, that had closed the same name, fails: PREPARE may give it anew."""
    client = Raw(gateways(MASKED).port)
    assert client.ask(parse(b"a", b"SELECT name FROM t WHERE id = 1") + SYNC) == "1 ZI"
    ends = parse(b"d", b"DEALLOCATE a") + bind(b"d", b"d") + execute(b"d")
    client.send(SLEEPS + ends + SYNC + FAILS + frame(b"C", b"Sa\0") + SYNC)
    assert shown(client.until(b"Z", 2)) == "1 2 D C 1 2 C ZI 1 E22012 ZI"
    assert client.ask(query(b"PREPARE a AS SELECT ssn FROM t WHERE id = 1")) == "C ZI"
    assert client.ask(bind(b"", b"a") + execute() + SYNC) == "2 D C ZI"


def test_a_portal_of_an_ended_transaction_does_not_come_back(gateways: Open) -> None:
    """The end of a transaction ends its portals, though a later segment, that had closed one, fails."""
    client = Raw(gateways(MASKED).port)
    assert client.ask(query(b"BEGIN")) == "C ZT"
    assert client.ask(parse(b"n", b"SELECT name FROM t WHERE id = 1") + bind(b"c", b"n") + SYNC) == "1 2 ZT"
    ends = parse(b"d", b"COMMIT") + bind(b"d", b"d") + execute(b"d")
    client.send(SLEEPS + ends + SYNC + FAILS + frame(b"C", b"Pc\0") + SYNC)
    assert shown(client.until(b"Z", 2)) == "1 2 D C 1 2 C ZI 1 E22012 ZI"
    assert client.ask(query(b"BEGIN; DECLARE c CURSOR FOR SELECT ssn FROM t WHERE id = 1")) == "C C ZT"
    assert client.ask(execute(b"c") + SYNC) == "E34000 ZE"
