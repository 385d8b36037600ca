"""`infinireach modem ussd`: asks the network something by a code such as *100#.

Owns which way it is asked: through the driver that runs, or else on the modem's own port. Never both: a port has one
owner.
"""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from drivers.modem.at.results import AtFailure, CommandRefused
from drivers.modem.cli.control_client import NobodyListens, ask
from drivers.modem.cli.options import AsJson, ConfigOption, config_file
from drivers.modem.conditions import NotReady
from drivers.modem.config import ModemConfig, read_config, unknown_modem
from drivers.modem.control import SOCKET_NAME
from drivers.modem.life.finder import Finder, PortClaims, connect
from drivers.modem.line import Commands
from drivers.modem.setup.identity import ask as ask_modem
from drivers.modem.setup.identity import read_identity
from drivers.modem.setup.quirks import Quirks, quirks_for
from drivers.modem.timing import Timing
from drivers.modem.ussd import UssdDialogue, UssdRefused, UssdUnanswered
from drivers.runtime.clock import SystemClock
from drivers.runtime.command_line import var_folder
from drivers.runtime.config_file import ConfigInvalid
from drivers.runtime.output import CommandFailed, note, printable, say, say_json

EXAMPLES = "Example: infinireach modem ussd office '*100#'"


class Asker(Protocol):
    """Whoever asks the network."""

    async def ask(self, code: str) -> tuple[str, bool]:
        """What it says, and whether it waits for an answer. Raises CommandFailed."""
        ...


def ussd(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The modem's name in modems.toml.")],
    code: Annotated[
        str, typer.Argument(metavar="CODE", help="Such as *100#. Not set: the modem's balance_ussd.")
    ] = "",
    *,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Ask the network by a USSD code, such as the one for the balance, and show what it says.

    Through the driver if it runs, else on the port that modems.toml names. Where the network answers with a menu, the
    answer is asked for.
    """
    try:
        asker = _ThroughDriver(name)
        asyncio.run(_converse(asker, code or asker.balance_code(), as_json=as_json))
    except NobodyListens as nobody:
        file = config_file(config)
        if not file.exists():
            raise CommandFailed(f"{nobody}\nOr name the modems.toml with --config.") from None
        modem = _modem(name, file)
        asyncio.run(_on_port(modem, code or _required(modem.balance_ussd, name), as_json=as_json))


async def _converse(asker: Asker, code: str, *, as_json: bool) -> None:
    """Ask, show the answer, and go on for as long as the network waits and somebody is there to answer."""
    while True:
        text, is_open = await asker.ask(code)
        if as_json:
            say_json({"text": text, "is_open": is_open})
            return
        say(printable(text))
        if not is_open:
            return
        if not sys.stdin.isatty():
            note("The network waits for an answer. Run it in a terminal to give one.")
            return
        code = typer.prompt("Answer (empty: none)", default="", show_default=False)
        if not code:
            return


class _ThroughDriver:
    """Asks by the driver's control socket."""

    def __init__(self, name: str) -> None:
        self._name = name

    def balance_code(self) -> str:
        """The modem's balance_ussd, as the driver knows it. Raises CommandFailed."""
        modems = ask(var_folder() / SOCKET_NAME, {"status": {}})["modems"]
        found = next((modem for modem in modems if modem["name"] == self._name), None)
        if found is None:
            raise CommandFailed(unknown_modem(self._name, [modem["name"] for modem in modems]))
        return _required(str(found.get("balance_ussd") or ""), self._name)

    async def ask(self, code: str) -> tuple[str, bool]:
        request: dict[str, Any] = {"ussd": {"device": self._name, "code": code}}
        answer = await asyncio.to_thread(ask, var_folder() / SOCKET_NAME, request)
        return str(answer["text"]), bool(answer["is_open"])


class _OnPort:
    """Asks a modem that no driver has."""

    def __init__(self, commands: Commands, dialogue: UssdDialogue, *, is_packed: bool) -> None:
        self._commands = commands
        self._dialogue = dialogue
        self._is_packed = is_packed

    async def ask(self, code: str) -> tuple[str, bool]:
        try:
            answer = await self._dialogue.ask(self._commands, code, is_packed=self._is_packed)
        except (UssdRefused, UssdUnanswered) as failed:
            raise CommandFailed(str(failed)) from None
        except ValueError as wrong:
            raise CommandFailed(f"The code {wrong}.") from None
        return answer.text, answer.is_open


async def _on_port(modem: ModemConfig, code: str, *, as_json: bool) -> None:
    timing = Timing()
    dialogue = UssdDialogue(timing)
    finder = Finder(
        modem, timing, SystemClock(), connect=connect, claims=PortClaims(), on_unsolicited=dialogue.take
    )
    try:
        found = await finder.find()
    except NotReady as not_ready:
        raise CommandFailed(not_ready.condition.remedy(modem.name)) from None
    try:
        quirks = await _prepare(found.connection, modem, timing)
        asker = _OnPort(found.connection, dialogue, is_packed=quirks.ussd_is_packed)
        await _converse(asker, code, as_json=as_json)
    except AtFailure as failure:
        raise CommandFailed(
            f"The modem does not answer as it should ({failure}). Try: infinireach modem probe {found.url}"
        ) from None
    finally:
        await finder.close(found)


async def _prepare(commands: Commands, modem: ModemConfig, timing: Timing) -> Quirks:
    """Bring a modem to where it can be asked. Raises AtFailure; CommandFailed if its SIM is not open."""
    for setting in ("ATE0", "AT+CMEE=1", 'AT+CSCS="GSM"'):
        await ask_modem(commands, setting, timeout_s=timing.setting_s)
    identity = await read_identity(commands, timing)
    await _require_open_sim(commands, timing)
    return quirks_for(identity.maker, identity.model, modem.quirks)


async def _require_open_sim(commands: Commands, timing: Timing) -> None:
    try:
        lines = await commands.execute("AT+CPIN?", timeout_s=timing.answer_s)
    except CommandRefused as refused:
        raise CommandFailed(f"The SIM is not ready ({refused.text}). Try: infinireach modem probe") from None
    if not any("READY" in line for line in lines):
        raise CommandFailed(
            "The SIM wants a PIN or PUK, which this command does not enter. Start the driver."
        )


def _required(code: str, name: str) -> str:
    if not code:
        raise CommandFailed(f"{name} has no balance_ussd in modems.toml; name a CODE, such as '*100#'.")
    return code


def _modem(name: str, config: Path) -> ModemConfig:
    """The modem of this name. Raises CommandFailed."""
    try:
        modems = read_config(config)
    except ConfigInvalid as invalid:
        raise CommandFailed(str(invalid)) from None
    found = next((modem for modem in modems if modem.name == name), None)
    if found is None:
        raise CommandFailed(
            f"There is no modem {name} in {config}. There are: {', '.join(modem.name for modem in modems)}"
        )
    return found
