"""P8: messages a minute on one emulated modem: the driver alone, the whole gateway, gammu-smsd and smstools in turns.

Each has a modem of its own that is started anew, more messages than it can send, and wants delivery reports. The rate
is that of the parts that the emulated network took, by its own clock, from the first one after WARM_UP_S to the last.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bench import processes
from bench.modem import emulated, gammu, ours, packages, smstools
from bench.modem.emulated import Emulated
from bench.modem.subject import Subject
from bench.options import Options

RADIOS_S = (1.0, 0.0)
"""Seconds that a part is on the air: about what a real one takes at best, and nothing at all."""
WARM_UP_S = 5.0
FIRST_S_MAX = 60.0
DURATION_S = 25
ROUNDS = 3
POLL_S = 0.05
MINUTE_S = 60.0

Start = Callable[[Path, Emulated], AbstractContextManager[Subject]]
SUBJECTS: Mapping[str, Start] = {
    "driver": ours.driver,
    "infinireach": ours.gateway,
    "gammu-smsd": gammu.running,
    "smstools": smstools.running,
}


def measure(options: Options) -> dict[str, Any]:
    """Run and answer the figures. Raises SystemExit if the others cannot be had."""
    packages.unpack()
    names = list(SUBJECTS)
    rounds: list[dict[str, Any]] = []
    described: dict[str, Any] = {}
    for number in range(options.rounds or ROUNDS):
        turn = number % len(names)
        for radio_s in RADIOS_S:
            for name in names[turn:] + names[:turn]:
                figures, described[name] = _round(name, radio_s, float(options.seconds or DURATION_S))
                rounds.append({"round": number + 1, "name": name, "radio_s": radio_s, **figures})
    return {**_summary(rounds), "raw": {"rounds": rounds, "subjects": described}}


def _round(name: str, radio_s: float, seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-modem-") as place,
        emulated.running(_made(Path(place) / "modems"), modems=1, radio_s=radio_s) as modems,
        SUBJECTS[name](_made(Path(place) / name), modems) as subject,
    ):
        wait_for_first(modems)
        time.sleep(WARM_UP_S)
        cpu_before, reported, from_s = processes.cpu_s(subject.pids), subject.reported(), time.time()
        time.sleep(seconds)
        cpu, until_s = processes.cpu_s(subject.pids), time.time()
        taken = [at for at, _ in modems.taken() if from_s <= at < until_s]
        if not subject.waiting():
            raise RuntimeError(f"{name} had nothing to send any more")
        rate = per_minute(taken)
        figures = {
            "per_minute": round(rate, 1),
            "share_of_radio": round(rate * radio_s / MINUTE_S, 3) if radio_s else None,
            "taken": len(taken),
            "reported": subject.reported() - reported,
            "cpu_ms_per_message": {
                role: round((cpu[role] - cpu_before[role]) * 1000 / max(1, len(taken)), 2) for role in cpu
            },
        }
        return figures, _description(subject, place)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def wait_for_first(modems: Emulated) -> None:
    """Return once each modem has sent something, on the whole."""
    give_up_at = time.monotonic() + FIRST_S_MAX
    while not modems.radio_log.exists() or len(modems.taken()) < len(modems.modems):
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"nothing was sent within {FIRST_S_MAX:g} s")
        time.sleep(POLL_S)


def per_minute(taken: list[float]) -> float:
    """The rate of what happened at these times."""
    if len(taken) < 2:
        return 0.0
    return (len(taken) - 1) / (taken[-1] - taken[0]) * MINUTE_S


def _description(subject: Subject, place: str) -> dict[str, Any]:
    """What it is and how it is set up; the folder of its turn is `.`."""
    return {
        "durability": subject.durability,
        "versions": dict(subject.versions),
        "configuration": {name: text.replace(place, ".") for name, text in subject.configuration.items()},
    }


def _summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    for radio_s in RADIOS_S:
        own = {
            name: [each for each in rounds if (each["name"], each["radio_s"]) == (name, radio_s)]
            for name in SUBJECTS
        }
        title = f"radio {radio_s:g} s"
        summary[f"{title}: messages/min"] = {
            name: "/".join(str(each["per_minute"]) for each in those) for name, those in own.items()
        }
        if radio_s:
            summary[f"{title}: share of the radio's rate"] = {
                name: round(statistics.median(each["share_of_radio"] for each in those), 3)
                for name, those in own.items()
            }
        summary[f"{title}: CPU ms a message"] = {
            name: round(statistics.median(sum(each["cpu_ms_per_message"].values()) for each in those), 1)
            for name, those in own.items()
        }
        summary[f"{title}: reported of taken"] = {
            name: "/".join(f"{each['reported']} of {each['taken']}" for each in those)
            for name, those in own.items()
        }
    return summary
