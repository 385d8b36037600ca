"""What is compared: a gateway that takes messages over HTTP, ours or another one."""

import http.client
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.wrk import Request

SAMPLE_EVERY_S = 0.25
BODIES_KEPT = 5


@dataclass(frozen=True, slots=True)
class Subject:
    """A gateway that runs.

    `is_accepted` judges an answer by status and body; `accepted` is how many messages the gateway itself says it has
    taken so far. `configuration` holds the files it runs with, `versions` what it is made of.
    """

    request: Request
    is_accepted: Callable[[int, str], bool]
    accepted: Callable[[], int]
    pids: Mapping[str, int]
    configuration: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    durability: str = ""


@dataclass(slots=True)
class Samples:
    """Answers looked at one by one while the load runs."""

    right: int = 0
    wrong: int = 0
    bodies: list[str] = field(default_factory=list[str])


@contextmanager
def sampled(subject: Subject) -> Generator[Samples]:
    """Look at an answer every SAMPLE_EVERY_S; complete once the block has ended."""
    samples, ended = Samples(), threading.Event()

    def look() -> None:
        while not ended.wait(SAMPLE_EVERY_S):
            status, body = answer_of(subject.request)
            if subject.is_accepted(status, body):
                samples.right += 1
            else:
                samples.wrong += 1
            if len(samples.bodies) < BODIES_KEPT:
                samples.bodies.append(f"{status} {body[:200]}")

    thread = threading.Thread(target=look, name="samples")
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def answer_of(request: Request) -> tuple[int, str]:
    """Status and body of one request; 0 and the fault if nobody answered."""
    asked = urllib.request.Request(  # noqa: S310 - our own loopback address
        request.url, data=request.body.encode() or None, headers=dict(request.headers)
    )
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as fault:
        return 0, str(fault)


def url(base: str, **parameters: str) -> str:
    """An address with a query."""
    return f"{base}?{urllib.parse.urlencode(parameters)}"
