"""`did you mean`: the nearest known word, and which keys a model knows at a place."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable

from pydantic import BaseModel


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean X?)` for the nearest known word, else an empty string."""
    near = difflib.get_close_matches(word[:64], list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def fields_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Return the keys that a document of `model` may have at `path`; empty when that cannot be told."""
    models: list[type[BaseModel]] = [model]
    for part in path:
        if isinstance(part, int):
            continue
        models = [found for one in models for found in _field_models(one, part)] or models
    return [key for one in models for key in _keys(one)]


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _field_models(model: type[BaseModel], key: str) -> list[type[BaseModel]]:
    for name, field in model.model_fields.items():
        if key in (name, field.alias):
            return _models_in(field.annotation)
    return []


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in typing.get_args(annotation) for found in _models_in(argument)]
