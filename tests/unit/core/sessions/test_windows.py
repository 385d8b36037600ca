"""Windows, signs of life and the end of a session, frame by frame under a clock that a test moves."""

from typing import Any

import pytest

from core.dispatch import ReadyDevice, Reconciled
from core.errors import (
    ReplayTimeout,
    SilentTooLong,
)
from core.facts import Rejection
from core.sessions.protocol import Effects, Phase
from infinireach.driver.v1 import command_pb2, driver_service_pb2, fact_pb2
from tests.driver_frames import (
    Request,
    change_fact,
    command_ids,
    facts_frame,
    goodbye_frame,
    heartbeat_frame,
    hello_frame,
    inbound_fact,
    kinds,
    report_fact,
)
from tests.session_protocols import (
    START_S,
    apply,
    command,
    command_id,
    live_protocol,
    new_protocol,
    opened,
    opened_session,
)

# Windows


def test_a_window_is_what_is_not_settled() -> None:
    protocol = live_protocol()
    assert protocol.ready("device-1") == ReadyDevice("device-1", "driver-id", 7, 3)
    frames = protocol.offer([command(1), command(2), command(3), command(4, "device-2")])
    assert command_ids(frames) == [command_id(n) for n in (1, 2, 3, 4)]
    assert protocol.ready("device-1") is None
    assert protocol.ready("device-2") is None
    apply(protocol, report_fact(1, command_id(2)))
    assert protocol.free("device-1") == 1
    apply(protocol, report_fact(2, command_id(1)), report_fact(3, command_id(3)))
    assert protocol.free("device-1") == 3


OUTCOMES: dict[str, dict[str, Any]] = {
    "submitted": {"submitted": fact_pb2.Submitted()},
    "delivered": {"delivered": fact_pb2.Delivered()},
    "failed": {"failed": {}},
    "cancelled": {"cancelled": fact_pb2.Cancelled()},
    "outcome_unknown": {"outcome_unknown": fact_pb2.OutcomeUnknown()},
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_gives_its_place_back_once(outcome: str) -> None:
    protocol = live_protocol()
    protocol.offer([command(1), command(2)])
    apply(protocol, report_fact(1, command_id(1), **OUTCOMES[outcome]))
    apply(protocol, report_fact(2, command_id(1), **OUTCOMES[outcome]))
    assert protocol.free("device-1") == 2


def test_a_report_without_a_result_gives_no_place_back() -> None:
    protocol = live_protocol()
    protocol.offer([command(1)])
    first = report_fact(1, command_id(1), delivered=fact_pb2.Delivered(segments=[2]))
    apply(protocol, first, unsettled={command_id(1)})
    assert protocol.free("device-1") == 2
    apply(protocol, report_fact(2, command_id(1)))
    assert protocol.free("device-1") == 3


def test_a_report_gives_its_place_back_also_if_it_was_kept_aside() -> None:
    protocol = live_protocol()
    protocol.offer([command(1)])
    apply(protocol, report_fact(1, command_id(1)), rejected=[Rejection(1, "UNKNOWN_COMMAND", "")])
    assert protocol.free("device-1") == 3


def test_reports_on_commands_of_earlier_sessions_free_nothing() -> None:
    protocol = live_protocol()
    protocol.offer([command(1)])
    apply(protocol, report_fact(1, command_id(99)), report_fact(2, ""))
    assert protocol.free("device-1") == 2


def test_a_command_that_is_offered_twice_takes_one_place() -> None:
    protocol = live_protocol(device_1=[command_id(1)])
    protocol.offer([command(1)])
    assert protocol.free("device-1") == 2


def test_a_windows_size_is_absolute() -> None:
    protocol = live_protocol()
    protocol.offer([command(1), command(2)])
    apply(protocol, change_fact(1, window=1))
    assert protocol.free("device-1") == 0
    apply(protocol, change_fact(2, window=0), report_fact(3, command_id(1)), report_fact(4, command_id(2)))
    assert protocol.ready("device-1") is None
    apply(protocol, change_fact(5, window=1000))
    assert protocol.free("device-1") == 1000


def test_a_change_that_is_older_than_the_hello_changes_no_window() -> None:
    protocol = new_protocol()
    opened(protocol, last_sequence=1)
    effects = apply(protocol, change_fact(1, window=0))
    assert effects.reconcile
    protocol.reconciled(Reconciled([], {}))
    assert protocol.free("device-1") == 3
    apply(protocol, change_fact(2, window=1))
    assert protocol.free("device-1") == 1


def test_a_change_of_a_device_that_the_session_does_not_have_changes_no_window() -> None:
    protocol = live_protocol()
    apply(
        protocol, change_fact(1, device_key="other", window=9), rejected=[Rejection(1, "UNKNOWN_DEVICE", "")]
    )
    assert (protocol.free("device-1"), protocol.free("device-2")) == (3, 1)


def test_a_device_of_another_session_takes_nothing() -> None:
    assert live_protocol().ready("device-9") is None


def test_what_a_driver_holds_for_a_device_that_left_takes_no_ones_place() -> None:
    protocol = live_protocol(device_9=[command_id(9)])
    assert (protocol.free("device-1"), protocol.free("device-9")) == (3, 0)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.LIVE])
