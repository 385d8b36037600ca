"""Every condition that a phone can be in: its code, what the core is told, and what a person can do about it.

Owns the words; knows nothing of how a condition is found out. Codes are stable: dashboards and alarms name them.
"""

from dataclasses import dataclass
from enum import StrEnum

from drivers.runtime.conditions import ON, PERSON, WAIT, Row
from infinireach.v1.device_pb2 import DeviceState

WINDOW = 3
"""Commands that a phone which can send has in hand: one runs, two wait in the journal."""


class Reason(StrEnum):
    """Why a phone is as it is; of several the first one is told."""

    FAULT = "fault"
    WRONG_SERVER = "wrong_server"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - the name of a condition
    APP_STOPPED = "app_stopped"
    UNREACHABLE = "unreachable"
    STARTING = "starting"
    SIM_MISSING = "sim_missing"
    NOT_SENDING = "not_sending"
    RATE_LIMITED = "rate_limited"
    ONE_SIM_MISSING = "one_sim_missing"
    BATTERY_LOW = "battery_low"
    CLOCK_OFF = "clock_off"
    NO_INBOUND = "no_inbound"
    INBOX_FAILED = "inbox_failed"
    WEBHOOK_REFUSED = "webhook_refused"
    READY = ""


CONDITIONS: dict[Reason, Row] = {
    Reason.READY: Row(ON, "", can_send=True),
    Reason.STARTING: Row(WAIT, ""),
    Reason.FAULT: Row(WAIT, "The driver failed at this phone and goes on. Its log says where."),
    Reason.UNREACHABLE: Row(
        WAIT,
        "The phone does not answer. Is it on, and in the same Wi-Fi? Has its address changed? Give it a fixed one in "
        "the router.",
    ),
    Reason.APP_STOPPED: Row(
        WAIT,
        "The phone is there and the app is not. Open it, switch the local server on and tap Start; take the app out of "
        "battery optimisation, or Android ends it again.",
    ),
    Reason.WRONG_PASSWORD: Row(
        PERSON,
        "The app refuses user and password. Copy both from the app's first page, below Local server, to phones.toml "
        "and start the driver again.",
    ),
    Reason.WRONG_SERVER: Row(
        PERSON,
        "Something else than the app answers at this url. Compare it with the address that the app shows.",
    ),
    Reason.SIM_MISSING: Row(
        PERSON,
        "A SIM of phones.toml is not in the phone. Put it in, or mend sim in phones.toml; on some phones the app needs "
        "the permission for telephone to see it.",
    ),
    Reason.ONE_SIM_MISSING: Row(
        PERSON,
        "Its other SIM goes on; messages from this one's number wait. Put it in, or mend sim in phones.toml.",
        can_send=True,
    ),
    Reason.NOT_SENDING: Row(
        WAIT,
        "The phone has had a message for over a minute and has not sent it. Look at its screen: Android may ask "
        "whether so many are meant. Or limits, working hours or the battery saver hold it back.",
    ),
    Reason.RATE_LIMITED: Row(
        WAIT,
        "It has sent as many parts as parts_per_30_min in phones.toml allows. Messages wait and none is lost.",
    ),
    Reason.BATTERY_LOW: Row(WAIT, "The battery is low and it is not charging. Plug it in.", can_send=True),
    Reason.CLOCK_OFF: Row(
        WAIT,
        "The clocks of phone and gateway differ by more than four minutes, so its webhooks are not believed. Set both "
        "by the network.",
        can_send=True,
    ),
    Reason.NO_INBOUND: Row(
        ON,
        "This version of the app cannot be asked for what came in: update it, or set up [webhook].",
        can_send=True,
    ),
    Reason.INBOX_FAILED: Row(
        WAIT,
        "The app does not answer as it should when it is asked for what came in. It is asked again, and sending goes "
        "on. Its log says more; restart it.",
        can_send=True,
    ),
    Reason.WEBHOOK_REFUSED: Row(
        ON,
        "The app does not take the webhook, so the phone is asked instead. Its url must begin with https://, or with "
        "http://127.0.0.1 by adb reverse; the app's log says more.",
        can_send=True,
    ),
}


@dataclass(slots=True, frozen=True)
class Condition:
    """How a phone is, for the core and for people."""

    reason: Reason
    detail: str = ""
    """A sentence that knows more than the table; comes before the table's."""

    @property
    def state(self) -> DeviceState:
        """What the core is told."""
        return CONDITIONS[self.reason].state

    @property
    def can_send(self) -> bool:
        """Whether commands may be started."""
        return CONDITIONS[self.reason].can_send

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return " ".join(filter(None, [self.detail, CONDITIONS[self.reason].remedy]))
