"""Every condition that a number can be in: its code, what the core is told, and what a person can do about it.

Owns the words; knows nothing of how a condition is found out. Codes are stable: dashboards and alarms name them.
"""

from dataclasses import dataclass
from enum import StrEnum

from infinireach.v1.device_pb2 import (
    DEVICE_STATE_ATTENTION,
    DEVICE_STATE_DEGRADED,
    DEVICE_STATE_ONLINE,
    DeviceState,
)

WINDOW = 50
"""Commands that a number which can send has in hand: what 80 messages a second need at an answer in half a second."""


class Reason(StrEnum):
    """Why a number is as it is."""

    READY = ""
    STARTING = "starting"
    UNREACHABLE = "unreachable"
    GRAPH_FAILING = "graph_failing"
    SLOWED_DOWN = "slowed_down"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a word, no token
    PERMISSION_MISSING = "permission_missing"
    NUMBER_UNKNOWN = "number_unknown"
    NOT_REGISTERED = "not_registered"
    NAME_NOT_APPROVED = "name_not_approved"
    SPAM_LIMIT = "spam_limit"
    RESTRICTED = "restricted"


@dataclass(slots=True, frozen=True)
class Condition:
    """One line of the table."""

    state: DeviceState
    remedy: str = ""
    """What a person can do; empty: nothing needs to be done."""

    @property
    def is_for_a_person(self) -> bool:
        """Whether it does not pass by itself."""
        return self.state == DEVICE_STATE_ATTENTION


_WAIT, _PERSON = DEVICE_STATE_DEGRADED, DEVICE_STATE_ATTENTION

CONDITIONS: dict[Reason, Condition] = {
    Reason.READY: Condition(DEVICE_STATE_ONLINE),
    Reason.STARTING: Condition(_WAIT),
    Reason.UNREACHABLE: Condition(
        _WAIT, "Graph cannot be reached. Look after DNS, firewall and clock of this machine, and `url`."
    ),
    Reason.GRAPH_FAILING: Condition(
        _WAIT,
        "Graph answers late or with what is no answer of its. It is asked again; metastatus.com tells more.",
    ),
    Reason.SLOWED_DOWN: Condition(
        _WAIT, "Meta asks to slow down. Lower `messages_per_s` if it happens often, or ask Meta for more."
    ),
    Reason.TOKEN_REFUSED: Condition(
        _PERSON,
        "Meta refuses the access token. Make a new one for the system user and put it into `token_file`.",
    ),
    Reason.PERMISSION_MISSING: Condition(
        _PERSON,
        "The token lacks whatsapp_business_messaging for this number's account. Assign the account to the system user "
        "with full control, and make a new token with that permission.",
    ),
    Reason.NUMBER_UNKNOWN: Condition(
        _PERSON, "Meta knows no such number, or not for this token. Compare `phone_number_id` with API Setup."
    ),
    Reason.NOT_REGISTERED: Condition(
        _PERSON,
        "The number is not registered for the Cloud API. Register it in WhatsApp Manager, with its PIN.",
    ),
    Reason.NAME_NOT_APPROVED: Condition(
        _PERSON, "The number's display name is not approved. Mend it in WhatsApp Manager."
    ),
    Reason.SPAM_LIMIT: Condition(
        _PERSON,
        "Too many people blocked or reported the number, so Meta limits it. See its quality in WhatsApp Manager, and "
        "write only to those who asked for it.",
    ),
    Reason.RESTRICTED: Condition(
        _PERSON,
        "Meta has restricted or locked the account. Business Support Home says why and takes an appeal.",
    ),
}
