"""Evidence bundles: one zip with recordings, public keys, policy snapshots, an index for people, and the verifier.

`manifest.json` (signed) names every entry with its SHA-256 and size. Entries: `recordings/DAY/SESSION/...` as on disk,
`keys/*.pub`, `policies/SNAPSHOT.json`, `checkrein_verify.py`, `index.csv`, `index.html`, `README.txt`.
"""

from __future__ import annotations

import csv
import html
import io
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from checkrein.core.errors import LimitExceeded
from checkrein.recording import verify, verify_all
from checkrein.recording.files import read_regular
from checkrein.recording.keys import SigningKey
from checkrein.recording.replay import Follower, Tally, is_closed

EXPORT_BYTES: Final = 512 * 1024 * 1024
"""Of one bundle, as it is built in memory."""

COLUMNS: Final = ("id", "principal", "issuer", "target", "protocol", "client", "opened", "closed", "state")
COUNTS: Final = ("statements", "refused", "asked", "masked")
_SNAPSHOT_BYTES: Final = 16 * 1024 * 1024
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_README: Final = """Checkrein evidence bundle

To check it (Python 3.11 or newer; pip install zstandard cryptography):

    python checkrein_verify.py --key recording.pub BUNDLE.zip

Take recording.pub from the gateway's owner, not from this bundle: the copy in keys/ only shows that the bundle agrees
with itself. Take checkrein_verify.py from a Checkrein release if you do not trust who made this bundle.
Journals are JSON Lines, compressed with zstd (zstd -d reads them).
"""


def verifier() -> bytes:
    """Return the single-file verifier: the two modules joined, without the import between them."""
    core = Path(verify.__file__).read_text(encoding="utf-8")
    rest = Path(verify_all.__file__).read_text(encoding="utf-8")
    head, _, tail = rest.partition("from checkrein.recording.verify import (\n")
    core = core.replace("from __future__ import annotations\n", "", 1)
    body = tail.partition("\n)\n")[2]
    return (head + core.partition('"""\n\n')[2] + body).encode()


def bundle(data: Path, folders: list[Path], key: SigningKey) -> bytes:
    """Return the bundle of these sessions' folders. Raises Unavailable, OSError, LimitExceeded."""
    entries: dict[str, bytes] = {"keys/recording.pub": key.public_pem, "checkrein_verify.py": verifier()}
    rows: list[dict[str, Any]] = []
    snapshots: set[str] = set()
    size = 0
    for folder in folders:
        tally = Tally(folder.name)
        for event in Follower(folder).read():
            tally.add(event)
        rows.append(tally.row(is_closed(folder)))
        snapshots |= tally.snapshots
        for name, content in _files(folder):
            size += len(content)
            if size > EXPORT_BYTES:
                raise LimitExceeded("the bundle would be too large; export fewer sessions at once", "EXPORT_BYTES")
            entries[f"recordings/{folder.parent.name}/{folder.name}/{name}"] = content
    for snapshot in sorted(snapshots):
        path = data / "policies" / f"{snapshot}.json"
        if verify.ENTRY_NAME.match(f"policies/{snapshot}.json") and path.parent == data / "policies" and path.is_file():
            entries[f"policies/{snapshot}.json"] = read_regular(path, _SNAPSHOT_BYTES)
    entries["index.csv"] = index_csv(rows)
    entries["index.html"] = index_html(rows)
    entries["README.txt"] = _README.encode()
    files = {name: [sha256(content).hexdigest(), len(content)] for name, content in entries.items()}
    entries[verify.MANIFEST] = key.sign({"v": 1, "kind": "bundle", "files": files})
    return _zip(entries)


def _files(folder: Path) -> list[tuple[str, bytes]]:
    """Return a session's files; of one that is still open, those of the moment."""
    names = verify.Folder(folder).names()
    keep = set(names) if verify.SUMMARY in names else set(verify.segments(names))
    return [(name, read_regular(folder / name, EXPORT_BYTES)) for name in sorted(keep)]


def _zip(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _DATE)
            info.external_attr = 0o600 << 16
            info.compress_type = zipfile.ZIP_STORED if name.endswith(".zst") else zipfile.ZIP_DEFLATED
            archive.writestr(info, entries[name])
    return out.getvalue()


def index_csv(rows: list[dict[str, Any]]) -> bytes:
    """Return the sessions as CSV; a cell that a spreadsheet would run as a formula is quoted as text."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*COLUMNS, *COUNTS])
    for row in rows:
        writer.writerow([_inert(row[name]) for name in (*COLUMNS, *COUNTS)])
    return out.getvalue().encode()


def _inert(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text


def index_html(rows: list[dict[str, Any]]) -> bytes:
    """Return the sessions as a page without scripts."""
    names = (*COLUMNS, *COUNTS)
    lines = ["<tr>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>"]
    for row in rows:
        cells = ("" if row[name] is None else html.escape(str(row[name])) for name in names)
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    policy = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">"
    body = "\n".join(lines)
    page = f"<!doctype html><meta charset=utf-8>{policy}<title>Sessions</title><table>\n{body}\n</table>\n"
    return page.encode()
