"""The core's end of the driver protocol, driven frame by frame under a clock that a test moves."""

import pytest

from core.devices import Refusal
from core.dispatch import Reconciled
from core.errors import (
    FactNotApplicable,
    HelloMissing,
    ProtocolViolation,
    ReplayTimeout,
    SequenceGap,
    SilentTooLong,
)
from core.facts import Applied, Rejection
from core.sessions.protocol import OWN_CAPABILITIES, Phase, SessionLimits, SessionProtocol
from infinireach.driver.v1 import session_pb2
from tests.core_fixtures import NUMBER
from tests.driver_frames import (
    Request,
    command_ids,
    facts_frame,
    goodbye_frame,
    heartbeat_frame,
    hello_frame,
    inbound_fact,
    kinds,
    report_fact,
)
from tests.fakes.database import TENANT_A
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

# Hello and Welcome


def test_a_hello_opens_the_session_and_is_read_as_its_credentials() -> None:
    protocol = new_protocol()
    effects = protocol.receive(hello_frame(), START_S)
    assert protocol.phase is Phase.OPENING
    assert effects.frames == []
    assert effects.hello is not None
    assert (effects.hello.tenant_id, effects.hello.token_id) == (TENANT_A, "token")


def test_welcome_says_what_holds_for_the_session() -> None:
    effects = opened(
        new_protocol(),
        last_sequence=9,
        resume_after=4,
        drop_commands=["x-1"],
        refusals=[Refusal("modem-2", NUMBER, "Another device has it.")],
    )
    (frame,) = effects.frames
    welcome = frame.welcome
    assert (welcome.epoch, welcome.resume_after_sequence, list(welcome.drop_command_ids)) == (7, 4, ["x-1"])
    assert (welcome.heartbeat_interval.ToSeconds(), welcome.heartbeat_timeout.ToSeconds()) == (10, 25)
    assert (welcome.frame_bytes_max, welcome.unacknowledged_facts_max) == (262_144, 1000)
    (refused,) = welcome.refused_devices
    assert (refused.device_key, refused.number, refused.detail) == (
        "modem-2",
        NUMBER,
        "Another device has it.",
    )


@pytest.mark.parametrize("seconds", [10.0, 0.05, 2.5])
def test_welcome_says_parts_of_seconds(seconds: float) -> None:
    limits = SessionLimits(seconds, 25, 60, 262_144, 1000)
    protocol = SessionProtocol(limits, tenant_id=TENANT_A, token_id="token", now_s=0)
    protocol.receive(hello_frame(), 0)
    (frame,) = protocol.opened(opened_session(), 0).frames
    assert frame.welcome.heartbeat_interval.ToMicroseconds() == pytest.approx(seconds * 1_000_000, abs=1)


def test_agreed_are_the_capabilities_that_both_sides_have() -> None:
    offered = [session_pb2.CAPABILITY_CANCEL, session_pb2.CAPABILITY_INBOUND, 0, 99]
    protocol = new_protocol()
    protocol.receive(hello_frame(capabilities=offered), START_S)
    (frame,) = protocol.opened(opened_session(), START_S).frames
    assert set(frame.welcome.capabilities) == {
        session_pb2.CAPABILITY_CANCEL,
        session_pb2.CAPABILITY_INBOUND,
    }
    assert set(frame.welcome.capabilities) <= set(OWN_CAPABILITIES)


@pytest.mark.parametrize(
    "frame", [facts_frame(inbound_fact(1)), heartbeat_frame(), goodbye_frame(), Request()]
)
def test_anything_before_hello_ends_the_stream(frame: Request) -> None:
    with pytest.raises(HelloMissing):
        new_protocol().receive(frame, START_S)


def test_a_second_hello_ends_the_stream() -> None:
    with pytest.raises(HelloMissing, match="said already"):
        live_protocol().receive(hello_frame(), START_S)


def test_a_faulty_hello_ends_the_stream() -> None:
    with pytest.raises(ProtocolViolation, match=r"hello\.driver_name"):
        new_protocol().receive(hello_frame(driver_name=""), START_S)


def test_a_frame_that_is_too_large_ends_the_stream() -> None:
    with pytest.raises(ProtocolViolation, match="at most 262144"):
        live_protocol().receive(facts_frame(inbound_fact(1, "x" * 300_000)), START_S)


def test_a_hello_may_be_larger_since_no_limit_was_told_yet() -> None:
    held = [session_pb2.OpenCommand(command_id=command_id(n)) for n in range(30_000)]
    effects = new_protocol().receive(hello_frame(open_commands=held), START_S)
    assert effects.hello is not None
    assert len(effects.hello.open_commands) == 30_000
    with pytest.raises(ProtocolViolation, match="at most 4194304"):
        new_protocol().receive(hello_frame(driver_version="x" * 5_000_000), START_S)


@pytest.mark.parametrize(
    ("violation", "status", "reason"),
    [
        (ProtocolViolation, "INVALID_ARGUMENT", "PROTOCOL_VIOLATION"),
        (HelloMissing, "INVALID_ARGUMENT", "HELLO_MISSING"),
        (FactNotApplicable, "INVALID_ARGUMENT", "FACT_NOT_APPLICABLE"),
        (SequenceGap, "DATA_LOSS", "SEQUENCE_GAP"),
        (SilentTooLong, "DEADLINE_EXCEEDED", "HEARTBEAT_TIMEOUT"),
        (ReplayTimeout, "DEADLINE_EXCEEDED", "REPLAY_TIMEOUT"),
    ],
)
def test_a_violation_ends_the_stream_as_the_protocol_says(
    violation: type[ProtocolViolation], status: str, reason: str
) -> None:
    assert (violation.status, violation.reason, violation.retriable) == (status, reason, False)


