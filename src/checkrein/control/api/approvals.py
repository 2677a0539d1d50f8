"""Approvals over the API: the one way to answer that every surface uses."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from checkrein.control.api.audit import audit
from checkrein.control.api.callers import caller, may
from checkrein.control.api.ports import Control
from checkrein.control.api.refusals import ALWAYS, refusals
from checkrein.core.identity import Principal

router = APIRouter(prefix="/api/v1/approvals", responses=refusals(*ALWAYS))
Caller = Annotated[Principal, Depends(caller)]


class Answer(BaseModel):
    """A person's words beside a yes or a no."""

    model_config = ConfigDict(extra="forbid")
    note: str = Field(default="", max_length=2000)


def _control(request: Request) -> Control:
    control: Control = request.app.state.control
    return control


@router.get("")
async def ls(request: Request, person: Caller, state: str = "") -> list[dict[str, Any]]:
    """List approvals, newest first."""
    may(person, "approvals.ls")
    return await _control(request).approvals.ls(state)


@router.get("/{id}", responses=refusals(404))
async def show(request: Request, person: Caller, id: str) -> dict[str, Any]:
    """Return one approval."""
    may(person, "approvals.ls")
    found = await _control(request).approvals.show(id)
    if found is None:
        raise HTTPException(404, {"reason": f"there is no approval {id!r}"})
    return found


@router.post("/{id}/approve", responses=refusals(404, 409))
async def approve(request: Request, person: Caller, id: str, body: Answer) -> dict[str, Any]:
    """Say yes."""
    return await _answer(request, person, id, True, body.note)


@router.post("/{id}/deny", responses=refusals(404, 409))
async def deny(request: Request, person: Caller, id: str, body: Answer) -> dict[str, Any]:
    """Say no."""
    return await _answer(request, person, id, False, body.note)


async def _answer(request: Request, person: Principal, id: str, approve: bool, note: str) -> dict[str, Any]:
    try:
        may(person, "approvals.answer")
        answered = await _control(request).approvals.answer(id, person, approve, note)
    except LookupError as error:
        raise _refused(person, id, 404, str(error.args[0])) from None
    except PermissionError as error:
        raise _refused(person, id, 403, str(error)) from None
    except ValueError as error:
        raise _refused(person, id, 409, str(error)) from None
    except HTTPException as error:
        audit("approvals.refused", person, approval=id, reason=error.detail)
        raise
    audit("approvals.approve" if approve else "approvals.deny", person, approval=id)
    return answered


def _refused(person: Principal, id: str, status: int, reason: str) -> HTTPException:
    """Put a refused answer on record and return the error that says so."""
    audit("approvals.refused", person, approval=id, reason=reason)
    return HTTPException(status, {"reason": reason})
