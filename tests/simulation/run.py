"""Runs one seed from beginning to end.

Owns what a world borrows from the process it runs in: randomness of ids, the log, a folder for journals.
"""

import contextlib
import gc
import logging
import random
import tempfile
import uuid
from collections import Counter
from collections.abc import Generator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import structlog

from core import ids
from tests.simulation.checker import Finding, Rule
from tests.simulation.plan import Plan, draw_plan
from tests.simulation.trace import Trace
from tests.simulation.virtual_time import StandsStill, VirtualLoop, current_process, virtual_loop
from tests.simulation.world import World

MEMORY_FOLDER = Path("/dev/shm")

EXPECTED_ERRORS = {"driver.send_failed", "journal.unwritable", "driver.superseded", "journal.renewed"}
"""Errors in the gateway's log that the faults of a world cause."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a world."""

    seed: int
    findings: list[Finding]
    counts: Counter[str]
    states: Counter[str]
    lines: list[str]
    ended_at_s: float


def run_seed(seed: int, *, is_traced: bool = False) -> Outcome:
    """Run the world of a seed."""
    return run_plan(draw_plan(seed), is_traced=is_traced)


def run_plan(plan: Plan, *, is_traced: bool = False) -> Outcome:
    """Run a world."""
    trace = Trace(is_wanted=is_traced)
    with _no_collection(), _folder() as folder, _seeded_ids(plan.seed), virtual_loop() as loop:
        world = loop.run_until_complete(_make(plan, folder, trace))
        with _log_into(world):
            _live(loop, world)
            states = world.database.query(
                "SELECT state, count(*) FROM message WHERE direction = 'outbound' GROUP BY state"
            )
            outcome = Outcome(
                plan.seed,
                world.checker.findings,
                world.counts,
                Counter(dict(states)),
                trace.lines,
                loop.time(),
            )
    return outcome


async def _make(plan: Plan, folder: Path, trace: Trace) -> World:
    return World(plan, folder, trace)


def _live(loop: VirtualLoop, world: World) -> None:
    def note(_: Any, context: dict[str, Any]) -> None:
        process = current_process()
        if process is None or process.is_alive:
            world.checker.find(
                Rule.FAULT, f"{context.get('message')} {context.get('task')} {context.get('exception')!r}"
            )

    loop.set_exception_handler(note)
    try:
        loop.run_until_complete(world.run())
    except StandsStill:
        world.checker.find(Rule.LIVENESS, "everything waits for something that never comes")
    loop.run_until_complete(world.end())


@contextlib.contextmanager
def _no_collection() -> Generator[None]:
    """Collect between worlds only: CPython 3.11 was seen to crash in a collection while tasks of a world were made."""
    gc.disable()
    gc.freeze()  # what was there before need not be looked at after each world
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
        gc.enable()


@contextlib.contextmanager
def _folder() -> Generator[Path]:
    where = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where, prefix="simulation-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def _seeded_ids(seed: int) -> Generator[None]:
    """Ids come from the seed while the world lives."""
    chance = random.Random(f"ids {seed}")
    secrets_before, uuid_before = ids.secrets, ids.uuid
    names = ids.__dict__
    names["secrets"] = SimpleNamespace(randbits=chance.getrandbits)
    names["uuid"] = SimpleNamespace(uuid4=lambda: uuid.UUID(int=chance.getrandbits(128), version=4))
    try:
        yield
    finally:
        names |= {"secrets": secrets_before, "uuid": uuid_before}


@contextlib.contextmanager
def _log_into(world: World) -> Generator[None]:
    """The gateway's log goes into the trace; errors in it that no fault explains are findings."""

    def collect(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        process = current_process()
        if process is None or process.is_alive:
            world.trace.logged(event)
            if method in ("error", "exception", "critical") and event["event"] not in EXPECTED_ERRORS:
                world.checker.find(Rule.FAULT, f"logged: {dict(event)}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[collect],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
