"""Statements that try to get past reading: what they do is seen, or they are conceded. Named by the acceptance page."""

from __future__ import annotations

import pytest

from tests.protocols.postgres.reading.shop import Shop, shop

__all__ = ["shop"]

DELETES = "delete public.orders"
READS = "select public.customers(ssn)"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("select $a1$ x $a1$; delete from orders --$a1$", DELETES),  # PG-A4
        ("select 1 as a$b$; delete from orders; select 2 as c$b$", DELETES),  # PG-A5
        ("select 1 -- x\rdelete from orders", "select public.orders"),  # PG-A6: CR ends the comment; delete is an alias
        ("select 1; -- x\rdelete from orders", DELETES),  # PG-A6
        ("with x as materialized (delete from orders returning 1) select 1", DELETES),  # PG-A8
        ("select ssn into t from customers", "create public.t"),  # PG-A9
        ("select o.id from orders o, customers", "select public.customers"),  # PG-A10
        ("with orders as (select 1 as x) select ssn from orders, customers", READS),  # PG-A11
        (r'select U&"\0073sn" from U&"c\0075stomers"', READS),  # PG-A12
        (r'select U&"!0073sn" UESCAPE \'!\' from customers'.replace("\\'", "'"), READS),  # PG-A12
        ("copy (select ssn from customers) to stdout (format binary)", READS),  # PG-A13
        ("copy customers(ssn) from program 'id'", "call program!server_program"),  # PG-A13
        ("copy customers(ssn) to '/tmp/x'", "call file!server_files"),  # PG-A13
        ("explain (verbose, analyze true, costs off) delete from orders", DELETES),  # PG-A14
        ('select "Mixed" from "delete"', "select public.delete(Mixed)"),  # PG-A15
        ("select ssn from v_cust", "select public.customers(email,id,name,region,ssn)<public.v_cust"),  # PG-A16
        ("select pg_read_file('x')", "call pg_catalog.pg_read_file!server_files"),  # PG-A17
        ("select lo_export(1, 'x')", "call pg_catalog.lo_export!server_files"),  # PG-A17
        ("select query_to_xml('select 1', true, true, '')", "call pg_catalog.query_to_xml!runs_text"),  # PG-A17
        ("prepare p as delete from orders", DELETES),  # PG-A20
        ("declare c cursor for select ssn from customers", READS),  # PG-A21
        ("set role postgres", "set role!role_switch"),  # PG-A22
        ("set session authorization postgres", "set session_authorization!role_switch"),  # PG-A22
        ("select set_config('role', 'postgres', false)", "set role!role_switch"),  # PG-A22
        ("set standard_conforming_strings = off", "set standard_conforming_strings!setting"),  # PG-A7
        ("alter role postgres set standard_conforming_strings = off", "alter postgres!setting"),  # PG-A7
        ("set client_encoding = 'SJIS'", "set client_encoding!setting"),  # PG-A30
        ("update pg_settings set setting = 'off' where name = 'x'", "update pg_catalog.pg_settings(setting)!setting"),
        ("commit; delete from orders", DELETES),  # PG-A35
        ("select 1; select 2; delete from orders", DELETES),  # PG-A36
        ("merge into orders o using customers c on o.id = c.id when matched then delete", DELETES),  # PG-A37
        ("select 1 /* a /* b */ */; delete from orders", DELETES),  # PG-A38
        (r"select E'\''; delete from orders --'", DELETES),  # PG-A39
        ("\ufeff delete from orders", ""),  # PG-A40
        ("delete\u00a0from orders", ""),  # PG-A40: no white space to the grammar
        ("delete from \uff4frders", ""),  # PG-A40: another name
        ("select (select 1 from customers where ssn = 'x')", READS),  # PG-A24 ...
        ("update orders set note = (select ssn from customers limit 1)", READS),
        ("insert into orders(id) values (1) returning (select ssn from customers limit 1)", READS),
        ("select 1 limit (select ssn from customers)::int", READS),
        ("select 1 offset (select ssn from customers)::int", READS),
        ("select 1 from orders order by (select ssn from customers)", READS),
        ("select count(*) filter (where exists (select ssn from customers)) from orders", READS),
        ("select sum(1) over (partition by (select ssn from customers)) from orders", READS),
        ("select (array[1])[(select ssn from customers)::int]", READS),
        ("values ((select ssn from customers))", READS),
        ("select reverse((select ssn from customers)::text::name::text)", READS),
        ("select 1 from orders tablesample bernoulli ((select length(ssn) from customers))", READS),
        ("select 1 from orders group by grouping sets ((), ((select ssn from customers)))", READS),
        ("select xmlelement(name x, xmlattributes((select ssn from customers) as y))", READS),
        ("select * from rows from (generate_series(1, (select length(ssn) from customers))) x", READS),
        ('select f(1) collate "C"', "call public.f"),  # PG-A25 ...
        ("select (array[1])[f(1)]", "call public.f"),
        ("select sum(1) over (order by f(1))", "call public.f"),
        ("select xmlforest(f(1) as x)", "call public.f"),
        ("select 1 from orders group by grouping sets (f(1))", "call public.f"),
        ("select * from rows from (f(1))", "call public.f"),
        ("select (row(f(1))).f1", "call public.f"),
        ("select lower('x'::varchar)", ""),  # PG-A26
        ("select 1 operator(public.===) 1", ""),  # PG-A26
        ("select set_config('search' || '_path', 'hr', false)", ""),  # PG-A27
        ("select system_user", ""),  # PG-A28, on a server before 16
        ("alter table customers set schema hr", "alter public.customers!masked_ddl"),  # PG-B26
        ("select rolpassword from pg_authid", "select pg_catalog.pg_authid(rolpassword)!credentials"),
        ("select most_common_vals from pg_stats", "select pg_catalog.pg_stats(most_common_vals)!statistics"),  # PG-B13
        ("insert into ruled values (1)", ""),  # a rewrite rule does something else
        ("insert into v_ruled values (1, 'x')", ""),  # so does a view's own
        ("insert into v_over_ruled values (1)", ""),  # and that of the table under a view
        ("do $$ begin delete from orders; end $$", ""),
        ("drop schema hr cascade", ""),
    ],
)
def test_it_is_seen_or_conceded(shop: Shop, text: str, wanted: str) -> None:
    """The effect that the statement hides is among its effects, or, where none is given, the text is conceded."""
    if "system_user" in text and shop.catalog.server_version >= 160000:
        pytest.skip("system_user is a keyword here")
    found = shop.effects(text)
    hidden = wanted.removesuffix(")").split("(")
    seen = any(one.startswith(wanted) or (one.startswith(hidden[0] + "(") and hidden[-1] in one) for one in found)
    if wanted:
        assert seen, (found, shop.conceded(text))
    else:
        assert shop.conceded(text)


def test_a_privileged_function_of_an_extension_is_behind_a_door(shop: Shop) -> None:
    """PG-A17: dblink is not there, so its name concedes; nothing unknown is taken for harmless."""
    assert "not in the catalog" in shop.conceded("select dblink('dbname=x', 'select 1')")
    assert shop.conceded("select * from nosuch") == 'relation "nosuch" does not exist'
