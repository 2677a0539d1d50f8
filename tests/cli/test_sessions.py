"""`checkrein sessions` against an HTTP server that answers what the API answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from checkrein.cli.sessions import command

SESSION = {
    "id": "s1", "principal": "bot\x1b[2J", "issuer": "corp", "groups": [], "actors": [], "target": "orders",
    "protocol": "postgres", "client": "c", "opened": 1.0, "closed": None, "state": "open", "statements": 2,
    "refused": 1, "asked": 0, "masked": 3,
}  # fmt: skip
REFUSED = {"outcome": "refused", "policy": "p", "rule": "r", "reason": "no"}
EVENTS: list[dict[str, Any]] = [
    {"seq": 0, "at": 1.0, "kind": "opened", "target": "orders"},
    {"seq": 1, "at": 1.5, "kind": "decided", "statement": "DROP\x1b", **REFUSED},
    {"seq": 2, "at": 2.0, "kind": "answered", "rows": 1, "masked": {"email": 3}, "sample": [["a\nb", None]]},
]  # fmt: skip


class Api(BaseHTTPRequestHandler):
    seen: list[tuple[str, str, Any]]

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def _answer(self, body: Any) -> None:
        self.server.seen.append((self.command, self.path, body))  # type: ignore[attr-defined]
        path = self.path.removeprefix("/api/v1/sessions")
        answers = {
            "/s1": {"session": SESSION, "events": EVENTS, "more": False},
            "/s1/kill": {"id": "s1", "killed": True},
        }
        if path.startswith("?"):
            content = json.dumps([SESSION]).encode()
        elif path == "/s1/tail":
            content = b"".join(json.dumps(event).encode() + b"\n" for event in EVENTS)
        elif path == "/export":
            content = b"PK-zip"
        elif path in answers:
            content = json.dumps(answers[path]).encode()
        else:
            content = json.dumps({"detail": "there is no such session"}).encode()
        self.send_response(404 if b"detail" in content else 200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, Any]]]:
    """A running API; what it was asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("CHECKREIN_TOKEN", "t")
    monkeypatch.setenv("CHECKREIN_URL", f"http://127.0.0.1:{server.server_port}")
    yield server.seen  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


def test_ls(seen: list[tuple[str, str, Any]]) -> None:
    """Filters go to the API as given; JSON comes back whole; a table cannot move the cursor."""
    done = CliRunner().invoke(command, ["ls", "--principal", "bot", "--limit", "5", "--json"])
    assert json.loads(done.output) == [SESSION]
    assert "principal=bot" in seen[0][1] and "limit=5" in seen[0][1] and "target" not in seen[0][1]
    table = CliRunner().invoke(command, ["ls"]).output
    assert "orders" in table and "1970-01-01 00:00:01Z" in table and "\x1b" not in table


def test_show_and_tail(seen: list[tuple[str, str, Any]]) -> None:
    """People see statement, rule, reason, counts and sample, with control characters shown; scripts see the events."""
    for name in ("show", "tail"):
        output = CliRunner().invoke(command, [name, "s1"]).output
        for piece in ("refused  p/r (no)", "DROP\\x1b", "1 rows, 3 masked", "a\\nb | NULL"):
            assert piece in output, output
        assert "\x1b" not in output
    lines = CliRunner().invoke(command, ["tail", "s1", "--json"]).output.splitlines()
    assert [json.loads(line) for line in lines] == EVENTS
    assert json.loads(CliRunner().invoke(command, ["show", "s1", "--json"]).output)["events"] == EVENTS


def test_export(seen: list[tuple[str, str, Any]], tmp_path: Path) -> None:
    """The bundle is written as it came, readable by its owner alone."""
    path = tmp_path / "b.zip"
    done = CliRunner().invoke(command, ["export", "s1", "s2", "-o", str(path)])
    assert done.exit_code == 0 and path.read_bytes() == b"PK-zip" and path.stat().st_mode & 0o077 == 0
    assert seen[0][2] == {"ids": ["s1", "s2"]}


def test_kill(seen: list[tuple[str, str, Any]]) -> None:
    """The reason goes along."""
    done = CliRunner().invoke(command, ["kill", "s1", "--reason", "enough"])
    assert done.exit_code == 0 and seen[0] == ("POST", "/api/v1/sessions/s1/kill", {"reason": "enough"})


def test_failures(seen: list[tuple[str, str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """No such session 1, an id that is a path 2 and nothing asked, no gateway 3."""
    for name in ("show", "tail"):
        done = CliRunner().invoke(command, [name, "none"])
        assert done.exit_code == 1 and "no such session" in done.output
    asked = len(seen)
    assert CliRunner().invoke(command, ["show", "../approvals"]).exit_code == 2 and len(seen) == asked
    monkeypatch.setenv("CHECKREIN_URL", "http://127.0.0.1:1")
    for name in ("show", "tail"):
        assert CliRunner().invoke(command, [name, "s1"]).exit_code == 3
