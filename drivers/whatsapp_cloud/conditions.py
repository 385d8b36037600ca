"""Every condition that a number can be in: its code, what the core is told, and what a person can do about it.

Owns the words; knows nothing of how a condition is found out. Codes are stable: dashboards and alarms name them.
"""

from enum import StrEnum

from drivers.runtime.conditions import ON, PERSON, WAIT, Row

WINDOW_UNPROVEN = 1
"""Until Meta takes a message again, where nothing else shows that it does."""
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


CONDITIONS: dict[Reason, Row] = {
    Reason.READY: Row(ON, can_send=True),
    Reason.STARTING: Row(WAIT),
    Reason.UNREACHABLE: Row(
        WAIT, "Graph cannot be reached. Look after DNS, firewall and clock of this machine, and `url`."
    ),
    Reason.GRAPH_FAILING: Row(
        WAIT,
        "Graph answers late or with what is no answer of its. It is asked again; metastatus.com tells more.",
    ),
    Reason.SLOWED_DOWN: Row(
        WAIT, "Meta asks to slow down. Lower `messages_per_s` if it happens often, or ask Meta for more."
    ),
    Reason.TOKEN_REFUSED: Row(
        PERSON,
        "Meta refuses the access token. Make a new one for the system user and put it into `token_file`.",
    ),
    Reason.PERMISSION_MISSING: Row(
        PERSON,
        "The token lacks whatsapp_business_messaging or whatsapp_business_management for this number's account. Assign "
        "the account to the system user with full control, and make a new token with both permissions.",
    ),
    Reason.NUMBER_UNKNOWN: Row(
        PERSON, "Meta knows no such number, or not for this token. Compare `phone_number_id` with API Setup."
    ),
    Reason.NOT_REGISTERED: Row(
        PERSON,
        "The number is not registered for the Cloud API. Register it in WhatsApp Manager, with its PIN.",
    ),
    Reason.NAME_NOT_APPROVED: Row(
        PERSON, "The number's display name is not approved. Mend it in WhatsApp Manager."
    ),
    Reason.SPAM_LIMIT: Row(
        PERSON,
        "Too many people blocked or reported the number, so Meta limits it. See its quality in WhatsApp Manager, and "
        "write only to those who asked for it.",
    ),
    Reason.RESTRICTED: Row(
        PERSON,
        "Meta has restricted or locked the account. Business Support Home says why and takes an appeal.",
    ),
}

UNPROVEN = frozenset({
    Reason.GRAPH_FAILING,
    Reason.PERMISSION_MISSING,
    Reason.NOT_REGISTERED,
    Reason.NAME_NOT_APPROVED,
    Reason.SPAM_LIMIT,
    Reason.RESTRICTED,
})
"""Met by a message: that Graph answers the look-up of the number does not show that they are over."""
