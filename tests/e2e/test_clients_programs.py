"""pg_dump, psql's restore and pgbench work unchanged, within what policy allows."""

from __future__ import annotations

import re

import pytest

from tests.support.shop import Shop

DUMPS = [
    ("-t", "public.orders"),
    ("-t", "public.orders", "--schema-only"),
    ("-t", "public.kinds", "--inserts"),
    ("-t", "public.days", "-t", "public.days_2024"),
    ("-t", "public.numbers"),
]


def _clean(dump: str) -> str:
    """Newer pg_dumps write a random key, new each time."""
    return re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.M)


@pytest.mark.parametrize("options", DUMPS, ids=" ".join)
def test_dumps(served: Shop, target: str, options: tuple[str, ...]) -> None:
    """A dump of permitted tables is, byte for byte, the dump without a gateway."""
    through = served.run("pg_dump", *options, env=served.environment(target))
    assert through.returncode == 0, through.stderr
    direct = served.run("pg_dump", *options, env=served.direct(target))
    assert _clean(through.stdout) == _clean(direct.stdout)


def test_a_dump_restores(served: Shop) -> None:
    """What was dumped through the gateway restores elsewhere to the same rows."""
    dump = served.run("pg_dump", "-t", "public.orders", "--no-owner", "--no-acl", env=served.environment())
    other = served.server.create_database("CREATE TABLE public.customers (id integer PRIMARY KEY)")
    try:
        other.run("INSERT INTO public.customers SELECT generate_series(1, 100)")
        server = {"PGHOST": served.server.host, "PGPORT": str(served.server.port), "PGUSER": served.server.user}
        env = {**served.direct(), **server, "PGPASSWORD": served.server.password, "PGDATABASE": other.name}
        done = served.run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", env=env, stdin=dump.stdout)
        assert done.returncode == 0, done.stderr
        query = "SELECT * FROM public.orders ORDER BY id"
        assert other.rows(query) == served.database.rows(query)
    finally:
        other.drop()


def test_dumps_are_masked(served: Shop, target: str) -> None:
    """A dump of a table with a masked column holds masks; one of a table that no rule opens is refused."""
    done = served.run("pg_dump", "-t", "public.customers", env=served.environment(target))
    assert done.returncode == 0, done.stderr
    assert "customer 7\t" in done.stdout and "219-09" not in done.stdout
    refused = served.run("pg_dump", "-t", "public.secrets", env=served.environment(target))
    assert refused.returncode == 1 and "No rule allows select on public.secrets" in refused.stderr


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench(served: Shop, mode: str) -> None:
    """pgbench's own transactions run in every mode without a failure; its initialisation is refused by policy."""
    initialise = ("pgbench", "-i", "-q", "-I", "dtgvp")
    refused = served.run(*initialise, env=served.environment())
    assert "No rule allows drop on public.pgbench_accounts" in refused.stderr
    run = served.run("pgbench", "-n", "-M", mode, "-c", "2", "-t", "40", env=served.environment())
    assert "number of transactions actually processed: 80/80" in run.stdout, run.stderr
    pipelined = "\\set id random(1, 1000)\n\\startpipeline\n" + "SELECT amount FROM orders WHERE id = :id;\n" * 5
    script = ("pgbench", "-n", "-M", mode, "-t", "10", "-f", "/dev/stdin")
    if mode != "simple":
        piped = served.run(*script, env=served.environment(), stdin=pipelined + "\\endpipeline\n")
        assert "10/10" in piped.stdout, piped.stderr
