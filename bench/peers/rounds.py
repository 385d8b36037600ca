"""P1: accepts a second of ours, Kannel and Jasmin, in turns.

Each is started anew for its turn, warmed up, loaded by wrk and stopped, so that none meets another's backlog. The order
is rotated from round to round. What counts is an answer 2xx; a sample of the bodies is read while the load runs, and
the gateway's own count of messages is compared with the answers.
"""

import statistics
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import processes, wrk
from bench.accepts import cpu_us_each
from bench.options import Options
from bench.peers import jasmin, kannel, ours
from bench.peers.subject import Subject, answer_of, sampled

WARM_UP_S = 3
DURATION_S = 15
ROUNDS = 5
OURS = "infinireach"
HERE = Path(__file__).parents[2]
"""What is described as `.` in raw figures: where this lies says nothing."""

Start = Callable[[Path], AbstractContextManager[Subject]]

SUBJECTS: Mapping[str, Start] = {OURS: ours.running, "kannel": kannel.running, "jasmin": jasmin.running}


def measure(options: Options) -> dict[str, Any]:
    """Run and answer the figures. Raises SystemExit if something is not installed."""
    if packages := [*kannel.missing(), *jasmin.missing()]:
        raise SystemExit(f"This needs packages: apt-get install {' '.join(packages)}")
    jasmin.install()
    names = list(SUBJECTS)
    rounds: list[dict[str, Any]] = []
    described: dict[str, Any] = {}
    for number in range(options.rounds or ROUNDS):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            with (
                tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder,
                SUBJECTS[name](Path(folder)) as subject,
            ):
                described[name] = _description(subject)
                rounds.append({"round": number + 1, "name": name, **_round(subject, options.seconds)})
    return {**_summary(rounds), "raw": {"rounds": rounds, "subjects": described}}


def _round(subject: Subject, seconds: int | None) -> dict[str, Any]:
    status, body = answer_of(subject.request)
    if not subject.is_accepted(status, body):
        raise RuntimeError(f"not accepted: {status} {body}")
    wrk.load(subject.request, WARM_UP_S)
    before, cpu_before = subject.accepted(), processes.cpu_s(subject.pids)
    with sampled(subject) as samples:
        load = wrk.load(subject.request, seconds or DURATION_S)
        cpu = processes.cpu_s(subject.pids)
    return {
        "accepts_per_s": round(load.per_s),
        "answers_2xx": load.accepted,
        "not_2xx": load.refused,
        "counted_by_itself": subject.accepted() - before,
        "latency_ms": load.latency_ms,
        "cpu_us_per_accept": cpu_us_each(cpu_before, cpu, load.accepted),
        "samples": asdict(samples),
        "wrk": load.raw,
    }


def _description(subject: Subject) -> dict[str, Any]:
    return {
        "durability": subject.durability,
        "request": asdict(subject.request),
        "versions": dict(subject.versions),
        "configuration": {name: text.replace(str(HERE), ".") for name, text in subject.configuration.items()},
    }


def _summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    by_name = {name: [each for each in rounds if each["name"] == name] for name in SUBJECTS}
    medians = {
        name: statistics.median(each["accepts_per_s"] for each in own) for name, own in by_name.items()
    }
    return {
        "connections": wrk.CONNECTIONS,
        "accepts_per_s": {
            name: "/".join(str(each["accepts_per_s"]) for each in own) for name, own in by_name.items()
        },
        "median": medians,
        "ours_to": {
            name: round(medians[OURS] / median, 2) for name, median in medians.items() if name != OURS
        },
        "p99_ms": {
            name: statistics.median(each["latency_ms"]["99"] for each in own) for name, own in by_name.items()
        },
        "samples_wrong": {
            name: sum(each["samples"]["wrong"] for each in own) for name, own in by_name.items()
        },
        **{f"cpu_us_per_accept {name}": own[-1]["cpu_us_per_accept"] for name, own in by_name.items()},
    }
