"""`python -m bench [accepts | endtoend | latency | all]`: measure, print a table, keep the raw figures.

The raw figures go to bench/results/<date>-<name>.json together with the machine and the versions.
"""

import json
import os
import platform
import sqlite3
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import accepts, endtoend, latency

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("grpcio", "protobuf", "sanic", "sqlalchemy", "aiohttp")

MEASUREMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "accepts": accepts.measure,
    "accepts-while-sending": lambda: accepts.measure(paused=False),
    "endtoend": endtoend.measure,
    "endtoend-both-events": lambda: endtoend.measure(events=("message.sent", "message.delivered")),
    "latency": latency.measure,
}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": model,
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{package: version(package) for package in PACKAGES},
    }


def main() -> None:
    """Measure what the arguments name; everything without arguments."""
    names = sys.argv[1:] or ["all"]
    names = list(MEASUREMENTS) if names == ["all"] else names
    if unknown := [name for name in names if name not in MEASUREMENTS]:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)} and all")
    console = Console()
    RESULTS.mkdir(exist_ok=True)
    for name in names:
        console.print(f"Measuring {name} …")
        result = {"machine": machine(), "measurement": name, **MEASUREMENTS[name]()}
        file = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{name}.json"
        file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        console.print(_table(name, result))
        console.print(f"Raw figures: {file}")


def _table(name: str, result: dict[str, Any]) -> Table:
    table = Table(title=name, show_header=False)
    for key, value in result.items():
        if key not in ("machine", "measurement", "raw"):
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            table.add_row(key, shown)
    return table


if __name__ == "__main__":
    main()
