"""The API as one ASGI application."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from checkrein.control.api import approvals, health, reload, sessions, targets
from checkrein.control.api.callers import caller
from checkrein.control.api.ports import Control
from checkrein.core.errors import LimitExceeded, Unavailable
from checkrein.core.identity import Principal
from checkrein.core.limits import API_REQUEST_BYTES


class Bounded:
    """Ends a request whose body grows longer than API_REQUEST_BYTES with 413, whatever its headers say."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; its body is counted as it is read."""
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > API_REQUEST_BYTES:
                raise HTTPException(413, {"reason": f"the body is longer than {API_REQUEST_BYTES} bytes"})
            return message

        await self._app(scope, counted, send)


def api(control: Control, *more: APIRouter) -> FastAPI:
    """Return the application; `more` are further routers (the embedded issuer's)."""
    app = FastAPI(title="Checkrein control API", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.control = control
    app.add_middleware(Bounded)
    for router in (health.router, sessions.router, approvals.router, targets.router, reload.router, *more):
        app.include_router(router)
    app.add_exception_handler(AnyHTTPException, _refused)  # the frameworks' own too: no such path, no JSON
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(LimitExceeded, _too_much)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(person: Annotated[Principal, Depends(caller)]) -> dict[str, Any]:
        """Describe the API to whoever is known."""
        return app.openapi()

    return app


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """Answer errors as one object with a `reason`."""
    assert isinstance(error, AnyHTTPException)
    body = error.detail if isinstance(error.detail, dict) else {"reason": str(error.detail)}
    return JSONResponse(body, error.status_code, error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    """Answer what does not fit a route with 422, without what was sent: that may be a secret, or no Unicode."""
    assert isinstance(error, RequestValidationError)
    found = [{"loc": one["loc"], "msg": one["msg"], "type": one["type"]} for one in error.errors()]
    # escaped to ASCII: a name may hold half a surrogate pair, which cannot be written as UTF-8
    return Response(json.dumps({"detail": found}), 422, media_type="application/json")


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    """Answer that something cannot be read now: a damaged recording, a store that is away."""
    return JSONResponse({"reason": str(error)}, 503)


async def _too_much(request: Request, error: Exception) -> JSONResponse:
    """Answer that what was asked for is more than a named limit lets through."""
    assert isinstance(error, LimitExceeded)
    return JSONResponse({"reason": str(error), "limit": error.limit}, 413)
