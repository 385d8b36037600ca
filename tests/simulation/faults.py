"""What a seed does to its world while chaos lasts.

Owns the faults, one method for each; their odds are in the plan.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from infinireach.driver.v1.command_pb2 import CancelCommand
from infinireach.driver.v1.driver_service_pb2 import ConnectResponse
from infinireach.v1.device_pb2 import DEVICE_STATE_ATTENTION, DEVICE_STATE_DEGRADED, DEVICE_STATE_ONLINE
from tests.simulation import journal_files
from tests.simulation.driver_conditions import Modem
from tests.simulation.driver_host import CallersIds, DriverInstance
from tests.simulation.network import LOST, Reset, Stream
from tests.simulation.radio import News

if TYPE_CHECKING:
    from tests.simulation.world import World

CLOCK_JUMPS_S = (-900.0, -60.0, -5.0, 5.0, 60.0, 900.0, 7200.0)


class Faults:
    """All faults of a world."""

    def __init__(self, world: "World") -> None:
        self.latest_clock_s = 0.0
        """The furthest that any core's clock was ahead."""
        self._world = world
        self._chance = world.chance
        self._original = {
            name: [(modem.key, modem.numbers) for modem in modems] for name, modems in world.modems.items()
        }
        self._came_in = 0
        self._copies: dict[str, dict[str, bytes]] = {}
        """Of journals, by instance."""

    async def run(self, duration_s: float) -> None:
        """Faults at random moments for so many seconds."""
        world = self._world
        end_s = world.now_s() + duration_s
        actions: list[tuple[str, Callable[[], None], float]] = [
            (name, getattr(self, name), 1 / mean_s) for name, mean_s in world.plan.faults.items()
        ]
        total = sum(rate for *_, rate in actions)
        while total:
            await asyncio.sleep(self._chance.expovariate(total))
            if world.now_s() > end_s:
                return
            name, action, _ = self._chance.choices(actions, [rate for *_, rate in actions])[0]
            world.counts[name] += 1
            world.trace.note("world", name)
            action()
        await asyncio.sleep(duration_s)

    def tell(self, news: Callable[[], None]) -> None:
        """Let one side learn of the other's end: at once, later, or never while chaos lasts."""
        kind = self._chance.random()
        if kind < 0.5:
            news()
        elif kind < 0.75:
            self._world.later(self._chance.uniform(0.1, 10.0), news)

    # Links.

    def cut(self) -> None:
        """A stream breaks; its last frames are lost on either side."""
        open_streams = [stream for stream in self._world.streams if stream.is_open()]
        if not open_streams:
            return
        stream = self._chance.choice(open_streams)
        for pipe in (stream.up, stream.down):
            pipe.lose(self._chance.randint(0, pipe.on_its_way()))
        self.tell(lambda: stream.up.break_off(Reset()))
        self.tell(lambda: stream.down.break_off(LOST))

    def half_open(self) -> None:
        """A stream breaks and only the driver learns of it: the core believes in it until it is silent for too long."""
        believed = [
            stream for stream in self._world.streams if stream.up.end is None and stream.down.end is None
        ]
        if believed:
            self.lose_driver_end(self._chance.choice(believed))

    def lose_driver_end(self, stream: Stream) -> None:
        """See `half_open`."""
        stream.up.lose(self._chance.randint(0, stream.up.on_its_way()))
        stream.down.break_off(LOST)

    def slow_link(self) -> None:
        """Frames take seconds."""
        self._world.slow_link_until_s = self._world.now_s() + self._chance.uniform(1.0, 8.0)

    # Cores.

    def core_crash(self) -> None:
        """A core dies."""
        core = self._world.choose_core()
        if core is not None:
            core.process.kill()

    def core_restart(self) -> None:
        """A core leaves in order and comes back."""
        core = self._world.choose_core()
        if core is not None:
            self._keep(core.stop())

    def core_clock(self) -> None:
        """The clocks of all cores jump, not quite alike."""
        jump_s = self._chance.choice(CLOCK_JUMPS_S)
        for core in self._world.cores:
            core.clock.offset_s = jump_s + self._chance.uniform(-1.0, 1.0)
            self.latest_clock_s = max(self.latest_clock_s, core.clock.offset_s)

    def core_disk_full(self) -> None:
        """The database cannot be written for a while."""
        self._world.core_disk_full_until_s = self._world.now_s() + self._chance.uniform(0.5, 4.0)

    def slow_core(self) -> None:
        """Transactions of one core take seconds."""
        core = self._world.choose_core()
        if core is not None:
            until_s = self._world.now_s() + self._chance.uniform(1.0, 6.0)
            self._world.slow_core_until_s[core.process.name] = until_s

    # Drivers.

    def driver_crash(self) -> None:
        """A driver dies."""
        instance = self._running()
        if instance is not None and instance.process is not None:
            instance.process.kill()

    def driver_restart(self) -> None:
        """A driver leaves in order; its supervisor starts it again."""
        instance = self._running()
        if instance is not None:
            instance.stop()

    def second_instance(self) -> None:
        """Another process with the same name and a journal of its own."""
        others = [i for i in self._world.instances if i.number == 2 and not i.is_running()]
        if others:
            instance = self._chance.choice(others)
            self._world.ensure_instance(instance)
            self._world.later(self._chance.uniform(2.0, 15.0), instance.stop)

    def journal_lost(self) -> None:
        """A driver dies and its journal is gone."""
        instance = self._running()
        if instance is None or instance.process is None:
            return
        instance.process.kill()
        self._count_losses(instance)
        journal_files.remove(instance.path)

    def journal_restored(self) -> None:
        """A copy of a journal is made, or put back in place of the journal."""
        instance = self._running()
        if instance is None or instance.process is None:
            return
        copy = self._copies.pop(instance.name, None)
        if copy is None:
            self._copies[instance.name] = journal_files.read(instance.path)
        elif self._is_restorable(instance, copy):
            instance.process.kill()
            self._count_losses(instance)
            journal_files.remove(instance.path)
            journal_files.write(instance.path, copy)
            # Facts that are new before the core has looked would hide that others are gone.
            self._world.radio.hold_back(instance.driver, is_held=True)

    def _is_restorable(self, instance: DriverInstance, copy: dict[str, bytes]) -> bool:
        """Whether the core can tell this copy from the journal that it knows, before anything comes of it."""
        world = self._world
        if "second_instance" in world.plan.faults or world.plan.driver_class is CallersIds:
            return False  # the core may know another journal by then; what was started is sent again at once
        state = journal_files.state_of_copy(instance.path.with_name("copy.db"), copy)
        recovered = sum(entry.started for entry in state.open_commands)
        known = [row for row in world.checker.now.drivers.values() if row.name == instance.driver]
        if not known or known[0].journal_id != state.journal_id:
            return False
        return known[0].applied > state.last_sequence + recovered

    def _count_losses(self, instance: DriverInstance) -> None:
        journal_id, facts = journal_files.facts_of(instance.path)
        applied = self._world.checker.applied.get((instance.driver, journal_id), 0)
        for fact in (fact for fact in facts if fact.sequence > applied):
            if fact.HasField("command_report"):
                self._world.losses_of_reports.add(fact.command_report.command_id)
            elif fact.HasField("inbound_message"):
                self._world.losses_of_inbound[fact.inbound_message.text] += 1

    def driver_clock(self) -> None:
        """The clock of a driver jumps."""
        instance = self._running()
        if instance is not None:
            instance.clock.offset_s = self._chance.choice(CLOCK_JUMPS_S)

    def journal_full(self) -> None:
        """The journal cannot be written for a while."""
        instance = self._running()
        if instance is not None:
            until_s = self._world.now_s() + self._chance.uniform(0.5, 5.0)
            self._world.journal_full_until_s[instance.driver] = until_s

    def device_changed(self) -> None:
        """A device pauses, takes more or less, or needs somebody."""
        instance = self._running()
        if instance is None:
            return
        modem = self._chance.choice(instance.modems)
        modem.window = self._chance.randint(0, self._world.plan.window_max)
        modem.state = self._chance.choice((
            DEVICE_STATE_ONLINE,
            DEVICE_STATE_DEGRADED,
            DEVICE_STATE_ATTENTION,
        ))
        instance.tell_devices(modem)

    def devices_replaced(self) -> None:
        """Devices are unplugged and come back; numbers move between them."""
        instance = self._running()
        if instance is None or not self._knows_all(instance):
            return
        original = self._original[instance.driver]
        numbers = [number for _, own in original for number in own]
        self._chance.shuffle(numbers)
        keys = [key for key, _ in original if self._chance.random() < 0.7] or [original[0][0]]
        instance.modems[:] = [
            Modem(key, (numbers[n],), self._chance.randint(1, self._world.plan.window_max))
            for n, key in enumerate(keys)
        ]
        instance.tell_devices(None)

    def restore_devices(self) -> None:
        """Everything is plugged in as it was, and works."""
        for name, original in self._original.items():
            instances = [i for i in self._world.instances if i.driver == name]
            window = max(1, self._world.plan.window_max // 2)
            instances[0].modems[:] = [Modem(key, numbers, window) for key, numbers in original]
            for instance in instances:
                instance.tell_devices(None)

    def _knows_all(self, instance: DriverInstance) -> bool:
        query = (
            "SELECT count(*) FROM device JOIN driver ON driver.id = device.driver_id WHERE driver.name = ?"
        )
        return self._world.database.query(query, instance.driver)[0][0] == len(
            self._original[instance.driver]
        )

    def _running(self) -> DriverInstance | None:
        running = [instance for instance in self._world.instances if instance.is_running()]
        return self._chance.choice(running) if running else None

    # Clients and the network behind the radio.

    def cancel(self) -> None:
        """A client asks to cancel a message."""
        self._keep(self._world.clients.cancel_one())

    def cancel_command(self) -> None:
        """A driver is asked to give up a command, which may be at any stage."""
        rows = self._world.database.query(
            "SELECT message.id, attempt, name FROM message JOIN driver ON driver.id = driver_id"
            " WHERE state = 'sending' ORDER BY message.id"
        )
        if not rows:
            return
        message_id, attempt, driver = self._chance.choice(rows)
        frame = ConnectResponse(cancel_command=CancelCommand(command_id=f"{message_id}-{attempt}"))
        for stream in self._world.streams:
            if stream.driver == driver and stream.journal_id and stream.down.end is None:
                self._keep(stream.down.write(frame.SerializeToString()))

    def come_in(self) -> None:
        """A message comes in."""
        instance = self._chance.choice(self._world.instances)
        if not self._knows_all(instance):
            return
        self._came_in += 1
        modem = self._chance.choice(instance.modems)
        news = News(device_key=modem.key, number=modem.numbers[0], text=f"inbound {self._came_in}")
        self._world.radio.come_in(instance.driver, news)

    def _keep(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._world.keep(coroutine)
