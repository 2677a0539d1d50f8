"""Attacks on objects that a statement does not name: what a change of one takes along."""

from __future__ import annotations

from tests.bypass.attack import World


def test_altering_with_cascade_drops_nothing_unseen(world: World) -> None:
    """A column or constraint that goes with CASCADE takes views and keys of other tables along, which no rule saw."""
    world.must_refuse(
        "ALTER TABLE open_parent DROP COLUMN id CASCADE",
        "ALTER TABLE open_parent DROP CONSTRAINT open_parent_pkey CASCADE",
        "ALTER TABLE IF EXISTS open_items ADD COLUMN more int, DROP name CASCADE",
        "DROP TABLE open_other CASCADE",
    )
