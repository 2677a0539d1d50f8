"""pgjdbc, Java's driver, works unchanged in each query mode; skipped where there is no JDK or it cannot be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.shop import Shop

VERSION = "42.7.14"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
MODES = ("simple", "extended", "extendedForPrepared", "extendedCacheEverything")

Command = list[str]


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command that runs the program, compiled outside the tree."""
    javac, maven = shutil.which("javac"), shutil.which("mvn")
    if javac is None or maven is None:
        pytest.skip("no Java compiler or no Maven")
    folder = tmp_path_factory.mktemp("java")
    shutil.copy(Path(__file__).parent / "java" / "Client.java.txt", folder / "Client.java")
    wanted = ("-q", "-B", PLUGIN, f"-Dartifact=org.postgresql:postgresql:{VERSION}", f"-DoutputDirectory={folder}")
    fetched = subprocess.run([maven, *wanted], cwd=folder, capture_output=True, text=True, timeout=200, check=False)
    if fetched.returncode:
        pytest.skip(f"pgjdbc cannot be fetched: {fetched.stdout[-300:]}")
    path = f"{folder}{os.pathsep}{folder / f'postgresql-{VERSION}.jar'}"
    subprocess.run([javac, "-cp", path, "Client.java"], cwd=folder, check=True, capture_output=True, timeout=100)
    return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", path, "Client"]


def run(command: Command, env: dict[str, str], *arguments: str) -> str:
    """Run the program and return what it printed."""
    done = subprocess.run([*command, *arguments], env=env, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.timeout(400)
def test_pgjdbc(served: Shop, target: str, command: Command) -> None:
    """Four query modes of kinds, cursors, batches, keys and savepoints, metadata, copies, news: the same both ways."""
    through, direct = (run(command, env) for env in (served.environment(target), served.direct(target)))
    assert through == direct
    for mode in MODES:
        assert f"{mode} fetched 1000 500500" in through
        assert f"{mode} division 22012" in through
        assert f"{mode} aborted 25P02" in through
        assert f"{mode} missing 42P01" in through
    assert "rewritten 300" in through
    assert "imported keys rows 1" in through
    assert "copied in 1000" in through
    assert "heard news from java" in through
    assert through.endswith("timed out 57014\nafterwards 1\nafterwards rows 1\nvalid true\ndone\n")


@pytest.mark.timeout(400)
def test_pgjdbc_guarded(served: Shop, target: str, command: Command) -> None:
    """Masks hold in text and binary rows and through cursors; a refusal is a native error with its reason; TLS is
    required, and checked against the right authority alone."""
    found = run(command, served.environment(target), served.server.ca).splitlines()
    for mode in MODES:
        assert found.count(f"{mode} masked 7|***-**-0007|customer 7") == 7
        refused = next(line for line in found if line.startswith(f"{mode} refused "))
        assert refused == f"{mode} refused 42501 No rule allows select on public.secrets.id, public.secrets.word"
        assert any(line.startswith(f'{mode} detail {{"code":"not_allowed",') for line in found)
        assert f"{mode} lives on 1" in found
    assert not [line for line in found if "219-09" in line]
    ends = [line for line in found if line.startswith("tls") and "rows" not in line]
    assert ends == ["tls require 1", "tls verify-full 1", "tls verify-full failed 08006", "tls disable failed 28000"]
