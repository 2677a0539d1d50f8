"""pgbench through every route: transactions per second and latency, in turns, so that a drifting machine is fair."""

from __future__ import annotations

import re
import statistics
import subprocess
from typing import Any

from bench.stage import Route, Stage, with_tls

ROUNDS = 3


def once(stage: Stage, route: Route, mode: str, clients: int, script: str, seconds: int) -> tuple[float, float]:
    """Run pgbench once; return (transactions/s, average latency in ms)."""
    arguments = [stage.pgbench, "-n", "-M", mode, "-c", str(clients), "-j", "1", "-T", str(seconds), *script.split()]
    done = subprocess.run(arguments, env=route.environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pgbench through {route.name} failed: {done.stderr[-2000:]}")
    tps = re.search(r"tps = ([0-9.]+)", done.stdout)
    latency = re.search(r"latency average = ([0-9.]+) ms", done.stdout)
    assert tps and latency, done.stdout
    return float(tps.group(1)), float(latency.group(1))


def compare(stage: Stage, mode: str, clients: int, script: str, seconds: int, tls: bool) -> dict[str, Any]:
    """Run all routes in turns; return medians and the ratios of Checkrein."""
    routes = [with_tls(route, stage) for route in stage.routes] if tls else list(stage.routes)
    seen: dict[str, list[tuple[float, float]]] = {route.name: [] for route in routes}
    for _ in range(ROUNDS):
        for route in routes:
            seen[route.name].append(once(stage, route, mode, clients, script, seconds))
    tps = {name: statistics.median(run[0] for run in runs) for name, runs in seen.items()}
    latency = {name: statistics.median(run[1] for run in runs) for name, runs in seen.items()}
    return {
        "script": script or "TPC-B",
        "mode": mode,
        "clients": clients,
        "tls": tls,
        "tps": tps,
        "of_direct": tps["checkrein"] / tps["direct"],
        "of_pgbouncer": tps["checkrein"] / tps["pgbouncer"],
        "added_ms": latency["checkrein"] - latency["direct"],
        "pgbouncer_added_ms": latency["pgbouncer"] - latency["direct"],
    }


def run(stage: Stage, seconds: int) -> list[dict[str, Any]]:
    """Run the whole table and print it as it grows."""
    results = []
    print(f"{'script':8} {'mode':9} {'clients':>7} {'TLS':>4} {'direct':>9} {'pgbouncer':>9} {'checkrein':>9}"
          f" {'/direct':>8} {'/pgb':>6} {'added ms':>9}")  # fmt: skip
    for tls in (False, True):
        for script, mode in (("-S", "simple"), ("-S", "prepared"), ("", "simple")):
            for clients in (1, 8):
                found = compare(stage, mode, clients, script, seconds, tls)
                results.append(found)
                tps = found["tps"]
                print(
                    f"{found['script']:8} {mode:9} {clients:7} {'yes' if tls else 'no':>4} {tps['direct']:9.0f}"
                    f" {tps['pgbouncer']:9.0f} {tps['checkrein']:9.0f} {found['of_direct']:8.2f}"
                    f" {found['of_pgbouncer']:6.2f} {found['added_ms']:9.3f}",
                    flush=True,
                )
    return results
