"""A catalog made of a policy test's schema, without a server."""

from __future__ import annotations

import pytest

from checkrein.protocols.postgres.catalog_of import catalog_of, system_catalog


def test_columns_types_and_keys() -> None:
    """Types are written as SQL writes them or guessed; a first column id is the key unless others are marked."""
    snapshot = catalog_of(
        {
            "public.orders": ["id", "status", "amount numeric(10,2)", "tags text[]", "placed_at"],
            "lines": ["order_id key", "line int primary key", "note character varying(20)"],
            '"Odd.Schema"."T"': ['"A b" timestamp with time zone'],
        }
    )
    orders = snapshot.relations["public", "orders"]
    types = [snapshot.types[column.type_oid].name for column in orders.columns]
    assert types == ["int8", "text", "numeric", "_text", "timestamptz"]
    assert orders.unique_keys == (("id",),)
    assert snapshot.relations["public", "lines"].unique_keys == (("order_id", "line"),)
    assert snapshot.relations["Odd.Schema", "T"].columns[0].name == "A b"
    assert {"public", "Odd.Schema", "pg_catalog"} <= snapshot.schemas
    assert snapshot.relations_by_oid[orders.oid] is orders
    assert snapshot.types_by_name["public", "orders"].relation == orders.oid


def test_the_system_catalog_is_real() -> None:
    """Functions, operators and system relations come with it, as a real server had them."""
    snapshot = catalog_of({})
    assert {one.schema for one in snapshot.functions["lower"]} == {"pg_catalog"}
    assert any(one.left == 23 and one.right == 23 for one in snapshot.operators["="])
    assert len(snapshot.relations["pg_catalog", "pg_class"].columns) > 30
    assert snapshot.relations == system_catalog().relations


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"a.b.c": ["id"]}, "more than a schema"),
        ({"": ["id"]}, "not a table's name"),
        ({"a.": ["id"]}, "not a table's name"),
        ({"a b": ["id"]}, "not a table's name"),
        ({"t": ["id nonsense"]}, "no type 'nonsense'"),
        ({"t": ["id", "id"]}, "twice"),
        ({"t": [""]}, "not a column"),
        ({"t": ["id"], "public.t": ["id"]}, "twice"),
        ({"pg_catalog.pg_class": ["id"]}, "system's own"),
    ],
)
def test_mistakes_are_told(schema: dict[str, list[str]], message: str) -> None:
    """What an author gets wrong is said in a sentence."""
    with pytest.raises(ValueError, match=message):
        catalog_of(schema)
