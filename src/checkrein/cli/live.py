"""A target's catalog, fetched now over a side link: for `policy init`, `policy explain` and `policy test --live`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from checkrein.core.errors import Unavailable
from checkrein.core.spec import ProtocolSpec
from checkrein.core.steps import Query
from checkrein.core.target import Target


def live_catalog(spec: ProtocolSpec, target: Target, profile: str) -> Any:
    """Return the catalog of a target as one of its profiles sees it. Raises Unavailable."""
    chosen = target.profiles.get(profile)
    if chosen is None:
        raise Unavailable(f"target {target.name} has no profile {profile}; it has {', '.join(target.profiles)}")
    if spec.side_link is None:
        return None
    answer = asyncio.run(_fetch(spec, target, profile))
    if isinstance(answer, Unavailable):
        raise answer
    return answer


async def _fetch(spec: ProtocolSpec, target: Target, profile: str) -> Any:
    from checkrein.adapters.sidelinks import SideLinks, Tls
    from checkrein.app.services import password_of
    from checkrein.dataplane.tls import end_point_binding, target_context

    links = SideLinks({spec.name: spec}, password_of, Tls(target_context, end_point_binding))
    upkeep = asyncio.create_task(links.run())  # closes the links when it is cancelled
    try:
        return await links.query(target, target.profiles[profile], Query(spec.catalog_question, fresh=True))
    finally:
        upkeep.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await upkeep
