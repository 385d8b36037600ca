"""Every condition that a modem can be in: its code, what the core is told, and what a person can do about it.

Owns the words; knows nothing of how a condition is found out. Codes are stable: dashboards and alarms name them.
"""

from dataclasses import dataclass
from enum import StrEnum

from drivers.runtime.conditions import ON, PERSON, WAIT, Row
from infinireach.v1.device_pb2 import DeviceState

WINDOW = 3
"""Commands that a modem which can send has in hand: one runs, two wait in the journal."""


class Reason(StrEnum):
    """Why a modem is as it is."""

    READY = ""
    POLLING = "polling"
    MEMORY_FULL = "memory_full"

    STARTING = "starting"
    PORT_MISSING = "port_missing"
    SIM_BUSY = "sim_busy"
    SEARCHING = "searching"
    NO_NETWORK = "no_network"
    RADIO_OFF = "radio_off"
    NOT_ANSWERING = "not_answering"
    RESETTING = "resetting"
    FAILING = "failing"
    DAILY_LIMIT = "daily_limit"
    SET_UP_REFUSED = "set_up_refused"
    FAULT = "fault"

    PORT_BUSY = "port_busy"
    PORT_FAILED = "port_failed"
    WRONG_MODEM = "wrong_modem"
    SIM_MISSING = "sim_missing"
    SIM_FAILURE = "sim_failure"
    SIM_CHANGED = "sim_changed"
    SIM_LOCKED = "sim_locked"
    PIN_MISSING = "pin_missing"
    PIN_REFUSED = "pin_refused"
    PIN_UNCERTAIN = "pin_uncertain"
    PIN_LAST_TRY = "pin_last_try"
    PUK_REQUIRED = "puk_required"
    SMSC_MISSING = "smsc_missing"
    REGISTRATION_DENIED = "registration_denied"
    STUCK = "stuck"


# {name} in a remedy is the modem's.
CONDITIONS: dict[Reason, Row] = {
    Reason.READY: Row(ON, "", can_send=True),
    Reason.POLLING: Row(
        ON,
        "The modem does not say when a message comes in; it is looked for every minute or two.",
        can_send=True,
    ),
    Reason.MEMORY_FULL: Row(
        WAIT,
        "The modem's memory for messages is full, so nothing more can come in. Messages leave it once the core has "
        "taken them; delete what is not for the gateway.",
        can_send=True,
    ),
    Reason.STARTING: Row(WAIT, ""),
    Reason.PORT_MISSING: Row(
        WAIT,
        "Its port does not exist. Plug the modem in, or mend `port` in modems.toml: `infinireach modem list` shows "
        "what there is.",
    ),
    Reason.SIM_BUSY: Row(
        WAIT, "The SIM says that it is busy. If it stays so, take it out and put it in again."
    ),
    Reason.SEARCHING: Row(WAIT, ""),
    Reason.NO_NETWORK: Row(
        WAIT, "The modem finds no network. Look after the antenna, the place and the operator."
    ),
    Reason.RADIO_OFF: Row(WAIT, "The radio does not start. Check the modem's supply of power."),
    Reason.NOT_ANSWERING: Row(
        WAIT,
        "Something is on the port and does not answer. A stick has several ports: `infinireach modem probe` tells "
        "which one is right. If it is this one, unplug the modem for ten seconds.",
    ),
    Reason.RESETTING: Row(WAIT, ""),
    Reason.FAILING: Row(
        WAIT, "Several messages failed one after the other, so the modem rests and is then tried again."
    ),
    Reason.DAILY_LIMIT: Row(
        WAIT,
        "It has sent parts_per_day parts today. It goes on tomorrow, or with a higher limit in modems.toml.",
    ),
    Reason.SET_UP_REFUSED: Row(
        WAIT,
        "The modem refuses a setting that it cannot work without. `infinireach modem probe` says which.",
    ),
    Reason.FAULT: Row(WAIT, "The driver failed at this modem and starts it again. Its log says where."),
    Reason.PORT_BUSY: Row(PERSON, "Another program has the port; stop it. Often it is ModemManager."),
    Reason.PORT_FAILED: Row(PERSON, "The port cannot be opened."),
    Reason.WRONG_MODEM: Row(
        PERSON, "No port holds the modem with this imei. Plug it in, or mend `imei` in modems.toml."
    ),
    Reason.SIM_MISSING: Row(PERSON, "There is no SIM. Put one in, the right way round."),
    Reason.SIM_FAILURE: Row(PERSON, "The SIM cannot be read. Clean its contacts, or try it in a phone."),
    Reason.SIM_CHANGED: Row(
        PERSON,
        "There is another SIM in it than before. In modems.toml change `number` to the new SIM's, or set `iccid` to "
        "the new SIM's if it has the same number; then start the driver again.",
    ),
    Reason.SIM_LOCKED: Row(PERSON, "The modem is locked to another SIM or operator. Have the lock removed."),
    Reason.PIN_MISSING: Row(
        PERSON, "The SIM wants a PIN. Set `pin` in modems.toml, or switch the PIN off in a phone."
    ),
    Reason.PIN_REFUSED: Row(
        PERSON,
        "The SIM refused the PIN, which is not tried again. Mend `pin` in modems.toml and start the driver again.",
    ),
    Reason.PIN_UNCERTAIN: Row(
        PERSON,
        "It is not known what the SIM said to the PIN, so it is not tried again by itself. If the PIN is "
        "right: `infinireach modem unlock {name}`.",
    ),
    Reason.PIN_LAST_TRY: Row(
        PERSON,
        "The SIM refused two tries, or may have, and the third would lock it. Enter the right PIN in a phone, then "
        "`infinireach modem unlock {name}`.",
    ),
    Reason.PUK_REQUIRED: Row(
        PERSON, "The SIM is locked and wants its PUK. Put it into a phone and enter the PUK there."
    ),
    Reason.SMSC_MISSING: Row(
        PERSON, "The SIM does not know its message centre. Ask the operator and set `smsc` in modems.toml."
    ),
    Reason.REGISTRATION_DENIED: Row(
        PERSON, "The network refuses the SIM. Ask the operator whether it is active and may be used here."
    ),
    Reason.STUCK: Row(
        PERSON,
        "The modem does not answer and no reset helped. Unplug it for ten seconds; a `reset_command` in modems.toml "
        "can do that in future.",
    ),
}


@dataclass(slots=True, frozen=True)
class Condition:
    """How a modem is, for the core and for people."""

    reason: Reason
    detail: str = ""
    """A sentence that knows more than the table, such as who has the port; comes before the table's."""

    @property
    def state(self) -> DeviceState:
        """What the core is told."""
        return CONDITIONS[self.reason].state

    @property
    def can_send(self) -> bool:
        """Whether commands may be started."""
        return CONDITIONS[self.reason].can_send

    def remedy(self, name: str) -> str:
        """What a person can do about it, for the modem of this name."""
        return " ".join(filter(None, [self.detail, CONDITIONS[self.reason].remedy.format(name=name)]))


class NotReady(Exception):
    """A modem cannot be set up as it is; the condition says why and whose turn it is."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason)
        self.condition = Condition(reason, detail)
