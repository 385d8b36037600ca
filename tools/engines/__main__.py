"""`python -m tools.engines`: start, stop and look at the engines of a data folder."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from core.cli import certs
from core.cli.output import CommandFailed, fail, note, say
from core.cli.supervisor.plan import prepare_folder
from core.config import PREFIX
from tools.engines import plan, supervisor
from tools.engines.assembly import engines, engines_folder, gateway_folder
from tools.engines.kafka import FETCH_S
from tools.engines.processes import EngineFailed, end, tail

START_S_MAX = FETCH_S + 300.0
"""The first start fetches Kafka. Longer than the limits of all engines together, each of which says what is wrong."""

STOP_S_MAX = 90.0
POLL_S = 0.1
LOG_NAME = "engines.log"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
VarOption = Annotated[Path, typer.Option(envvar=f"{PREFIX}VAR", help="Folder for all data and logs.")]
VAR = Path("var")


@app.command()
def start(var: VarOption = VAR) -> None:
    """Start PostgreSQL, Redis, Kafka and Envoy in the background; the data of the last time is there again."""
    folder = engines_folder(var.absolute())
    prepare_folder(var)
    folder.mkdir(mode=0o700, exist_ok=True)
    if supervisor.state(folder):
        say("The engines run already.")
        return _tell(folder)
    log = folder / LOG_NAME
    if supervisor.is_supervised(folder):
        note(f"The engines are being started or stopped already. Log: {log}")
        process = None
    else:
        note(f"Starting the engines in {folder}; the first time fetches Kafka. Log: {log}")
        process = _supervisor(var.absolute(), log)
    deadline = time.monotonic() + START_S_MAX
    while not supervisor.state(folder):
        is_there = supervisor.is_supervised(folder) if process is None else process.poll() is None
        if not is_there or time.monotonic() > deadline:
            if process is not None:
                end(process, grace_s=STOP_S_MAX)
            raise CommandFailed(f"The engines could not be started.\n{tail(log)}")
        time.sleep(POLL_S)
    return _tell(folder)


def _supervisor(var: Path, log: Path) -> subprocess.Popen[bytes]:
    """A process of its own that keeps the engines running."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "tools.engines", "supervise", "--var", str(var)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )


@app.command(hidden=True)
def supervise(var: VarOption = VAR) -> None:
    """Keep the engines running, in the foreground."""
    var = var.absolute()
    os.environ[f"{PREFIX}VAR"] = str(gateway_folder(var))
    certs.init()
    supervisor.supervise(engines_folder(var), engines(var))


@app.command()
def stop(var: VarOption = VAR) -> None:
    """Stop the engines; their data stays."""
    folder = engines_folder(var.absolute())
    running = supervisor.state(folder)
    if not running:
        say("The engines do not run.")
        return
    os.kill(running["supervisor"], signal.SIGTERM)
    deadline = time.monotonic() + STOP_S_MAX
    while supervisor.is_supervised(folder):
        if time.monotonic() > deadline:
            raise CommandFailed(f"They have not stopped within {STOP_S_MAX:g} s: {folder / LOG_NAME}")
        time.sleep(POLL_S)
    say("Stopped.")


@app.command()
def status(var: VarOption = VAR) -> None:
    """Tell which engines run, where they listen and where their logs are."""
    folder = engines_folder(var.absolute())
    if not supervisor.state(folder):
        raise CommandFailed("The engines do not run. Start them: make engines")
    _tell(folder)


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="postgresql, redis, kafka or envoy; without one: all.")] = "",
    *,
    var: VarOption = VAR,
) -> None:
    """Follow the logs of one or all engines."""
    known = supervisor.state(engines_folder(var.absolute())).get("engines", {})
    files = [engine["log"] for key, engine in known.items() if name in ("", key)]
    if not files:
        raise CommandFailed(f"There is no engine {name}." if known else "The engines do not run.")
    os.execvp("tail", ["tail", "-F", "-n", "20", *files])  # noqa: S606 - a program of every system


def _tell(folder: Path) -> None:
    ports = plan.load(folder)
    listens = {"envoy": ("edge", "edge-driver", "edge-driver-token")}
    for name, engine in supervisor.state(folder).get("engines", {}).items():
        places = ", ".join(str(ports[port]) for port in listens.get(name, (name,)))
        say(f"  {name.ljust(11)} process {engine['pid']}, port {places}, log {engine['log']}")


if __name__ == "__main__":
    try:
        app()
    except (CommandFailed, EngineFailed) as failed:
        fail(str(failed))
