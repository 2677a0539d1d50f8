"""What a statement does, to what, wherever in it that stands."""

from __future__ import annotations

import pytest

from tests.protocols.postgres.reading.shop import Shop, shop

__all__ = ["shop"]

EFFECTS = [
    ("select 1", set()),
    ("select count(*) from customers", {"select public.customers"}),
    ("select id from customers where region = 1", {"select public.customers(id,region)"}),
    ("insert into orders(id) values (1)", {"insert public.orders(id)"}),
    ("insert into orders(note) select ssn from customers",
     {"insert public.orders(note)", "select public.customers(ssn)"}),
    ("update orders set note = 'x' where id = 1", {"update public.orders(note)", "select public.orders(id)"}),
    ("delete from orders returning note", {"delete public.orders", "select public.orders(note)"}),
    ("select id into copied from customers", {"create public.copied", "select public.customers(id)"}),
    ("create table copied as select id from customers", {"create public.copied", "select public.customers(id)"}),
    ("select id from customers for update", {"lock public.customers", "select public.customers(id)"}),
    (
        "merge into orders o using customers c on o.id = c.id when matched then delete "
        "when not matched then insert (id) values (c.id)",
        {"delete public.orders", "insert public.orders(id)", "select public.orders(id)", "select public.customers(id)"},
    ),
    (
        "select ssn from v_cust",
        {"select public.v_cust(ssn)", "select public.customers(email,id,name,region,ssn)<public.v_cust"},
    ),
    (
        "update upd set status = 'x' where id = 1",
        {"update public.upd(status)", "update public.orders(status)<public.upd", "select public.upd(id)",
         "select public.orders(id,status)<public.upd"},
    ),
    ("select ssn from part1", {"select public.part1(ssn)", "select public.part(ssn)<public.part1"}),
    ("select ssn from par", {"select public.par(ssn)", "select public.chi(ssn)<public.par"}),
    ("select f(1)", {"call public.f"}),
    ("select nextval('ser_id_seq')", {"update public.ser_id_seq"}),
    ("select pg_notify('c', 'x')", {"notify c!notifications"}),
    ("listen c", {"listen c!notifications"}),
    ("truncate customers cascade", {"truncate public.customers", "truncate public.orders"}),
    ("lock table customers in access share mode", {"select public.customers"}),
    ("drop table orders", {"drop public.orders"}),
    ("alter table customers rename column ssn to x", {"alter public.customers!masked_ddl"}),
    ("alter table part attach partition par for values from (1) to (2)",
     {"alter public.part!masked_ddl", "alter public.par!masked_ddl"}),
    ("copy customers(id) from stdin", {"insert public.customers(id)"}),
    ("copy (select id from customers) to stdout", {"select public.customers(id)"}),
    ("explain delete from orders where id = 1", {"delete public.orders", "select public.orders(id)"}),
    ("prepare p as delete from orders", {"delete public.orders"}),
    ("declare c cursor for select id from customers", {"select public.customers(id)"}),
    ("select set_config('role', 'x', false)", {"set role!role_switch"}),
    ("grant select on customers to public", {"grant public.customers"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), EFFECTS)
def test_effects(shop: Shop, text: str, wanted: set[str]) -> None:
    """Exactly these effects, none of them conceded."""
    assert shop.conceded(text) == ""
    assert shop.effects(text) == wanted


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("delete from orders where id = 1", 1),
        ("delete from orders where id = $1", 1),
        ("delete from orders where (id = 1 and note = 'x') and status = 'y'", 1),
        ("update orders set note = 'x' where id in (1, 2, 3)", 3),
        ("update orders set note = 'x' where id = any(array[1, 2])", 2),
        ("update orders o set note = c.name from customers c where o.id = 7 and c.id = o.customer_id", 1),
        ("delete from orders", None),
        ("delete from orders where id = 1 or true", None),
        ("delete from orders where id > 1", None),
        ("delete from orders where id = id", None),
        ("delete from orders where id = any($1)", None),
        ("delete from orders o using customers c where c.id = 1", None),
        ("delete from par where a = 1", None),
    ],
)
def test_bounded(shop: Shop, text: str, keys: int | None) -> None:
    """Bounded is a write whose top-level AND fixes one unique key; to how many of its values is counted."""
    statement = shop.read(text)
    assert statement.complete
    assert (statement.bounded, statement.bounded_keys) == (keys is not None, keys)


