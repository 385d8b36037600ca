"""One world: the processes, the radio and the network of a plan, and what the seed does to them.

Owns the conditions that everything lives under: delays, full disks, lost hints, sudden deaths. First comes chaos,
then everything is repaired and must come to rest in bounded time, then the world is judged.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.sessions.protocol import Frame, SessionLimits
from infinireach.driver.v1.command_pb2 import SendCommand
from tests.simulation.checker import Checker, Rule
from tests.simulation.core_host import CoreHost, CoreSettings
from tests.simulation.database import Database, Job
from tests.simulation.driver_host import CallersIds, DriverInstance, Modem
from tests.simulation.faults import Faults
from tests.simulation.network import LOST, Reset, Stream
from tests.simulation.plan import CRASH_POINTS, Plan, draw_script
from tests.simulation.radio import HandOver, Radio, Script
from tests.simulation.rest import what_is_left
from tests.simulation.trace import Trace
from tests.simulation.traffic import Clients
from tests.simulation.verdict import judge_world
from tests.simulation.virtual_time import Process

REST_S = 2.0
"""How often a repaired world is asked whether it has come to rest."""

REST_MAX_S = 600.0
"""By when it must have."""

SERVICE_CALLS = 2
SERVICE_S = 5.0
"""A repaired world serves its clients again: so many calls, in about so many seconds."""

SERVICE_TTL_MS = 300_000
"""Enough for what is accepted then never to expire."""

STILL_S = 5.0
"""How long nothing may be left before it counts as rest."""


class World:
    """Everything that a seed makes."""

    def __init__(self, plan: Plan, folder: Path, trace: Trace) -> None:
        self.plan = plan
        self.trace = trace
        self.chance = random.Random(f"world {plan.seed}")
        self.database = Database()
        self.database.observer = self
        knows_command_ids = plan.driver_class is CallersIds
        self.checker = Checker(
            self.database, asyncio.get_running_loop().time, network_knows_command_ids=knows_command_ids
        )
        self.scripts: dict[str, Script] = {}
        self.is_chaotic = True
        self.is_over = False
        self.slow_link_until_s = self.core_disk_full_until_s = 0.0
        self.slow_core_until_s: dict[str, float] = {}
        self.journal_full_until_s: dict[str, float] = {}
        self.counts: Counter[str] = Counter()
        self.losses_of_reports: set[str] = set()
        self.losses_of_inbound: Counter[str] = Counter()
        self.inbound_journals: dict[str, set[str]] = {}
        self.streams: list[Stream] = []
        self.radio = Radio(self._script_of, self._handed_over, knows_command_ids=knows_command_ids)
        self.cores = [
            CoreHost(self, self._core_settings(), n, self._core_ended) for n in range(1, plan.cores + 1)
        ]
        self.modems = {name: self._make_modems(n) for n, name in enumerate(self._driver_names())}
        self.instances = [
            self._make_instance(name, number, folder) for name in self.modems for number in (1, 2)
        ]
        self.clients = Clients(
            self.chance,
            self.checker,
            [number for modems in self.modems.values() for modem in modems for number in modem.numbers],
            choose_core=self.choose_core,
            write_script=self._write_script,
        )
        self.faults = Faults(self)
        self._context = copy_context()
        self._tasks: set[asyncio.Task[Any]] = set()

    # Making it.

    def _driver_names(self) -> list[str]:
        return [f"driver-{n}" for n in range(1, self.plan.drivers + 1)]

    def _core_settings(self) -> CoreSettings:
        plan = self.plan
        limits = SessionLimits(
            heartbeat_interval_s=plan.heartbeat_interval_s,
            heartbeat_timeout_s=plan.heartbeat_timeout_s,
            replay_timeout_s=60.0,
            frame_bytes_max=262_144,
            unacknowledged_facts_max=plan.unacknowledged_facts_max,
        )
        return CoreSettings(limits, plan.lease_s, plan.poll_s, plan.sweep_s, round(plan.ttl_s * 1000))

    def _make_modems(self, driver: int) -> list[Modem]:
        return [
            Modem(
                f"modem-{driver + 1}{n + 1}",
                (f"+1555000{driver}{n}01",),
                self.chance.randint(1, self.plan.window_max),
            )
            for n in range(self.plan.devices)
        ]

    def _make_instance(self, name: str, number: int, folder: Path) -> DriverInstance:
        return DriverInstance(
            conditions=self,
            driver=name,
            number=number,
            path=folder / f"{name}-{number}.db",
            modems=self.modems[name],
            driver_class=self.plan.driver_class,
            chance=random.Random(f"client {self.plan.seed} {name} {number}"),
            on_end=self._instance_ended,
        )

    def _write_script(self, label: str) -> None:
        self.scripts[label] = draw_script(self.chance)

    def _script_of(self, text: str) -> Script:
        return self.scripts[text.split(maxsplit=1)[0]]

    # Conditions.

    def now_s(self) -> float:
        """Seconds since it began."""
        return asyncio.get_running_loop().time()

    def commit_delay_s(self, process: Process) -> float:
        """See StoreConditions."""
        slow = self.slow_core_until_s.get(process.name, 0.0) > self.now_s()
        return self.chance.uniform(0.2, 1.8) * (self.plan.commit_s + (1.5 if slow else 0.0))

    def answer_delay_s(self) -> float:
        """See StoreConditions."""
        return self.chance.uniform(0.0, 1.0) * self.plan.commit_s

    def jobs_per_commit(self) -> int:
        """See StoreConditions."""
        return self.plan.jobs_per_commit

    def is_disk_full(self) -> bool:
        """See StoreConditions."""
        return self.core_disk_full_until_s > self.now_s()

    def journal_delay_s(self) -> float:
        """See DriverConditions."""
        return self.chance.uniform(0.1, 1.0) * self.plan.journal_s

    def radio_delay_s(self) -> float:
        """See DriverConditions."""
        return self.chance.uniform(0.1, 1.0) * self.plan.radio_s

    def is_journal_full(self, driver: str) -> bool:
        """See DriverConditions."""
        return self.journal_full_until_s.get(driver, 0.0) > self.now_s()

    def settled_commands_max(self) -> int:
        """See DriverConditions."""
        return self.plan.settled_commands_max

    def latency_s(self) -> float:
        """How long a frame is on its way."""
        slow = self.slow_link_until_s > self.now_s()
        return self.chance.uniform(0.1, 2.0) * (self.plan.latency_s + (2.0 if slow else 0.0))

    def loses_hint(self) -> bool:
        """See CoreConditions."""
        return self.chance.random() < self.plan.hints_lost

    def crashes(self, process: Process, point: str) -> bool:
        """Kill the process at this point, if the seed says so."""
        if not process.is_alive:
            return True
        if not self.is_chaotic or self.chance.random() >= self.plan.crash_odds * CRASH_POINTS[point]:
            return False
        self.counts[f"crash {point}"] += 1
        self.trace.note(process.name, f"dies {point}")
        process.kill()
        return True

    def excuse(self, command_id: str, why: str) -> None:
        """See DriverConditions."""
        self.checker.excuses.setdefault(command_id, why)

    def inbound_journalled(self, text: str, journal_id: str) -> None:
        """See DriverConditions."""
        self.inbound_journals.setdefault(text, set()).add(journal_id)

    def died(self, process: Process, error: BaseException) -> None:
        """A process ended with an error that nobody foresaw."""
        if process.is_alive:
            self.checker.find(Rule.FAULT, f"{process.name} ended with {error!r}")

    # What is seen.

    def changed(self, job: Job) -> None:
        """A transaction is about to be committed."""
        self.counts["commits"] += 1
        self.checker.changed(job)
        self.trace.committed(job, self.checker.now)

    def failed(self, job: Job) -> None:
        """A transaction raised an error."""
        self.trace.note("core", f"{getattr(job.function, '__name__', '?')} raised {job.error!r}")
        self.checker.failed(job)

    def wire(self, stream: Stream, frame: Frame) -> None:
        """A core writes a frame."""
        self.trace.frame_down(stream.driver, frame)
        self.checker.wire(stream, frame)
        if frame.HasField("welcome"):
            self.radio.hold_back(stream.driver, is_held=False)
            if self.is_chaotic and self.chance.random() < self.plan.welcomes_lost:
                self.later(0.0, lambda: self.faults.lose_driver_end(stream))

    def hello(self, stream: Stream) -> None:
        """A core has read a hello."""
        self.counts["hellos"] += 1

    def _handed_over(self, hand_over: HandOver, command: SendCommand) -> None:
        self.counts["hand-overs"] += 1
        self.trace.note(hand_over.process, f"hands over {hand_over.command_id}, taken: {hand_over.is_taken}")
        started = set[str]().union(
            *(i.journal.started for i in self.instances if i.is_running() and i.journal)
        )
        self.checker.handed_over(hand_over, command, self.radio.hand_overs, started)

    # The network.

    def choose_core(self) -> CoreHost | None:
        """A core that takes calls."""
        running = [core for core in self.cores if core.is_running()]
        return self.chance.choice(running) if running else None

    def connect(self, driver: str) -> "asyncio.Future[Stream]":
        """A driver opens a stream."""
        loop = asyncio.get_running_loop()
        opening: asyncio.Future[Stream] = loop.create_future()
        loop.call_later(self.latency_s(), self._open, driver, opening)
        return opening

    def _open(self, driver: str, opening: "asyncio.Future[Stream]") -> None:
        if opening.done():
            return
        core = self.choose_core()
        if core is None:
            opening.set_exception(LOST.as_error())
            return
        stream = Stream(driver, self.latency_s)
        self.streams = [each for each in self.streams if each.is_open()]
        self.streams.append(stream)
        core.connect(stream)
        opening.set_result(stream)

    # Lives.

    def _core_ended(self, core: CoreHost) -> None:
        if self.is_over:
            return
        for stream in core.streams:
            if stream.down.end is None:
                self.faults.tell(lambda stream=stream: stream.down.break_off(LOST))
        delay_s = self.chance.uniform(0.2, 6.0) if self.is_chaotic else 0.1
        self.later(delay_s, lambda: self.ensure_core(core))

    def _instance_ended(self, instance: DriverInstance, status: int | None) -> None:
        if self.is_over:
            return
        self.trace.note(instance.name, f"ended with {status}")
        self.radio.process_ended(instance.driver)
        for stream in self.streams:
            if stream.driver == instance.driver and status is None:
                self.faults.tell(lambda stream=stream: stream.up.break_off(Reset()))
        if self.is_chaotic and instance.number == 1:
            self.later(self.chance.uniform(0.2, 8.0), lambda: self.ensure_instance(instance))

    def ensure_core(self, core: CoreHost) -> None:
        """Start a core that is down."""
        if not core.process.is_alive:
            self.trace.note(core.name, "starts")
            core.start()

    def ensure_instance(self, instance: DriverInstance) -> None:
        """Start a driver that is down."""
        if not instance.is_running():
            self.trace.note(instance.name, "starts")
            instance.start()

    def later(self, delay_s: float, action: Any) -> None:
        """Do something by and by."""
        asyncio.get_running_loop().call_later(delay_s, action)

    def keep(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run something beside everything else."""
        task = asyncio.get_running_loop().create_task(coroutine, context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """Stop every process where it is, and let its tasks unwind."""
        self.is_over = True
        running = [core.process for core in self.cores] + [i.process for i in self.instances if i.process]
        for process in running:
            process.kill()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # Its course.

    async def run(self) -> None:
        """Chaos, repair, rest, judgement."""
        for core in self.cores:
            core.start()
        for instance in self.instances:
            if instance.number == 1:
                instance.start()
        await asyncio.sleep(self.chance.uniform(0.0, 2.0))
        traffic = asyncio.create_task(self.clients.run(self.plan.batches, self.plan.chaos_s))
        await self.faults.run(self.plan.chaos_s)
        traffic.cancel()
        await asyncio.wait([traffic])
        self._repair()
        if await self._comes_to_rest():
            judge_world(self)

    def _repair(self) -> None:
        self.trace.note("world", "is repaired")
        self.is_chaotic = False
        self.slow_link_until_s = self.core_disk_full_until_s = 0.0
        self.slow_core_until_s.clear()
        self.journal_full_until_s.clear()
        latest_s = max([0.0, *(core.clock.offset_s for core in self.cores), self.faults.latest_clock_s])
        for core in self.cores:
            core.clock.offset_s = latest_s
            core.settings = replace(core.settings, ttl_ms=SERVICE_TTL_MS)
            self.ensure_core(core)
        for instance in self.instances:
            instance.clock.offset_s = latest_s
        self.faults.restore_devices()
        for instance in self.instances:
            if instance.number == 1:
                self.ensure_instance(instance)
            elif instance.is_running() and instance.process is not None:
                instance.process.kill()

    async def _comes_to_rest(self) -> bool:
        """Wait until nothing is left to do; then let each other instance bring what it has."""
        others = [instance for instance in self.instances if instance.number == 2 and instance.starts]
        await asyncio.sleep(self.chance.uniform(0.0, SERVICE_S))
        self.clients.expect_service()
        await self.clients.run(SERVICE_CALLS, SERVICE_S)
        if not await self._rests("after the repair"):
            return False
        for instance in others:
            first = next(i for i in self.instances if i.driver == instance.driver and i.number == 1)
            for outgoing, incoming in ((first, instance), (instance, first)):
                outgoing.stop()
                while outgoing.is_running():  # noqa: ASYNC110 - a simulated process has no event of ours
                    await asyncio.sleep(0.5)
                self.ensure_instance(incoming)
                if not await self._rests(f"after {incoming.name} took over"):
                    return False
        return True

    async def _rests(self, when: str) -> bool:
        deadline_s = self.now_s() + REST_MAX_S
        still_s = 0.0
        while still_s < STILL_S:
            if self.now_s() > deadline_s:
                self.checker.find(
                    Rule.LIVENESS, f"{when}, there is still something to do: {what_is_left(self)}"
                )
                return False
            if not self.clients.are_answered() and self.clients.is_idle():
                await self.clients.repeat_unanswered()
            await asyncio.sleep(REST_S)
            still_s = still_s + REST_S if not what_is_left(self) else 0.0
            for instance in self.instances:
                siblings = [each for each in self.instances if each.driver == instance.driver]
                if instance.number == 1 and not any(each.is_running() for each in siblings):
                    self.ensure_instance(instance)
        return True
