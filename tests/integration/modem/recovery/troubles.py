"""Troubles of minutes that end by themselves, in the middle of traffic both ways.

Owns the traffic and what is asked afterwards: everything arrived, once, and nobody had to do anything.
"""

from collections.abc import Callable
from dataclasses import dataclass

from drivers.modem.emulator import Emulator
from tests.integration.modem.faults.bench import Bench

LONG = "A message that needs three segments. " * 10
MINUTE_S = 60.0


@dataclass(slots=True, frozen=True)
class Trouble:
    """Something that happens to a modem."""

    name: str
    begin: Callable[[Emulator, float], None]
    """Is told how many times as fast everything goes."""
    reason: str
    """What the core has to hear of it."""


def hang(minutes: float) -> Trouble:
    """The modem says nothing for so long."""
    return Trouble(
        f"hang of {minutes:g} minutes",
        lambda emulator, speed: _add(emulator, "hang", seconds=minutes * MINUTE_S / speed),
        "not_answering",
    )


TROUBLES = (
    Trouble(
        "port that vanishes and returns under another name",
        lambda emulator, speed: _add(emulator, "vanish", away_s=20.0 / speed, moved=True),
        "port_missing",
    ),
    Trouble(
        "restart",
        lambda emulator, _: _add(emulator, "reboot"),
        "starting",
    ),
    Trouble(
        "memory that is full for two minutes",
        lambda emulator, speed: _add(emulator, "memory_full", seconds=2 * MINUTE_S / speed),
        "memory_full",
    ),
    Trouble(
        "SIM that is busy for 30 seconds after a restart",
        lambda emulator, speed: _add(emulator, "sim_busy", seconds=30.0 / speed, restarts=True),
        "starting",
    ),
    Trouble(
        "network that is away for two minutes",
        lambda emulator, speed: _add(emulator, "no_signal", seconds=2 * MINUTE_S / speed),
        "no_network",
    ),
)


def _add(emulator: Emulator, name: str, *, restarts: bool = False, **how: float) -> None:
    emulator.faults.add(name, **how)
    if restarts:
        emulator.faults.add("reboot")


async def live_through(bench: Bench, trouble: Trouble, *, speed: float) -> None:
    """Traffic before, during and after a trouble."""
    bench.begin()
    outbound = [bench.offer(f"before {n}") for n in range(3)]
    inbound = ["came before"]
    bench.emulator.deliver(inbound[0])
    for message in outbound:
        await bench.delivered(message)
    trouble.begin(bench.emulator, speed)
    outbound += [bench.offer(f"during {n}") for n in range(3)]
    outbound.append(bench.offer(LONG))
    for text in ("came during", "came during, and is long " * 20):
        bench.emulator.deliver(text)
        inbound.append(text)
    await bench.not_ready(trouble.reason)
    for message in outbound:
        await bench.delivered_in_the_end(message)
    await bench.until(lambda: len(bench.texts()) >= len(inbound))
    assert sorted(bench.texts()) == sorted(inbound)
    await bench.until(lambda: not bench.emulator.faults.all())
    await bench.check()
