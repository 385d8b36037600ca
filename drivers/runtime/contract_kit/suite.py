"""The contract suite: inherit from `DriverContract`, give it a `subject`, and pytest runs your driver through it.

    class TestMyDriver(InboundContract, DriverContract):
        @pytest.fixture
        def subject(self, tmp_path: Path) -> Subject: ...

Every test kills, cuts, floods or starves a real process and then asks three things: is anything lost, was anything
sent twice, and was everything reported that could not be known.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp

from drivers.runtime.contract_kit.stub_core import StubCore
from drivers.runtime.contract_kit.subject import Rig, Subject
from drivers.runtime.crash_points import CrashPoint
from drivers.runtime.main import EXIT_CLEAN, EXIT_JOURNAL_UNUSABLE, EXIT_NOT_ADMITTED, EXIT_SUPERSEDED
from infinireach.v1.message_pb2 import FAILURE_REASON_EXPIRED

KILLED = -9
SENT = {"submitted", "delivered"}


class _WithRig:
    """The fixtures that every part of the contract uses."""

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        """The driver under test; `tmp_path` is its INFINIREACH_VAR."""
        raise pytest.UsageError(
            "A driver's own tests override the fixture `subject`: see docs/writing-a-driver.md."
        )

    @pytest_asyncio.fixture
    async def rig(self, subject: Subject, tmp_path: Path) -> AsyncIterator[Rig]:
        """The driver and a core for it."""
        async with Rig(subject, tmp_path) as rig:
            yield rig


@pytest.mark.asyncio
class DriverContract(_WithRig):
    """What every driver has to pass."""

    # The plain way.

    async def test_every_message_is_sent_once_and_reported(self, rig: Rig) -> None:
        await rig.start()
        rig.offer(30)
        await rig.until_settled()
        states = rig.check_nothing_lost_nor_doubled()
        assert set(states) <= SENT

    async def test_more_commands_than_the_window_are_all_sent_once(self, rig: Rig) -> None:
        await rig.start()
        rig.core.ignores_windows = True
        rig.offer(3 * rig.window + 1)
        await rig.until_settled()
        assert set(rig.check_nothing_lost_nor_doubled()) <= SENT

    async def test_command_that_comes_again_is_not_sent_again(self, rig: Rig) -> None:
        await rig.start()
        command_ids = rig.offer(3)
        for command_id in command_ids:
            rig.core.offer_again(command_id)
        await rig.until_settled()
        # Again after they are settled and forgotten by nobody, and one more that shows the stream still works.
        for command_id in command_ids:
            rig.core.offer_again(command_id)
        rig.offer(1)
        await rig.until_settled()
        assert set(rig.check_nothing_lost_nor_doubled()) <= SENT

    async def test_command_past_its_deadline_is_failed_and_not_sent(self, rig: Rig) -> None:
        await rig.start()
        (command_id,) = rig.offer(1, not_after=Timestamp(seconds=1))
        await rig.until_settled()
        report = rig.core.commands[command_id].reports[0]
        assert report.failed.reason == FAILURE_REASON_EXPIRED
        assert command_id not in rig.subject.taken()

    # Killed.

    async def test_kill_before_anything_is_journalled_loses_nothing(self, rig: Rig) -> None:
        await rig.start(crash_at=CrashPoint.BEFORE_HELD)
        rig.offer(20)
        assert await rig.exit_status() == KILLED
        assert not rig.subject.taken()
        await rig.start()
        await rig.until_settled()
        assert set(rig.check_nothing_lost_nor_doubled()) <= SENT

    async def test_kill_after_start_was_journalled_sends_nothing_twice(self, rig: Rig) -> None:
        await rig.start(crash_at=CrashPoint.AFTER_STARTED)
        rig.offer(20)
        assert await rig.exit_status() == KILLED
        assert not rig.subject.taken()
        await rig.start()
        await rig.until_settled()
        rig.check_nothing_lost_nor_doubled()

    async def test_kill_after_the_network_took_it_sends_nothing_twice(self, rig: Rig) -> None:
        await rig.start(crash_at=CrashPoint.AFTER_SENT)
        rig.offer(20)
        assert await rig.exit_status() == KILLED
        assert rig.subject.taken()
        await rig.start()
        await rig.until_settled()
        rig.check_nothing_lost_nor_doubled()

    async def test_kill_after_the_result_was_journalled_reports_it_all_the_same(self, rig: Rig) -> None:
        await rig.start(crash_at=CrashPoint.AFTER_SETTLED)
        rig.offer(20)
        assert await rig.exit_status() == KILLED
        taken = set(rig.subject.taken())
        await rig.start()
        await rig.until_settled()
        rig.check_nothing_lost_nor_doubled()
        assert {rig.core.states()[command_id] for command_id in taken} <= SENT

    async def test_kill_before_the_acknowledgement_replays_the_same_facts(self, rig: Rig) -> None:
        rig.core.acknowledges = False
        await rig.start()
        rig.offer(20)
        await rig.until_settled()
        rig.kill()
        rig.core.acknowledges = True
        facts = len(rig.core.facts)
        await rig.restart()
        rig.offer(5)
        await rig.until_settled()
        assert rig.core.repeated_facts >= facts
        assert [fact.sequence for fact in rig.core.facts] == list(range(1, len(rig.core.facts) + 1))
        assert set(rig.check_nothing_lost_nor_doubled()) <= SENT

    async def test_kills_under_load_lose_and_double_nothing(self, rig: Rig) -> None:
        await rig.start()
        for kill_after in (5, 30):
            rig.offer(60)
            target = len(rig.subject.taken()) + kill_after
            await rig.until(lambda target=target: len(rig.subject.taken()) >= target)
            rig.kill()
            await rig.restart()
        await rig.until_settled()
        rig.check_nothing_lost_nor_doubled()

    async def test_stop_signal_ends_running_sends_and_says_goodbye(self, rig: Rig) -> None:
        await rig.start()
        rig.offer(40)
        await rig.until(lambda: len(rig.subject.taken()) > 0)
        rig.terminate()
        assert await rig.exit_status() == EXIT_CLEAN
        assert len(rig.core.goodbyes) == 1
        await rig.start()
        await rig.until_settled()
        assert set(rig.check_nothing_lost_nor_doubled()) <= SENT

    # Cut off.

    async def test_messages_survive_a_core_that_is_away(self, rig: Rig) -> None:
        await rig.start()
        rig.offer(20)
        await rig.core.stop()
        rig.offer(20)
        await rig.core.start()
        await rig.until_settled()
        rig.check_nothing_lost_nor_doubled()

    async def test_driver_waits_for_a_core_that_is_not_there_yet(self, rig: Rig) -> None:
        await rig.core.stop()
        await rig.start_without_waiting()
        await rig.until(lambda: "stream.failed" in rig.log_text())
        await rig.core.start()
        rig.offer(5)
        await rig.until_settled()
        assert set(rig.check_nothing_lost_nor_doubled()) <= SENT

    async def test_streams_that_break_under_load_lose_and_double_nothing(self, rig: Rig) -> None:
        await rig.start()
        for code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL):
            rig.offer(50)
            streams = len(rig.core.hellos)
            rig.core.break_stream(code)
            await rig.core.until(lambda streams=streams: len(rig.core.hellos) > streams)
        await rig.until_settled()
        assert set(rig.check_nothing_lost_nor_doubled()) <= SENT
        assert [fact.sequence for fact in rig.core.facts] == list(range(1, len(rig.core.facts) + 1))

    async def test_window_of_unacknowledged_facts_is_kept(self, rig: Rig) -> None:
        rig.core.unacknowledged_facts_max = 7
        rig.core.acknowledges = False
        await rig.start()
        rig.core.ignores_windows = True
        rig.offer(40)
        await rig.core.until(lambda: len(rig.core.facts) == 7)
        await rig.until(lambda: len(rig.subject.taken()) == 40)
        assert rig.core.unacknowledged_facts_seen == 7
        rig.core.acknowledges = True
        rig.core.acknowledge()
        await rig.until_settled()
        assert set(rig.check_nothing_lost_nor_doubled()) <= SENT

    async def test_silent_core_is_given_up_and_found_again(self, subject: Subject, tmp_path: Path) -> None:
        core = StubCore(heartbeat_interval_s=0.1, heartbeat_timeout_s=0.4)
        async with Rig(subject, tmp_path, core) as rig:
            await rig.start()
            await core.until(lambda: core.heartbeats > 1)
            core.fall_silent()
            await core.until(lambda: len(core.hellos) > 1)
            rig.offer(5)
            await rig.until_settled()
            assert set(rig.check_nothing_lost_nor_doubled()) <= SENT

    async def test_core_that_drains_is_left_and_found_again(self, rig: Rig) -> None:
        await rig.start()
        rig.offer(10)
        await rig.until_settled()
        rig.core.drain()
        await rig.core.until(lambda: len(rig.core.goodbyes) == 1)
        await rig.core.until(lambda: len(rig.core.hellos) == 2)
        assert rig.core.goodbyes[0].reconnect_expected
        rig.offer(5)
        await rig.until_settled()
        assert set(rig.check_nothing_lost_nor_doubled()) <= SENT

    # Starved.

    async def test_full_disk_stops_sending_and_loses_nothing(self, rig: Rig) -> None:
        await rig.start()
        rig.offer(3)
        await rig.until_settled()
        rig.fill_disk()
        before = len(rig.subject.taken())
        rig.offer(30)
        await rig.until(lambda: "journal.unwritable" in rig.log_text())
        assert len(rig.subject.taken()) == before
        rig.free_disk()
        await rig.until_settled()
        assert set(rig.check_nothing_lost_nor_doubled()) <= SENT

    # Refused.

    async def test_superseded_driver_stops_with_its_own_status(self, rig: Rig) -> None:
        await rig.start()
        rig.core.break_stream(grpc.StatusCode.ABORTED, "SESSION_SUPERSEDED")
        assert await rig.exit_status() == EXIT_SUPERSEDED

    async def test_driver_that_is_not_admitted_stops_with_its_own_status(self, rig: Rig) -> None:
        await rig.start_without_waiting(token="ird_wrong")  # noqa: S106
        assert await rig.exit_status() == EXIT_NOT_ADMITTED
        assert "ird_wrong" not in rig.log_text()

    async def test_second_process_on_the_same_journal_stops_with_its_own_status(
        self, rig: Rig, subject: Subject, tmp_path: Path
    ) -> None:
        await rig.start()
        async with Rig(subject, tmp_path) as second:
            await second.start_without_waiting()
            assert await second.exit_status() == EXIT_JOURNAL_UNUSABLE

    async def test_logs_tell_neither_numbers_nor_texts_nor_tokens(self, rig: Rig) -> None:
        await rig.start()
        rig.offer(1, text="of nobody's concern")
        await rig.until_settled()
        rig.terminate()
        await rig.exit_status()
        log = rig.log_text()
        for secret in (rig.subject.destination, rig.subject.source, "nobody's concern", "ird_test"):
            assert secret not in log


@pytest.mark.asyncio
class InboundContract(_WithRig):
    """What a driver has to pass whose network hands in messages; its subject has `come_in`."""

    async def _come_in(self, rig: Rig, text: str) -> None:
        assert rig.subject.come_in is not None
        await rig.subject.come_in(text)

    def _texts(self, rig: Rig) -> list[str]:
        return [message.text for message in rig.core.inbound]

    async def test_message_that_comes_in_reaches_the_core_once(self, rig: Rig) -> None:
        await rig.start()
        await self._come_in(rig, "Grüße, 世界 👋")
        await rig.core.until(lambda: bool(rig.core.inbound))
        (message,) = rig.core.inbound
        assert message.text == "Grüße, 世界 👋"
        assert message.device_key == rig.subject.device_key
        assert message.destination == rig.subject.source
        assert message.channel == rig.subject.channel

    async def test_message_that_comes_in_while_the_core_is_away_arrives_later(self, rig: Rig) -> None:
        await rig.start()
        await rig.core.stop()
        await self._come_in(rig, "first")
        await rig.core.start()
        await rig.core.until(lambda: self._texts(rig) == ["first"])

    async def test_message_that_was_not_acknowledged_survives_a_kill_and_comes_once(self, rig: Rig) -> None:
        rig.core.acknowledges = False
        await rig.start()
        await self._come_in(rig, "first")
        await rig.core.until(lambda: self._texts(rig) == ["first"])
        rig.kill()
        rig.core.acknowledges = True
        await rig.restart()
        await self._come_in(rig, "second")
        await rig.core.until(lambda: "second" in self._texts(rig))
        assert self._texts(rig) == ["first", "second"]

    async def test_message_that_comes_in_on_a_full_disk_arrives_once_there_is_room(self, rig: Rig) -> None:
        await rig.start()
        rig.offer(1)
        await rig.until_settled()
        rig.fill_disk()
        arrival = asyncio.create_task(self._come_in(rig, "first"))
        await rig.until(lambda: "journal.unwritable" in rig.log_text())
        assert not rig.core.inbound
        rig.free_disk()
        await arrival
        await rig.core.until(lambda: self._texts(rig) == ["first"])


@pytest.mark.asyncio
class DeliveryReportContract(_WithRig):
    """What a driver has to pass whose network reports delivery, also of messages from before a crash."""

    async def test_delivery_is_reported(self, rig: Rig) -> None:
        await rig.start()
        command_ids = rig.offer(10)
        await rig.core.until(lambda: set(rig.core.states().values()) == {"delivered"})
        outcomes = [report.WhichOneof("outcome") for report in rig.core.commands[command_ids[0]].reports]
        assert outcomes == ["submitted", "delivered"]

    async def test_late_report_settles_a_message_whose_outcome_was_unknown(self, rig: Rig) -> None:
        await rig.start(crash_at=CrashPoint.AFTER_SENT)
        (command_id,) = rig.offer(1)
        assert await rig.exit_status() == KILLED
        await rig.start()
        await rig.core.until(lambda: rig.core.states()[command_id] == "delivered")
        rig.check_nothing_lost_nor_doubled()

    async def test_reports_that_fell_due_while_the_driver_was_away_still_come(self, rig: Rig) -> None:
        await rig.start()
        rig.offer(10)
        await rig.until_settled()
        rig.kill()
        await rig.restart()
        await rig.core.until(lambda: set(rig.core.states().values()) == {"delivered"})
        rig.check_nothing_lost_nor_doubled()
