"""Check one session's recording without trusting who wrote it. Imports nothing of Checkrein.

Evidence bundles carry this and `verify_all.py`, joined, as the single file `checkrein_verify.py`. It needs Python 3.11
or newer, `zstandard` and `cryptography`.

What is checked: the signature over the closing summary, SHA-256 and size of every file as it is on disk, the hash chain
through every event, sequence numbers, and that nothing is missing or added. Input is hostile: everything is bounded.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CONTEXT = b"checkrein signed document v1\n"
SUMMARY, MANIFEST = "closed.json", "manifest.json"
START = "0" * 64
LINE_BYTES = 8 * 1024 * 1024  # as long as a line may be written
FILE_BYTES = 1024 * 1024 * 1024  # one file as stored: a segment closes at 1 MiB unless the disk is full
DECODED_BYTES = 1024 * 1024 * 1024  # what one segment may decode to: streamed, so it costs time, not memory
SIGNED_BYTES = 64 * 1024 * 1024  # a summary or manifest: some 130 bytes a segment
ENTRIES = 1_000_000  # names in a folder or a bundle
WINDOW = 8 * 1024 * 1024  # zstd's memory
SEGMENT_NAME = re.compile(r"(?:(\d{1,9})|logins(?:\.(\d{1,9}))?)\.jsonl(\.zst)?\Z")
ENTRY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*){0,7}\Z")


class Bad(Exception):
    """The first thing that is wrong: the file, the byte (of its lines, where it decodes), the event, and why."""

    def __init__(self, file: str, offset: int, seq: int | None, why: str) -> None:
        super().__init__(why)
        self.where = {"file": file, "offset": offset, "seq": seq, "why": why}


# --- where files come from -----------------------------------------------------------------------


class Folder:
    """A session's folder on disk. Nothing is followed out of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.resolve().name

    def label(self, name: str) -> str:
        """Return how messages call one of its files."""
        return str(self.path / name)

    def names(self) -> list[str]:
        """Return what is in it."""
        return sorted(os.listdir(self.path))  # noqa: PTH208 - names are wanted, not paths

    def open(self, name: str) -> IO[bytes]:
        """Open one of its files. Raises Bad when that is a link or not a regular file."""
        try:
            fd = os.open(self.path / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            raise Bad(self.label(name), 0, None, f"cannot be opened: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise Bad(self.label(name), 0, None, "is not a regular file")
        return os.fdopen(fd, "rb")


class Entries(Folder):
    """A session's folder inside a bundle; `path` is its name there."""

    def __init__(self, bundle: zipfile.ZipFile, path: str, names: list[str]) -> None:
        self._bundle, self._prefix, self._names = bundle, path, names
        self.name = path.rsplit("/", 1)[-1]

    def label(self, name: str) -> str:
        """Return how messages call one of its files."""
        return f"{self._prefix}/{name}" if self._prefix else name

    def names(self) -> list[str]:
        """Return what is in it."""
        return self._names

    def open(self, name: str) -> IO[bytes]:
        """Open one of its files. Raises Bad."""
        try:
            return self._bundle.open(self.label(name))
        except (KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
            raise Bad(self.label(name), 0, None, f"cannot be read from the bundle: {error}") from error


_READ_ERRORS = (OSError, EOFError, zipfile.BadZipFile, zlib.error)


def read_small(source: Folder, name: str) -> bytes:
    """Return a file of at most SIGNED_BYTES. Raises Bad."""
    with source.open(name) as file:
        try:
            data = file.read(SIGNED_BYTES + 1)
        except _READ_ERRORS as error:
            raise Bad(source.label(name), 0, None, f"cannot be read: {error}") from error
    if len(data) > SIGNED_BYTES:
        raise Bad(source.label(name), SIGNED_BYTES, None, "is larger than such a file may be")
    return data


def file_hash(source: Folder, name: str) -> tuple[str, int]:
    """Return SHA-256 (hex) and size of a file as it is stored. Raises Bad."""
    digest, size = hashlib.sha256(), 0
    with source.open(name) as file:
        try:
            while piece := file.read(1 << 20):
                digest.update(piece)
                size += len(piece)
                if size > FILE_BYTES:
                    raise Bad(source.label(name), size, None, "is larger than a file may be")
        except _READ_ERRORS as error:
            raise Bad(source.label(name), size, None, f"cannot be read: {error}") from error
    return digest.hexdigest(), size


def decoded(file: IO[bytes], packed: bool) -> Any:
    """Return the stream of lines of a segment."""
    if not packed:
        return file
    reader = zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(file, read_across_frames=True)
    return io.BufferedReader(reader, 1 << 16)


def raw_lines(source: Folder, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, line with its newline) of a segment; only the last may lack the newline. Raises Bad."""
    offset = 0
    with source.open(name) as file:
        stream = decoded(file, name.endswith(".zst"))
        while True:
            try:
                line = stream.readline(LINE_BYTES + 2)
            except Exception as error:
                raise Bad(source.label(name), offset, None, f"cannot be decoded behind this byte: {error}") from error
            if not line:
                return
            if len(line) > LINE_BYTES + 1 or offset > DECODED_BYTES:
                raise Bad(source.label(name), offset, None, "is longer than a journal may be")
            yield offset, line
            offset += len(line)


# --- the chain -----------------------------------------------------------------------------------


class Line:
    """One event as the chain sees it: its place, its own hash, and the parsed object."""

    def __init__(self, file: str, offset: int, raw: bytes, seq: int) -> None:
        self.file, self.offset, self.seq = file, offset, seq
        if not raw.endswith(b"\n"):
            raise self.bad("the line is cut short")
        self.hash = hashlib.sha256(raw[:-1]).hexdigest()
        try:
            self.event: dict[str, Any] = json.loads(raw)
            found, self.prev, self.kind = self.event["seq"], self.event["prev"], self.event["kind"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self.bad("the line is not an event") from error
        if type(found) is not int or found != seq:
            what = "is missing" if type(found) is int and found > seq else "is repeated or out of order"
            raise self.bad(f"event {seq} {what}: the line here says it is event {str(found)[:20]}")

    def bad(self, why: str) -> Bad:
        """Return the error that blames this line."""
        return Bad(self.file, self.offset, self.seq, why)


def walk(source: Folder, name: str, seq: int, prev: str, end: str | None, before: Line | None) -> Iterator[Line]:
    """Yield the events of one segment.

    `prev` is the hash that the first must carry, `before` the line it is of, `end` the hash of the last where known.
    Raises Bad and blames the event whose bytes changed: where two do not fit, it is the later one if its own follower
    does not fit it either, else the earlier.
    """
    lines = raw_lines(source, name)
    for offset, raw in lines:
        line = Line(source.label(name), offset, raw, seq)
        if line.prev != prev:
            whole = line.hash == _prev_of(next(lines, (0, b""))[1], end)
            if whole and before is not None:
                raise before.bad("the event differs from the hash that the next event holds of it")
            raise line.bad("the hash of the event before does not fit")
        before, prev, seq = line, line.hash, seq + 1
        yield line


def _prev_of(raw: bytes, otherwise: str | None = None) -> str | None:
    """Return the hash that a line holds of the one before it; `otherwise` when there is no line."""
    if not raw:
        return otherwise
    with contextlib.suppress(ValueError, RecursionError, AttributeError):
        found = json.loads(raw).get("prev")
        return found if isinstance(found, str) else None
    return None


# --- one session ---------------------------------------------------------------------------------


def segments(names: Iterable[str]) -> list[str]:
    """Return the segment files among names, in order; the closed form of one that is there in both."""
    found: dict[int, str] = {}
    for name in sorted(names):
        match = SEGMENT_NAME.match(name)
        if match:
            found[int(match[1] or match[2] or 0)] = name  # "N.jsonl.zst" sorts behind "N.jsonl"
    return [found[number] for number in sorted(found)]


class Checked:
    """What a session was found to be: `events` that are whole, `last` sequence number, whether it is closed."""

    def __init__(self, session: str, events: int, closed: bool, torn: int = 0) -> None:
        self.session, self.events, self.closed, self.torn = session, events, closed, torn


def signed_document(source: Folder, name: str, keys: dict[str, bytes]) -> dict[str, Any]:
    """Return the document in a signed file; its bytes must be canonical and the key known. Raises Bad."""
    data, label = read_small(source, name), source.label(name)
    try:
        outer = json.loads(data)
        document, key, signature = outer["document"], outer["key"], bytes.fromhex(outer["signature"])
        again = canonical(outer) + b"\n"
        message = CONTEXT + canonical(document)
        if len(outer) != 3:
            raise ValueError("what is not signed stands beside it")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Bad(label, 0, None, "is not a signed document") from error
    if again != data or signature.hex() != outer["signature"]:
        offset = next((at for at, (a, b) in enumerate(zip(again, data, strict=False)) if a != b), len(again))
        raise Bad(label, offset, None, "is not in canonical form")
    if key not in keys:
        raise Bad(label, 0, None, f"is signed with key {str(key)[:16]}, which is not among the keys given")
    if not isinstance(document, dict) or not fits(keys[key], message, signature):
        raise Bad(label, 0, None, "the signature does not fit the summary")
    return document


def canonical(document: Any) -> bytes:
    """Return the one JSON form of a document that is signed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def check_session(source: Folder, keys: dict[str, bytes]) -> Checked:
    """Check one session. Raises Bad at the first thing that is wrong."""
    names = source.names()
    if SUMMARY not in names:
        return _check_unclosed(source, segments(names))
    document = signed_document(source, SUMMARY, keys)
    try:
        files = [(str(f["file"]), str(f["sha256"]), int(f["size"]), f) for f in document["files"]]
        events, head, kept = int(document["events"]), str(document["head"]), document.get("torn", [])
        expected = {SUMMARY, *(file[0] for file in files), *(str(torn["file"]) for torn in kept)}
    except (ValueError, KeyError, TypeError) as error:
        raise Bad(source.label(SUMMARY), 0, None, "the summary lacks a field") from error
    if document.get("session") != source.name:
        raise Bad(source.label(SUMMARY), 0, None, f"belongs to session {str(document.get('session'))[:64]}")
    for name in sorted(expected ^ set(names)):
        raise Bad(source.label(name), 0, None, "is missing" if name in expected else "does not belong to the recording")
    for torn in kept:
        if file_hash(source, torn["file"]) != (torn["sha256"], torn["size"]):
            raise Bad(source.label(torn["file"]), 0, None, "differs from what was signed")
    refiled = set(document.get("refiled", []))
    seq, prev, before = 0, START, None
    for index, (name, sha, size, entry) in enumerate(files):
        whole = file_hash(source, name) == (sha, size)
        first, last, end = seq, entry.get("last"), None if whole else head
        if not whole and index < len(files) - 1:
            end = _first_prev(source, files[index + 1][0])
        try:
            for line in walk(source, name, seq, prev, end, None):
                if line.seq == first and index:
                    _check_segment_event(line, files[index - 1][:3], refiled)
                seq, prev, before = line.seq + 1, line.hash, line
        except Bad as bad:
            if bad.where["seq"] is None:
                bad.where["seq"] = seq
            raise
        if (entry.get("first"), last) != (first, seq - 1):
            raise Bad(source.label(name), 0, seq, f"{last} was signed as its last event, {seq - 1} is")
        if end is not None and prev != end and before is not None:
            raise before.bad("the event differs from the hash that follows it")
        if not whole:
            why = "the file's bytes differ from what was signed, though they decode to the same events"
            raise Bad(source.label(name), 0, first, why)
    if (seq, prev) != (events, head):
        raise Bad(source.label(SUMMARY), 0, seq, f"{events} events were signed, {seq} are there")
    return Checked(source.name, seq, True)


def _first_prev(source: Folder, name: str) -> str | None:
    """Return the hash that the next segment holds of this one's last event, None when that cannot be read."""
    with contextlib.suppress(Bad):
        return _prev_of(next(raw_lines(source, name), (0, b""))[1])
    return None


def _check_segment_event(line: Line, closed: tuple[str, str, int], refiled: set[str]) -> None:
    claim = (line.event.get("file"), line.event.get("sha256"), line.event.get("size"))
    if line.kind != "segment" or (claim != closed and closed[0] not in refiled):
        raise line.bad("the first event of a segment does not name the closed file before")


def _check_unclosed(source: Folder, names: list[str]) -> Checked:
    """Walk a session without a summary: its last line may be torn, nothing else."""
    seq, prev, before = 0, START, None
    for index, name in enumerate(names):
        try:
            for line in walk(source, name, seq, prev, None, before):
                seq, prev, before = line.seq + 1, line.hash, line
        except Bad as bad:
            torn = bad.where["why"] == "the line is cut short" and index == len(names) - 1
            if torn and not name.endswith(".zst"):
                return Checked(source.name, int(str(bad.where["seq"])), False, torn=1)
            raise
    return Checked(source.name, seq, False)


def fits(key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether an Ed25519 signature (RFC 8032) fits."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_key(pem: bytes) -> tuple[str, bytes]:
    """Return (id, raw key) of a public key file (PEM, RFC 8410). Raises ValueError."""
    body = b"".join(line for line in pem.splitlines() if not line.startswith(b"-----"))
    der = base64.b64decode(body, validate=True)
    if len(der) != 44 or der[:12] != bytes.fromhex("302a300506032b6570032100"):
        raise ValueError("not an Ed25519 public key")
    return hashlib.sha256(der[12:]).hexdigest()[:16], der[12:]
