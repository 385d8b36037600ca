"""Commands about modems that a driver runs: how they fare, a USSD code, a PIN that may be tried again.

Owns the commands; what they ask is answered by the driver's control socket.
"""

from typing import Annotated, Any

import typer

from drivers.modem.cli.control_client import ask
from drivers.modem.cli.options import AsJson
from drivers.modem.control import SOCKET_NAME
from drivers.runtime.command_line import var_folder
from drivers.runtime.output import say, say_json, table

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The modem's name in modems.toml.")]


def status(*, as_json: AsJson = False) -> None:
    """Show each modem of the running driver: its state, why, and what to do about it."""
    answer = ask(var_folder() / SOCKET_NAME, {"status": {}})
    modems: list[dict[str, Any]] = answer["modems"]
    if as_json:
        say_json({"modems": modems, "counts": answer.get("counts")})
        return
    table(
        ["NAME", "STATE", "SIGNAL", "NETWORK", "SENT TODAY", "PORT", "MODEL"],
        [
            [
                modem["name"],
                " ".join(filter(None, [modem["state"], modem["reason"] and f"({modem['reason']})"])),
                _percent(modem.get("signal_percent")),
                " ".join(filter(None, [modem.get("operator"), modem.get("is_roaming") and "roaming"])),
                _of(modem.get("parts_today"), modem.get("parts_per_day")),
                modem.get("port"),
                " ".join(filter(None, [modem.get("maker"), modem.get("model")])),
            ]
            for modem in modems
        ],
        none="The driver has no modems.",
    )
    for modem in modems:
        if modem.get("remedy"):
            say(f"\n{modem['name']}: {modem['remedy']}")
        if removed := _removed(modem.get("counts") or {}):
            say(
                f"\n{modem['name']}: {removed} that came in since the driver started were for no person (silent "
                "messages, data for the SIM, broadcasts) and were not handed on."
            )


def unlock(name: NameArgument) -> None:
    """Say that the PIN in modems.toml is right, so that it is tried once more.

    A PIN that a SIM refused, or whose outcome was lost, is never tried again by itself: three wrong ones lock the SIM.
    """
    answer = ask(var_folder() / SOCKET_NAME, {"unlock": {"device": name}})
    last = " It is the last try: another refusal locks the SIM." if answer.get("is_last_try") else ""
    say(f"The PIN of {name} will be tried once more.{last} See: infinireach modem status")


def _removed(counts: dict[str, int]) -> int:
    return sum(count for name, count in counts.items() if name == "broadcast" or name.startswith("dropped_"))


def _percent(value: int | None) -> str:
    return "" if value is None or value < 0 else f"{value} %"


def _of(count: int | None, limit: int | None) -> str:
    return "" if count is None else f"{count} of {limit}" if limit else str(count)
