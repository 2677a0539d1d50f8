"""Verify every recording under a path or in a bundle; also a program. Imports nothing of Checkrein but `verify`.

    python checkrein_verify.py [--key recording.pub] [--allow-unclosed] [--json] PATH

PATH is a bundle (zip), a session's folder, or a folder of sessions. Exit status: 0 whole, 1 not, 2 used wrongly.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from checkrein.recording.verify import (
    ENTRIES,
    ENTRY_NAME,
    MANIFEST,
    SEGMENT_NAME,
    SUMMARY,
    Bad,
    Entries,
    Folder,
    check_session,
    file_hash,
    public_key,
    read_small,
    signed_document,
)


class Report:
    """What a run found; `as_json` is the published shape, with the unclosed sessions and the keys beside it."""

    def __init__(self) -> None:
        self.sessions = self.events = 0
        self.first_bad: dict[str, Any] | None = None
        self.unclosed: list[dict[str, Any]] = []
        self.keys: dict[str, bytes] = {}

    def as_json(self, allow_unclosed: bool = False) -> dict[str, Any]:
        """Return {ok, sessions, events, first_bad, unclosed, keys}."""
        bad = self.first_bad
        if bad is None and self.unclosed and not allow_unclosed:
            one = self.unclosed[0]
            bad = {"file": one["file"], "offset": 0, "seq": one["last"], "why": "unclosed: there is no signed summary"}
        found = {"ok": bad is None, "sessions": self.sessions, "events": self.events, "first_bad": bad}
        return {**found, "unclosed": self.unclosed, "keys": sorted(self.keys)}

    def add(self, source: Folder) -> None:
        """Check one more session; after the first bad one nothing more is looked at."""
        if self.first_bad is None:
            try:
                checked = check_session(source, self.keys)
            except Bad as bad:
                self.first_bad = bad.where
                return
            except (TypeError, KeyError, AttributeError, ValueError) as error:
                self.first_bad = Bad(source.label(SUMMARY), 0, None, f"is malformed: {error!r}"[:200]).where
                return
            self.sessions += 1
            self.events += checked.events
            if not checked.closed:
                entry = {"session": checked.session, "file": source.label(SUMMARY), "last": checked.events - 1}
                self.unclosed.append({**entry, "torn": bool(checked.torn)})


def verify_path(path: Path, keys: Iterable[Path] = ()) -> Report:
    """Check a bundle, a session's folder or a folder of them. Keys not given are looked for beside the recordings."""
    report = Report()
    try:
        given = dict(public_key(key.read_bytes()) for key in keys)
        if path.is_dir():
            above = (path.resolve(), *list(path.resolve().parents)[:4])
            beside = [key for folder in above for key in sorted((folder / "keys").glob("*.pub"))]
            report.keys = given or dict(public_key(key.read_bytes()) for key in beside)
            for folder in sorted(_session_folders(path)):
                report.add(Folder(folder))
        else:
            _verify_bundle(path, given, report)
        if not report.sessions and report.first_bad is None:
            raise Bad(str(path), 0, None, "there is no recording here")
    except Bad as bad:
        report.first_bad = bad.where
    except (OSError, ValueError, TypeError, AttributeError, zipfile.BadZipFile, NotImplementedError) as error:
        report.first_bad = Bad(str(path), 0, None, f"cannot be read: {error}").where
    return report


def _session_folders(path: Path) -> Iterator[Path]:
    """Yield folders that hold segments or a summary, at most four deep; links are not followed."""
    for top, folders, files in os.walk(path):
        if len(Path(top).relative_to(path).parts) >= 4:
            folders.clear()
        if SUMMARY in files or any(SEGMENT_NAME.match(name) for name in files):
            folders.clear()
            yield Path(top)


def _verify_bundle(path: Path, given: dict[str, bytes], report: Report) -> None:
    """Check a bundle: its signed manifest names every entry, then every session in it."""
    with zipfile.ZipFile(path) as bundle:
        names = bundle.namelist()
        strange = next((name for name in names if not ENTRY_NAME.match(name)), None)
        if strange is not None or len(names) > ENTRIES or len(set(names)) != len(names):
            raise Bad(str(path), 0, None, f"has entries that no bundle has: {strange!r}"[:200])
        top = Entries(bundle, "", names)
        own = (name for name in names if re.match(r"keys/[^/]+\.pub\Z", name))
        report.keys = given or dict(public_key(read_small(top, name)) for name in own)
        listed = signed_document(top, MANIFEST, report.keys).get("files", {})
        for name in sorted(set(names) ^ {MANIFEST, *listed}):
            raise Bad(name, 0, None, "is missing" if name in listed else "is not in the manifest")
        sessions: dict[str, list[str]] = {}
        for name in names:
            folder, _, last = name.rpartition("/")
            if folder.startswith("recordings/"):
                sessions.setdefault(folder, []).append(last)
        for folder in sorted(sessions):
            report.add(Entries(bundle, folder, sorted(sessions[folder])))
        for name in sorted(listed) if report.first_bad is None else ():
            if list(file_hash(top, name)) != listed[name]:
                raise Bad(name, 0, None, "differs from the manifest")


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description="Verify Checkrein recordings.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--key", type=Path, action="append", default=[], help="trust this public key and no other")
    parser.add_argument("--allow-unclosed", action="store_true", help="accept sessions without a signed summary")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = verify_path(options.path, options.key).as_json(options.allow_unclosed)
    print(json.dumps(found) if options.json else told(found))
    return 0 if found["ok"] else 1


def told(found: dict[str, Any]) -> str:
    """Return a report as a person reads it."""
    bad, counts = found["first_bad"], f"{found['sessions']} sessions, {found['events']} events"
    text = (
        f"whole: {counts}, signed with {', '.join(found['keys'])}"
        if bad is None
        else (f"NOT WHOLE: {bad['file']}: event {bad['seq']}, byte {bad['offset']}: {bad['why']} (before it: {counts})")
    )
    return "\n".join((text, *(f"unclosed: {one['session']}, last event {one['last']}" for one in found["unclosed"])))


if __name__ == "__main__":
    sys.exit(main())
