"""A tenant's drivers, devices and messages as the tests of the core want them.

Owns defaults, so that a test states only what it is about. Everything goes through the use cases: nothing is put
into tables that the core itself would not put there.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.devices import OfferedAddress, OfferedDevice
from core.dispatch import Claimed, Command, ReadyDevice, claim
from core.driver_sessions import Hello, OpenedSession, open_sessions
from core.errors import InfiniReachError
from core.facts import Applied, DriverFacts, Fact, Report, apply_facts
from core.message_state import Evidence
from core.messages import Accepted, NewMessage, accept
from core.store.rows import DriverRow, EventRow, MessageRow, TimelineRow
from tests.fakes.database import TENANT_A
from tests.fakes.set_clock import START_MS

NOW_MS = START_MS
TTL_MS = 3_600_000
LEASE_MS = 30_000
NUMBER = "+15550000001"
OTHER_NUMBER = "+15550000002"
RECIPIENT = "+15559999999"
JOURNAL = "journal-1"

event_table = EventRow.__table__  # pyright: ignore[reportAttributeAccessIssue]


def offered_device(
    key: str = "modem-1",
    *numbers: str,
    channel: str = "sms",
    state: str = "online",
    window: int = 3,
) -> OfferedDevice:
    """A device as a hello describes it; without numbers it has NUMBER."""
    addresses = tuple(
        OfferedAddress(channel, number, slot, ready=True)
        for slot, number in enumerate(numbers or (NUMBER,), 1)
    )
    return OfferedDevice(key, f"Device {key}", state, window, addresses)


def without_numbers(device: OfferedDevice) -> OfferedDevice:
    """The same device after its SIM was taken out."""
    return replace(device, addresses=())


def hello(
    *devices: OfferedDevice,
    tenant_id: str = TENANT_A,
    driver_name: str = "driver-1",
    journal_id: str = JOURNAL,
    first_unacknowledged: int = 1,
    last_sequence: int = 0,
    open_commands: Iterable[str] = (),
) -> Hello:
    """A driver's hello; without devices it offers one with NUMBER."""
    return Hello(
        tenant_id=tenant_id,
        token_id="token-1",
        driver_name=driver_name,
        driver_kind="simulated",
        driver_version="1.0",
        instance_id="instance-1",
        journal_id=journal_id,
        first_unacknowledged=first_unacknowledged,
        last_sequence=last_sequence,
        devices=devices or (offered_device(),),
        open_commands=tuple(open_commands),
    )


def connect(session: Session, *devices: OfferedDevice, now_ms: int = NOW_MS, **changes: Any) -> OpenedSession:
    """Open a session of a driver."""
    return open_session(session, hello(*devices, **changes), now_ms, LEASE_MS)


def open_session(session: Session, hello: Hello, now_ms: int, lease_ms: int) -> OpenedSession:
    """Open one session. Raises what it is refused with."""
    (answer,) = open_sessions(session, [hello], now_ms, lease_ms)
    if isinstance(answer, InfiniReachError):
        raise answer
    return answer


def device_of(opened: OpenedSession, key: str = "modem-1") -> str:
    """The id of the device that the driver calls `key`."""
    (device_id,) = (device_id for device_id, own in opened.keys.items() if own == key)
    return device_id


def new_message(text: str = "Hello", **changes: Any) -> NewMessage:
    """A message from NUMBER."""
    message = NewMessage(tenant_id=TENANT_A, to=RECIPIENT, text=text, sender=NUMBER, channel="sms")
    return replace(message, **changes)


def accept_one(session: Session, *, now_ms: int = NOW_MS, ttl_ms: int = TTL_MS, **changes: Any) -> str:
    """Accept a message that must be acceptable; answers its id."""
    (accepted,) = accept(session, [new_message(**changes)], now_ms, ttl_ms)
    assert isinstance(accepted, Accepted), accepted
    return accepted.message_id


def ready(opened: OpenedSession, free: int = 3, key: str = "modem-1") -> ReadyDevice:
    """A device of a session with room for `free` commands."""
    return ReadyDevice(device_of(opened, key), opened.driver_id, opened.epoch, free)


def claim_for(session: Session, opened: OpenedSession, free: int = 3, now_ms: int = NOW_MS) -> Claimed:
    """Claim for every device of a session."""
    devices = [
        ReadyDevice(device_id, opened.driver_id, opened.epoch, free) for device_id in sorted(opened.keys)
    ]
    return claim(session, devices, now_ms)


def claimed_command(session: Session, opened: OpenedSession, **changes: Any) -> Command:
    """Accept one message and claim it; nothing else may be queued."""
    message_id = accept_one(session, **changes)
    (command,) = claim_for(session, opened).commands
    assert command.message_id == message_id
    return command


def apply(session: Session, opened: OpenedSession, *facts: Fact, now_ms: int = NOW_MS) -> Applied:
    """Apply facts of one session."""
    (applied,) = apply_facts(session, [DriverFacts(opened.driver_id, opened.epoch, facts)], now_ms)
    return applied


def report(sequence: int, command_id: str, outcome: Evidence, **changes: Any) -> Report:
    """What became of a command."""
    return Report(sequence, command_id, outcome, **changes)


def message_of(session: Session, message_id: str) -> MessageRow:
    """A message as the database has it now."""
    session.expire_all()
    return session.get_one(MessageRow, message_id)


def state_of(session: Session, message_id: str) -> str:
    """Where a message stands."""
    return message_of(session, message_id).state


def events_of(session: Session, message_id: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Type and data of the events recorded so far, of one message or of all, in order."""
    query = select(event_table).order_by(event_table.c.id)
    if message_id is not None:
        query = query.where(event_table.c.message_id == message_id)
    return [(row["type"], json.loads(row["body"])["data"]) for row in session.execute(query).mappings()]


def event_types(session: Session, message_id: str | None = None) -> list[str]:
    """The types of the events recorded so far."""
    return [event_type for event_type, _ in events_of(session, message_id)]


def steps_of(session: Session, message_id: str) -> list[tuple[str, dict[str, str]]]:
    """A message's stored timeline."""
    table = TimelineRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
    query = select(table).where(table.c.message_id == message_id).order_by(table.c.id)
    return [(row["step"], json.loads(row["attributes"])) for row in session.execute(query).mappings()]


def step_names(session: Session, message_id: str) -> Sequence[str]:
    """The names of a message's stored steps."""
    return [name for name, _ in steps_of(session, message_id)]


def next_sequence(session: Session, opened: OpenedSession) -> int:
    """The number of the driver's next fact."""
    session.expire_all()
    return session.get_one(DriverRow, opened.driver_id).applied_sequence + 1


def settle(session: Session, opened: OpenedSession, command: Command, *outcomes: Evidence) -> None:
    """Report outcomes of a command, one after the other."""
    first = next_sequence(session, opened)
    apply(session, opened, *(report(first + n, command.command_id, each) for n, each in enumerate(outcomes)))
