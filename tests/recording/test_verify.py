"""Tampering: whatever byte is changed, cut, repeated or moved, verify says where."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from checkrein.recording import verify
from checkrein.recording.export import bundle, index_csv, index_html, verifier
from checkrein.recording.keys import CONTEXT, canonical, load_or_create_key
from checkrein.recording.verify_all import verify_path

from .conftest import OPENED, Desk


@pytest.fixture
def recording(desk: Desk, work: Callable[..., None]) -> Path:
    """A closed session of several segments."""
    journal = desk.start(segment_bytes=1500).open("s1", OPENED)
    work(journal, 6)
    journal.close("done", {})
    desk.stop()
    assert verify_path(journal.folder).as_json()["ok"]
    return journal.folder


def bad(folder: Path) -> dict[str, Any]:
    found = verify_path(folder).as_json()
    assert not found["ok"]
    where: dict[str, Any] = found["first_bad"]
    assert where["why"] and where["file"] and where["offset"] >= 0
    return where


def test_any_flipped_byte(recording: Path) -> None:
    """Every byte of every file of a small recording, one bit flipped: named by file, and by event in a segment."""
    count = 0
    for path in sorted(recording.iterdir()):
        whole = path.read_bytes()
        for offset in range(len(whole)):
            path.write_bytes(whole[:offset] + bytes([whole[offset] ^ (1 << offset % 8)]) + whole[offset + 1 :])
            where = bad(recording)
            assert Path(where["file"]).name == path.name, where
            assert (where["seq"] is not None) == path.name.endswith(".zst"), where
            count += 1
        path.write_bytes(whole)
    assert count > 1500 and verify_path(recording).as_json()["ok"]


def test_cut_and_repeated_bytes(recording: Path) -> None:
    """Every length to which a file is cut, and stretches repeated at sampled places."""
    chance = random.Random(7)
    for path in sorted(recording.iterdir()):
        whole = path.read_bytes()
        for end in range(0, len(whole), 7):
            path.write_bytes(whole[:end])
            bad(recording)
            start = chance.randrange(end + 1)
            path.write_bytes(whole[:end] + whole[start:end] + whole[end:] + b"\0" * (start == end))
            bad(recording)
        path.write_bytes(whole)


def rewrite(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the lines of a segment as someone with the file would."""
    content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes()), read_across_frames=True).read()
    path.write_bytes(zstandard.ZstdCompressor().compress(b"".join(change(content.splitlines(keepends=True)))))


@pytest.mark.parametrize(
    ("change", "seq"),
    [
        (lambda x: [x[0], x[1].replace(b"SELECT", b"DELETE"), *x[2:]], 1),
        (lambda x: [x[0], *x[2:]], 1),
        (lambda x: [x[0], x[1], x[1], *x[2:]], 2),
        (lambda x: [x[0], x[2], x[1], *x[3:]], 1),
        (lambda x: [x[0], x[1], x[2].replace(b'"prev":"', b'"prev":"0', 1), *x[3:]], 2),
        (lambda x: [*x[:-1], x[-1].replace(b'"rows":1', b'"rows":2').replace(b"SELECT", b"DELETE")], None),
        (lambda x: x[:-1], -1),
    ],
    ids=["changed", "removed", "repeated", "swapped", "prev", "last changed", "last removed"],
)
def test_which_event(recording: Path, change: Callable[[list[bytes]], list[bytes]], seq: int | None) -> None:
    """Lines changed, removed, repeated, swapped in a valid zstd file: the event is named, not its neighbour."""
    path = recording / "0.jsonl.zst"
    last = json.loads((recording / "closed.json").read_bytes())["document"]["files"][0]["last"]
    rewrite(path, change)
    where = bad(recording)
    assert where["seq"] == (last if seq in (None, -1) else seq), where
    assert where["file"].endswith("0.jsonl.zst")


def test_missing_and_added_files(recording: Path) -> None:
    """A segment taken away or a file put beside is named."""
    (recording / "extra.jsonl").write_bytes(b"")
    assert bad(recording)["file"].endswith("extra.jsonl")
    (recording / "extra.jsonl").unlink()
    (recording / "1.jsonl.zst").unlink()
    assert bad(recording)["why"] == "is missing"


