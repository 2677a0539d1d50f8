"""What reading predicts of every output column is what the server's RowDescription says (invariant I13)."""

from __future__ import annotations

import pytest

from tests.protocols.postgres.reading.shop import Shop, shop

__all__ = ["shop"]

WALK = "with recursive s(n, m) as (select id, ssn from customers union all select n + 1, m from s) "
WALKS = """
search depth first by n, m set o select *, o is null from s
search breadth first by n set o select o, n from s order by o
cycle n, m set c using p select c, p, s.* from s
cycle n set c to 'Y' default 'N' using p select * from s where c = 'N'
search depth first by n set o cycle n set c using p select * from s
""".strip().split("\n")

QUERIES = r"""
select 1
select * from customers
select c.*, o.amount from customers c join orders o on o.customer_id = c.id
select id from customers c join orders o using (id)
select * from customers c natural join orders o
select * from customers c left join orders o using (id)
select * from customers c right join orders o using (id)
select * from customers c full join orders o using (id)
select ssn::text, ssn::varchar, ssn::varchar(11), ssn::varchar(5) from customers
select amount::numeric, amount::numeric(10,2) from orders
select ssn collate "C" from customers
select (c).ssn, (c.doc) from customers c
select ssn(c) from customers c
select c from customers c
select x from (select c as x from customers c) q
select q from (select c as x from customers c) q
select v from v_cust v
select (c).* from customers c
with x as (select ssn from customers) select * from x
with x as materialized (select ssn s2 from customers) select x.s2, x from x
with recursive x(n) as (select 1 union all select n + 1 from x where n < 5) select n from x
with recursive x as (select id, ssn from customers union all select x.id, x.ssn from x where false) select * from x
select ssn from customers union all select name from hr.people
select ssn from customers union select name from hr.people
select (select ssn from customers limit 1)
select x.y from (select ssn, id from customers) as x(y)
select * from v_cust
select * from v_over
select * from m_cust
select * from part
select * from only par
select ctid, xmin, tableoid from orders
select count(*), max(ssn), min(id) over () from customers group by id
select case when ssn = 'x' then 1 end, coalesce(ssn, 'y'), nullif(ssn, 'a'), greatest(1, 2) from customers
select array[1], row(1, 2), exists(select 1), array(select 1), current_user, now(), -id from customers
select * from generate_series(1, 3)
select g.g, g from generate_series(1, 3) g
select * from generate_series(1, 3) as g(x)
select s.a, b from srf() s
select * from f(1)
select * from unnest(array[1, 2]) with ordinality as u(a, b)
select * from hascomp, unnest(arr) as u
select * from json_each('{}')
select * from unnest('a:1 b:2'::tsvector)
select * from unnest('{}'::comp[])
select u.b, u.a, q from unnest('{}'::comp[]) u, unnest(array[row(1, 'x')::comp]) as q(m, n)
select * from unnest('{}'::comp[], array[1]) as u(a, b, c)
select * from unnest('{}'::customers[]) u where u.id = 1
select x.b from coalesce(null::comp, row(1, 'x')::comp) as x
select * from coalesce(null::comp, row(1, 'x')::comp) as x(p, q)
select * from jsonb_populate_record(null::comp, '{}'), jsonb_populate_recordset(null::customers, '[]') c(i)
select (jsonb_populate_record(null::comp, '{}')).b, (coalesce(c, null)).* from hascomp
select (c).*, (h.c).* from hascomp h
select (q.x).* from (select c as x from hascomp) q
select (made(1)).*, m.*, m from made(2) m
select * from made(1) as m(p, q)
select * from made_d(1) m
select * from customers c, coalesce(row(c.id, c.ssn)) as r(i int, s varchar)
select one, o.x from onefield() one, onefield() as o(x)
with recursive a as (select id, ssn from b), b as (select id, ssn from customers) select * from a
with recursive a as (table b union all table a), b as (select id from c), c as (table customers) table a
select lexeme, u from unnest('a:1'::tsvector) u
select regtype('int4'), regclass('orders'), pg_catalog.regproc('now'), int4range('[1,2)'), inet(host(inet '1.2.3.4'))
select regclass(status), ssn_d(note) from orders
select * from jsonb_to_record('{}') as x(a int, b text)
select * from rows from (generate_series(1, 2), generate_series(1, 3)) as q(a, b)
select (c).a, (c).b, arr[1], arr[1:2] from hascomp
select id from customers order by 1
select region, count(*) from customers group by rollup(region)
select distinct on (region) id from customers
table customers
values (1, 'a'), (2, 'b')
insert into orders(id, status) values (1, 'a') returning *
insert into orders(id) select id from customers on conflict (id) do update set status = excluded.status returning id
update orders o set status = c.name from customers c where c.id = o.customer_id returning o.id, c.ssn
delete from orders using customers c where c.id = orders.id returning c.ssn
with d as (delete from orders where id = 1 returning *) select id, status from d
select j.ssn from (customers c join orders o on true) as j(a, b, ssn)
select o.big, x from orders o join (select 1::bigint as big) x using (big)
select id from hr.people p join customers c using (id)
select id from customers c join hr.people p using (id)
select q.id from customers c, lateral (select o.id from orders o where o.customer_id = c.id) q
select * from customers c cross join lateral jsonb_each_text(c.doc)
select extract(year from now()), position('a' in 'b'), substring('abc' from 1 for 2), trim(both 'x' from 'xax')
update upd set status = 'y' where id = 1 returning id
select public.customers.ssn from public.customers
select percentile_cont(0.5) within group (order by amount) from orders
select xmlelement(name foo, ssn) from customers
select U&"\0073sn" from U&"c\0075stomers"
select id from customers tablesample bernoulli (10)
select "select", "Mixed" from "delete"
select aid::bigint, filler::text, filler::char(84), filler::char(10) from accounts
select a.id aa, b.id bb from customers a join customers b on a.id = b.id
""".strip().split("\n")


@pytest.mark.parametrize("query", [*QUERIES, *(WALK + walk for walk in WALKS)])
def test_every_output_is_what_the_server_describes(shop: Shop, query: str) -> None:
    """Names, count and origins of all outputs agree with the server; nothing of these is conceded."""
    statement = shop.read(query)
    assert statement.complete, statement.conceded
    assert [(output.name, output.witness) for output in statement.outputs or ()] == shop.described(query)
