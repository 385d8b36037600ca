"""What keeps a number from sending, and for how long."""

from dataclasses import dataclass

from drivers.runtime import Failed
from drivers.whatsapp_cloud.conditions import CONDITIONS, Reason
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
    FailureReason,
)


@dataclass(slots=True, frozen=True)
class Timing:
    """How long a number pauses, in seconds; doubled each time in a row, up to the second of the pair."""

    slowed_s: tuple[float, float] = (2.0, 600.0)
    away_s: tuple[float, float] = (1.0, 60.0)
    """Graph cannot be reached, or answers with what is no answer."""
    person_s: tuple[float, float] = (30.0, 1800.0)
    """A person is needed; a new token ends it at once."""
    token_look_s: float = 2.0
    """Between two looks at the token's file."""
    give_back_s: float = 5.0
    """A shorter pause is not worth giving back what waits: it would come again later than the pause ends."""

    def pause_s(self, reason: Reason, times: int) -> float:
        """The pause for a reason that is the `times`-th trouble in a row, from 1."""
        first_s, most_s = self.away_s
        if reason is Reason.SLOWED_DOWN:
            first_s, most_s = self.slowed_s
        elif CONDITIONS[reason].is_for_a_person:
            first_s, most_s = self.person_s
        return min(first_s * 2.0 ** (min(times, 32) - 1), most_s)


@dataclass(slots=True, eq=False)
class Trouble:
    """Why the number does not send now, and for how long at least."""

    reason: Reason
    pause_s: float
    until: float
    """By the monotonic clock."""
    token_version: int
    """Of the token that met it."""

    def extend(self, pause_s: float, now: float) -> None:
        """Meta asks for this pause too: the one that ends later counts."""
        if now + pause_s > self.until:
            self.pause_s, self.until = pause_s, now + pause_s

    def failed(self) -> Failed:
        """What becomes of a command that waits: it is tried again, here later or by another device."""
        return Failed(self.failure_reason, detail=self.detail, retry_after_s=self.retry_after_s)

    @property
    def failure_reason(self) -> FailureReason:
        """One that is retried."""
        if self.reason is Reason.SLOWED_DOWN:
            return FAILURE_REASON_RATE_LIMITED
        is_for_a_person = CONDITIONS[self.reason].is_for_a_person
        return FAILURE_REASON_DEVICE_FAULT if is_for_a_person else FAILURE_REASON_NO_SERVICE

    @property
    def detail(self) -> str:
        """One sentence for people."""
        return f"The number does not send now: {self.reason.value}."

    @property
    def retry_after_s(self) -> float | None:
        """Where the pause is known to be over then."""
        return self.pause_s if self.reason is Reason.SLOWED_DOWN else None
