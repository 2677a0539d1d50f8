"""The API as one ASGI application."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from checkrein.control.api import approvals, health, sessions, targets
from checkrein.control.api.ports import Control


def api(control: Control, *more: APIRouter) -> FastAPI:
    """Return the application; `more` are further routers (the embedded issuer's)."""
    app = FastAPI(title="Checkrein control API", docs_url=None, redoc_url=None)
    app.state.control = control
    for router in (health.router, sessions.router, approvals.router, targets.router, *more):
        app.include_router(router)
    app.add_exception_handler(HTTPException, _refused)
    return app


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """Answer errors as one object with a `reason`."""
    assert isinstance(error, HTTPException)
    body = error.detail if isinstance(error.detail, dict) else {"reason": str(error.detail)}
    return JSONResponse(body, error.status_code, error.headers)
