"""The JSON Schemas agree with the loader."""

from __future__ import annotations

from typing import Any

import pytest

from checkrein.cli.schema import gateway_schema
from checkrein.policy.documents import parse_duration
from checkrein.policy.schema import policy_schema, policy_test_schema
from tests.policy.kit import SPEC


def test_policy_schema():
    """Selector words and verbs are those of the protocols; unknown keys are marked; durations are strings."""
    schema = policy_schema([SPEC])
    selector = schema["$defs"]["Selector"]
    assert selector["additionalProperties"] is False
    assert {"touches", "functions", "channels", "columns", "when"} <= set(selector["properties"])
    assert "select" in selector["properties"]["verbs"]["items"]["enum"]
    assert schema["$defs"]["PolicySpec"]["additionalProperties"] is False
    assert schema["$defs"]["Wait"]["properties"]["hold"]["type"] == "string"
    assert "with" in schema["$defs"]["MaskModel"]["properties"]


def test_policy_test_schema():
    """Keys are spelt as documents spell them."""
    assert {"as", "target", "schema", "cases"} <= set(policy_test_schema()["properties"])


def fields_of(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every property of a schema and of what it defines."""
    parts = {"": schema, **schema["$defs"]}
    return {f"{name}.{key}": field for name, part in parts.items() for key, field in part["properties"].items()}


@pytest.mark.parametrize(
    "schema", [policy_schema(), policy_test_schema(), gateway_schema(["postgres"])], ids=["policy", "test", "gateway"]
)
def test_every_key_says_what_it_is_and_defaults_are_spelt_as_documents_spell_them(schema: dict[str, Any]):
    """An editor shows a sentence at each key, and what it fills in is loaded."""
    fields = fields_of(schema)
    assert len(fields) > 15
    given = {name for name, field in fields.items() if {"const", "enum", "$ref"} & field.keys()}
    assert [name for name, field in fields.items() if not field.get("description") and name not in given] == []
    durations = [field for field in fields.values() if str(field.get("pattern")).endswith("|d)$")]
    assert all(parse_duration(field["default"]) > 0 for field in durations if "default" in field)
