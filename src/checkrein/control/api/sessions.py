"""Sessions over the API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from checkrein.control.api.audit import audit
from checkrein.control.api.callers import caller, may
from checkrein.control.api.ports import Control
from checkrein.control.api.refusals import ALWAYS, content, refusals
from checkrein.core.identity import Principal

router = APIRouter(prefix="/api/v1/sessions", responses=refusals(*ALWAYS))
Caller = Annotated[Principal, Depends(caller)]


class Kill(BaseModel):
    """Why a session is ended."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="an operator ended this session", max_length=500)


class Export(BaseModel):
    """Which sessions go into a bundle."""

    model_config = ConfigDict(extra="forbid")
    ids: list[str] = Field(min_length=1, max_length=1000)


def _control(request: Request) -> Control:
    control: Control = request.app.state.control
    return control


def _none(id: str) -> HTTPException:
    return HTTPException(404, {"reason": f"there is no session {id!r}"})


@router.get("")
async def ls(request: Request, person: Caller) -> list[dict[str, Any]]:
    """List sessions, newest first; every filter is a query parameter."""
    may(person, "sessions.ls")
    if request.query_params.get("text"):
        may(person, "sessions.show")  # whoever may look for texts finds them out, piece by piece
    try:
        return await _control(request).sessions.ls(dict(request.query_params))
    except ValueError as error:
        raise HTTPException(400, {"reason": str(error)}) from None


@router.post("/export", response_class=Response, responses=content("application/zip", "The bundle.") | refusals(404))
async def export(request: Request, person: Caller, body: Export) -> Response:
    """Return an evidence bundle."""
    may(person, "sessions.export")
    bundle = await _control(request).sessions.export(body.ids)
    if bundle is None:
        raise HTTPException(404, {"reason": "one of the sessions does not exist"})
    audit("sessions.export", person, ids=body.ids)
    return Response(bundle, media_type="application/zip")


@router.get("/{id}", responses=refusals(404))
async def show(request: Request, person: Caller, id: str) -> dict[str, Any]:
    """Return one session with its events."""
    may(person, "sessions.show")
    found = await _control(request).sessions.show(id)
    if found is None:
        raise _none(id)
    audit("sessions.show", person, session=id)
    return found


@router.get("/{id}/tail", response_class=Response, responses=content("application/x-ndjson", "Events.") | refusals(404))
async def tail(request: Request, person: Caller, id: str) -> StreamingResponse:
    """Follow one session as JSON lines."""
    may(person, "sessions.show")
    lines = _control(request).sessions.tail(id)
    if lines is None:
        raise _none(id)
    audit("sessions.tail", person, session=id)
    return StreamingResponse(_until(lines, person.expires_at), media_type="application/x-ndjson")


async def _until(lines: AsyncIterator[bytes], end: float | None) -> AsyncIterator[bytes]:
    """Hand lines on until the token of who asked for them ends (epoch seconds)."""
    while True:
        try:
            line = await asyncio.wait_for(anext(lines), None if end is None else end - time.time())
        except (StopAsyncIteration, TimeoutError):
            return
        yield line


@router.get("/{id}/verify", responses=refusals(404))
async def verify(request: Request, person: Caller, id: str) -> dict[str, Any]:
    """Verify one session's recording."""
    may(person, "sessions.show")
    found = await _control(request).sessions.verify(id)
    if found is None:
        raise _none(id)
    return found


@router.post("/{id}/kill", responses=refusals(404))
async def kill(request: Request, person: Caller, id: str, body: Kill) -> dict[str, Any]:
    """End an open session natively."""
    may(person, "sessions.kill")
    if not _control(request).sessions.kill(id, body.reason):
        raise HTTPException(404, {"reason": f"session {id!r} is not open here"})
    audit("sessions.kill", person, session=id, reason=body.reason)
    return {"id": id, "killed": True}
