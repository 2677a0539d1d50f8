"""Run every benchmark, print ratios, write bench/results/*.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

from bench import detectors, rows, transactions
from bench.stage import stage
from tests.support import postgres as servers


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="of each pgbench run")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("transactions", "rows", "detectors"), action="append")
    chosen = parser.parse_args()
    wanted = chosen.only or ["transactions", "rows", "detectors"]
    os.environ.setdefault(servers.RUN_FOLDER, tempfile.mkdtemp())
    results: dict[str, object] = {"at": time.time(), "python": platform.python_version(), "cores": os.cpu_count()}
    if {"transactions", "rows"} & set(wanted):
        with stage(chosen.rows) as made:
            if "transactions" in wanted:
                results["transactions"] = transactions.run(made, chosen.seconds)
            if "rows" in wanted:
                results["rows"] = rows.run(made, chosen.rows)
                results["memory"] = rows.memory(made, 2 * chosen.rows)
    if "detectors" in wanted:
        results["detectors"] = detectors.run()
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
    path.write_text(json.dumps(results, indent=1, default=str))
    print(f"written to bench/results/{path.name}")


if __name__ == "__main__":
    main()
