"""PG-B33 and others: objects that a statement does not name, or that are no longer what they were."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.bypass.attack import SYNC, World, bind, execute, parse, query, run
from tests.bypass.leak import Leaks, leaked
from tests.support.postgres import Database


def test_altering_with_cascade_drops_nothing_unseen(world: World) -> None:
    """A column or constraint that goes with CASCADE takes views and keys of other tables along, which no rule saw."""
    world.must_refuse(
        "ALTER TABLE open_parent DROP COLUMN id CASCADE",
        "ALTER TABLE open_parent DROP CONSTRAINT open_parent_pkey CASCADE",
        "ALTER TABLE IF EXISTS open_items ADD COLUMN more int, DROP name CASCADE",
        "DROP TABLE open_other CASCADE",
    )


def test_a_sequence_is_not_bound_to_another_table(world: World) -> None:
    """OWNED BY alters the table that it names: its column and the sequence go together from then on."""
    world.must_refuse(
        "ALTER SEQUENCE open_numbers OWNED BY secret_keys.id",
        "ALTER SEQUENCE public.open_numbers INCREMENT 2 OWNED BY public.secret_keys.n",
        'ALTER SEQUENCE open_numbers OWNED BY "secret_Mixed"."Id"',
        "CREATE SEQUENCE open_more OWNED BY vault.items.id",
        "ALTER SEQUENCE open_numbers OWNED BY secret_keys.nothing",
    )


def test_what_the_server_makes_of_owned_by(database: Database) -> None:
    """On the real server: who owns a sequence takes it along, NONE frees it even quoted, the name is a column's."""

    def left(how: str) -> bool:
        database.run("CREATE TABLE owner (id int, other int); CREATE SEQUENCE s; CREATE TABLE own (id int)")
        database.run(f"ALTER SEQUENCE s OWNED BY {how}; ALTER TABLE owner DROP COLUMN id")
        there = database.rows("SELECT to_regclass('s') IS NOT NULL") == [(True,)]
        database.run("DROP TABLE owner, own; DROP SEQUENCE IF EXISTS s")
        return there

    assert not left("owner.id") and not left("public.owner.id") and not left(f"{database.name}.public.owner.id")
    assert left("owner.other") and left("own.id") and left("NONE") and left('"none"')
    for wrong, error in (("owner", psycopg.errors.SyntaxError), ("owner.gone", psycopg.errors.UndefinedColumn)):
        with pytest.raises(error):
            database.run(f"CREATE TABLE owner (id int); CREATE SEQUENCE s OWNED BY {wrong}")


@pytest.mark.parametrize("path", [b"public, pg_temp", b"public,pg_catalog, pg_temp", b"vault, public, pg_temp"])
def test_a_temporary_table_behind_what_it_hides(world: World, path: bytes) -> None:
    """Where the search path names pg_temp last, a table of the same name comes before the session's temporary one."""
    with world.raw() as raw, world.unchanged():
        assert raw.ask(query(b"CREATE TABLE pg_temp.secret_keys (id int PRIMARY KEY, key text)")) == "C ZI"
        assert raw.ask(query(b"SELECT key FROM secret_keys WHERE id = 1")) == "T C ZI"
        assert raw.ask(query(b"SET search_path = " + path)).startswith("C Z")
        for text in (
            b"SELECT pg_catalog.count(*) FROM secret_keys WHERE key IS NOT NULL",
            b"SELECT key FROM secret_keys",
            b"SELECT 1 AS one FROM open_items WHERE EXISTS (SELECT FROM secret_keys WHERE key > 'a')",
            b"DELETE FROM secret_keys WHERE id = 1",
            b"UPDATE secret_keys SET key = 'x' WHERE id = 1",
            b"INSERT INTO secret_keys (id, key) VALUES (77, 'x')",
            b"COPY secret_keys TO STDOUT",
            b"EXPLAIN SELECT key FROM secret_keys",
        ):
            assert raw.ask(query(text)).startswith("E42501"), text
            assert raw.ask(run(text) + SYNC).startswith("E42501"), text
        assert raw.ask(query(b"SELECT key FROM pg_temp.secret_keys")) == "T C ZI"
        raw.ask(query(b"SET search_path = pg_temp, public"))
        assert raw.ask(query(b"SELECT key FROM secret_keys")) == "T C ZI"
        raw.ask(query(b"SET search_path = public"))
        assert raw.ask(query(b"SELECT key FROM secret_keys")) == "T C ZI"


VIEW = b"SELECT a FROM public.shifting WHERE id = 1"
SHIFT = b"CREATE OR REPLACE VIEW public.shifting AS SELECT id, ssn AS a FROM people"


@pytest.fixture
def shifting(leaks: Leaks) -> Iterator[Leaks]:
    """A view of what is not masked, known to the gateway."""
    with leaks.raw() as raw:
        assert raw.ask(query(b"CREATE VIEW public.shifting AS SELECT id, name AS a FROM people")) == "C ZI"
        assert raw.ask(query(VIEW)) == "T D C ZI"
    yield leaks
    leaks.database.run("DROP VIEW IF EXISTS shifting")


@pytest.mark.parametrize("who", ["bot", "reader"])
def test_a_view_moved_onto_a_masked_column(shifting: Leaks, who: str) -> None:
    """A view's new definition holds for what is read after it: in its block, in its pipeline, in other sessions."""
    with shifting.raw(who) as raw, shifting.raw(who) as other:
        raw.ask(query(b"BEGIN"))
        raw.ask(query(SHIFT))
        raw.ask(query(VIEW))
        raw.ask(query(b"ROLLBACK"))
        raw.ask(run(SHIFT) + run(VIEW) + SYNC)
        raw.ask(parse(b"s", VIEW) + SYNC)
        raw.ask(run(b"BEGIN") + run(SHIFT) + bind(b"", b"s") + execute() + SYNC)
        raw.ask(query(b"ROLLBACK"))
        raw.ask(query(SHIFT))
        assert not leaked(raw.seen)
        if who == "bot":  # who may infer may also move a view, and then reads by its old definition for a moment
            other.ask(query(VIEW))
            assert not leaked(other.seen)


def test_a_table_swapped_for_a_view(leaks: Leaks) -> None:
    """What took a table's name in this transaction is not compared under the table's definition."""
    with leaks.raw() as raw:
        raw.ask(query(b"BEGIN"))
        assert raw.ask(query(b"DROP TABLE public.swapped")) == "C ZT"
        made = raw.ask(query(b"CREATE VIEW public.swapped AS SELECT ssn AS a FROM public.people"))
        asked = raw.ask(query(b"SELECT 1 FROM public.swapped WHERE a LIKE '5%'"))
        assert "D" not in asked.split(), (made, asked)
        raw.ask(query(b"ROLLBACK"))
