"""How the API refuses: one object with a `reason`, and which status says what, as `/openapi.json` documents it."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict


class Refused(BaseModel):
    """Why a request was not served."""

    model_config = ConfigDict(extra="allow")
    reason: str


_MEANING: Final[dict[int, str]] = {
    400: "The request cannot be read, or a parameter is wrong.",
    401: "No token, or one that is not accepted; `check` names the check that failed.",
    403: "The caller may not do this.",
    404: "There is none of this name.",
    409: "It is not open any more.",
    413: "The body, or what would be answered, is too long.",
    503: "Something that it takes cannot be reached or read now.",
}
ALWAYS: Final = (400, 401, 403, 413, 503)
"""What any request may meet whose caller must be known."""


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of these statuses for a route or router."""
    return {status: {"model": Refused, "description": _MEANING[status]} for status in statuses}


def content(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of a 200 that is not JSON."""
    return {200: {"content": {media_type: {}}, "description": description}}
