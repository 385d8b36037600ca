"""The core hears one condition for a modem, the one that matters most, and only when it changes."""

import pytest

from drivers.modem.conditions import CONDITIONS, Condition, Reason
from drivers.modem.config import ModemConfig
from drivers.modem.life.pacing import Pacer
from drivers.modem.life.standing import Standing
from drivers.modem.setup.reception import Reception
from drivers.modem.timing import Timing
from infinireach.v1.device_pb2 import DEVICE_STATE_ATTENTION, DEVICE_STATE_DEGRADED, DEVICE_STATE_ONLINE
from infinireach.v1.message_pb2 import FAILURE_REASON_DEVICE_FAULT, FAILURE_REASON_NO_SERVICE
from tests.unit.drivers.modem.memory_host import MemoryHost

TIMING = Timing()
CONFIG = ModemConfig("alpha", "/dev/ttyUSB0", "+491701234567", parts_per_day=2)


def heard(*, registered: bool = True, denied: bool = False, signal: int = 60) -> Reception:
    return Reception(
        is_registered=registered, is_denied=denied, is_roaming=False, signal_percent=signal, operator="26201"
    )


class Desk:
    """A standing with its surroundings."""

    def __init__(self) -> None:
        self.host = MemoryHost()
        context = self.host.context()
        self.pacer = Pacer(context, CONFIG, TIMING)
        self.standing = Standing(context, "alpha", self.pacer, TIMING)

    async def told(self) -> list[tuple[str, int]]:
        """Reason and window of each report since the last call."""
        await self.standing.tell()
        told = [(change.reason, change.window) for change in self.host.changes]
        self.host.changes.clear()
        return told

    async def online(self) -> None:
        self.standing.has_line()
        self.standing.heard(heard())
        await self.told()


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_nothing_is_told_until_something_changes(desk: Desk) -> None:
    assert await desk.told() == []
    desk.standing.has_line()
    assert await desk.told() == [("searching", 0)]
    desk.standing.heard(heard())
    assert await desk.told() == [("", 3)]
    desk.standing.heard(heard(signal=64))
    assert await desk.told() == []


async def test_report_says_state_remedy_and_signal(desk: Desk) -> None:
    desk.standing.on_the_way(Condition(Reason.PORT_BUSY, "ModemManager has the port."))
    await desk.standing.tell()
    (change,) = desk.host.changes
    assert change.device_key == "alpha"
    assert change.state == DEVICE_STATE_ATTENTION
    assert change.remedy.startswith("ModemManager has the port. Another program")
    assert (change.window, change.signal_percent, change.battery_percent) == (0, -1, -1)


async def test_signal_that_changes_much_is_told(desk: Desk) -> None:
    await desk.online()
    desk.standing.heard(heard(signal=20))
    assert await desk.told() == [("", 3)]


async def test_lost_network_pauses_and_becomes_a_matter_for_a_person(desk: Desk) -> None:
    await desk.online()
    desk.standing.heard(heard(registered=False))
    assert await desk.told() == [("searching", 0)]
    desk.host.clock.now_s += TIMING.registration_s
    assert await desk.told() == [("no_network", 0)]
    desk.standing.heard(heard())
    assert await desk.told() == [("", 3)]


async def test_denied_registration_is_told_at_once(desk: Desk) -> None:
    await desk.online()
    desk.standing.heard(heard(registered=False, denied=True))
    assert await desk.told() == [("registration_denied", 0)]


async def test_three_failures_in_a_row_rest_the_modem_and_each_time_for_longer(desk: Desk) -> None:
    await desk.online()
    for _ in range(3):
        assert await desk.told() == []
        desk.standing.failed()
    assert await desk.told() == [("failing", 0)]
    assert not desk.standing.may_be_tried_again
    desk.host.clock.now_s += TIMING.failing_s
    assert desk.standing.may_be_tried_again
    desk.standing.rested()
    assert await desk.told() == [("", 3)]
    desk.standing.failed()
    assert await desk.told() == [("failing", 0)]
    desk.host.clock.now_s += TIMING.failing_s
    assert not desk.standing.may_be_tried_again
    desk.host.clock.now_s += TIMING.failing_s
    assert desk.standing.may_be_tried_again


async def test_success_between_failures_keeps_the_modem_at_work(desk: Desk) -> None:
    await desk.online()
    for _ in range(10):
        desk.standing.failed()
        desk.standing.failed()
        desk.standing.succeeded()
    assert await desk.told() == []


async def test_day_limit_pauses_until_the_next_day(desk: Desk) -> None:
    await desk.online()
    await desk.pacer.turn()
    await desk.pacer.turn()
    assert await desk.told() == [("daily_limit", 0)]
    desk.host.clock.now_s += 86_400
    assert await desk.told() == [("", 3)]


async def test_full_memory_and_sweeping_do_not_stop_sending(desk: Desk) -> None:
    await desk.online()
    desk.standing.mark(Reason.POLLING, holds=True)
    assert await desk.told() == [("polling", 3)]
    desk.standing.mark(Reason.MEMORY_FULL, holds=True)
    assert await desk.told() == [("memory_full", 3)]
    desk.standing.mark(Reason.MEMORY_FULL, holds=False)
    desk.standing.mark(Reason.POLLING, holds=False)
    assert await desk.told() == [("", 3)]


async def test_missing_message_centre_stops_sending_only_where_there_is_a_network(desk: Desk) -> None:
    desk.standing.has_line()
    desk.standing.mark(Reason.SMSC_MISSING, holds=True)
    assert await desk.told() == [("searching", 0)]
    desk.standing.heard(heard())
    assert await desk.told() == [("smsc_missing", 0)]


async def test_next_set_up_begins_without_what_was_wrong_before(desk: Desk) -> None:
    await desk.online()
    desk.standing.mark(Reason.MEMORY_FULL, holds=True)
    desk.standing.on_the_way(Condition(Reason.STARTING))
    assert await desk.told() == [("starting", 0)]
    await desk.online()
    assert desk.standing.condition == Condition(Reason.READY)


async def test_who_waits_for_a_modem_to_come_up_or_go_down_is_woken(desk: Desk) -> None:
    assert desk.standing.down.is_set()
    await desk.online()
    assert desk.standing.up.is_set()
    assert not desk.standing.down.is_set()


async def test_command_that_is_not_started_gets_a_reason_that_is_retried(desk: Desk) -> None:
    assert desk.standing.failure_reason == FAILURE_REASON_DEVICE_FAULT
    desk.standing.has_line()
    assert desk.standing.failure_reason == FAILURE_REASON_NO_SERVICE
    assert "alpha" in desk.standing.sentence
    assert "searching" in desk.standing.sentence


def test_every_reason_has_its_row_and_what_needs_a_person_says_what_to_do() -> None:
    assert set(CONDITIONS) == set(Reason)
    for reason, row in CONDITIONS.items():
        remedy = Condition(reason).remedy("alpha")
        assert len(reason) <= 64
        assert len(remedy) <= 400
        assert "{" not in remedy
        if row.state == DEVICE_STATE_ATTENTION:
            assert remedy
            assert not row.can_send
        if row.state == DEVICE_STATE_ONLINE:
            assert row.can_send
        if row.state == DEVICE_STATE_DEGRADED and row.can_send:
            assert remedy
