"""What the driver notices by looking every minute or two: it tells the core, and notices as well that it is over."""

import pytest

from infinireach.v1.device_pb2 import DEVICE_STATE_ATTENTION, DEVICE_STATE_DEGRADED, DEVICE_STATE_ONLINE
from tests.integration.modem.faults.bench import Bench
from tests.integration.modem.faults.covering import about

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def time_scale() -> float:
    """Minutes are to be short; that a slow machine may look like a slow modem then changes nothing here."""
    return 50.0


@about("refuse")
async def test_modem_that_refuses_notifications_is_asked_now_and_then(shared: Bench) -> None:
    shared.emulator.faults.add("refuse", command="+CNMI=")
    shared.emulator.faults.add("reboot")
    await shared.not_ready("polling")
    change = shared.changes()[-1]
    assert (change.state, change.window > 0) == (DEVICE_STATE_ONLINE, True)
    shared.emulator.deliver("found all the same")
    await shared.until(lambda: shared.texts() == ["found all the same"])
    shared.emulator.faults.clear("refuse")
    shared.emulator.faults.add("reboot")
    await shared.until(lambda: shared.reasons()[-1] == "")
    await shared.check()


@about("no_smsc")
async def test_sim_that_lost_its_message_centre_is_told(shared: Bench) -> None:
    shared.emulator.faults.add("no_smsc")
    shared.emulator.faults.add("reboot")
    await shared.not_ready("smsc_missing")
    change = shared.changes()[-1]
    assert (change.state, change.window) == (DEVICE_STATE_ATTENTION, 0)
    assert change.remedy
    shared.emulator.faults.clear("no_smsc")
    await shared.check()


@about("no_signal")
async def test_modem_that_finds_no_network_for_a_minute_says_so(shared: Bench) -> None:
    shared.emulator.faults.add("no_signal")
    await shared.not_ready("no_network")
    change = shared.changes()[-1]
    assert (change.state, change.window) == (DEVICE_STATE_DEGRADED, 0)
    assert change.remedy
    shared.emulator.faults.clear("no_signal")
    await shared.check()