def test_commands_flow_only_in_a_live_session(phase: Phase) -> None:
    protocol = live_protocol()
    protocol.phase = phase
    assert protocol.ready("device-1") is None


# Liveness


def test_silence_ends_the_stream_only_past_the_timeout() -> None:
    protocol = live_protocol()
    protocol.spoke(START_S + 25)
    protocol.tick(START_S + 25)
    with pytest.raises(SilentTooLong, match="heard of the driver for 26 s"):
        protocol.tick(START_S + 26)


@pytest.mark.parametrize(
    "frame",
    [
        heartbeat_frame(),
        facts_frame(inbound_fact(1)),
        Request(accepted=command_pb2.CommandsAccepted(command_ids=["x"])),
        Request(),
    ],
)
def test_every_frame_is_a_sign_of_life(frame: Request) -> None:
    protocol = live_protocol()
    protocol.receive(frame, START_S + 24)
    protocol.spoke(START_S + 49)
    protocol.tick(START_S + 49)
    with pytest.raises(SilentTooLong):
        protocol.tick(START_S + 50)


def test_nothing_is_due_before_the_time_that_a_session_says_it_is_idle() -> None:
    protocol = live_protocol()
    for heard_s, spoke_s, idle_s in ((0, 0, 10), (1, 7, 17), (40, 30, 40), (40, 60, 65)):
        protocol.receive(heartbeat_frame(), START_S + heard_s)
        protocol.spoke(START_S + spoke_s)
        assert protocol.idle_s(START_S) == idle_s
        assert protocol.tick(START_S + idle_s - 0.1) == []
    with pytest.raises(SilentTooLong):
        protocol.tick(START_S + 65.1)
    assert protocol.idle_s(START_S + 66) == 0


def test_a_replay_that_takes_too_long_is_noticed_though_the_driver_is_heard() -> None:
    protocol = live_protocol()
    protocol.phase = Phase.REPLAYING
    protocol.receive(heartbeat_frame(), START_S + 55)
    protocol.spoke(START_S + 55)
    assert protocol.idle_s(START_S + 55) == 5
    with pytest.raises(ReplayTimeout):
        protocol.tick(START_S + 60.1)


def test_a_session_that_is_not_open_yet_says_nothing_of_the_time_it_is_idle() -> None:
    protocol = live_protocol()
    protocol.phase = Phase.OPENING
    assert protocol.idle_s(START_S) == 0


def test_a_heartbeat_is_due_when_nothing_was_said_for_the_interval() -> None:
    protocol = live_protocol()
    assert protocol.tick(START_S + 9.9) == []
    assert kinds(protocol.tick(START_S + 10)) == ["heartbeat"]
    protocol.spoke(START_S + 10)
    assert protocol.tick(START_S + 19.9) == []


def test_a_driver_that_reads_nothing_is_not_kept_for_ever() -> None:
    protocol = live_protocol()
    for now_s in range(1, 36):  # the timeout, and the interval after which it is first spoken to
        protocol.receive(heartbeat_frame(), START_S + now_s)
        protocol.tick(START_S + now_s)
    protocol.receive(heartbeat_frame(), START_S + 36)
    with pytest.raises(SilentTooLong, match="read nothing"):
        protocol.tick(START_S + 36)


def test_nothing_is_said_before_welcome() -> None:
    protocol = new_protocol()
    assert protocol.tick(START_S + 1000) == []
    protocol.receive(hello_frame(), START_S)
    assert protocol.tick(START_S + 1000) == []
    protocol.opened(opened_session(), START_S + 1000)
    assert protocol.tick(START_S + 1001) == []


# The rest


def test_unknown_frames_are_ignored_and_counted() -> None:
    protocol = live_protocol()
    later_version = driver_service_pb2.ConnectRequest.FromString(b"\xfa\x07\x03abc")
    assert protocol.receive(later_version, START_S) == Effects()
    assert protocol.receive(Request(), START_S) == Effects()
    assert protocol.unknown_frames == 2


def test_transient_frames_change_nothing() -> None:
    protocol = live_protocol()
    accepted = Request(accepted=command_pb2.CommandsAccepted(command_ids=[command_id(1)]))
    assert protocol.receive(accepted, START_S) == Effects()
    assert protocol.receive(heartbeat_frame(), START_S) == Effects()
    assert (protocol.unknown_frames, protocol.free("device-1")) == (0, 3)


def test_goodbye_is_the_end() -> None:
    assert live_protocol().receive(goodbye_frame(), START_S).left


def test_a_drain_is_announced_and_no_more_commands_come() -> None:
    protocol = live_protocol()
    (frame,) = protocol.drain("restart", 7.5)
    assert (frame.drain.reason, frame.drain.grace_period.ToMilliseconds()) == ("restart", 7500)
    assert protocol.ready("device-1") is None
    assert apply(protocol, inbound_fact(1)).reconcile is False
    assert protocol.acknowledged == 1


def test_a_drain_during_the_replay_keeps_the_session_from_going_live() -> None:
    protocol = new_protocol()
    opened(protocol, last_sequence=2)
    protocol.drain("restart", 1)
    assert apply(protocol, inbound_fact(1), inbound_fact(2)).reconcile is False
    assert protocol.phase is Phase.DRAINING


def test_a_session_names_its_devices() -> None:
    assert live_protocol().device_ids == ["device-1", "device-2"]
