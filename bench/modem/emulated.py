"""Emulated modems in a process of their own, and what their network took."""

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.engines.processes import end, launch, wait_until_ready

READY_S = 20.0
STOP_S = 5.0
REPORT_S = 0.5
"""From the taking of a message to its report."""
NUMBER = "+15559876543"


@dataclass(frozen=True, slots=True)
class Modem:
    """What a modems.toml needs to know of one."""

    name: str
    number: str
    port: Path


@dataclass(frozen=True, slots=True)
class Emulated:
    """Modems that run."""

    modems: tuple[Modem, ...]
    radio_log: Path
    radio_s: float
    pid: int

    def taken(self) -> list[tuple[float, str]]:
        """When each part was taken, seconds since 1970, and the number it came from; in order."""
        whole = self.radio_log.read_text(encoding="utf-8").rpartition("\n")[0]
        return [(part["time"], part["from"]) for part in map(json.loads, whole.splitlines())]


@contextmanager
def running(folder: Path, *, modems: int, radio_s: float) -> Generator[Emulated]:
    """Modems of which each has its device file in the folder."""
    log, radio_log = folder / "emulator.log", folder / "radio.log"
    options = {
        "--folder": folder,
        "--socket": folder / "emulator.sock",
        "--radio-log": radio_log,
        "--modems": modems,
        "--number": NUMBER,
        "--radio-s": radio_s,
        "--report-s": REPORT_S,
    }
    told = [str(each) for pair in options.items() for each in pair]
    command = [sys.executable, "-P", "-m", "drivers.modem", "emulate", *told]
    process = launch(command, folder=Path.cwd(), log=log)

    def lines() -> list[list[str]]:
        split = [line.split() for line in log.read_text(encoding="utf-8").splitlines()]
        return [words for words in split if len(words) == 3 and words[1].startswith("+")]

    try:
        wait_until_ready("the emulator", process, lambda: len(lines()) >= modems, log=log, within_s=READY_S)
        found = tuple(Modem(name, number, Path(port)) for name, number, port in lines())
        yield Emulated(found, radio_log, radio_s, process.pid)
    finally:
        end(process, grace_s=STOP_S)
