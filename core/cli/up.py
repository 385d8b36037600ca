"""`infinireach up`: a whole gateway on this machine with one command.

Owns the order of preparation: folder, lock, ports, database, accounts; only then processes.
"""

import asyncio
import fcntl
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from core.cli import run_file
from core.cli.context import settings_or_exit, valid_or_exit
from core.cli.options import AsJson
from core.cli.output import CommandFailed, note, say, say_json
from core.cli.rest_client import RestClient
from core.cli.run_file import Running
from core.cli.supervisor import phones, plan, ports, readiness
from core.cli.supervisor.child import Role
from core.cli.supervisor.demo import make_room, prepare
from core.cli.supervisor.gateway import Gateway
from core.cli.supervisor.screen import screen
from core.clock import SystemClock
from core.config import PREFIX, Settings
from core.store.migrate import migrate

Tell = Callable[[str], None]
Announce = Callable[[Running], None]

LOCK_NAME = "up.lock"
EXAMPLES = f"Example: {PREFIX}REST_PORT=9080 {PREFIX}VAR=/srv/infinireach infinireach up"


def up(
    *,
    driver: Annotated[
        bool, typer.Option("--driver/--no-driver", help="Whether to run the simulated phone, or modems.")
    ] = True,
    modem: Annotated[
        str,
        typer.Option(
            help="Run modems in place of the simulated phone: `emulated` for one that needs no hardware, "
            "or a modems.toml (docs/modems.md).",
            metavar="emulated|FILE",
        ),
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show faults only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start the core, the REST API and a simulated phone or modems, keep them running, and show how to use them.

    Needs no other service. Data, keys and logs lie in the folder INFINIREACH_VAR, ./var by default.
    """
    settings = settings_or_exit()
    if settings.internal_port or settings.tls_cert_file is not None:
        raise CommandFailed(
            f"`infinireach up` speaks without TLS, on this machine only: unset {PREFIX}INTERNAL_PORT and "
            f"{PREFIX}TLS_CERT_FILE, or run the roles apart (docs/tls.md)."
        )
    choice = phones.choose(modem, with_driver=driver, var=settings.var)
    where = valid_or_exit(lambda: plan.addresses(settings, os.environ))
    plan.prepare_folder(settings.var)
    with only_one(settings):
        if problems := ports.problems(where.endpoints(), patience_s=ports.RELEASE_S):
            raise CommandFailed("\n".join(problems))
        tell = _nothing if quiet or as_json else note
        tell(f"Starting Infini Reach in {settings.var.absolute()}.")
        run_file.remove(settings.var)
        phones.prepare(choice, settings.var)
        migrate(settings.database_url)
        demo = prepare(settings, SystemClock().now_ms())
        make_room(settings, demo, choice.driver_name, SystemClock().now_ms())
        running = Running(where.rest_url, where.grpc, where.metrics_url, demo.api_key, demo.tenant_id)
        roles = plan.roles(settings, where, demo, choice)
        asyncio.run(
            _run(
                settings,
                roles,
                running,
                tell=tell,
                announce=_announcer(settings, choice, quiet=quiet, as_json=as_json),
            )
        )
        tell("Stopped.")


async def _run(
    settings: Settings, roles: Sequence[Role], running: Running, *, tell: Tell, announce: Announce
) -> None:
    api = RestClient(running.rest, running.api_key)
    gateway = Gateway(
        settings.var,
        [[role] for role in roles],
        running,
        list_devices=lambda: readiness.numbers(api),
        announce=announce,
        tell=tell,
    )
    await gateway.run()


def _announcer(settings: Settings, choice: phones.Choice, *, quiet: bool, as_json: bool) -> Announce:
    def announce(running: Running) -> None:
        if as_json:
            say_json(running.document())
        elif not quiet:
            say(screen(settings, running, choice.phones))
        sys.stdout.flush()

    return announce


def _nothing(_text: str) -> None:
    pass


@contextmanager
def only_one(settings: Settings) -> Generator[None]:
    """Hold the data folder's lock; the kernel lets go of it however this process ends. Raises CommandFailed."""
    with (settings.var / LOCK_NAME).open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            running = run_file.read(settings.var)
            by = f" (process {running['pids']['up']}), at {running['rest']}" if running.get("pids") else ""
            raise CommandFailed(
                f"Infini Reach runs already with the data folder {settings.var.absolute()}{by}. "
                f"Stop it, or use another folder: {PREFIX}VAR"
            ) from None
        yield
