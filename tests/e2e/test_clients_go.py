"""pgx, Go's driver, works unchanged in each of its modes; skipped where there is no Go or its module cannot be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.shop import Shop

MODULE = "module pgxclient\n\ngo 1.21\n\nrequire github.com/jackc/pgx/v5 v5.7.2\n"


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built outside the tree."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go toolchain")
    folder = tmp_path_factory.mktemp("go")
    (folder / "go.mod").write_text(MODULE)
    shutil.copy(Path(__file__).parent / "go" / "main.go.txt", folder / "main.go")
    env = {**os.environ, "GOFLAGS": "-mod=mod -buildvcs=false"}
    fetched = subprocess.run([go, "mod", "tidy"], cwd=folder, env=env, capture_output=True, text=True, timeout=100)
    if fetched.returncode:
        pytest.skip(f"pgx cannot be fetched: {fetched.stderr[-200:]}")
    subprocess.run([go, "build", "-o", "client", "."], cwd=folder, env=env, check=True, capture_output=True)
    return folder / "client"


@pytest.mark.timeout(300)
def test_pgx(served: Shop, target: str, program: Path) -> None:
    """Five modes of queries, batches, savepoints, CopyFrom, time-outs, a pool and notifications: the same both ways."""
    found = []
    for env in (served.environment(target), served.direct(target)):
        done = subprocess.run([program], env=env, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        found.append(done.stdout)
    assert found[0] == found[1]
    assert found[0].endswith("heard from go\ndone\n") and found[0].count("code 22012") == 5
