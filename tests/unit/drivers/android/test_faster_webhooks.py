"""A webhook that tells of a delivery before the app answers, or before the core is told that the message went out."""

from pathlib import Path

import pytest

from drivers.android.fake_smsgate import FakeSmsGate, State
from tests.fakes.core_stub import StubCore
from tests.unit.drivers.android.phones import Gateway, gateway, with_numbers
from tests.unit.drivers.android.test_webhooks import ready

LATE_S = 3600.0


async def told_early(it: Gateway, phone: FakeSmsGate, *, status: int = 202) -> str:
    """A message that the phone has and that has arrived, as the driver was told, while the app owes its answer."""
    await ready(it, phone)
    phone.faults.add("answer_late", delay_s=LATE_S, status=status)
    command_id = it.offer("early")
    await phone.until(
        lambda: (
            command_id in phone.messages
            and phone.messages[command_id].state is State.DELIVERED
            and phone.app.webhooks.waiting == 0
        )
    )
    return command_id


def outcomes(it: Gateway, command_id: str) -> list[str | None]:
    return [report.WhichOneof("outcome") for report in it.reports(command_id)]


@pytest.mark.parametrize("status", [202, 500])
async def test_delivery_that_is_told_before_the_answer_is_reported_after_the_sending(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, status: int
) -> None:
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        first = await told_early(it, phone, status=status)
        assert outcomes(it, first) == []
        phone.clock.pass_time(LATE_S)
        # The phone goes on with the next one.
        await it.until_state(it.offer("next"), "delivered")
        await it.until_state(first, "delivered")
        assert outcomes(it, first) == ["submitted", "delivered"]
        assert (await it.until_reason("")).window > 0
    assert len(phone.sent) == 2


async def test_delivery_that_is_told_before_an_answer_which_never_comes_outlives_the_process(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        command_id = await told_early(it, phone)
    # Whatever the app says now, it has been told already.
    phone.messages[command_id].recipients[0].state = State.PENDING
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        await it.until_state(command_id, "delivered")
        assert outcomes(it, command_id) == ["submitted", "delivered"]
    assert len(phone.sent) == 1


async def test_number_that_has_gone_from_the_file_does_not_hide_what_the_phone_knows(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        command_id = await told_early(it, phone)
    async with gateway(core, tmp_path, phone, text=with_numbers(phone, ("+15550009999", 1))) as it:
        await it.until_state(command_id, "delivered")


async def test_message_of_a_number_that_has_gone_which_the_phone_does_not_know_fails_for_sure(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.faults.add("webhook_lost", count=1000)
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        command_id = await told_early(it, phone)
    await phone.restart(memory_kept=False)
    async with gateway(core, tmp_path, phone, text=with_numbers(phone, ("+15550009999", 1))) as it:
        await it.until_state(command_id, "failed")
        [report] = it.reports(command_id)
        assert "phones.toml" in report.failed.detail
    assert not phone.messages
