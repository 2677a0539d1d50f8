"""Health, readiness and metrics: what probes on this machine read without a token.

They stand on loopback and on the socket alone, like the rest, and name no principal, no statement and no secret.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from checkrein.control.api.ports import Control
from checkrein.control.api.refusals import content

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "They cannot; `problems` says why."}})
async def readyz(request: Request) -> JSONResponse:
    """Say whether statements can be served; 503 with every reason when not."""
    control: Control = request.app.state.control
    problems = await control.readiness.problems()
    body: dict[str, Any] = {"ready": not problems, "problems": problems, "warnings": control.readiness.warnings()}
    return JSONResponse(body, 503 if problems else 200)


@router.get("/metrics", response_class=Response, responses=content("text/plain", "Metrics."))
async def metrics() -> Response:
    """Return Prometheus metrics; they name no principal, no statement and no secret."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
