"""The policies in force: read from the directory, swapped whole, kept when a new set is bad."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog
import watchfiles

from checkrein.core.errors import ConfigurationError, Problem
from checkrein.core.spec import ProtocolSpec
from checkrein.core.target import Target
from checkrein.masking.detectors import problem
from checkrein.policy.compile import Compiled, compile_directory
from checkrein.policy.load import TEST_SUFFIXES
from checkrein.policy.snapshot import Snapshot
from checkrein.recording.files import private_folder, write_durably

POLICY_FILES: Final = 1000
"""Files of a policy directory; more is a wrong directory."""

POLICY_LOOK_SECONDS: Final = 2.0
"""How long a change of the directory that nothing told of can stay unseen."""

_log = structlog.get_logger("checkrein.policies")


def stamp(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Return what changes with a directory's policies: path, inode, size and time of each; never raises OSError."""
    found = []
    for path in sorted(folder.rglob("*"))[: 2 * POLICY_FILES]:
        with contextlib.suppress(OSError):
            seen = path.stat()
            found.append((str(path), seen.st_ino, seen.st_size, seen.st_mtime_ns))
    return tuple(found)


def read_files(folder: Path) -> list[tuple[str, str]]:
    """Return (path, text) of the YAML files under a folder, hidden ones left out. Raises ConfigurationError."""
    if not folder.is_dir():
        raise ConfigurationError((Problem(str(folder), 0, 0, "is not a directory of policies"),))
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in (".yaml", ".yml") and path.is_file()]
    paths = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if len(paths) > POLICY_FILES:
        raise ConfigurationError((Problem(str(folder), 0, 0, f"holds more than {POLICY_FILES} files"),))
    try:
        found = [(str(path), path.read_text(encoding="utf-8")) for path in paths]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError((Problem(str(folder), 0, 0, f"cannot be read: {error}"),)) from None
    empty = [
        Problem(name, 0, 0, "is empty, as if being written: write a policy, or remove it")
        for name, text in found
        if not text
    ]
    if empty:
        raise ConfigurationError(tuple(empty))
    return found


class PolicySet:
    """Holds the snapshot in force. `archive` keeps every set that was ever in force, by id, for evidence and replay."""

    def __init__(
        self,
        folder: Path,
        archive: Path,
        specs: Mapping[str, ProtocolSpec],
        targets: Sequence[Target],
        detectors: Collection[str],
    ) -> None:
        self._folder = folder
        self._archive = archive
        self._specs = specs
        self._targets = targets
        self._detectors = detectors
        self.problem = ""
        self.warnings: tuple[Problem, ...] = ()
        self._one_at_a_time = threading.Lock()
        self._stamp = stamp(folder)
        self._snapshot = self._take(*self._compile())

    def current(self) -> Snapshot:
        """Return the snapshot in force now."""
        return self._snapshot

    def reload(self) -> bool:
        """Read the directory again; a bad set is reported and never replaces a good one. Return whether it holds."""
        with self._one_at_a_time:
            return self._reload()

    def _reload(self) -> bool:
        try:
            compiled, files = self._compile()
        except ConfigurationError as error:
            self.problem = str(error)
            _log.error("policies refused; the earlier set stays in force", problems=self.problem.splitlines())
            return False
        self.problem = ""
        before = self._snapshot.id
        self._snapshot = self._take(compiled, files)
        if self._snapshot.id != before:
            _log.info("policies in force", snapshot=self._snapshot.id, before=before)
        return True

    async def watch(self) -> None:
        """Reload on every change of the directory, until cancelled.

        Looks every POLICY_LOOK_SECONDS too: a change between start and the first watch, or under a mount that tells of
        none, is found as well. Reading and compiling is done in a thread.
        """
        wait = int(POLICY_LOOK_SECONDS * 1000)
        async for _ in watchfiles.awatch(
            self._folder, step=50, debounce=200, rust_timeout=wait, yield_on_timeout=True, recursive=True
        ):
            await asyncio.to_thread(self._follow)

    def _follow(self) -> None:
        now = stamp(self._folder)
        if now != self._stamp:
            self._stamp = now
            self.reload()

    def _compile(self) -> tuple[Compiled, list[tuple[str, str]]]:
        files = read_files(self._folder)
        return compile_directory(files, self._specs, self._targets, self._detectors, problem), files

    def _take(self, compiled: Compiled, files: list[tuple[str, str]]) -> Snapshot:
        """Put a set into the archive, as it was written, so that it can be compiled again to the same snapshot."""
        self.warnings = compiled.warnings
        for warning in compiled.warnings:
            _log.warning("policy", problem=str(warning))
        private_folder(self._archive)
        path = self._archive / f"{compiled.snapshot.id}.json"
        if not path.exists():
            documents = [json.loads(one.value.model_dump_json(by_alias=True)) for one in compiled.documents]
            written = [
                {"name": str(Path(name).relative_to(self._folder)), "text": text}
                for name, text in files
                if not name.endswith(TEST_SUFFIXES)
            ]
            kept = {"id": compiled.snapshot.id, "documents": documents, "files": written}
            write_durably(path, json.dumps(kept, indent=1).encode())
        return compiled.snapshot
