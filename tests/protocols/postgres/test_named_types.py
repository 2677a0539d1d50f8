"""Names of types that mean another than PostgreSQL's own: real clients, a real PostgreSQL, policy is the driver's."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from checkrein.core.verdict import DENY, Verdict
from tests.protocols.postgres.conftest import Open
from tests.protocols.postgres.driver import Gateway, masking

SCHEMA = """
CREATE TABLE t (id int, ssn text);
INSERT INTO t VALUES (1, '631-77-8264');
CREATE FUNCTION public.tells(text) RETURNS boolean LANGUAGE plpgsql AS
  $$BEGIN RAISE NOTICE 'told %', $1; RETURN $1 LIKE '5%'; END$$;
"""
TELLS = "AS pg_catalog.text CHECK (public.tells(VALUE))"
CASTS = ["ssn::text", "CAST(ssn AS text)", "ssn::pg_catalog.text::text"]


def masked(gateways: Open) -> Gateway:
    """Open a gateway whose policy masks the column, and lets nothing be learnt of it."""
    judge = masking(("public.t", "ssn"))
    return gateways(lambda one: Verdict(outcome=DENY, reason="it infers") if one.uses else judge(one))


@pytest.mark.parametrize("cast", CASTS)
@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("moved", [True, False])
def test_pg_b66_a_temporary_type_of_a_system_types_name(
    gateways: Open, cast: str, autocommit: bool, moved: bool
) -> None:
    """A domain of the session's own, found before pg_catalog, would get what is cast to it and tell of it."""
    told: list[str | None] = []
    with psycopg.connect(masked(gateways).dsn(), autocommit=autocommit) as client:
        client.add_notice_handler(lambda one: told.append(one.message_primary))
        client.execute(f"SELECT {cast} FROM t", prepare=True)
        client.execute(f"CREATE DOMAIN pg_temp.text {TELLS}")
        if moved:
            client.execute("SET search_path = public, other")
        with pytest.raises(InsufficientPrivilege, match="may be a type of the temporary schema"):
            client.execute(f"SELECT {cast} FROM t", prepare=True)
        client.rollback()
    assert not told


@pytest.mark.parametrize("autocommit", [True, False])
def test_pg_b66_the_name_with_its_schema(gateways: Open, autocommit: bool) -> None:
    """What says pg_catalog means it, and what says pg_temp is not read."""
    with psycopg.connect(masked(gateways).dsn(), autocommit=autocommit) as client:
        client.execute(f"CREATE DOMAIN pg_temp.text {TELLS}")
        assert client.execute("SELECT ssn::pg_catalog.text FROM t").fetchall() == [("***",)]
        with pytest.raises(InsufficientPrivilege, match=r'"pg_temp\.text" is not in the catalog'):
            client.execute("SELECT ssn::pg_temp.text FROM t")


def test_pg_b66_a_lasting_type_before_the_systems(gateways: Open) -> None:
    """One in a schema that the path puts first: in the request that sets the path, in the next, and in a block."""
    notices: list[str | None] = []
    path, cast = "search_path = evil, pg_catalog, public", "SELECT ssn::text FROM public.t"
    with psycopg.connect(masked(gateways).dsn(), autocommit=True) as client:
        client.add_notice_handler(lambda one: notices.append(one.message_primary))
        client.execute("CREATE SCHEMA evil")
        client.execute(f"CREATE DOMAIN evil.text {TELLS}")
        for text in (f"SET {path}; {cast}", f"SET {path}", cast, "BEGIN", f"SET LOCAL {path}", cast, "ROLLBACK", cast):
            assert client.pgconn.exec_(text.encode()).ntuples == 0
        assert not notices
        client.execute("SET search_path = public")
        assert client.execute(cast).fetchall() == [("***",)]
