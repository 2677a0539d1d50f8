"""Targets over the API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request

from checkrein.control.api.callers import caller, may
from checkrein.control.api.ports import Control
from checkrein.control.api.refusals import ALWAYS, refusals
from checkrein.core.identity import Principal

router = APIRouter(prefix="/api/v1", responses=refusals(*ALWAYS))
Caller = Annotated[Principal, Depends(caller)]


def _control(request: Request) -> Control:
    control: Control = request.app.state.control
    return control


def _none(name: str) -> HTTPException:
    return HTTPException(404, {"reason": f"there is no target {name!r}"})


@router.get("/whoami")
async def whoami(person: Caller) -> dict[str, Any]:
    """Say whom the caller is taken for."""
    return {
        "subject": person.subject,
        "issuer": person.issuer,
        "groups": person.groups,
        "roles": person.roles,
        "actors": [{"subject": actor.subject, "issuer": actor.issuer} for actor in person.actors],
        "expires_at": person.expires_at,
    }


@router.get("/targets")
async def ls(request: Request, person: Caller) -> list[dict[str, Any]]:
    """List targets."""
    may(person, "targets.ls")
    return _control(request).targets.ls()


@router.post("/targets/{name}/test", responses=refusals(404))
async def test(request: Request, person: Caller, name: str) -> list[dict[str, Any]]:
    """Try every profile of a target."""
    may(person, "targets.test")
    found = await _control(request).targets.test(name)
    if found is None:
        raise _none(name)
    return found


@router.get("/targets/{name}/starter", responses=refusals(404))
async def starter(request: Request, person: Caller, name: str) -> dict[str, str]:
    """Return a starter policy from the live schema."""
    may(person, "targets.starter")
    try:
        found = await _control(request).targets.starter(name)
    except ValueError as error:
        raise HTTPException(503, {"reason": str(error)}) from None
    if found is None:
        raise _none(name)
    return {"policy": found}


@router.get("/reach/{name}", responses=refusals(404))
async def reach(request: Request, person: Caller, name: str, profile: str = "default") -> dict[str, Any]:
    """Say how a client reaches a target; any authenticated caller may know."""
    found = _control(request).targets.reach(name, profile)
    if found is None:
        raise _none(name)
    return found