def test_summary_of_another_key_or_session(recording: Path, tmp_path: Path) -> None:
    """A recording signed anew by another key, or passed off as another session, is not accepted."""
    other = load_or_create_key(tmp_path / "other")
    document = json.loads((recording / "closed.json").read_bytes())["document"]
    whole = (recording / "closed.json").read_bytes()
    (recording / "closed.json").write_bytes(other.sign(document))
    assert "key" in bad(recording)["why"]
    (recording / "closed.json").write_bytes(whole)
    moved = recording.rename(recording.with_name("s2"))
    assert "belongs to session s1" in bad(moved)["why"]


def test_unsigned_words_beside_the_summary(recording: Path) -> None:
    """GW-22: what the signature does not cover may not stand in the signed file."""
    outer = json.loads((recording / "closed.json").read_bytes())
    (recording / "closed.json").write_bytes(canonical({**outer, "reviewed": "and found good"}) + b"\n")
    assert "not a signed document" in bad(recording)["why"]


def test_pinned_key(recording: Path, tmp_path: Path) -> None:
    """With --key only that key counts, wherever others lie."""
    other = tmp_path / "other"
    load_or_create_key(other)
    assert not verify_path(recording, [other / "recording.pub"]).as_json()["ok"]


def test_unclosed(desk: Desk) -> None:
    """A live session is unclosed: not ok, ok when allowed, a torn last line tolerated, a changed one not."""
    journal = desk.start().open("s1", OPENED)
    journal.append("decided", {"statement": "SELECT 1"})
    journal.flush()
    report = verify_path(desk.data)
    assert not report.as_json()["ok"] and report.as_json(allow_unclosed=True)["ok"]
    assert report.as_json()["unclosed"][0]["last"] == 1
    path = journal.folder / "0.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert verify_path(desk.data).as_json(allow_unclosed=True)["unclosed"][0]["torn"]
    path.write_bytes(whole.replace(b"bot", b"bob"))
    assert not verify_path(desk.data).as_json(allow_unclosed=True)["ok"]
    path.write_bytes(whole)


def test_links_and_devices(recording: Path, tmp_path: Path) -> None:
    """A segment that is a link or a pipe is refused, not followed, not waited for."""
    path = recording / "0.jsonl.zst"
    shutil.copy(path, tmp_path / "copy")
    path.unlink()
    path.symlink_to(tmp_path / "copy")
    assert "cannot be opened" in bad(recording)["why"]
    path.unlink()
    os.mkfifo(path)
    assert "regular" in bad(recording)["why"]


