"""Targets as the API shows and tries them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from checkrein.adapters.sidelinks import SideLinks
from checkrein.core.errors import Unavailable
from checkrein.core.spec import ProtocolSpec
from checkrein.core.steps import Query
from checkrein.core.target import Profile, Target


class Targets:
    """Implements control.api.ports.TargetsPort. `addresses` maps a protocol to the address that is listened on."""

    def __init__(
        self,
        targets: Mapping[str, Target],
        specs: Mapping[str, ProtocolSpec],
        links: SideLinks,
        addresses: Mapping[str, tuple[str, int]],
        ca: Path | None,
    ) -> None:
        self._targets = targets
        self._specs = specs
        self._links = links
        self._addresses = addresses
        self._ca = ca

    def ls(self) -> list[dict[str, Any]]:
        """List targets, by name."""
        return [_shown(target) for _, target in sorted(self._targets.items())]

    async def test(self, name: str) -> list[dict[str, Any]] | None:
        """Try every profile's login over a side link, now."""
        target = self._targets.get(name)
        if target is None:
            return None
        return [await self._try(target, profile) for profile in target.profiles.values()]

    async def _try(self, target: Target, profile: Profile) -> dict[str, Any]:
        self._links.renew(target, profile)
        answer = await self._catalog(target, profile)
        problem = str(answer) if isinstance(answer, Unavailable) else ""
        note = "names of statements cannot be resolved: what needs them is refused" if problem else ""
        return {"target": target.name, "profile": profile.name, "ok": not problem, "reason": problem, "note": note}

    async def _catalog(self, target: Target, profile: Profile) -> Any | Unavailable:
        spec = self._specs[target.protocol]
        if spec.side_link is None:
            return None
        return await self._links.query(target, profile, Query(spec.catalog_question, fresh=True))

    async def starter(self, name: str) -> str | None:
        """Return a starter policy from the live schema. Raises ValueError."""
        target = self._targets.get(name)
        if target is None:
            return None
        spec = self._specs[target.protocol]
        if spec.starter_policy is None:
            raise ValueError(f"there is no starter policy for {target.protocol}")
        catalog = await self._catalog(target, next(iter(target.profiles.values())))
        if isinstance(catalog, Unavailable):
            raise ValueError(str(catalog))
        return spec.starter_policy(catalog, name)

    def reach(self, name: str, profile: str) -> dict[str, Any] | None:
        """Say how a client reaches a target."""
        target = self._targets.get(name)
        if target is None or profile not in target.profiles or target.protocol not in self._addresses:
            return None
        host, port = self._addresses[target.protocol]
        spec = self._specs[target.protocol]
        ca = str(self._ca) if self._ca is not None else ""
        dsn = spec.dsn(host=host, port=port, target=name, profile=profile, ca=ca) if spec.dsn is not None else ""
        return {
            "target": name,
            "protocol": target.protocol,
            "host": host,
            "port": port,
            "profile": profile,
            "ca": ca,
            "dsn": dsn,
        }

    async def problems(self) -> list[str]:
        """Return the side links that failed last."""
        found = []
        for target in self._targets.values():
            for profile in target.profiles.values():
                problem = self._links.problem(target, profile)
                if problem:
                    found.append(f"names concede on {target.name}/{profile.name}: {problem}")
        return found


def _shown(target: Target) -> dict[str, Any]:
    return {
        "name": target.name,
        "protocol": target.protocol,
        "address": f"{target.host}:{target.port}",
        "database": target.database,
        "labels": target.labels,
        "tls": target.tls.mode,
        "mode": target.mode,
        "unguarded": target.unguarded,
        "profiles": {name: {"user": profile.user} for name, profile in target.profiles.items()},
    }
