"""JSON Schemas of policy documents, for editors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pydantic import BaseModel

from checkrein.core.spec import ProtocolSpec
from checkrein.policy.cases import PolicyTestModel
from checkrein.policy.documents import spelt_defaults
from checkrein.policy.model import PolicyModel

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def policy_schema(specs: Iterable[ProtocolSpec] = ()) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `kind: Policy`; with `specs`, their selector words and verbs are offered."""
    schema = _schema(PolicyModel, "Checkrein policy")
    chosen = list(specs)
    if chosen:
        _offer_words(schema["$defs"]["Selector"], chosen)
    return schema


def policy_test_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `kind: PolicyTest`."""
    return _schema(PolicyTestModel, "Checkrein policy test")


def _schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    spelt_defaults(schema)
    return {"$schema": DIALECT, **schema, "title": title}


def _offer_words(selector: dict[str, Any], specs: list[ProtocolSpec]) -> None:
    """Name the protocols' own selector words, so that an editor completes them and marks any other."""
    words = sorted({word for spec in specs for word in spec.vocabulary.objects})
    verbs = sorted({verb for spec in specs for verb in spec.vocabulary.verbs})
    item = {"type": "array", "minItems": 1, "items": {"type": "string"}}
    for word in words:
        selector["properties"][word] = item
    selector["properties"]["verbs"] = {"type": "array", "minItems": 1, "items": {"enum": ["*", *verbs]}}
    selector["additionalProperties"] = False
