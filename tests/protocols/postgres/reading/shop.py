"""A small real database to read statements against: its catalog as the gateway loads it, and the server's own word."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from checkrein.core.statement import Statement
from checkrein.protocols.postgres import statements
from checkrein.protocols.postgres.acts import Reading
from checkrein.protocols.postgres.catalog import Names
from checkrein.protocols.postgres.surroundings import Surroundings
from tests.support import catalogs
from tests.support.postgres import PostgresServer

SCHEMA = """
create table customers(id int primary key, name text, ssn varchar(11) unique, email text, region int, doc jsonb);
create table orders(id int primary key, customer_id int references customers(id), status text, amount numeric(10,2),
                    note varchar(20), big bigint);
create schema hr;
create table hr.people(id bigint primary key, name text, salary numeric);
create view v_cust as select id, name, ssn, upper(email) as uemail from customers where region > 1;
create view v_over as select v.id, v.ssn, o.amount from v_cust v join orders o on o.customer_id = v.id;
create materialized view m_cust as select id, ssn from customers;
create table part(id int, k int, ssn text) partition by range(k);
create table part1 partition of part for values from (0) to (10);
create table par(a int, ssn text);
create table chi(b int) inherits (par);
create table ser(id serial primary key, x int);
create function f(int) returns int language sql as 'select $1';
create function lower(varchar) returns text language sql as 'select ''captured''';
create type comp as (a int, b text);
create function made(int) returns comp language sql as 'select $1, ''x''::text';
create domain comp_d as comp;
create function made_d(int) returns comp_d language sql as 'select row($1, ''x'')::comp_d';
create type single as (x int);
create function onefield() returns single language sql as 'select row(1)::single';
create table hascomp(id int, c comp, arr int[]);
create table accounts(aid int primary key, bid int, abalance int, filler char(84));
create view upd as select id, status from orders;
create domain ssn_d as text;
create table dom(id int, s ssn_d);
create function srf(out a int, out b text) returns setof record language sql as 'select 1, ''x''';
create table ruled(a int);
create rule r as on insert to ruled do also delete from orders;
create view v_ruled as select id, status from orders;
create rule r as on insert to v_ruled do instead delete from customers;
create view v_over_ruled as select a from ruled;
create table "delete"("select" int, "Mixed" text);
create operator public.=== (leftarg = int, rightarg = int, procedure = int4eq);
"""


class Shop:
    """The database: `read` as the gateway reads, `described` as the server describes."""

    def __init__(self, connection: psycopg.Connection[object]) -> None:
        self.connection = connection
        self.catalog = catalogs.load(connection)
        connection.execute("reset search_path")
        self.names = Names(search_path=("pg_catalog", "public"), version="shop")

    def around(self, **fields: object) -> Surroundings:
        """Return the surroundings of a statement."""
        return Surroundings(**{"catalog": self.catalog, "names": self.names, **fields})  # type: ignore[arg-type]

    def readings(self, text: str, **fields: object) -> tuple[Reading, ...]:
        """Read every statement of a text."""
        around = self.around(**fields)
        return statements.kept(text, around.catalog, around.names) or statements.read(text, around)

    def read(self, text: str, **fields: object) -> Statement:
        """Read a text of one statement."""
        (reading,) = self.readings(text, **fields)
        return reading.statement

    def conceded(self, text: str) -> str:
        """Return why a text is conceded, empty when it is not."""
        return " / ".join(reading.statement.conceded for reading in self.readings(text)).strip(" /")

    def effects(self, text: str) -> set[str]:
        """Return the effects of a text as `verb object(columns)`, those through views with `<view`."""
        found = set()
        for reading in self.readings(text):
            for effect in reading.statement.effects:
                columns = "" if effect.columns is None else "(" + ",".join(effect.columns) + ")"
                via = "".join("<" + name for name in effect.via)
                shut = "!" + (effect.guard or effect.door) if effect.guard or effect.door else ""
                found.add(f"{effect.verb} {effect.object}{columns}{via}{shut}")
        return found

    def uses(self, text: str, column: str = "ssn") -> set[str]:
        """Return the places in which a column is used."""
        return {use.place for use in self.read(text).uses if use.origin.column == column}

    def output(self, text: str) -> tuple[str, tuple[str, ...], str]:
        """Return how the first output is made, from which columns, and its kind."""
        statement = self.read(text)
        assert statement.complete, statement.conceded
        assert statement.outputs
        first = statement.outputs[0]
        return first.how, tuple(f"{origin.relation}.{origin.column}" for origin in first.origins), first.kind

    def described(self, text: str) -> list[tuple[str, tuple[int, int] | None]]:
        """Return (name, (oid, number) or None) of every output, as the server's RowDescription gives them."""
        link = self.connection.pgconn
        prepared = link.prepare(b"", text.encode())
        assert prepared.status == psycopg.pq.ExecStatus.COMMAND_OK, prepared.error_message.decode()
        answer = link.describe_prepared(b"")
        found: list[tuple[str, tuple[int, int] | None]] = []
        for number in range(answer.nfields):
            table, column = answer.ftable(number), answer.ftablecol(number)
            found.append(((answer.fname(number) or b"").decode(), (table, column) if table else None))
        return found


@pytest.fixture(scope="session")
def shop(postgres: PostgresServer) -> Iterator[Shop]:
    """The database, made once a worker."""
    database = postgres.create_database()
    with database.connect() as connection:
        connection.autocommit = True
        connection.execute(SCHEMA.encode())
        yield Shop(connection)
    database.drop()
