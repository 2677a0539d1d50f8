"""What the API answers when its parts raise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient

from checkrein.control.api.app import api
from checkrein.control.api.callers import caller
from checkrein.core.errors import LimitExceeded, Unavailable
from checkrein.core.identity import Principal

AUDITOR = Principal("audrey", "corp", ("audit",), roles=("auditor",), expires_at=None)


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (LimitExceeded("too large; export fewer", "EXPORT_BYTES"), 413, {"limit": "EXPORT_BYTES"}),
        (Unavailable("the recording is damaged"), 503, {}),
    ],
)
def test_an_export_that_cannot_be_had_says_why(error: Exception, status: int, body: dict[str, str]) -> None:
    """A limit and a damaged recording are answers with a reason, not internal errors."""

    class Sessions:
        async def export(self, ids: list[str]) -> Any:
            raise error

    app = api(cast(Any, SimpleNamespace(sessions=Sessions())))
    app.dependency_overrides[caller] = lambda: AUDITOR
    answer = TestClient(app, raise_server_exceptions=False).post("/api/v1/sessions/export", json={"ids": ["s1"]})
    assert (answer.status_code, answer.json()) == (status, {"reason": str(error), **body})
