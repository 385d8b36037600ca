"""A part that did not go out: what is known of it and whose trouble it is.

Owns the causes that no code of a modem stands for, and which troubles may pass; does no I/O.
"""

from dataclasses import dataclass

from drivers.modem.at.causes import Action, Cause
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
)

_TROUBLES = (FAILURE_REASON_NO_SERVICE, FAILURE_REASON_DEVICE_FAULT, FAILURE_REASON_RATE_LIMITED)
"""Reasons that lie with the SIM, its modem or its network and not with the message (at.causes)."""
NOT_ASKED = Cause(
    Action.DEVICE, FAILURE_REASON_DEVICE_FAULT, "The modem did not take the message from the driver."
)
NOT_JOURNALLED = Cause(
    Action.RETRY, FAILURE_REASON_DEVICE_FAULT, "The driver's journal could not be written in time."
)
NOT_WRITTEN = Cause(
    Action.RETRY, FAILURE_REASON_DEVICE_FAULT, "The modem refused the message before it was given to it."
)


@dataclass(slots=True, frozen=True)
class Refused:
    """A part that certainly did not go out."""

    cause: Cause
    code: str


@dataclass(slots=True)
class Tries:
    """What was tried with one part."""

    retries: int = 0
    has_drained: bool = False
    trouble_since: float | None = None
    """When the trouble began that a message waits for of which parts are out; by the monotonic clock."""


def is_trouble(cause: Cause) -> bool:
    """Whether it lies with the SIM, its modem or its network, and not with the message."""
    return cause.reason in _TROUBLES


def is_devices_own(cause: Cause) -> bool:
    """Whether it is the modem that fails if this does not pass, and neither the network nor the driver's disk."""
    return cause.reason == FAILURE_REASON_DEVICE_FAULT and cause is not NOT_JOURNALLED
