"""Whatever happens to the modem itself: the core is told, nothing is lost or doubled, and it recovers by itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from infinireach.v1.device_pb2 import DEVICE_STATE_ATTENTION, DEVICE_STATE_DEGRADED
from infinireach.v1.message_pb2 import FAILURE_REASON_DEVICE_FAULT
from tests.integration.modem.faults.bench import Bench, bench
from tests.integration.modem.faults.covering import about
from tests.integration.modem.faults.nursery import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "A message that needs three segments. " * 10
SETTLED = {"delivered", "submitted", "failed"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nursery() -> AsyncIterator[Nursery]:
    async with Nursery() as nursery:
        yield nursery


async def recovers(
    shared: Bench, reason: str, *, state: int = DEVICE_STATE_DEGRADED, fault: str | None = None
) -> None:
    """Wait until the core hears of the trouble, end the fault, and wait until the core hears that it is over.

    Where a person is needed there is a remedy.
    """
    await shared.not_ready(reason)
    if fault is not None:
        shared.emulator.faults.clear(fault)
    change = next(change for change in shared.changes() if change.reason == reason)
    assert change.state == state
    assert change.window == 0
    assert change.remedy or state == DEVICE_STATE_DEGRADED
    await shared.ready()


@about("hang")
async def test_modem_that_hangs_is_waited_for_and_what_was_not_given_to_it_goes_back(shared: Bench) -> None:
    shared.emulator.faults.add("hang")
    message = shared.offer()
    report = await shared.settled(message)
    assert report.failed.reason == FAILURE_REASON_DEVICE_FAULT
    assert shared.payloads_of(message) == []
    await recovers(shared, "not_answering", fault="hang")
    await shared.check()


@about("wrong_port")
async def test_port_that_answers_nothing_is_told_from_a_modem(shared: Bench) -> None:
    shared.emulator.faults.add("wrong_port")
    message = shared.offer()
    await shared.settled(message)
    assert shared.payloads_of(message) == []
    await shared.until(lambda: bool({"not_answering", "resetting"} & set(shared.reasons())))
    shared.emulator.faults.clear("wrong_port")
    await shared.check()


@about("lost_result")
async def test_result_that_never_comes_leaves_the_outcome_to_the_report(shared: Bench) -> None:
    shared.wire.at_submit(lambda: shared.emulator.faults.add("lost_result"))
    message = shared.offer()
    assert (await shared.settled(message)).WhichOneof("outcome") == "outcome_unknown"
    await shared.delivered(message)
    assert shared.payloads_of(message) == [1]
    await shared.check()


@about("lost_result")
async def test_results_that_never_come_while_the_modem_is_set_up_only_delay_it(shared: Bench) -> None:
    shared.emulator.faults.add("reboot")
    shared.emulator.faults.add("lost_result", skip=8, count=2)
    await shared.not_ready("starting")
    await shared.check()


@about("sleepy")
async def test_command_that_a_sleepy_modem_overhears_is_not_taken_for_sent(shared: Bench) -> None:
    shared.wire.at_submit(lambda: shared.emulator.faults.add("sleepy"))
    message = shared.offer()
    report = await shared.settled(message)
    assert report.failed.reason == FAILURE_REASON_DEVICE_FAULT
    assert shared.payloads_of(message) == []
    await shared.check()


@about("refuse")
async def test_modem_that_refuses_what_it_must_do_is_tried_until_it_does(shared: Bench) -> None:
    shared.emulator.faults.add("refuse", command="+CMGF=")
    shared.emulator.faults.add("reboot")
    await shared.not_ready("set_up_refused")
    shared.emulator.faults.clear("refuse")
    await shared.check()


@about("echo_on")
async def test_echo_that_cannot_be_switched_off_changes_nothing(shared: Bench) -> None:
    shared.emulator.faults.add("echo_on")
    shared.emulator.faults.add("reboot")
    await shared.not_ready("starting")
    message = shared.offer(LONG)
    shared.emulator.deliver("with an echo")
    await shared.delivered(message)
    await shared.until(lambda: shared.texts() == ["with an echo"])
    shared.emulator.faults.clear("echo_on")
    await shared.check()


@about("reboot")
async def test_modem_that_restarts_is_set_up_again(shared: Bench) -> None:
    shared.emulator.faults.add("reboot")
    shared.emulator.deliver("while it restarts")
    messages = [shared.offer(f"number {n}") for n in range(4)]
    await recovers(shared, "starting")
    await shared.until(lambda: shared.texts() == ["while it restarts"])
    await shared.until(lambda: all(shared.command(each).state in SETTLED for each in messages))
    await shared.check()


@about("vanish")
@pytest.mark.parametrize("powered", [True, False])
async def test_port_that_vanishes_is_found_again(shared: Bench, *, powered: bool) -> None:
    shared.emulator.faults.add("vanish", away_s=0.5, powered=powered)
    text = f"while it is away and {'has' if powered else 'has no'} power"
    shared.emulator.deliver(text)
    await recovers(shared, "port_missing")
    await shared.until(lambda: shared.texts() == [text])
    await shared.check()


@about("sim_busy")
async def test_busy_sim_is_waited_for(shared: Bench) -> None:
    shared.emulator.faults.add("sim_busy", seconds=0.3)
    message = shared.offer()
    await shared.delivered(message)
    assert shared.payloads_of(message) == [1]
    await shared.check()


@about("sim_busy")
async def test_sim_that_is_busy_at_the_start_is_waited_for(shared: Bench) -> None:
    shared.emulator.faults.add("sim_busy", seconds=0.5)
    shared.emulator.faults.add("reboot")
    await recovers(shared, "starting")
    await shared.check()


@about("sim_busy")
async def test_sim_that_stays_busy_is_told(shared: Bench) -> None:
    shared.emulator.faults.add("sim_busy")
    shared.emulator.faults.add("reboot")
    await recovers(shared, "sim_busy", fault="sim_busy")
    await shared.check()


@about("no_sim")
async def test_missing_sim_is_told_and_a_sim_put_in_is_noticed(shared: Bench) -> None:
    shared.emulator.faults.add("no_sim")
    shared.emulator.faults.add("reboot")
    await recovers(shared, "sim_missing", state=DEVICE_STATE_ATTENTION, fault="no_sim")
    await shared.check()


@about("no_sim")
async def test_message_without_a_sim_goes_back_to_the_core(shared: Bench) -> None:
    shared.emulator.faults.add("no_sim")
    message = shared.offer()
    await shared.settled(message)
    assert shared.command(message).state == "failed"
    assert shared.payloads_of(message) == []
    shared.emulator.faults.clear("no_sim")
    await shared.check()


@about("sim_failure")
async def test_broken_sim_is_told(shared: Bench) -> None:
    shared.emulator.faults.add("sim_failure")
    shared.emulator.faults.add("reboot")
    await recovers(shared, "sim_failure", state=DEVICE_STATE_ATTENTION, fault="sim_failure")
    await shared.check()


@about("pin")
async def test_sim_with_a_pin_that_nobody_gave_waits_for_a_person(shared: Bench) -> None:
    shared.emulator.faults.add("pin")
    shared.emulator.faults.add("reboot")
    await shared.not_ready("pin_missing")
    assert shared.emulator.modem.sim.pin_tries == 3
    # Somebody switches the PIN off.
    shared.emulator.modem.sim.pin = ""
    shared.emulator.faults.add("reboot")
    await recovers(shared, "pin_missing", state=DEVICE_STATE_ATTENTION)
    await shared.check()


@about("puk")
async def test_sim_that_wants_its_puk_is_left_alone(shared: Bench) -> None:
    shared.emulator.faults.add("puk", puk="87654321")
    shared.emulator.faults.add("reboot")
    await shared.not_ready("puk_required")
    assert shared.wire.count(b"AT+CPIN=") == 0
    assert shared.emulator.modem.sim.puk_tries == 10
    # Somebody enters it in a phone.
    assert shared.emulator.modem.sim.enter_puk("87654321", "")
    shared.emulator.faults.add("reboot")
    await recovers(shared, "puk_required", state=DEVICE_STATE_ATTENTION)
    await shared.check()


@about("sim_swap")
async def test_another_sim_sends_nothing_until_its_owner_says_so(shared: Bench) -> None:
    sim = shared.emulator.modem.sim
    shared.emulator.faults.add("sim_swap")
    await shared.not_ready("sim_changed")
    message = shared.offer()
    shared.emulator.modem.insert(sim)
    await recovers(shared, "sim_changed", state=DEVICE_STATE_ATTENTION)
    await shared.delivered(message)
    assert {part.sender for part in shared.network.parts} == {sim.number}
    await shared.check()


@about("no_signal")
async def test_modem_without_a_signal_searches_and_goes_on(shared: Bench) -> None:
    shared.emulator.faults.add("no_signal")
    shared.emulator.deliver("while it searches")
    await recovers(shared, "searching", fault="no_signal")
    await shared.until(lambda: shared.texts() == ["while it searches"])
    await shared.check()


@about("registration_denied")
async def test_network_that_does_not_admit_the_sim_needs_a_person(shared: Bench) -> None:
    shared.emulator.faults.add("registration_denied")
    await recovers(shared, "registration_denied", state=DEVICE_STATE_ATTENTION, fault="registration_denied")
    await shared.check()


@about("pin")
async def test_pin_is_entered_once(tmp_path: Path, nursery: Nursery) -> None:
    async with bench(tmp_path, settings={"pin": "1234"}, make_rig=nursery.rig) as own:
        own.begin()
        own.emulator.faults.add("pin")
        own.emulator.faults.add("reboot")
        await own.not_ready("starting")
        await own.check()
        assert own.wire.count(b"AT+CPIN=") == 1


@about("pin")
async def test_pin_that_was_refused_is_never_tried_again(tmp_path: Path, nursery: Nursery) -> None:
    async with bench(tmp_path, settings={"pin": "4321"}, make_rig=nursery.rig) as own:
        own.begin()
        own.emulator.faults.add("pin")
        own.emulator.faults.add("reboot")
        await own.not_ready("pin_refused")
        for _ in range(2):
            own.rig.kill()
            await own.rig.exit_status()
            refusals = own.reasons().count("pin_refused")
            await own.rig.start_without_waiting()
            await own.until(lambda refusals=refusals: own.reasons().count("pin_refused") > refusals)
        assert own.wire.count(b"AT+CPIN=") == 1
        assert own.emulator.modem.sim.pin_tries == 2


@about("vanish")
async def test_port_that_comes_back_under_another_name_is_found(tmp_path: Path, nursery: Nursery) -> None:
    async with bench(tmp_path, is_pattern=True, make_rig=nursery.rig) as own:
        own.begin()
        own.emulator.faults.add("vanish", away_s=0.3, moved=True)
        await recovers(own, "port_missing")
        await own.check()
        own.begin()
        own.find_network_once_set_up()
        own.emulator.faults.add("vanish_in_send", away_s=0.3, moved=True)
        message = own.offer()
        assert (await own.settled(message)).WhichOneof("outcome") == "outcome_unknown"
        await own.delivered(message)
        await own.check()
