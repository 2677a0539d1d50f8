"""The first policy that is made from a catalog."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from checkrein.policy.load import load_policies
from checkrein.protocols.postgres.catalog_of import catalog_of
from checkrein.protocols.postgres.starter import proposed_mask, starter_policy
from tests.support.catalogs import load_of
from tests.support.postgres import Database

SCHEMA = {
    "public.customers": ["id", "name", "email", "ssn", "cardNumber"],
    "public.orders": ["id", "status"],
    "hr.people": ["id", "birth_date date", "password_hash"],
}


def rules_and_masks(text: str) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    assert len(load_policies([("starter.yaml", text)])) == 1
    spec = YAML(typ="safe").load(text)["spec"]
    return spec["rules"], spec["masks"]


def test_each_schema_gets_rules_and_sensitive_columns_masks() -> None:
    """A read rule, a guard against bulk writes and an ask per schema; masks for columns with telling names."""
    rules, masks = rules_and_masks(starter_policy(catalog_of(SCHEMA), "shop"))
    assert [rule["name"] for rule in rules][:3] == ["read-hr", "bulk-writes-hr", "writes-hr-need-a-person"]
    assert rules[3]["allow"] == {"verbs": ["select"], "touches": ["public.*"]}
    assert {mask["columns"][0]: mask["with"] for mask in masks if "columns" in mask} == {
        "hr.people.birth_date": "null",
        "hr.people.password_hash": "redact",
        "public.customers.email": "token",
        "public.customers.ssn": "partial",
        "public.customers.cardNumber": "partial",
    }


def test_hostile_names_stay_inside_their_scalars() -> None:
    """A schema, table or column with quotes, newlines or braces neither breaks the document nor adds to it."""
    schema = {'"ev\n  il}"."t\nrules:"': ['"ssn\n- x"', '"my ssn: {"'], '"ev il"."u"': ["id"]}
    rules, masks = rules_and_masks(starter_policy(catalog_of(schema), "shop"))
    assert {rule["name"] for rule in rules if "allow" in rule} == {"read-ev-il", "read-ev-il-2"}
    assert len(masks) == 3


@pytest.mark.parametrize("column", ["id", "status", "opinion", "company", "using", "spinning", "phones_home_count"])
def test_ordinary_names_get_no_mask(column: str) -> None:
    """Words are matched whole."""
    assert proposed_mask(column) == ""


def test_partitions_and_extensions_are_left_to_their_owners(database: Database) -> None:
    """On a real catalog partitions are their parent's, and a view is listed without masks of its own."""
    database.run(
        """
        CREATE TABLE logs (id int, email text) PARTITION BY RANGE (id);
        CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (0) TO (9);
        CREATE VIEW mails AS SELECT email FROM logs;
        """
    )
    text = starter_policy(load_of(database), "shop")
    assert "# logs, mails" in text and "logs_1" not in text
    assert "public.logs.email" in text and "public.mails.email" not in text
