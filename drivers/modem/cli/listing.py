"""`infinireach modem list`: the serial ports of this machine."""

from dataclasses import asdict

from drivers.modem.cli.options import AsJson
from drivers.modem.link.serial_ports import serial_ports
from drivers.runtime.output import say, say_json, table


def list_(*, as_json: AsJson = False) -> None:
    """List the serial ports: what is behind each, the name to use in modems.toml, and who holds it.

    Opens none of them, so it disturbs no program that uses one.
    """
    ports = serial_ports()
    if as_json:
        say_json({
            "ports": [{**asdict(port), "guess": port.guess, "best_name": port.best_name} for port in ports]
        })
        return
    table(
        ["PORT", "WHAT", "DESCRIPTION", "HELD BY", "NAME FOR modems.toml"],
        [
            [
                port.device,
                port.guess,
                port.description,
                f"{port.holder.command} (process {port.holder.pid})" if port.holder else "",
                port.best_name,
            ]
            for port in ports
        ],
        none="There is no serial port. Plug the modem in; `dmesg` says whether the kernel knows it.",
    )
    if any(port.looks_like_modem for port in ports):
        say("\nA stick has several ports; which one is right: infinireach modem probe PORT --all-ports")