def test_bombs(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment that decodes to far more than one line may hold, or asks for a huge window, is refused early."""
    path = recording / "0.jsonl.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(b"x" * (verify.LINE_BYTES + 100)))
    assert "longer" in bad(recording)["why"]
    params = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    big = zstandard.ZstdCompressor(compression_params=params).compressobj()
    path.write_bytes(big.compress(b"\n" * 1000) + big.flush())
    assert "cannot be decoded behind this byte" in bad(recording)["why"]
    monkeypatch.setattr(verify, "DECODED_BYTES", -1)
    path.write_bytes(zstandard.ZstdCompressor().compress(b"{}\n" * 1000))
    assert "longer" in bad(recording)["why"]


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b"9" * 5000, b"\xff\xfe", b"null", b"[]", b'{"seq":true,"prev":"","kind":""}']
)
def test_hostile_lines(recording: Path, line: bytes) -> None:
    """Lines that break parsers are bad events, not crashes; a summary of them likewise."""
    (recording / "0.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(line + b"\n"))
    assert bad(recording)["seq"] == 0
    (recording / "closed.json").write_bytes(line)
    assert bad(recording)["file"].endswith("closed.json")


# --- bundles -------------------------------------------------------------------------------------


@pytest.fixture
def zipped(recording: Path, desk: Desk, tmp_path: Path) -> Path:
    path = tmp_path / "evidence.zip"
    path.write_bytes(bundle(desk.data, [recording], load_or_create_key(desk.data / "keys")))
    return path


def test_bundle_verifies_alone(zipped: Path, tmp_path: Path) -> None:
    """The bundle's verifier, in an isolated interpreter without Checkrein, accepts it and names a flipped file."""
    alone = tmp_path / "alone"
    alone.mkdir()
    with zipfile.ZipFile(zipped) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    assert entries["checkrein_verify.py"] == verifier() and b"checkrein.recording" not in verifier()
    (alone / "checkrein_verify.py").write_bytes(entries["checkrein_verify.py"])
    (alone / "recording.pub").write_bytes(entries["keys/recording.pub"])
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-I", "checkrein_verify.py", "--json", "--key", "recording.pub"]
    good = subprocess.run([*command, str(zipped)], cwd=alone, env=env, capture_output=True, timeout=60)
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["ok"]
    name = next(name for name in entries if name.endswith("/0.jsonl.zst"))
    entries[name] = entries[name][:-9] + bytes([entries[name][-9] ^ 1]) + entries[name][-8:]
    write_zip(zipped, entries)
    broken = subprocess.run([*command, str(zipped)], cwd=alone, env=env, capture_output=True, timeout=60)
    assert broken.returncode == 1 and json.loads(broken.stdout)["first_bad"]["file"] == name


def write_zip(path: Path, entries: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a\\b", "recordings/../../x", "a/b/c/d/e/f/g/h/i/j"])
def test_paths_in_bundles(zipped: Path, name: str) -> None:
    """An entry that would climb out is refused before anything is read."""
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.writestr(name, b"x")
    assert "no bundle has" in verify_path(zipped).as_json()["first_bad"]["why"]


def test_added_or_changed_entries(zipped: Path) -> None:
    """An entry beside the manifest, or one that differs from it, is named: the index too is evidence."""
    with zipfile.ZipFile(zipped) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    write_zip(zipped, {**entries, "index.csv": b"other"})
    assert verify_path(zipped).as_json()["first_bad"]["file"] == "index.csv"
    write_zip(zipped, {**entries, "more.txt": b""})
    assert verify_path(zipped).as_json()["first_bad"]["why"] == "is not in the manifest"


def test_flipped_bytes_of_a_bundle_never_crash(zipped: Path) -> None:
    """Damage anywhere in the zip gives a report; recordings inside stay guarded by their own signature."""
    whole = zipped.read_bytes()
    for offset in range(0, len(whole), 97):
        zipped.write_bytes(whole[:offset] + bytes([whole[offset] ^ 0x55]) + whole[offset + 1 :])
        found = verify_path(zipped).as_json()
        assert found["ok"] or found["first_bad"]["why"]


def test_not_a_recording(tmp_path: Path) -> None:
    """An empty folder, a text file and nothing at all are not whole."""
    (tmp_path / "file").write_text("hello")
    for path in (tmp_path, tmp_path / "file", tmp_path / "none"):
        assert not verify_path(path).as_json()["ok"]


def test_signature_is_over_context_and_document(tmp_path: Path) -> None:
    """The signature is what the format says, checked from first principles with the public key file."""
    key = load_or_create_key(tmp_path)
    outer = json.loads(key.sign({"b": 1, "a": "ü"}))
    id, raw = verify.public_key((tmp_path / "recording.pub").read_bytes())
    signature = bytes.fromhex(outer["signature"])
    assert id == key.id == outer["key"]
    assert verify.fits(raw, CONTEXT + b'{"a":"\\u00fc","b":1}', signature)
    assert not verify.fits(raw, canonical(outer["document"]), signature)
    assert (verify.CONTEXT, verify.canonical(outer)) == (CONTEXT, canonical(outer))


def test_index_is_inert() -> None:
    """What a principal or target is called can neither run in a spreadsheet nor in a browser."""
    row = dict.fromkeys(("id", "issuer", "protocol", "client", "state"), "") | {"opened": 1.0, "closed": None}
    row |= {"principal": "=cmd|' /C calc'!A0", "target": "<script>x</script>"}
    row |= dict.fromkeys(("statements", "refused", "asked", "masked"), 0)
    assert ",'=cmd" in index_csv([row]).decode()
    assert "<script>" not in index_html([row]).decode()