def test_constants_are_kept_with_the_columns_they_stand_beside(shop: Shop) -> None:
    """Literals have exact extents and their columns, parameters likewise; a password is marked as one."""
    text = "update customers set ssn = 'ä''b' where name in ('x', $2) and id = 5"
    statement = shop.read(text)
    found = {
        text.encode()[literal.start : literal.end].decode(): {origin.column for origin in literal.origins}
        for literal in statement.literals
    }
    assert found == {"'ä''b'": {"ssn"}, "'x'": {"name"}, "5": {"id"}}
    assert {n: {o.column for o in origins} for n, origins in statement.parameter_origins.items()} == {1: {"name"}}
    role = shop.read("alter role someone password $x$hunter2$x$")
    assert [literal.password for literal in role.literals] == [True]
    assert role.text[role.literals[0].start : role.literals[0].end] == "$x$hunter2$x$"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("select ssn from customers", ("bare", ("public.customers.ssn",), "other")),
        ("select ssn::text from customers", ("bare", ("public.customers.ssn",), "other")),
        ("select md5(ssn) from customers", ("safe", ("public.customers.ssn",), "other")),
        ("select ssn || '' from customers", ("computed", ("public.customers.ssn",), "other")),
        ("select ssn = 'x' from customers", ("computed", ("public.customers.ssn",), "boolean")),
        ("select count(ssn) from customers", ("computed", ("public.customers.ssn",), "count")),
        ("select x from (select ssn as x from customers union all select name from hr.people) q",
         ("bare", ("public.customers.ssn", "hr.people.name"), "other")),
        ("select (select ssn from customers limit 1)", ("bare", ("public.customers.ssn",), "other")),
        ("with recursive r as (select ssn from customers union all select ssn from r) select ssn from r",
         ("bare", ("public.customers.ssn",), "other")),
        ("select ssn from m_cust", ("bare", ("public.customers.ssn", "public.m_cust.ssn"), "other")),
        ("select uemail from v_cust",
         ("computed", ("public.customers.email", "public.v_cust.uemail"), "other")),
    ],
)  # fmt: skip
def test_lineage(shop: Shop, text: str, wanted: tuple[str, tuple[str, ...], str]) -> None:
    """An output's base columns are found through every detour, and how it was made of them."""
    made = shop.output(text)
    assert made == wanted or (wanted[0] == "computed" and made[0] in ("computed", "safe") and made[1:] == wanted[1:])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("select id from customers where ssn = 'x'", "WHERE"),
        ("select id from customers order by ssn", "ORDER BY"),
        ("select ssn from customers order by 1", "ORDER BY"),
        ("select ssn as s from customers order by s", "ORDER BY"),
        ("select count(*) from customers group by ssn", "GROUP BY"),
        ("select distinct ssn from customers", "DISTINCT"),
        ("select distinct on (ssn) id from customers", "DISTINCT ON"),
        ("select ssn from customers union select name from hr.people", "set operation"),
        ("select 1 from customers a join customers b using (ssn)", "JOIN USING"),
        ("select 1 from customers a natural join m_cust b", "JOIN USING"),
        ("select 1 from customers a join customers b on a.ssn = b.ssn", "JOIN ON"),
        ("select case when ssn > 'x' then 1 end from customers", "CASE"),
        ("select max(ssn) from customers", "function"),
        ("select row_number() over (order by ssn) from customers", "window ORDER BY"),
        ("select count(*) filter (where ssn = 'x') from customers", "FILTER"),
        ("select ssn::int from customers", "cast"),
        ("select 1 limit (select length(ssn) from customers limit 1)", "LIMIT"),
        ("select row_to_json(c) from customers c", "function"),
        ("select id from customers where id in (select 1 from customers where ssn = 'x')", "WHERE"),
        ("insert into orders(note) select ssn from customers", "written elsewhere"),
        ("create table z as select ssn from customers", "written elsewhere"),
        ("insert into customers(ssn) values ('x')", "written to a key"),
        ("insert into customers(id) values (1) on conflict (ssn) do nothing", "ON CONFLICT"),
        ("select generate_series(1, length(ssn)) from customers", "function"),
        ("select 1 from customers c where c = c", "operator"),
        ("select id from customers having max(ssn) > 'x'", "HAVING"),
        ("alter table customers add check (ssn > 'x')", "definition"),
    ],
)
def test_uses(shop: Shop, text: str, place: str) -> None:
    """Every place from which a column could be inferred is noted, with the column."""
    assert place in shop.uses(text)


def test_what_tells_nothing_is_no_use(shop: Shop) -> None:
    """Plain output, count(*), EXISTS over a query that does not compare it, and safe functions are no uses."""
    for text in ("select ssn from customers", "select count(*) from customers", "select upper(ssn) from customers",
                 "select exists(select ssn from customers)", "select id from customers where region = 1"):  # fmt: skip
        assert shop.uses(text) == set(), text
