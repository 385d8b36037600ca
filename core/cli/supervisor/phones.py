"""Which phones or modems `infinireach up` runs beside the gateway: their processes, their files, and how to try them.

Owns the choice and what follows from it. Modems and their emulator are commands of another package of ours, which is
named and never imported.
"""

import asyncio
import functools
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from core.cli.output import CommandFailed
from core.cli.rest_client import RestClient
from core.cli.roles import command_of
from core.cli.run_file import write_private
from core.cli.supervisor import readiness
from core.cli.supervisor.child import Role
from core.config import PREFIX

EMULATED = "emulated"
"""What `--modem` takes in place of a file."""

NUMBER = "+15559876543"
MODULE = "drivers.modem"
CONFIG_NAME = "emulated-modems.toml"
FOLDER_NAME = "emulated"
"""The emulator's own default, so that its commands need not be told of it."""
PORT_NAME = "modem"
RADIO_LOG_NAME = "radio.log"
CONFIG = """\
# The modem that `infinireach up --modem emulated` plays. Written once; change what you like.
# What a modem may be told here: docs/modems.md.
[[modem]]
name = "emulated"
port = "{port}"
number = "{number}"
"""
CHECK_S = 30.0


class Phones(Enum):
    """What sends and receives."""

    NONE = "none"
    SIMULATED = "simulated"
    EMULATED = "emulated"
    MODEMS = "modems"


STOP_S = {Phones.SIMULATED: 1.4, Phones.EMULATED: 1.4, Phones.MODEMS: 6.0}
"""A real SIM has the time that a message on its way needs: cut off, nobody would know what became of it."""

GRACE_S = {Phones.SIMULATED: "1", Phones.EMULATED: "1", Phones.MODEMS: "3"}
EMULATOR_STOP_S = 0.4


@dataclass(frozen=True, slots=True)
class Choice:
    """The phones of one run. `config`: the modems.toml, absolute."""

    phones: Phones
    config: Path | None = None

    @property
    def driver_name(self) -> str:
        """What their driver is called at the core; empty without one."""
        if self.phones is Phones.NONE:
            return ""
        return "simulated" if self.phones is Phones.SIMULATED else "modem"


OUR_DRIVERS = ("simulated", "modem")
"""The drivers that `up` runs, one or the other."""


def choose(modem: str, *, with_driver: bool, var: Path) -> Choice:
    """What the options of `up` mean. Raises CommandFailed for options that exclude each other or a missing file."""
    if not modem:
        return Choice(Phones.SIMULATED if with_driver else Phones.NONE)
    if not with_driver:
        raise CommandFailed("--modem runs a driver and --no-driver none: leave one of them away.")
    if modem == EMULATED:
        return Choice(Phones.EMULATED, var.absolute() / CONFIG_NAME)
    if not Path(modem).is_file():
        raise CommandFailed(f"--modem takes `{EMULATED}` or a modems.toml; there is no file {modem}.")
    return Choice(Phones.MODEMS, Path(modem).absolute())


def prepare(choice: Choice, var: Path) -> None:
    """Write what is missing, check what is there. Raises CommandFailed with everything wrong in a modems.toml."""
    if choice.config is None:
        return
    if choice.phones is Phones.EMULATED and not choice.config.exists():
        port = str(var.absolute() / FOLDER_NAME / PORT_NAME)
        if not port.isprintable() or set('"\\') & set(port):
            raise CommandFailed(
                f"The data folder's path cannot stand in a file: choose another with {PREFIX}VAR."
            )
        write_private(choice.config, CONFIG.format(port=port, number=NUMBER))
    try:
        checked = subprocess.run(  # noqa: S603 - our own interpreter and module
            command_of(MODULE, "check-config", "--config", str(choice.config)),
            capture_output=True,
            text=True,
            timeout=CHECK_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{choice.config} could not be checked within {CHECK_S:g} s.") from None
    if checked.returncode:
        raise CommandFailed((checked.stderr or checked.stdout).strip())


def roles(choice: Choice, var: Path, api: RestClient, environment: Mapping[str, str]) -> list[Role]:
    """The processes behind the phones, in the order in which they are stopped; none of them without phones."""
    if choice.phones is Phones.NONE:
        return []
    module = "drivers.simulated" if choice.phones is Phones.SIMULATED else MODULE
    own = {} if choice.config is None else {f"{PREFIX}MODEM_CONFIG": str(choice.config)}
    is_ready = (
        functools.partial(readiness.driver_is_there, api, choice.driver_name)
        if choice.phones is Phones.MODEMS
        else functools.partial(readiness.device_is_online, api)
    )
    driver = Role("driver", command_of(module), is_ready, STOP_S[choice.phones], {**environment, **own})
    if choice.phones is not Phones.EMULATED:
        return [driver]
    folder = var.absolute() / FOLDER_NAME
    arguments = ("emulate", "--folder", str(folder), "--radio-log", str(folder / RADIO_LOG_NAME))
    emulator = Role(
        "emulator",
        command_of(MODULE, *arguments, "--number", NUMBER),
        functools.partial(_is_plugged_in, folder / PORT_NAME),
        EMULATOR_STOP_S,
        environment,
    )
    return [driver, emulator]


async def _is_plugged_in(port: Path) -> bool:
    """Whether the emulated modem's port is there."""
    return await asyncio.to_thread(port.exists)
