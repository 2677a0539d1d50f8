"""`checkrein schema`: JSON Schema of each kind of document, for editors."""

from __future__ import annotations

from typing import Any

import click

from checkrein.cli.output import print_json


def gateway_schema(protocols: list[str]) -> dict[str, Any]:
    """Return the JSON Schema of `kind: Gateway`; `protocols` are offered as listeners and target protocols."""
    from checkrein.config.model import Gateway
    from checkrein.policy.documents import API_VERSION, spelt_defaults

    schema = Gateway.model_json_schema(by_alias=True)
    spelt_defaults(schema)
    schema["properties"] = {
        "apiVersion": {"const": API_VERSION},
        "kind": {"const": "Gateway"},
        **schema["properties"],
    }
    schema["required"] = ["apiVersion", "kind", *schema.get("required", [])]
    schema["properties"]["listen"]["propertyNames"] = {"enum": ["control", *protocols]}
    schema["$defs"]["TargetModel"]["properties"]["protocol"] = {"enum": protocols}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Checkrein configuration"}


@click.command("schema")
@click.argument("kind", type=click.Choice(["gateway", "policy", "policy-test"]), default="gateway")
def command(kind: str) -> None:
    """Print the JSON Schema of checkrein.yaml (gateway), of a policy, or of a policy test."""
    from checkrein.cli.policy import protocols
    from checkrein.policy.schema import policy_schema, policy_test_schema

    if kind == "policy":
        print_json(policy_schema(protocols().values()))
    elif kind == "policy-test":
        print_json(policy_test_schema())
    else:
        print_json(gateway_schema(list(protocols())))
