"""`python -m bench [NAME …] [--database postgresql]`: measure, print a table, keep the raw figures.

The raw figures go to bench/results/<date>-<name>.json together with the machine and the versions.
"""

import argparse
import json
import os
import platform
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import accepts, endtoend, latency, streams
from bench.modem import bank
from bench.modem import rounds as modem_rounds
from bench.options import DATABASES, Options
from bench.peers import rounds
from tools.engines.postgresql import binaries
from tools.engines.processes import EngineFailed

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("grpcio", "protobuf", "sanic", "sqlalchemy", "aiohttp")

Measurement = Callable[[Options], dict[str, Any]]

ALL: dict[str, Measurement] = {
    "accepts": accepts.measure,
    "accepts-while-sending": lambda options: accepts.measure(options, paused=False),
    "endtoend": endtoend.measure,
    "endtoend-both-events": lambda options: endtoend.measure(
        options, events=("message.sent", "message.delivered")
    ),
    "latency": latency.measure,
}
"""What `all` is."""

MEASUREMENTS: dict[str, Measurement] = {
    **ALL,
    "peers": rounds.measure,
    "streams": streams.measure,
    "modem": modem_rounds.measure,
    "modems": bank.measure,
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
        "postgresql": _postgresql(),
        **{package: version(package) for package in PACKAGES},
    }


def _postgresql() -> str:
    try:
        return binaries().parent.name
    except EngineFailed:
        return "not installed"


def main() -> None:
    """Measure what the arguments name; everything without arguments."""
    names, options = _arguments()
    console = Console()
    RESULTS.mkdir(exist_ok=True)
    for name in names:
        console.print(f"Measuring {name} …")
        told = {key: value for key, value in asdict(options).items() if value and key != "key"}
        result = {"machine": machine(), "measurement": name, "options": told, **MEASUREMENTS[name](options)}
        suffix = _suffix(options)
        file = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{name}{suffix}.json"
        file.write_text(json.dumps(result, indent=2, default=str) + "\n", encoding="utf-8")
        console.print(_table(name, result))
        console.print(f"Raw figures: {file}")


def _suffix(options: Options) -> str:
    """What a figure was measured on, where it is not the embedded default."""
    if options.run_json is not None:
        return "-running"
    parts = [options.database] if options.database != "sqlite" else []
    return "".join(f"-{part}" for part in [*parts, *(["kafka"] if options.kafka else [])])


def _arguments() -> tuple[list[str], Options]:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure and print; assert nothing.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(MEASUREMENTS)}; default: all")
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--kafka", action="store_true", help="events through Kafka")
    parser.add_argument("--run-json", type=Path, help="measure a gateway that runs already: its run.json")
    parser.add_argument(
        "--key", default="", help="API key for that gateway; default: the one of its run.json"
    )
    parser.add_argument("--seconds", type=int, help="how long to measure")
    parser.add_argument("--rounds", type=int, help="peers, modem: how many rounds")
    parser.add_argument("--streams", type=int, help="streams: how many")
    parser.add_argument("--modems", type=int, help="modems: how many")
    given = vars(parser.parse_args())
    names = given.pop("names") or ["all"]
    if unknown := [name for name in names if name not in (*MEASUREMENTS, "all")]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)} and all")
    return (list(ALL) if names == ["all"] else names), Options(**given)


def _table(name: str, result: dict[str, Any]) -> Table:
    table = Table(title=name, show_header=False)
    for key, value in result.items():
        if key not in ("machine", "measurement", "options", "raw"):
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            table.add_row(key, shown)
    return table


if __name__ == "__main__":
    main()
