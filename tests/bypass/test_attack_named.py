"""PG-A51 and PG-A52: definitions of what is no table, named without its schema, or by an index of a table."""

from __future__ import annotations

from tests.bypass.attack import World, extended, query, refusal

SEARCHED = "SET search_path = public, vault"


def _must_refuse(world: World, *texts: str) -> None:
    """Prove that each is refused where the path has a schema that may be touched before one that may not."""
    wrong = []
    with world.broad(drops=True), world.unchanged():
        for text in texts:
            for way in (query(text.encode()), extended(text.encode())):
                with world.raw() as raw:
                    raw.ask(query(SEARCHED.encode()))
                    shown = raw.ask(way)
                    if not refusal(shown, "42501"):
                        wrong.append((text, shown, raw.last_error))
    assert not wrong, wrong


def test_pg_a51_names_along_the_path(world: World) -> None:
    """What has no schema is where the server finds it, not in the first schema that things are made in."""
    _must_refuse(
        world,
        "DROP FUNCTION reverse(text)",
        "DROP ROUTINE vault.reverse",
        "ALTER FUNCTION reverse(text) RENAME TO other",
        "ALTER FUNCTION vault.reverse(text) RENAME TO other",
        "ALTER FUNCTION vault.reverse(text) OWNER TO CURRENT_USER",
        "ALTER FUNCTION vault.reverse(text) SET SCHEMA public",
        "COMMENT ON FUNCTION vault.reverse(text) IS 'x'",
        "DROP TYPE mood",
        "ALTER TYPE mood ADD VALUE 'c'",
        "ALTER TYPE mood RENAME VALUE 'a' TO 'c'",
        "ALTER TYPE mood RENAME TO other",
        "ALTER TYPE mood OWNER TO CURRENT_USER",
        "COMMENT ON TYPE mood IS 'x'",
        "DROP DOMAIN low",
        "COMMENT ON CONSTRAINT low_check ON DOMAIN low IS 'x'",
        "DROP STATISTICS pairs",
        "ALTER STATISTICS pairs SET STATISTICS 5",
        "ALTER STATISTICS vault.pairs RENAME TO other",
        "CREATE STATISTICS vault.more (dependencies) ON id, name FROM open_items",
        "DROP COLLATION plain",
        "ALTER COLLATION plain RENAME TO other",
        "DROP TEXT SEARCH CONFIGURATION words",
        "ALTER TEXT SEARCH CONFIGURATION words DROP MAPPING FOR word",
        "ALTER TEXT SEARCH CONFIGURATION vault.words RENAME TO other",
        "GRANT USAGE ON TYPE mood TO PUBLIC",
        "COMMENT ON TABLE items IS 'x'",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA vault GRANT SELECT ON TABLES TO PUBLIC",
        "DROP OWNED BY CURRENT_USER",
        "REASSIGN OWNED BY CURRENT_USER TO CURRENT_USER",
    )


def test_pg_a52_an_index_is_its_table(world: World) -> None:
    """What is done to an index is done to its table, whatever the index is called."""
    _must_refuse(
        world,
        "DROP INDEX open_index",
        "DROP INDEX public.open_index",
        "DROP INDEX CONCURRENTLY open_index",
        "DROP INDEX vault_index",
        "ALTER INDEX open_index RENAME TO open_other",
        "ALTER TABLE open_index RENAME TO open_other",
        "ALTER INDEX vault_index SET (fillfactor = 50)",
        "COMMENT ON INDEX open_index IS 'x'",
    )


def test_pg_a51_what_may_be_touched(world: World) -> None:
    """Beside it, what is not on the list is made, altered and dropped as before."""
    with world.broad(drops=True), world.raw() as raw:
        for text in (
            SEARCHED,
            "CREATE TABLE open_made (id int)",
            "CREATE INDEX open_made_index ON open_made (id)",
            "COMMENT ON INDEX open_made_index IS 'x'",
            "ALTER INDEX open_made_index RENAME TO open_made_renamed",
            "DROP INDEX open_made_renamed",
            "CREATE STATISTICS open_both (dependencies) ON id, name FROM open_items",
            "DROP STATISTICS public.open_both",
            "COMMENT ON TABLE open_made IS 'x'",
            "DROP TABLE open_made",
            "DROP INDEX IF EXISTS public.open_nothing",
        ):
            assert raw.ask(query(text.encode())).endswith("C ZI"), (text, raw.last_error)
