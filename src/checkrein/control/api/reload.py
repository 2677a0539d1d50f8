"""Reloading over the API: policies, and what of the configuration would need a restart."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from checkrein.control.api.audit import audit
from checkrein.control.api.callers import caller, may
from checkrein.control.api.ports import Control
from checkrein.control.api.refusals import ALWAYS, refusals
from checkrein.core.identity import Principal

router = APIRouter(prefix="/api/v1/reload", responses=refusals(*ALWAYS))


@router.post("")
async def reload(request: Request, person: Annotated[Principal, Depends(caller)]) -> dict[str, Any]:
    """Read policies and configuration again; say what holds now and what needs a restart."""
    may(person, "reload")
    control: Control = request.app.state.control
    found = await asyncio.to_thread(control.reloading.reload)
    audit("reload", person, policies=found["policies"], restart_needed=found["restart_needed"])
    return found
