"""Reloading: policies are read again and swapped; what else changed in the configuration is named, for a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from checkrein.app.policies import POLICY_LOOK_SECONDS, PolicySet
from checkrein.config.load import read_config
from checkrein.config.values import Config
from checkrein.core.errors import ConfigurationError

_log = structlog.get_logger("checkrein")

_KEYS: Final = {
    "control": "listen.control",
    "listeners": "listen",
    "issuers": "identity.issuers",
    "embedded": "identity.embedded",
    "roles": "people.roles",
    "local_approver": "people.local_approver",
}
"""Parts of a Config by the name that the file has for them, where that is another."""


class Reloading:
    """Serves SIGHUP, a change of the configuration's file, and the API. `ports` are the protocols' default ports."""

    def __init__(self, running: Config, policies: PolicySet, ports: Mapping[str, int]) -> None:
        self._running = running
        self._policies = policies
        self._ports = ports
        self._seen = _stamp(running.file)

    def reload(self) -> dict[str, Any]:
        """Reload what can be; return {policies, snapshot, problems, restart_needed}, and log the same.

        `policies` says whether the set on disk is in force. `restart_needed` names the keys of the configuration that
        changed since the start; they are not in force. A configuration that does not hold changes nothing.
        """
        holds = self._policies.reload()
        problems, changed = self._compare()
        return {
            "policies": holds,
            "snapshot": self._policies.current().id,
            "problems": ([] if holds else self._policies.problem.splitlines()) + problems,
            "restart_needed": changed,
        }

    async def watch(self) -> None:
        """Look at the configuration's file every POLICY_LOOK_SECONDS and say what changed, until cancelled."""
        while True:
            await asyncio.sleep(POLICY_LOOK_SECONDS)
            now = _stamp(self._running.file)
            if now != self._seen:
                self._seen = now
                await asyncio.to_thread(self._compare)

    def _compare(self) -> tuple[list[str], list[str]]:
        """Return what is wrong with the configuration on disk, and which keys changed since the start."""
        try:
            found = read_config(self._running.file, self._ports)
        except ConfigurationError as error:
            problems = [str(problem) for problem in error.problems]
            _log.error("the changed configuration does not hold; what was started stays in force", problems=problems)
            return problems, []
        changed = changed_keys(self._running, found)
        if changed:
            _log.warning("the configuration changed; these keys need a restart", keys=changed)
        return [], changed


def changed_keys(running: Config, found: Config) -> list[str]:
    """Return the keys under which two configurations differ; targets each by its own name."""
    before, now = msgspec.structs.asdict(running), msgspec.structs.asdict(found)
    names = [name for name in before if name not in ("file", "warnings", "targets") and before[name] != now[name]]
    targets = {**running.targets, **found.targets}
    moved = [name for name in targets if running.targets.get(name) != found.targets.get(name)]
    return sorted([_KEYS.get(name, name) for name in names] + [f"targets.{name}" for name in moved])


def _stamp(file: str) -> tuple[int, int, int]:
    """Return what changes with a file; zeros where it cannot be seen."""
    try:
        seen = Path(file).stat()
    except OSError:
        return 0, 0, 0
    return seen.st_ino, seen.st_size, seen.st_mtime_ns
