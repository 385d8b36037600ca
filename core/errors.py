"""The errors that use cases raise and the edge translates, once, into statuses.

Owns the classes and their stable reasons. Knows nothing of gRPC, HTTP or storage: `status` is the name of a
google.rpc.Code, which the edge looks up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One faulty field: its name in the proto and what is wrong with it."""

    field: str
    description: str


class InfiniReachError(Exception):
    """The core could not do it."""

    status: ClassVar[str] = "INTERNAL"
    reason: ClassVar[str] = "INTERNAL"
    retriable: ClassVar[bool] = False

    def __init__(self, message: str | None = None, **metadata: str) -> None:
        self.message: str = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.metadata: Mapping[str, str] = metadata
        super().__init__(self.message)


class InvalidArgument(InfiniReachError):
    """The request has faulty fields."""

    status = "INVALID_ARGUMENT"
    reason = "INVALID_ARGUMENT"

    def __init__(self, violations: Sequence[FieldViolation], message: str | None = None) -> None:
        self.violations: Sequence[FieldViolation] = tuple(violations)
        named = "; ".join(f"{v.field}: {v.description}" for v in self.violations)
        super().__init__(message or named or None)


class Unauthenticated(InfiniReachError):
    """The credential is missing, malformed, unknown, expired or revoked."""

    status = "UNAUTHENTICATED"
    reason = "UNAUTHENTICATED"


class ServiceCredentialRefused(Unauthenticated):
    """The service credential is not valid."""

    reason = "SERVICE_CREDENTIAL_REFUSED"


class PermissionDenied(InfiniReachError):
    """The credential does not allow this."""

    status = "PERMISSION_DENIED"
    reason = "PERMISSION_DENIED"


class NotFound(InfiniReachError):
    """There is no such resource."""

    status = "NOT_FOUND"
    reason = "NOT_FOUND"


class DeviceNotFound(InfiniReachError):
    """No device of this account has that number."""

    status = "NOT_FOUND"
    reason = "DEVICE_NOT_FOUND"

    def __init__(self, number: str) -> None:
        super().__init__(f"No device found with phone number {number} for your account.")


class ExternalIdConflict(InfiniReachError):
    """This externalId was used before with different content; nothing was sent."""

    status = "ALREADY_EXISTS"
    reason = "EXTERNAL_ID_CONFLICT"


class NotCancellable(InfiniReachError):
    """The message is past the point where it can be cancelled."""

    status = "FAILED_PRECONDITION"
    reason = "NOT_CANCELLABLE"


class DeviceBusy(InfiniReachError):
    """A message is with the device's driver; try again when it is settled."""

    status = "FAILED_PRECONDITION"
    reason = "DEVICE_BUSY"


class AlreadyExists(InfiniReachError):
    """The name is taken."""

    status = "ALREADY_EXISTS"
    reason = "ALREADY_EXISTS"


class TooManyWebhooks(InfiniReachError):
    """The account has as many webhooks as it may have."""

    status = "RESOURCE_EXHAUSTED"
    reason = "TOO_MANY_WEBHOOKS"


class TestRateLimited(InfiniReachError):
    """Too many test deliveries; wait a minute."""

    __test__ = False  # the name begins with Test; it is no test class

    status = "RESOURCE_EXHAUSTED"
    reason = "TEST_RATE_LIMITED"


class Unavailable(InfiniReachError):
    """The core cannot commit at the moment; nothing was accepted."""

    status = "UNAVAILABLE"
    reason = "UNAVAILABLE"
    retriable = True
    retry_after_s: float = 1.0
    """When the caller should try again."""


class TooManyOpening(Unavailable):
    """Too many drivers connect at the same time; each is told when its turn is."""

    reason = "TOO_MANY_OPENING"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class OutcomeUnknown(InfiniReachError):
    """The database went away in the middle of a commit; nobody can tell whether this was done.

    Not UNAVAILABLE, which clients and proxies repeat by themselves: a message would be sent twice.
    """

    status = "UNKNOWN"
    reason = "OUTCOME_UNKNOWN"
    retriable = True


class SessionSuperseded(InfiniReachError):
    """A newer session of this driver is live."""

    status = "ABORTED"
    reason = "SESSION_SUPERSEDED"


class ProtocolViolation(InfiniReachError):
    """The driver broke the protocol."""

    status = "INVALID_ARGUMENT"
    reason = "PROTOCOL_VIOLATION"


class HelloMissing(ProtocolViolation):
    """The first frame must be hello, once, within the time for it."""

    reason = "HELLO_MISSING"


class SequenceGap(ProtocolViolation):
    """Facts are missing before this one."""

    status = "DATA_LOSS"
    reason = "SEQUENCE_GAP"


class SilentTooLong(ProtocolViolation):
    """Nothing was heard of the driver for the heartbeat timeout."""

    status = "DEADLINE_EXCEEDED"
    reason = "HEARTBEAT_TIMEOUT"


class ReplayTimeout(ProtocolViolation):
    """The driver did not replay its unacknowledged facts in time."""

    status = "DEADLINE_EXCEEDED"
    reason = "REPLAY_TIMEOUT"


class FactNotApplicable(ProtocolViolation):
    """A fact names a command or device that this driver does not have; it was kept aside."""

    reason = "FACT_NOT_APPLICABLE"
