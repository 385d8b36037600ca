"""What the runtime promises to a driver's author, over real gRPC and in one process."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, cast

import grpc
import pytest

from drivers.runtime import Failed, Outcome, Receipt, SegmentMark, Submitted
from drivers.runtime.client import NotAdmitted, Superseded
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.fact_pb2 import DeviceChanged, InboundMessage
from infinireach.driver.v1.session_pb2 import (
    CAPABILITY_CANCEL,
    CAPABILITY_IDEMPOTENT_SUBMIT,
    Capability,
    DeviceDescription,
)
from infinireach.v1.device_pb2 import DEVICE_STATE_DEGRADED
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_NETWORK_REJECTED,
    FAILURE_REASON_RATE_LIMITED,
)
from tests.contract.drivers.running import Running, ScriptedDriver, command, running, settled
from tests.fakes.core_stub import StubCore


class IdempotentDriver(ScriptedDriver):
    capabilities: ClassVar[frozenset[Capability]] = frozenset({CAPABILITY_IDEMPOTENT_SUBMIT})


class GroupDriver(ScriptedDriver):
    """Takes many at once and answers for too few."""

    group_commands_max = 10

    async def send_group(self, commands: Sequence[SendCommand]) -> Sequence[Outcome]:
        self.sent += [command.command_id for command in commands]
        return [Submitted()] * (len(commands) - 1)


async def test_driver_that_raises_has_an_unknown_outcome_and_goes_on(core: StubCore, tmp_path: Path) -> None:
    async with running(core, tmp_path) as it:

        def answer(sent: SendCommand) -> Outcome:
            if sent.command_id == "bad":
                raise RuntimeError("secret +15551234567")
            return Submitted()

        it.driver.answer = answer
        core.offer([command("bad"), command("good")])
        assert await settled(core) == {"bad": "outcome_unknown", "good": "submitted"}
        detail = core.commands["bad"].reports[0].outcome_unknown.detail
        assert "RuntimeError" in detail
        assert "secret" not in detail


@pytest.mark.parametrize(
    "outcome",
    [
        Failed(FAILURE_REASON_NETWORK_REJECTED, detail="\udcff"),
        Submitted(cast("tuple[str]", (7,))),
        cast("Outcome", None),
    ],
    ids=["lone surrogate", "wrong type", "nothing"],
)
async def test_outcome_that_cannot_be_reported_is_unknown_and_the_device_goes_on(
    core: StubCore, tmp_path: Path, outcome: Outcome
) -> None:
    async with running(core, tmp_path) as it:
        it.driver.answer = lambda sent: outcome if sent.command_id == "bad" else Submitted()
        core.offer([command("bad"), command("good")])
        assert await settled(core) == {"bad": "outcome_unknown", "good": "submitted"}


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 1e20, -1.0])
async def test_wait_that_is_none_says_nothing_and_the_device_goes_on(
    core: StubCore, tmp_path: Path, seconds: float
) -> None:
    async with running(core, tmp_path) as it:
        busy = Failed(FAILURE_REASON_RATE_LIMITED, retry_after_s=seconds)
        it.driver.answer = lambda sent: busy if sent.command_id == "bad" else Submitted()
        core.offer([command("bad"), command("good")])
        assert await settled(core) == {"bad": "failed", "good": "submitted"}
        assert not core.commands["bad"].reports[0].HasField("retry_delay")


async def test_group_with_too_few_outcomes_is_unknown_as_a_whole(core: StubCore, tmp_path: Path) -> None:
    async with running(core, tmp_path, driver=GroupDriver()):
        core.offer([command("a"), command("b")])
        assert set((await settled(core)).values()) == {"outcome_unknown"}


async def test_failure_is_reported_with_the_networks_own_words(core: StubCore, tmp_path: Path) -> None:
    async with running(core, tmp_path) as it:
        it.driver.answer = lambda sent: Failed(FAILURE_REASON_NETWORK_REJECTED, "21", "Refused.")
        core.offer([command("a")])
        await settled(core)
        failed = core.commands["a"].reports[0].failed
        assert (failed.network_code, failed.detail) == ("21", "Refused.")


async def leave_started(core: StubCore, folder: Path) -> None:
    """A command that a process has started and not finished when it ends."""
    async with running(core, folder) as it:
        it.driver.gate.clear()
        core.offer([command("a")])
        await core.until(lambda: core.commands["a"].is_accepted)
        assert it.driver.sent == ["a"]


async def test_send_that_outlives_the_grace_is_unknown_to_the_next_process(
    core: StubCore, tmp_path: Path
) -> None:
    await leave_started(core, tmp_path)
    async with running(core, tmp_path) as it:
        assert await settled(core) == {"a": "outcome_unknown"}
        assert it.driver.sent == []


async def test_driver_that_finds_out_what_became_of_a_command_is_believed(
    core: StubCore, tmp_path: Path
) -> None:
    await leave_started(core, tmp_path)
    driver = ScriptedDriver()
    driver.recovery = lambda sent: Submitted(("7",))
    async with running(core, tmp_path, driver=driver):
        assert await settled(core) == {"a": "submitted"}


async def test_driver_that_fails_to_find_out_has_an_unknown_outcome(core: StubCore, tmp_path: Path) -> None:
    await leave_started(core, tmp_path)
    driver = ScriptedDriver()

    def recovery(sent: SendCommand) -> Outcome:
        raise RuntimeError

    driver.recovery = recovery
    async with running(core, tmp_path, driver=driver):
        assert await settled(core) == {"a": "outcome_unknown"}


async def test_network_that_takes_our_id_is_given_the_command_again(core: StubCore, tmp_path: Path) -> None:
    await leave_started(core, tmp_path)
    async with running(core, tmp_path, driver=IdempotentDriver()) as it:
        assert await settled(core) == {"a": "submitted"}
        assert it.driver.sent == ["a"]


async def test_segment_marks_tell_the_next_process_how_far_a_message_got(
    core: StubCore, tmp_path: Path
) -> None:
    async with running(core, tmp_path) as it:
        it.driver.gate.clear()
        core.offer([command("a")])
        await core.until(lambda: core.commands["a"].is_accepted)
        await it.context.segment_started("a", 1)
        await it.context.segment_taken("a", 1, reference="200")
        await it.context.segment_started("a", 2)
    driver = ScriptedDriver()
    marks: list[SegmentMark] = []

    class Asking(ScriptedDriver):
        async def recover(self, command: SendCommand) -> None:
            marks.extend(await self.context.segments(command.command_id))

    driver = Asking()
    async with running(core, tmp_path, driver=driver):
        await settled(core)
    assert marks == [SegmentMark("a", 1, taken=True, reference="200"), SegmentMark("a", 2)]


async def test_receipt_is_acknowledged_only_when_the_core_has_the_message(
    core: StubCore, tmp_path: Path
) -> None:
    core.acknowledges = False
    async with running(core, tmp_path) as it:
        receipt = await it.context.received(InboundMessage(device_key="phone", text="hi"), identity="sim:1")
        waiting = asyncio.create_task(receipt.acknowledged())
        await core.until(lambda: len(core.inbound) == 1)
        assert not waiting.done()
        core.acknowledges = True
        core.acknowledge()
        await waiting
        again = await it.context.received(InboundMessage(device_key="phone", text="hi"), identity="sim:1")
        assert again.sequence == receipt.sequence
        await again.acknowledged()
        assert len(core.inbound) == 1


async def test_message_handed_in_twice_at_once_is_one_fact_and_holds_up_nothing(
    core: StubCore, tmp_path: Path
) -> None:
    async with running(core, tmp_path) as it:
        # All in one transaction: while the first is written, the others gather.
        names = ["first", "twice", "twice", "twice", "last"]
        receipts = await asyncio.gather(*[
            it.context.received(InboundMessage(device_key="phone", text=name), identity=name)
            for name in names
        ])
        later = await it.context.received(InboundMessage(device_key="phone", text="later"))
        await asyncio.gather(*[receipt.acknowledged() for receipt in [*receipts, later]])
        assert [message.text for message in core.inbound] == ["first", "twice", "last", "later"]
        assert receipts[1].sequence == receipts[2].sequence == receipts[3].sequence


async def test_receipts_outlive_a_restart_by_their_identity(core: StubCore, tmp_path: Path) -> None:
    async def hand_in(it: Running) -> Receipt:
        return await it.context.received(InboundMessage(device_key="phone", text="hi"), identity="sim:1")

    await core.stop()
    async with running(core, tmp_path) as it:
        first = await hand_in(it)
    await core.start()
    async with running(core, tmp_path) as it:
        second = await hand_in(it)
        await second.acknowledged()
    assert first.sequence == second.sequence
    assert len(core.inbound) == 1


async def test_store_outlives_a_restart(core: StubCore, tmp_path: Path) -> None:
    async with running(core, tmp_path) as it:
        await it.context.store.write({"ref:1": b"a", "ref:2": b"b"})
        await it.context.store.write({"ref:1": None})
    async with running(core, tmp_path) as it:
        assert await it.context.store.read("ref:") == {"ref:2": b"b"}


async def test_changed_device_is_reported_and_described_so_in_the_next_hello(
    core: StubCore, tmp_path: Path
) -> None:
    async with running(core, tmp_path) as it:
        await core.until(lambda: core.is_connected)
        change = DeviceChanged(device_key="phone", state=DEVICE_STATE_DEGRADED, reason="no_network", window=0)
        await it.context.device_changed(change)
        await core.until(lambda: any(fact.device_changed == change for fact in core.facts))
        core.break_stream()
        await core.until(lambda: len(core.hellos) == 2)
        (device,) = core.hellos[1].devices
        assert (device.state, device.window) == (DEVICE_STATE_DEGRADED, 0)


async def test_new_devices_are_told_on_a_new_stream(core: StubCore, tmp_path: Path) -> None:
    async with running(core, tmp_path) as it:
        await core.until(lambda: core.is_connected)
        it.context.replace_devices([
            DeviceDescription(key="phone", window=10),
            DeviceDescription(key="second"),
        ])
        await core.until(lambda: len(core.hellos) == 2)
        assert [device.key for device in core.hellos[1].devices] == ["phone", "second"]
        assert core.goodbyes[0].reconnect_expected


async def test_stream_that_the_driver_drops_comes_back(core: StubCore, tmp_path: Path) -> None:
    async with running(core, tmp_path) as it:
        await core.until(lambda: core.is_connected)
        it.context.drop_stream(away_s=0.0)
        await core.until(lambda: len(core.hellos) == 2)
        assert core.goodbyes == []


async def test_fact_that_no_frame_could_carry_is_refused_and_holds_up_nothing(
    core: StubCore, tmp_path: Path
) -> None:
    async with running(core, tmp_path) as it:
        largest = InboundMessage(device_key="phone", text="\U0001f600" * 20_000)
        with pytest.raises(ValueError, match="bytes"):
            await it.context.received(InboundMessage(device_key="phone", text="\U0001f600" * 65_536))
        receipt = await it.context.received(largest)
        await receipt.acknowledged()
        assert receipt.sequence == 1


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (grpc.StatusCode.ABORTED, "SESSION_SUPERSEDED", Superseded),
        (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED", NotAdmitted),
        (grpc.StatusCode.PERMISSION_DENIED, "TENANT_CLOSED", NotAdmitted),
    ],
)
async def test_core_that_sends_the_driver_away_is_obeyed(
    core: StubCore, tmp_path: Path, code: grpc.StatusCode, reason: str, error: type[Exception]
) -> None:
    async with running(core, tmp_path) as it:
        await core.until(lambda: core.is_connected)
        core.break_stream(code, reason)
        await asyncio.wait([it.stream])
        assert isinstance(it.stream.exception(), error)


async def test_other_instance_of_the_driver_supersedes_the_first(core: StubCore, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    async with running(core, tmp_path / "first") as first:
        await core.until(lambda: core.is_connected)
        async with running(core, tmp_path / "second") as second:
            await asyncio.wait([first.stream])
            assert isinstance(first.stream.exception(), Superseded)
            core.offer([command("a")])
            await settled(core)
            assert second.driver.sent == ["a"]


async def test_journal_that_the_core_calls_rolled_back_gets_a_new_identity(
    core: StubCore, tmp_path: Path
) -> None:
    async with running(core, tmp_path):
        core.offer([command("a")])
        await settled(core)
        core.break_stream(grpc.StatusCode.DATA_LOSS, "JOURNAL_ROLLED_BACK")
        await core.until(lambda: len(core.hellos) == 2)
        assert core.hellos[1].journal_id != core.hellos[0].journal_id
        core.offer([command("b")])
        assert await settled(core) == {"a": "submitted", "b": "submitted"}


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.ABORTED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED]
)
async def test_any_other_end_of_the_stream_is_answered_with_a_new_one(
    core: StubCore, tmp_path: Path, code: grpc.StatusCode
) -> None:
    async with running(core, tmp_path):
        await core.until(lambda: core.is_connected)
        core.break_stream(code)
        await core.until(lambda: len(core.hellos) == 2)


async def test_capabilities_of_the_driver_are_told(core: StubCore, tmp_path: Path) -> None:
    async with running(core, tmp_path):
        await core.until(lambda: core.is_connected)
        assert list(core.hellos[0].capabilities) == [CAPABILITY_CANCEL]


async def test_older_copy_of_the_journal_makes_open_commands_unknown_and_is_used_no_more(
    core: StubCore, tmp_path: Path
) -> None:
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    await leave_started(core, tmp_path)
    shutil.copy(path, copy)
    async with running(core, tmp_path):
        core.offer([command("b")])
        await settled(core)
    shutil.copy(copy, path)
    async with running(core, tmp_path) as it:
        await core.until(lambda: len({hello.journal_id for hello in core.hellos}) == 2)
        core.offer([command("c")])
        states = await settled(core)
        assert states == {"a": "outcome_unknown", "b": "submitted", "c": "submitted"}
        assert it.driver.sent == ["c"]


async def test_core_that_puts_a_fact_aside_is_found_again_at_once(core: StubCore, tmp_path: Path) -> None:
    async with running(core, tmp_path):
        await core.until(lambda: core.is_connected)
        core.break_stream(grpc.StatusCode.INVALID_ARGUMENT, "FACT_NOT_APPLICABLE")
        await core.until(lambda: len(core.hellos) == 2)