# Replay, then reconcile


def test_without_facts_to_replay_the_session_is_reconciled_at_once() -> None:
    protocol = new_protocol()
    assert opened(protocol).reconcile
    assert protocol.phase is Phase.RECONCILING


def test_what_was_applied_already_is_not_waited_for() -> None:
    assert opened(new_protocol(), last_sequence=9, resume_after=9).reconcile
    assert opened(new_protocol(), last_sequence=9, resume_after=8).reconcile is False


def test_the_replay_ends_when_its_last_fact_is_committed_and_not_before() -> None:
    protocol = new_protocol()
    assert opened(protocol, last_sequence=3, resume_after=1).reconcile is False
    first = protocol.receive(facts_frame(inbound_fact(2)), START_S)
    second = protocol.receive(facts_frame(inbound_fact(3), inbound_fact(4)), START_S)
    assert (first.reconcile, second.reconcile) == (False, False)
    assert first.facts is not None
    assert second.facts is not None
    assert protocol.applied(first.facts.facts, Applied(acknowledged=2)).reconcile is False
    assert protocol.phase is Phase.REPLAYING
    assert protocol.applied(second.facts.facts, Applied(acknowledged=4)).reconcile
    assert protocol.phase is Phase.RECONCILING


def test_a_session_is_reconciled_once() -> None:
    protocol = new_protocol()
    opened(protocol, last_sequence=1)
    assert apply(protocol, inbound_fact(1)).reconcile
    assert apply(protocol, inbound_fact(2)).reconcile is False
    protocol.reconciled(Reconciled([], {}))
    assert apply(protocol, inbound_fact(3)).reconcile is False


def test_a_replay_that_takes_too_long_ends_the_stream() -> None:
    protocol = new_protocol()
    opened(protocol, last_sequence=5)
    for now_s in range(0, 61, 5):
        protocol.receive(heartbeat_frame(), START_S + now_s)
        protocol.spoke(START_S + now_s)
        protocol.tick(START_S + now_s)
    with pytest.raises(ReplayTimeout):
        protocol.tick(START_S + 61)


def test_reconciled_offers_again_in_order_and_opens_the_windows() -> None:
    protocol = new_protocol()
    opened(protocol)
    assert protocol.ready("device-1") is None
    offer = [command(1), command(2)]
    held = {"device-1": [command_id(1), command_id(2)], "device-2": [command_id(3)]}
    effects = protocol.reconciled(Reconciled(offer, held))
    assert command_ids(effects.frames) == [command_id(1), command_id(2)]
    assert protocol.phase is Phase.LIVE
    assert (protocol.free("device-1"), protocol.free("device-2")) == (1, 0)


# Facts and their numbers


def test_facts_are_handed_on_under_the_sessions_epoch() -> None:
    protocol = live_protocol()
    effects = protocol.receive(facts_frame(inbound_fact(1), inbound_fact(2)), START_S)
    assert effects.facts is not None
    assert (effects.facts.driver_id, effects.facts.epoch) == ("driver-id", 7)
    assert [fact.sequence for fact in effects.facts.facts] == [1, 2]
    assert protocol.acknowledged == 0
    protocol.applied(effects.facts.facts, Applied(acknowledged=2))
    assert protocol.acknowledged == 2


def test_a_fact_said_again_is_acknowledged_again_and_changes_nothing() -> None:
    protocol = live_protocol()
    apply(protocol, inbound_fact(1), inbound_fact(2))
    effects = protocol.receive(facts_frame(inbound_fact(1), inbound_fact(2)), START_S)
    assert effects.facts is None
    assert kinds(effects.frames) == ["acknowledge"]
    mixed = protocol.receive(facts_frame(inbound_fact(2), inbound_fact(3)), START_S)
    assert mixed.facts is not None
    assert [fact.sequence for fact in mixed.facts.facts] == [3]


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [([2], "Expected fact 1, got 2"), ([1, 3], "Expected fact 2, got 3"), ([2**64 - 1], "Expected fact 1")],
)
def test_a_gap_ends_the_stream(numbers: list[int], sentence: str) -> None:
    with pytest.raises(SequenceGap, match=sentence):
        live_protocol().receive(facts_frame(*map(inbound_fact, numbers)), START_S)


def test_numbers_go_on_where_the_journal_stood() -> None:
    protocol = new_protocol()
    opened(protocol, last_sequence=9, resume_after=9)
    assert protocol.receive(facts_frame(inbound_fact(10)), START_S).facts is not None
    with pytest.raises(SequenceGap):
        protocol.receive(facts_frame(inbound_fact(12)), START_S)


def test_an_acknowledgement_never_goes_back() -> None:
    protocol = live_protocol()
    apply(protocol, inbound_fact(1), inbound_fact(2))
    protocol.applied([], Applied(acknowledged=1))
    assert protocol.acknowledged == 2


def test_a_rejected_fact_is_told_acknowledged_and_ends_the_stream() -> None:
    protocol = live_protocol()
    rejection = Rejection(1, "UNKNOWN_COMMAND", "Never given.")
    effects = apply(protocol, report_fact(1, "x"), inbound_fact(2), rejected=[rejection])
    (frame,) = effects.frames
    told = frame.fact_rejected
    assert (told.sequence, told.reason, told.detail) == (1, "UNKNOWN_COMMAND", "Never given.")
    assert protocol.acknowledged == 2
    with pytest.raises(FactNotApplicable, match=r"UNKNOWN_COMMAND: Never given\."):
        protocol.verdict(Applied(acknowledged=2, rejected=[rejection]))
    protocol.verdict(Applied(acknowledged=2))
