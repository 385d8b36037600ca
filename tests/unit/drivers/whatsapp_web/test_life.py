"""The account is paired, kept connected, and left alone where another try would do harm."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.whatsapp_web import config
from drivers.whatsapp_web.account import (
    AccountFailed,
    Banned,
    Connected,
    Disconnected,
    Event,
    LoggedOut,
    Outdated,
    PairingCode,
    PairingFailed,
    Refused,
    Replaced,
)
from drivers.whatsapp_web.conditions import CONDITIONS, WINDOW, Reason
from drivers.whatsapp_web.life import BAN_S_MAX, PAIRING_ROUNDS_MAX
from infinireach.v1.device_pb2 import (
    DEVICE_STATE_ATTENTION,
    DEVICE_STATE_DEGRADED,
    DEVICE_STATE_ONLINE,
)
from infinireach.v1.message_pb2 import FAILURE_REASON_RATE_LIMITED
from tests.unit.drivers.whatsapp_web.at_work import (
    NUMBER,
    SOON,
    PlayedAccount,
    World,
    closed,
    command,
    incoming,
)

GROUP = "120363041234567890@g.us"


async def test_device_is_announced_with_what_it_can_do_before_it_is_connected(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready():
        (device,) = world.core.hellos[0].devices
        assert (device.addresses[0].number, device.window) == (NUMBER, 0)
        assert device.features.groups
        assert device.features.read_reports
        assert not device.features.media
        assert not device.features.templates
        assert (world.device.state, world.device.window) == (DEVICE_STATE_ONLINE, WINDOW)


async def test_every_new_pairing_code_is_told_until_the_phone_has_scanned_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.greeting = [PairingCode("2@first")]
    async with world.process():
        told = await world.until_reason("needs_pairing")
        assert (told.state, told.window, told.pairing_payload) == (DEVICE_STATE_ATTENTION, 0, "2@first")
        assert "Linked devices" in told.remedy
        await world.account.tell(PairingCode("2@second"))
        await world.until(lambda: world.device.pairing_payload == "2@second")
        await world.account.tell(Connected())
        told = await world.until_reason("")
        assert (told.window, told.pairing_payload) == (WINDOW, "")


async def test_code_to_type_is_shown_once_for_each_round(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.PAIRING.name: "code"})
    world.greeting = [PairingCode("2@first"), PairingCode("2@second")]
    async with world.process():
        told = await world.until_reason("needs_pairing")
        assert "ABCD-EFGH" in told.remedy
        assert not told.pairing_payload
        await world.account.tell(Connected())
        await world.until_reason("")
    assert len(world.core.device_changes) == 2


async def test_round_of_codes_that_nobody_scans_is_followed_by_another_and_not_for_ever(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.waits = replace(SOON, pairing_silence_s=0.01)
    world.greeting = [PairingCode("2@code")]
    async with world.process():
        told = await world.until_reason("pairing_given_up")
        assert told.state == DEVICE_STATE_ATTENTION
    assert len(world.accounts) == PAIRING_ROUNDS_MAX + 1


async def test_library_that_hangs_when_it_is_closed_is_told_and_no_second_one_is_opened(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.waits = replace(SOON, hang_s=0.01)

    async def hangs(account: PlayedAccount) -> None:
        await asyncio.Event().wait()

    world.closes = hangs
    async with world.ready() as process:
        await world.account.tell(LoggedOut())
        told = await world.until_reason("library_hangs")
        assert (told.state, told.window) == (DEVICE_STATE_ATTENTION, 0)
        assert "Start the driver again" in told.remedy
        await world.until(lambda: any(task.done() for task in process.driver._tasks))  # pyright: ignore[reportPrivateUsage]
    assert len(world.accounts) == 1


async def test_library_that_takes_long_to_close_is_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    closing, may_close = asyncio.Event(), asyncio.Event()

    async def slow(account: PlayedAccount) -> None:
        closing.set()
        await may_close.wait()

    world.closes = slow
    async with world.ready():
        await world.account.tell(LoggedOut())
        await closing.wait()
        assert world.device.reason == "needs_pairing"
        assert len(world.accounts) == 1
        may_close.set()
        await world.until(lambda: len(world.accounts) == 2)
        await world.until_reason("")


@pytest.mark.parametrize(
    ("event", "openings", "reason"), [(LoggedOut(), 2, ""), (Replaced(), 1, "session_in_use")]
)
async def test_library_that_fails_to_close_changes_nothing_of_what_comes_next(
    tmp_path: Path, event: Event, openings: int, reason: str
) -> None:
    world = World(tmp_path)

    async def fails(account: PlayedAccount) -> None:
        world.closes = closed
        raise ValueError("it was not open")

    world.closes = fails
    async with world.ready() as process:
        await world.account.tell(event)
        has_ended = lambda: any(task.done() for task in process.driver._tasks)  # noqa: E731  # pyright: ignore[reportPrivateUsage]
        await world.until(lambda: len(world.accounts) == 2 or has_ended())
        await world.until_reason(reason)
    assert len(world.accounts) == openings


async def test_lost_connection_pauses_the_device_until_it_is_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready() as process:
        await world.account.tell(Disconnected())
        told = await world.until_reason("reconnecting")
        assert (told.state, told.window) == (DEVICE_STATE_DEGRADED, 0)
        process.offer(command("c1", to=GROUP))
        await world.account.tell(Connected())
        assert await world.settled() == {"c1": "submitted"}
    assert len(world.accounts) == 1


async def test_session_that_was_ended_on_the_phone_is_paired_anew(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready():
        first = world.account
        world.greeting = [PairingCode("2@new")]
        await first.tell(LoggedOut(), Disconnected())
        await world.until(lambda: world.device.pairing_payload == "2@new")
        assert world.device.reason == "needs_pairing"
        assert first.is_closed.is_set()
    assert [change.reason for change in world.core.device_changes] == ["", "needs_pairing", "needs_pairing"]


@pytest.mark.parametrize(
    ("event", "reason"), [(Replaced(), "session_in_use"), (Outdated(), "library_outdated")]
)
async def test_what_only_a_person_can_mend_is_not_tried_again(
    tmp_path: Path, event: Event, reason: str
) -> None:
    world = World(tmp_path)
    async with world.ready() as process:
        # WhatsApp cuts the line after it has said so, which must not look like a line that will be back.
        await world.account.tell(event, Disconnected())
        told = await world.until_reason(reason)
        assert (told.state, told.window) == (DEVICE_STATE_ATTENTION, 0)
        await world.until(world.account.is_closed.is_set)
        await world.until(lambda: any(task.done() for task in process.driver._tasks))  # pyright: ignore[reportPrivateUsage]
    assert len(world.accounts) == 1


async def test_ban_is_sat_out_by_this_process_and_the_next(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready():
        await world.account.tell(Banned(3600.0, "send_to_too_many_people"), Disconnected())
        told = await world.until_reason("temporary_ban")
        assert (told.state, told.window) == (DEVICE_STATE_ATTENTION, 0)
        assert "UTC" in told.remedy
    told_before = len(world.core.device_changes)
    async with world.process():
        await world.until(lambda: len(world.core.device_changes) > told_before)
        assert world.device.reason == "temporary_ban"
        assert len(world.accounts) == 1
        world.clock.now_s += 3601
        await world.until_reason("")
    assert len(world.accounts) == 2


@pytest.mark.parametrize("lasts_s", [1e13, 9.2e18])
async def test_ban_beyond_the_calendar_is_sat_out_for_a_year(tmp_path: Path, lasts_s: float) -> None:
    world = World(tmp_path)
    async with world.ready():
        await world.account.tell(Banned(lasts_s, "unknown"))
        assert (await world.until_reason("temporary_ban")).window == 0
    async with world.process():
        await world.until_reason("temporary_ban")
        assert len(world.accounts) == 1
        world.clock.now_s += BAN_S_MAX + 1
        await world.until_reason("")


async def test_ban_is_told_before_the_library_has_closed(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def hangs(account: PlayedAccount) -> None:
        await asyncio.Event().wait()

    world.closes = hangs
    async with world.ready():
        await world.account.tell(Banned(60.0, "blocked_by_users"))
        await world.until_reason("temporary_ban")


async def test_commands_that_wait_when_a_ban_begins_go_back_to_the_core(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.PAUSE.name: config.Range(1000.0, 1000.0)})
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP), command("c2", to=GROUP))
        await world.until(lambda: world.core.commands["c2"].is_accepted)
        await world.account.tell(Banned(60.0, "blocked_by_users"))
        await world.until(lambda: world.core.states()["c2"] == "failed")
        failed = world.reports("c2")[0].failed
        assert failed.reason == FAILURE_REASON_RATE_LIMITED
        assert "temporary_ban" in failed.detail
    assert not world.sent


async def test_library_that_gives_up_is_started_anew(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.fails_with = AccountFailed("WhatsApp cannot be reached from this machine.")
    async with world.process():
        told = await world.until_reason("library_failed")
        assert told.remedy.startswith("WhatsApp cannot be reached")
        world.fails_with = None
        await world.until_reason("")


async def test_fault_of_the_library_tells_nothing_of_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path)
    world.fails_with = ValueError(f"no device for {NUMBER}")
    async with world.process():
        told = await world.until_reason("library_failed")
        assert NUMBER not in told.remedy
    logged = capsys.readouterr()
    assert "ValueError" in logged.out + logged.err
    assert NUMBER not in logged.out + logged.err


async def test_connection_that_whatsapp_refuses_is_tried_anew(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready():
        await world.account.tell(Refused())
        assert world.device.reason == "library_failed"
        await world.until(lambda: len(world.accounts) == 2)
        await world.until_reason("")


async def test_pairing_that_failed_on_the_phone_is_told_and_tried_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready():
        await world.account.tell(PairingFailed())
        told = world.device
        assert told.reason == "needs_pairing"
        assert "failed" in told.remedy
        await world.until(lambda: len(world.accounts) == 2)


async def test_library_that_cannot_be_loaded_leaves_the_driver_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    openings: list[None] = []

    def unloadable(*_: object) -> None:
        openings.append(None)
        raise OSError("libmagic.so.1: cannot open shared object file")

    monkeypatch.setattr(world, "open", unloadable)
    async with world.process():
        await world.until_reason("library_failed")
        await world.until(lambda: len(openings) > 1)


async def test_fault_in_one_event_does_not_end_the_account(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready() as process:
        await world.account.tell(incoming("IN1", sender="x" * 150_000), incoming("IN2"))
        await world.until(lambda: [message.text for message in world.core.inbound] == ["hi"])
        process.offer(command("c1", to=GROUP))
        assert await world.settled() == {"c1": "submitted"}


def test_every_condition_that_needs_a_person_says_what_to_do() -> None:
    for reason in Reason:
        row = CONDITIONS[reason]
        assert row.remedy or row.state != DEVICE_STATE_ATTENTION, reason
        assert not (row.is_final and row.state != DEVICE_STATE_ATTENTION), reason
