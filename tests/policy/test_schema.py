"""The JSON Schemas agree with the loader."""

from __future__ import annotations

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
