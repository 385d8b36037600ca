"""A driver that sends anything at all: it breaks its own stream, never the core."""

import contextlib
from collections.abc import Generator

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from core.errors import ProtocolViolation
from core.facts import DriverFacts, apply_facts
from core.sessions.frames import read_facts
from core.sessions.protocol import SessionLimits, SessionProtocol
from infinireach.driver.v1 import command_pb2, driver_service_pb2, fact_pb2, session_pb2
from infinireach.v1 import device_pb2, message_pb2
from tests.core_fixtures import LEASE_MS, NOW_MS, NUMBER, claimed_command, connect, open_session, state_of
from tests.driver_frames import Request, facts_frame, hello_frame
from tests.fakes.database import TENANT_A, memory_session

pytestmark = pytest.mark.usefixtures("database")

COMMAND = "0" * 24 + "-1"
EXTREMES = st.one_of(st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)]), st.integers(-(2**31), 2**31 - 1))
NUMBERS = st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1))
TEXTS = st.one_of(st.text(max_size=5), st.sampled_from(["modem-1", "a", NUMBER, COMMAND, "\x00", "x" * 300]))
LIMITS = SessionLimits(
    heartbeat_interval_s=10,
    heartbeat_timeout_s=25,
    replay_timeout_s=60,
    frame_bytes_max=262_144,
    unacknowledged_facts_max=1000,
)


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


def random_facts() -> st.SearchStrategy[fact_pb2.Fact]:
    """Facts of every kind without a number, well-formed and not."""
    times = st.builds(Timestamp, seconds=st.integers(-(2**63), 2**63 - 1), nanos=EXTREMES)
    reports = st.one_of(
        st.builds(lambda items: {"submitted": fact_pb2.Submitted(segment_references=items)}, st.lists(TEXTS)),
        st.builds(lambda items: {"delivered": fact_pb2.Delivered(segments=items)}, st.lists(EXTREMES)),
        st.builds(
            lambda reason, text: {
                "failed": message_pb2.Failure(reason=reason, network_code=text, detail=text)
            },
            st.integers(0, 20),
            TEXTS,
        ),
        st.just({"cancelled": fact_pb2.Cancelled()}),
        st.builds(lambda text: {"outcome_unknown": fact_pb2.OutcomeUnknown(detail=text)}, TEXTS),
        st.just({}),
    )
    return st.one_of(
        st.builds(
            lambda id, outcome: fact_pb2.Fact(
                command_report=fact_pb2.CommandReport(command_id=id, **outcome)
            ),
            TEXTS,
            reports,
        ),
        st.builds(
            lambda **values: fact_pb2.Fact(inbound_message=fact_pb2.InboundMessage(**values)),
            device_key=TEXTS, channel=st.integers(0, 3), source=TEXTS, destination=TEXTS, text=st.text(),
            network_time=times, segments=EXTREMES, group_id=TEXTS,
        ),
        st.builds(
            lambda **values: fact_pb2.Fact(device_changed=fact_pb2.DeviceChanged(**values)),
            device_key=TEXTS, state=st.integers(0, 6), reason=TEXTS, remedy=TEXTS, window=EXTREMES,
            signal_percent=EXTREMES, battery_percent=EXTREMES, pairing_payload=TEXTS,
        ),
        st.just(fact_pb2.Fact()),
    )  # fmt: skip


def random_hellos() -> st.SearchStrategy[Request]:
    """Hellos that are right but for some fields."""
    addresses = st.builds(
        device_pb2.DeviceAddress,
        channel=st.integers(0, 3), number=st.one_of(TEXTS, st.just(NUMBER)), slot=EXTREMES, ready=st.booleans(),
    )  # fmt: skip
    devices = st.builds(
        session_pb2.DeviceDescription,
        key=TEXTS, name=TEXTS, addresses=st.lists(addresses, max_size=2), window=EXTREMES, state=st.integers(0, 6),
    )  # fmt: skip
    fields = st.fixed_dictionaries(
        {},
        optional={
            "driver_name": TEXTS, "driver_kind": TEXTS, "driver_version": TEXTS, "instance_id": TEXTS,
            "journal_id": TEXTS, "first_unacknowledged_sequence": NUMBERS, "last_sequence": NUMBERS,
            "capabilities": st.lists(st.integers(0, 9), max_size=3),
            "devices": st.lists(devices, max_size=3),
            "open_commands": st.lists(
                st.builds(session_pb2.OpenCommand, command_id=TEXTS, phase=st.integers(0, 3)), max_size=3
            ),
        },
    )  # fmt: skip
    return fields.map(lambda changes: hello_frame(**changes))


def numbered(fact: fact_pb2.Fact, sequence: int) -> fact_pb2.Fact:
    """A copy with a number."""
    copy = fact_pb2.Fact()
    copy.CopyFrom(fact)
    copy.sequence = sequence
    return copy


def random_frames() -> st.SearchStrategy[Request]:
    """Frames of every kind, also of none that the core knows."""
    facts = st.lists(st.builds(numbered, random_facts(), NUMBERS), max_size=4)
    return st.one_of(
        random_hellos(),
        facts.map(lambda batch: facts_frame(*batch)),
        st.lists(TEXTS, max_size=3).map(
            lambda ids: Request(accepted=command_pb2.CommandsAccepted(command_ids=ids))
        ),
        st.just(Request(heartbeat=session_pb2.Heartbeat())),
        st.just(Request(goodbye=session_pb2.Goodbye())),
        st.just(Request()),
        st.just(
            driver_service_pb2.ConnectRequest.FromString(b"\xfa\x07\x03abc")
        ),  # field 127 of a later version
    )


def test_whatever_facts_a_driver_sends_they_are_applied_or_kept_aside(session: Session) -> None:
    opened = connect(session)
    open_command = claimed_command(session, opened)
    applied_so_far = 0

    @given(st.lists(random_facts(), min_size=1, max_size=5))
    def check(facts: list[fact_pb2.Fact]) -> None:
        nonlocal applied_so_far
        frame = facts_frame(*(numbered(fact, applied_so_far + n) for n, fact in enumerate(facts, 1)))
        applied_so_far += len(facts)
        batch = DriverFacts(opened.driver_id, opened.epoch, read_facts(frame.facts))
        (applied,) = apply_facts(session, [batch], NOW_MS)
        session.flush()
        assert applied.acknowledged == applied_so_far

    check()
    assert state_of(session, open_command.message_id) == "sending"


def test_whatever_frames_a_driver_sends_only_its_own_stream_ends(session: Session) -> None:
    @given(random_hellos(), st.lists(random_frames(), max_size=8))
    def check(first: Request, frames: list[Request]) -> None:
        protocol = SessionProtocol(LIMITS, tenant_id=TENANT_A, token_id="token", now_s=0)
        savepoint = session.begin_nested()
        with contextlib.suppress(ProtocolViolation):
            for now_s, frame in enumerate([first, *frames], 1):
                effects = protocol.receive(frame, now_s)
                if effects.hello is not None:
                    opened = open_session(session, effects.hello, NOW_MS, LEASE_MS)
                    effects = protocol.opened(opened, now_s)
                if effects.facts is not None:
                    (applied,) = apply_facts(session, [effects.facts], NOW_MS)
                    protocol.applied(effects.facts.facts, applied)
                protocol.tick(now_s)
        savepoint.rollback()
        session.expire_all()

    check()
