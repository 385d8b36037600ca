"""`python -m tools.full`: a gateway of many processes on the engines: run it, restart it, look at it, stop it.

Owns the order of preparation: database, secrets, certificates, accounts; only then processes.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli import installation, run_file
from core.cli.output import CommandFailed, fail, note, say
from core.cli.rest_client import RestClient
from core.cli.run_file import Running
from core.cli.supervisor import readiness
from core.cli.supervisor.demo import Demo, prepare
from core.cli.supervisor.gateway import Gateway
from core.cli.supervisor.plan import prepare_folder
from core.cli.supervisor.screen import screen
from core.cli.up import only_one
from core.clock import SystemClock
from core.config import Settings, load
from core.store.migrate import migrate
from tools.engines import assembly, supervisor
from tools.engines.assembly import gateway_folder
from tools.engines.processes import EngineFailed
from tools.full.enrolment import enrol
from tools.full.estate import NUMBERS, Estate

STOP_S_MAX = 60.0
POLL_S = 0.1

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
VarOption = Annotated[Path, typer.Option(envvar="INFINIREACH_VAR", help="Folder for all data and logs.")]
VAR = Path("var")


@app.command()
def run(var: VarOption = VAR) -> None:
    """Run two cores, REST facades, deliverers and drivers behind the edge, until Ctrl-C."""
    var = var.absolute()
    if not supervisor.state(assembly.engines_folder(var)):
        raise CommandFailed("The engines do not run. Start them: make engines")
    estate = Estate(gateway_folder(var), assembly.addresses(var))
    os.environ.update(estate.shared())
    settings = load()
    prepare_folder(settings.var)
    with only_one(settings):
        run_file.remove(settings.var)
        installation.secrets()
        migrate(settings.database_url)
        demo = prepare(settings, SystemClock().now_ms())
        for n in range(1, len(NUMBERS) + 1):
            enrol(settings, f"driver-{n}", demo.tenant_id)
        note(f"Starting two of each in {settings.var}.")
        asyncio.run(_run(settings, estate, demo))
        note("Stopped.")


async def _run(settings: Settings, estate: Estate, demo: Demo) -> None:
    api = RestClient(estate.edge_url, demo.api_key, timeout_s=readiness.ANSWER_S, ca=str(estate.ca))
    ports = estate.engines.ports
    running = Running(
        f"http://127.0.0.1:{ports['rest-1']}",
        f"localhost:{ports['edge']}",
        f"http://127.0.0.1:{ports['core-1-metrics']}/metrics",
        demo.api_key,
        demo.tenant_id,
        rest_tls=estate.edge_url,
        ca=str(estate.ca),
    )

    def announce(running: Running) -> None:
        say(screen(settings, running))
        sys.stdout.flush()

    await Gateway(
        estate.var,
        estate.groups(api),
        running,
        list_devices=lambda: sorted(readiness.numbers(api), key=lambda device: str(device["number"])),
        announce=announce,
        tell=note,
    ).run()


@app.command()
def restart(var: VarOption = VAR) -> None:
    """Restart one process after the other; nobody outside sees it."""
    os.kill(_supervisor(var), signal.SIGUSR1)
    say(
        f"Restarting one after the other; {_folder(var) / 'logs'} and the console of make run-full tell how it goes."
    )


@app.command()
def stop(var: VarOption = VAR) -> None:
    """Stop all processes; the engines go on."""
    pid = _supervisor(var)
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S_MAX
    while run_file.read(_folder(var)):
        if time.monotonic() > deadline:
            raise CommandFailed(f"Process {pid} has not stopped within {STOP_S_MAX:g} s.")
        time.sleep(POLL_S)
    say("Stopped.")


@app.command()
def status(var: VarOption = VAR) -> None:
    """Tell what runs."""
    running = _running(var)
    say(f"{running['restTls']}  trust {running['ca']}")
    for name, pid in running["pids"].items():
        say(f"  {name.ljust(10)} {pid}")


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="Such as core-1; without one: all.")] = "",
    *,
    var: VarOption = VAR,
) -> None:
    """Follow the logs of one or all processes."""
    files = sorted((_folder(var) / "logs").glob(f"{name or '*'}.log"))
    if not files:
        raise CommandFailed(f"There is no log {name}.".replace(" .", "."))
    sys.stdout.flush()
    os.execvp("tail", ["tail", "-F", "-n", "20", *map(str, files)])  # noqa: S606 - a program of every system


def _supervisor(var: Path) -> int:
    return int(_running(var)["pids"]["up"])


def _running(var: Path) -> dict[str, Any]:
    """run.json of the gateway that runs; what one that was killed left behind tells of nothing."""
    running = run_file.read(_folder(var))
    pid = running.get("pids", {}).get("up", 0)
    with contextlib.suppress(OSError):
        if b"tools.full" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            return running
    raise CommandFailed("No gateway runs on the engines. Start it: make run-full")


def _folder(var: Path) -> Path:
    return gateway_folder(var.absolute())


if __name__ == "__main__":
    try:
        app()
    except (CommandFailed, EngineFailed) as failed:
        fail(str(failed))
