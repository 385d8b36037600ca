"""Messages through an emulated modem and the real channel: every fault of sending and receiving has its outcome."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers.modem.codec import deliver_pdus
from drivers.modem.emulator import Emulator
from infinireach.v1.message_pb2 import FAILURE_REASON_DEVICE_FAULT
from tests.fakes.core_stub import StubCore
from tests.integration.modem.at_work import NUMBER, Scene, at_work, config, quick_emulator

SENDER = "+491701112222"
EMOJI = "👋 ist da! " * 40
"""Parts in UCS-2; some of its characters fall on their borders."""
SEGMENTS = 7


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with quick_emulator() as emulator:
        yield emulator


def parts(emulator: Emulator) -> Counter[tuple[str, int]]:
    """How often the network took each part."""
    return Counter(
        (part.submit.destination, part.submit.concatenation.number if part.submit.concatenation else 1)
        for part in emulator.network.parts
    )


async def came_in(scene: Scene, *texts: str) -> None:
    """Wait until exactly these texts have come in."""
    await scene.core.until(lambda: sorted(message.text for message in scene.core.inbound) == sorted(texts))


async def test_long_text_goes_out_in_whole_parts_and_is_delivered(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    async with at_work(core, folder, config(await emulator.open_pty())) as scene:
        await scene.state(scene.offer(text=EMOJI, segments=SEGMENTS), "delivered")
    assert emulator.network.messages[-1].text == EMOJI
    assert set(parts(emulator).values()) == {1}


@pytest.mark.parametrize(
    ("fault", "options", "states"),
    [
        ("interrupted_send", {}, {"delivered"}),
        ("late_prompt", {"delay_s": 0.1}, {"delivered"}),
        ("bare_prompt", {}, {"delivered"}),
        ("report_before_result", {}, {"delivered"}),
        ("report_doubled", {}, {"delivered"}),
        ("report_temporary", {}, {"delivered"}),
        ("report_failed", {"status": 0x46}, {"failed"}),
        ("lost_cmti", {}, {"delivered"}),
        ("cms_error", {"code": 41}, {"delivered"}),
        ("cms_error", {"code": 1}, {"failed"}),
        ("cms_error", {"code": 500, "taken": True}, {"delivered"}),
        ("cms_error", {"code": 500, "taken": False}, {"outcome_unknown"}),
        ("ok_without_reference", {"taken": True}, {"delivered"}),
        ("hang_after_pdu", {"taken": True, "hang_s": 8.0}, {"delivered"}),
        ("reboot_in_send", {"taken": False}, {"outcome_unknown"}),
        ("reboot_in_send", {"taken": True}, {"delivered", "outcome_unknown"}),
    ],
)
async def test_fault_while_a_message_goes_out_has_its_outcome_and_no_part_goes_out_twice(
    core: StubCore,
    folder: Path,
    emulator: Emulator,
    fault: str,
    options: dict[str, object],
    states: set[str],
) -> None:
    async with at_work(core, folder, config(await emulator.open_pty())) as scene:
        await scene.told("")
        emulator.faults.add(fault, **options)  # pyright: ignore[reportArgumentType]
        await scene.state(scene.offer(text="once"), *states)
        await scene.goes_out()
    assert [part.text for part in emulator.network.parts].count("once") <= 1


async def test_message_in_three_parts_out_of_order_over_a_restart_arrives_once(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    text = "abcdefghij" * 40
    first, second, third = (
        pdu.hex for pdu in deliver_pdus(text, originator=SENDER, sent_at=datetime.now(UTC), reference=9)
    )
    port = config(await emulator.open_pty())
    async with at_work(core, folder, port) as scene:
        await scene.told("")
        emulator.network.deliver_pdus([third, first], to=NUMBER)
        await emulator.until(lambda: emulator.network.waiting(NUMBER) == 0)
    async with at_work(core, folder, port) as scene:
        emulator.network.deliver_pdus([second], to=NUMBER)
        await came_in(scene, text)
        await scene.goes_out()
    assert [message.text for message in core.inbound] == [text]


@pytest.mark.parametrize("fault", ["lost_cmti", "index_reuse", "inbound_doubled", "cnmi_reset"])
async def test_fault_while_messages_come_in_loses_none_and_doubles_none(
    core: StubCore, folder: Path, emulator: Emulator, fault: str
) -> None:
    async with at_work(core, folder, config(await emulator.open_pty())) as scene:
        await scene.told("")
        emulator.faults.add(fault)
        texts = [f"message {number}" for number in range(5)]
        now = datetime.now(UTC)
        for text in texts:
            pdus = [pdu.hex for pdu in deliver_pdus(text, originator=SENDER, sent_at=now, reference=1)]
            emulator.network.deliver_pdus(pdus, to=NUMBER)
        await came_in(scene, *texts)


async def test_missed_acknowledgement_makes_the_driver_set_the_notifications_again_at_once(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    emulator.modem.receiver.acknowledge_s = 0.3
    port = config(await emulator.open_pty(), quirks={"report_routes": (1,)})
    async with at_work(core, folder, port) as scene:
        await scene.goes_out()
        known = len(scene.changes())
        emulator.network.report_after_s = 0.3
        await scene.state(scene.offer(), "submitted")
        emulator.faults.add("slow_radio", delay_s=1.0)
        await scene.state(scene.offer(), "submitted", "delivered")
        await scene.told_since("starting", known)
        await scene.told("")
        await scene.goes_out()


async def test_process_that_ends_while_the_network_thinks_settles_the_message_by_its_report(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    port = config(await emulator.open_pty())
    async with at_work(core, folder, port) as scene:
        await scene.told("")
        emulator.faults.add("slow_radio", delay_s=1.0)
        command_id = scene.offer()
        await asyncio.wait_for(command_is_out(emulator), 20)
    async with at_work(core, folder, port) as scene:
        await scene.state(command_id, "delivered")
    assert len(emulator.network.parts) == 1


async def test_message_for_a_modem_that_is_gone_and_that_was_not_handed_over_waits_in_the_core(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    port = await emulator.open_pty()
    async with at_work(core, folder, config(port)) as scene:
        await scene.told("")
        emulator.faults.add("late_prompt", delay_s=60.0)
        command_id = scene.offer()
        await asyncio.wait_for(emulator.until(lambda: not emulator.faults.all()), 20)
    async with at_work(core, folder, config(port, name="other")) as scene:
        await scene.state(command_id, "failed")
    assert core.commands[command_id].reports[0].failed.reason == FAILURE_REASON_DEVICE_FAULT


async def command_is_out(emulator: Emulator) -> None:
    await emulator.until(lambda: len(emulator.network.parts) == 1)
