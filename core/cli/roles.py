"""The commands that become a role: core, relay and deliver here; the REST facade and drivers in this process's place.

Owns how a role starts: settings read and logged, logs set up, its end turned into an exit status. What a role does
is in core.app. Packages of ours that the core must not import are named, never imported.
"""

import asyncio
import gc
import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import structlog
import typer

from core import logs
from core.cli.context import settings_or_exit
from core.cli.output import EXIT_FAILED, CommandFailed, say
from core.config import Settings, shown, variable
from core.errors import InfiniReachError
from core.vault import VaultError

Role = Literal["core", "relay", "deliver"]

_ALL = {"allow_extra_args": True, "ignore_unknown_options": True}
_AFTER_A_NAME = {**_ALL, "allow_interspersed_args": False}
PASSED_ON: dict[str, dict[str, Any]] = {
    "driver": _AFTER_A_NAME,
    "fake": _AFTER_A_NAME,
    "modem": _ALL,
    "android": _ALL,
}
"""Commands that hand their arguments on to a package of ours, which knows what they mean."""

DRIVER_TOKEN_FILE_NAME = "driver.token"  # noqa: S105 - a file's name


def core() -> None:
    """Run the core: the gRPC server, the driver streams and, unless set otherwise, relay and deliveries."""
    serve("core")


def relay() -> None:
    """Run only the relay: publish events and fan them out to webhooks."""
    serve("relay")


def deliver() -> None:
    """Run only webhook deliveries."""
    serve("deliver")


def rest() -> None:
    """Run the REST facade in the foreground. Its settings begin with INFINIREACH_REST_."""
    become("rest_facade")


def serve(role: Role) -> NoReturn:
    """Run a role of the core until SIGTERM or SIGINT; ends the process."""
    settings = settings_or_exit()
    logs.configure(role, level=settings.log_level, form=settings.log_format)
    log = structlog.get_logger()
    log.info("settings", **{name: shown(getattr(settings, name)) for name in Settings.model_fields})
    sys.exit(asyncio.run(_run(role, settings)))


async def _run(role: Role, settings: Settings) -> int:
    """Serve; the exit status. What an operator can mend is told in a sentence, all else with its traceback."""
    from core import app  # noqa: PLC0415 - brings gRPC and all adapters, which no other command needs
    from core.api.server import AddressTaken  # noqa: PLC0415
    from core.certificates import CertificateFilesUnusable  # noqa: PLC0415
    from core.service_credential import CredentialError  # noqa: PLC0415

    gc.freeze()  # modules live as long as the process: no collection walks them, nor does the one at its end
    log = structlog.get_logger()
    try:
        await {"core": app.serve_core, "relay": app.serve_relay, "deliver": app.serve_deliver}[role](settings)
    except AddressTaken as taken:
        log.error(
            "role.failed", problem=f"something else listens on {taken}", setting=variable(taken.setting)
        )
    except (InfiniReachError, VaultError, CredentialError, CertificateFilesUnusable, OSError) as error:
        log.error("role.failed", problem=str(error), error=type(error).__name__)
    except Exception:  # the top of the process
        log.exception("role.failed")
    else:
        return 0
    return EXIT_FAILED


def driver(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="Such as simulated. Without a name: lists the drivers of this installation.")
    ] = "",
) -> None:
    """Run a driver in the foreground. Takes INFINIREACH_DRIVER_TOKEN or a certificate, else the demo token of `up`.

    What follows the name is the driver's own: infinireach driver NAME --help
    """
    if not name:
        say("\n".join(drivers()))
        return
    module = f"drivers.{name.replace('-', '_')}"
    if name not in drivers():
        raise CommandFailed(f"There is no driver {name}. There are: {', '.join(drivers())}")
    token_file = settings_or_exit().var / DRIVER_TOKEN_FILE_NAME
    named = ("INFINIREACH_DRIVER_TOKEN", "INFINIREACH_DRIVER_TOKEN_FILE", "INFINIREACH_DRIVER_CERT_FILE")
    if not any(os.environ.get(variable) for variable in named) and token_file.exists():
        os.environ["INFINIREACH_DRIVER_TOKEN_FILE"] = str(token_file)
    become(module, *context.args)


def modem(context: typer.Context) -> None:
    """Find out what is wrong with a GSM modem, see how modems fare, play one without hardware.

    Its commands: infinireach modem --help
    """
    become("drivers.modem", *(context.args or ["--help"]))


def android(context: typer.Context) -> None:
    """Find out what is wrong with an Android phone that sends and receives for the gateway.

    Its commands: infinireach android --help
    """
    become("drivers.android.cli", *(context.args or ["--help"]))


def fake(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="Such as graph. Without a name: lists the fakes of this installation.")
    ] = "",
) -> None:
    """Play what a driver talks to, without an account or a phone: WhatsApp's Graph API, or the app on a phone.

    What follows the name is the fake's own: infinireach fake NAME --help
    """
    there = fakes()
    if not name:
        say("\n".join(there))
        return
    if name not in there:
        raise CommandFailed(f"There is no fake {name}. There are: {', '.join(there) or 'none'}")
    become(there[name], *context.args)


def drivers() -> list[str]:
    """The drivers of this installation: packages in `drivers` that can be run."""
    return sorted(path.parent.name.replace("_", "-") for path in _in_drivers("*/__main__.py"))


def fakes() -> dict[str, str]:
    """The fakes of this installation, module by name: packages `fake_<name>` of drivers that can be run."""
    found = [path.parent for path in _in_drivers("*/fake_*/__main__.py")]
    return {
        folder.name.removeprefix("fake_").replace("_", "-"): f"drivers.{folder.parent.name}.{folder.name}"
        for folder in sorted(found, key=lambda folder: folder.name)
    }


def _in_drivers(pattern: str) -> list[Path]:
    package = importlib.util.find_spec("drivers")
    folders = package.submodule_search_locations or [] if package else []
    return [path for folder in folders for path in Path(folder).glob(pattern)]


def become(module: str, *arguments: str) -> NoReturn:
    """Go on as `python -m module`: same process, so that its supervisor sees no difference."""
    sys.stdout.flush()
    os.execv(sys.executable, command_of(module, *arguments))  # noqa: S606 - our own interpreter and module


def command_of(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of this installation, whatever lies in the current folder."""
    return [sys.executable, "-P", "-m", module, *arguments]
