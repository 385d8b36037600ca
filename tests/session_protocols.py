"""Driver sessions in any phase, for the tests of the protocol.

Owns their limits and their clock's start. The database is made up here: what it would answer is an argument.
"""

from typing import Any

from core.dispatch import Command, Reconciled
from core.driver_sessions import OpenedSession
from core.facts import Applied
from core.sessions.protocol import Effects, SessionLimits, SessionProtocol
from infinireach.driver.v1 import fact_pb2
from tests.core_fixtures import NOW_MS, NUMBER, RECIPIENT
from tests.driver_frames import facts_frame, hello_frame
from tests.fakes.database import TENANT_A

LIMITS = SessionLimits(
    heartbeat_interval_s=10,
    heartbeat_timeout_s=25,
    replay_timeout_s=60,
    frame_bytes_max=262_144,
    unacknowledged_facts_max=1000,
)
START_S = 1000.0


def command_id(number: int) -> str:
    """The id of command number `number`."""
    return f"{number:024x}-1"


def command(number: int, device_id: str = "device-1") -> Command:
    """A command that was claimed."""
    return Command(
        command_id=command_id(number),
        message_id=f"{number:024x}",
        driver_id="driver-id",
        device_id=device_id,
        channel="sms",
        source=NUMBER,
        destination=RECIPIENT,
        body="Hello",
        encoding="gsm7",
        segments=1,
        not_after_ms=NOW_MS,
        traceparent=None,
    )


def new_protocol() -> SessionProtocol:
    """A session to which nothing was said yet."""
    return SessionProtocol(LIMITS, tenant_id=TENANT_A, token_id="token", now_s=START_S)


def opened_session(**changes: Any) -> OpenedSession:
    """A session as the database opens it: device-1 has room for three commands, device-2 for one."""
    values: dict[str, Any] = {
        "driver_id": "driver-id",
        "epoch": 7,
        "resume_after": 0,
        "journal_lost": False,
        "facts_missing": 0,
        "keys": {"device-1": "modem-1", "device-2": "modem-2"},
        "windows": {"device-1": 3, "device-2": 1},
        "drop_commands": [],
    }
    return OpenedSession(**values | changes)


def opened(protocol: SessionProtocol, *, last_sequence: int = 0, **changes: Any) -> Effects:
    """Say hello and open the session."""
    effects = protocol.receive(hello_frame(last_sequence=last_sequence), START_S)
    assert effects.hello is not None
    return protocol.opened(opened_session(**changes), START_S)


def live_protocol(**held: list[str]) -> SessionProtocol:
    """A session in which commands flow; `held`: what the driver has, by device."""
    protocol = new_protocol()
    assert opened(protocol).reconcile
    protocol.reconciled(Reconciled([], {key.replace("_", "-"): ids for key, ids in held.items()}))
    return protocol


def apply(protocol: SessionProtocol, *facts: fact_pb2.Fact, **changes: Any) -> Effects:
    """Receive facts and say that they are committed."""
    effects = protocol.receive(facts_frame(*facts), START_S)
    assert effects.facts is not None
    read = effects.facts.facts
    return protocol.applied(read, Applied(acknowledged=read[-1].sequence, **changes))
