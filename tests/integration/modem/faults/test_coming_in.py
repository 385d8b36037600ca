"""Whatever goes wrong with what comes in: every message reaches the core, once."""

import pytest

from drivers.modem.emulator import Inbound, Kind
from infinireach.v1.device_pb2 import DEVICE_STATE_DEGRADED
from tests.integration.modem.faults.bench import Bench
from tests.integration.modem.faults.covering import about

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def time_scale() -> float:
    """Much here is found by looking every minute or two."""
    return 50.0


async def arrived(bench: Bench, *texts: str) -> None:
    """Wait until these texts have come in; they are all that did."""
    await bench.until(lambda: len(bench.texts()) >= len(texts))
    assert sorted(bench.texts()) == sorted(texts)


@about("lost_cmti")
async def test_message_that_nobody_announced_is_found(shared: Bench) -> None:
    shared.emulator.faults.add("lost_cmti")
    shared.emulator.deliver("unannounced")
    await arrived(shared, "unannounced")
    await shared.check()
    assert shared.texts() == ["unannounced"]


@about("index_reuse")
async def test_slot_that_somebody_else_emptied_is_not_emptied_again(shared: Bench) -> None:
    shared.emulator.faults.add("index_reuse")
    shared.emulator.deliver("first")
    await arrived(shared, "first")
    shared.emulator.deliver("second")
    await arrived(shared, "first", "second")
    await shared.check()
    assert shared.texts() == ["first", "second"]


@about("inbound_doubled")
async def test_message_that_the_network_delivers_twice_comes_once(shared: Bench) -> None:
    shared.emulator.faults.add("inbound_doubled")
    shared.emulator.deliver("once")
    shared.emulator.deliver("and another")
    await arrived(shared, "once", "and another")
    await shared.check()
    assert sorted(shared.texts()) == ["and another", "once"]


@about("memory_full")
async def test_full_memory_is_told_and_what_waits_at_the_network_comes_later(shared: Bench) -> None:
    shared.emulator.faults.add("memory_full")
    shared.emulator.deliver("later")
    await shared.not_ready("memory_full")
    change = shared.changes()[-1]
    assert change.state == DEVICE_STATE_DEGRADED
    assert change.remedy
    # It can send all the same; only the reports have no room.
    message = shared.offer()
    await shared.settled(message)
    shared.emulator.faults.clear("memory_full")
    await arrived(shared, "later")
    await shared.delivered_in_the_end(message)
    await shared.until(lambda: shared.reasons()[-1] == "")
    await shared.check()


@about("cnmi_reset")
async def test_modem_that_routes_nothing_any_more_is_set_up_again(shared: Bench) -> None:
    shared.emulator.faults.add("cnmi_reset")
    shared.emulator.deliver("not routed")
    await arrived(shared, "not routed")
    await shared.not_ready("starting")
    # Its reports are routed again as well.
    await shared.check()
    assert shared.texts() == ["not routed"]


async def test_long_message_out_of_order_comes_as_one(shared: Bench) -> None:
    text = "Every part of it counts, in whatever order. " * 10
    shared.emulator.deliver(text, order=(3, 1, 2))
    await arrived(shared, text)
    await shared.check()


@pytest.mark.parametrize("kind", [Kind.FLASH, Kind.BINARY, Kind.MMS, Kind.MALFORMED])
async def test_every_kind_of_message_reaches_the_core(shared: Bench, kind: Kind) -> None:
    shared.emulator.modem.deliver(Inbound("something", kind=kind))
    if kind is Kind.FLASH:
        # The modem shows it and keeps it nowhere; only a driver that has it routed could see it.
        await shared.check()
        return
    await shared.until(lambda: len(shared.texts()) == 1)
    await shared.check()


@pytest.mark.parametrize("kind", [Kind.SILENT, Kind.SIM])
async def test_what_is_for_nobody_leaves_the_memory_and_holds_up_nothing(shared: Bench, kind: Kind) -> None:
    shared.emulator.modem.deliver(Inbound("something", kind=kind))
    shared.emulator.deliver(f"behind the {kind}")
    await arrived(shared, f"behind the {kind}")
    await shared.until(lambda: not any(shared.emulator.modem.stored().values()))
    await shared.check()
