"""Whatever the wire does to what is said on it: it means the same."""

from pathlib import Path

import pytest

from tests.integration.modem.faults.bench import Bench, bench
from tests.integration.modem.faults.covering import about

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "A message that needs three segments. " * 10


@pytest.fixture(scope="module")
def time_scale() -> float:
    """A slow wire needs time."""
    return 4.0


async def works(shared: Bench) -> None:
    """Everything goes out and comes in while the wire is bad, also a set-up."""
    messages = [shared.offer(), shared.offer(LONG), shared.offer()]
    shared.emulator.deliver("through a bad wire")
    shared.emulator.deliver("and a long one " * 20, order=(2, 1))
    for message in messages:
        await shared.delivered(message)
    await shared.until(lambda: len(shared.texts()) == 2)
    assert sorted(shared.texts()) == sorted(["through a bad wire", "and a long one " * 20])
    shared.emulator.faults.add("reboot")
    await shared.not_ready("starting")
    await shared.delivered(shared.offer())
    shared.emulator.faults.clear()
    await shared.check()


@about("split_reads")
async def test_what_comes_byte_by_byte_is_understood(shared: Bench) -> None:
    shared.emulator.faults.add("split_reads")
    await works(shared)


@about("slow_reads")
async def test_what_comes_slowly_is_understood(shared: Bench) -> None:
    shared.emulator.faults.add("slow_reads", bytes_per_s=5000.0)
    await works(shared)


@about("merged_reads")
async def test_what_comes_in_one_piece_is_understood(shared: Bench) -> None:
    shared.emulator.faults.add("merged_reads", delay_s=0.005)
    await works(shared)


@about("garbage")
async def test_bytes_that_mean_nothing_are_passed_over(shared: Bench) -> None:
    shared.emulator.faults.add("garbage", count=200)
    await works(shared)


@about("vanish", "vanish_in_send", "reboot_in_send", "hang_after_pdu", "no_prompt")
async def test_modem_behind_a_tcp_port_is_treated_as_one_on_a_device_file(tmp_path: Path) -> None:
    async with bench(tmp_path, is_tcp=True) as own:
        own.begin()
        own.emulator.faults.add("vanish", away_s=0.3)
        await own.until(lambda: bool({"port_missing", "port_failed"} & set(own.reasons())))
        own.emulator.faults.add("no_prompt")
        await own.check()
        for fault in ("reboot_in_send", "vanish_in_send", "hang_after_pdu"):
            own.begin()
            if fault != "hang_after_pdu":
                own.find_network_once_set_up()
            own.emulator.faults.add(fault)
            message = own.offer()
            report = await own.settled(message)
            assert report.WhichOneof("outcome") == "outcome_unknown"
            own.emulator.faults.clear("hang")
            await own.delivered(message)
            assert own.payloads_of(message) == [1]
            await own.check()
