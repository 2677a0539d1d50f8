"""The quick start is run as it stands, command by command, against a real server; only its ports are others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import free_port
from tests.support.postgres import PostgresServer

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.md"
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECONDS = 110
MARK = "@@ end of block @@"


def steps() -> list[tuple[str, list[str]]]:
    """Return the page's commands, each with the pieces of text that the page says they print."""
    found: list[tuple[str, list[str]]] = []
    for language, marked, text in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        if language == "sh" and not marked.strip():
            found.append((text, []))
        elif language == "text":
            found[-1][1].extend(line.strip() for line in text.splitlines() if line.strip())
    return found


def squeezed(text: str) -> str:
    """Return text whose runs of spaces and dashes are one: widths of a table's columns do not count."""
    return re.sub(r" +", " ", re.sub(r"-{3,}", "---", text))


def psql_speaks_tls(binaries: Path) -> bool:
    """Whether this psql was built with TLS: one without refuses to be asked for it."""
    done = subprocess.run([binaries / "psql", "sslmode=require host=127.0.0.1 port=1"], capture_output=True, text=True)
    return "sslmode" not in done.stderr


@pytest.mark.timeout(SECONDS + 10)
def test_quickstart(postgres: PostgresServer, tmp_path: Path) -> None:
    """Every command of the page works in the page's order and prints what the page says."""
    binaries = Path(postgres.binaries)
    if not psql_speaks_tls(binaries):
        pytest.skip("this psql is built without TLS")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "checkrein").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m checkrein.cli "$@"\n')
    (programs / "checkrein").chmod(0o755)
    (programs / "python3").symlink_to(shutil.which("python3") or sys.executable)
    ports = {"8080": free_port(), "15432": free_port(), "5432": postgres.port}
    script = "\n".join(f"{commands}\necho; echo '{MARK}'" for commands, _ in steps())
    script = re.sub(r"\b(8080|15432|5432)\b", lambda found: str(ports[found[0]]), script)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("CHECKREIN_", "PG"))}
    env |= {"PATH": f"{programs}:{binaries}:{os.environ['PATH']}", "PGPASSWORD": postgres.password}
    env["CHECKREIN_URL"] = f"http://127.0.0.1:{ports['8080']}"
    env["PYTHONPATH"] = str(PAGE.parents[1] / "src")
    done = subprocess.run(
        ["bash", "-m"], input=script, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=SECONDS
    )
    log = tmp_path / "gateway" / "serve.log"
    told = f"{done.stdout}\n--- errors\n{done.stderr}\n--- gateway\n{log.read_text() if log.exists() else ''}"
    outputs = done.stdout.split(MARK)
    assert len(outputs) == len(steps()) + 1, told
    for (commands, wanted), output in zip(steps(), outputs, strict=False):
        for line in wanted:
            assert squeezed(line) in squeezed(output), f"{commands}\n{line}\n{told}"
    assert "command not found" not in done.stderr and "Traceback" not in told, told
