"""The questions that a probe asks a modem that answers, and what their answers mean to a person.

It enters no PIN, switches nothing on and sends nothing. It sets only what the driver sets too, and what no message can
get lost by: errors as numbers, PDU mode. Sources: 3GPP TS 27.005, 27.007. Knows no port.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from drivers.modem.at.results import CommandRefused, Domain
from drivers.modem.conditions import CONDITIONS, Reason
from drivers.modem.line import Commands
from drivers.modem.probe.findings import Finding, Mark, Tell
from drivers.modem.setup.answers import first_number, groups, listed_numbers, numbers, parameters, value_of
from drivers.modem.setup.identity import Identity, ask, read_iccid, read_identity
from drivers.modem.setup.patience import NOT_YET, Patience
from drivers.modem.setup.quirks import Quirks, quirks_for
from drivers.modem.setup.reception import Reception, read_reception
from drivers.modem.setup.sim import CME_REASONS, CMS_REASONS, FINE
from drivers.modem.timing import Timing
from drivers.runtime.clock import Clock

SIGNAL_WEAK_PERCENT = 20
"""About -107 dBm: below it messages begin to fail."""
E164 = re.compile(r"\+[1-9][0-9]{6,14}")


@dataclass(slots=True)
class Facts:
    """What the modem said that is of use in modems.toml."""

    identity: Identity
    number: str = ""
    """Its own number, E.164, if the SIM tells one."""
    wants_pin: bool = False
    lacks_smsc: bool = False
    is_complete: bool = False
    """Every question was asked."""


class Inspection:
    """Asks one modem everything."""

    def __init__(self, commands: Commands, tell: Tell, timing: Timing, clock: Clock) -> None:
        self._commands = commands
        self._tell = tell
        self._timing = timing
        self._clock = clock
        self._patience = Patience(timing, clock)

    async def carry_out(self) -> Facts:
        """Raises CommandUnanswered, ChannelClosed."""
        await self._ask("AT+CMEE=1")
        identity = await read_identity(self._commands, self._timing)
        facts = Facts(identity)
        self._tell_identity(identity)
        if not await self._radio_is_on():
            return facts
        if not await self._sim_is_ready(facts, quirks_for(identity.maker, identity.model)):
            return facts
        facts.number = await self._own_number()
        await self._look_at_network()
        facts.lacks_smsc = not await self._smsc_is_known()
        await self._look_at_storage()
        await self._look_at_message_service()
        facts.is_complete = True
        return facts

    async def _ask(self, command: str) -> Sequence[str]:
        return await ask(self._commands, command, timeout_s=self._timing.answer_s)

    def _say(self, step: str, mark: Mark, seen: str, remedy: str = "") -> None:
        self._tell(Finding(step, mark, seen, remedy))

    def _tell_identity(self, identity: Identity) -> None:
        words = (
            " ".join(filter(None, [identity.maker, identity.model, identity.revision])) or "It does not say"
        )
        if identity.imei:
            self._say("modem", Mark.OK, f"{words}, IMEI {identity.imei}.")
        else:
            self._say("modem", Mark.WARNING, f"{words}, and it does not tell its IMEI.")

    async def _radio_is_on(self) -> bool:
        told = value_of(await self._ask("AT+CFUN?"), "+CFUN")
        level = first_number(told or "")
        if level is None or level == 1:
            return True
        self._say(
            "radio",
            Mark.FAULT,
            f"The radio is off (AT+CFUN={level}).",
            "The driver switches it on when it starts. To go on here, switch it on with AT+CFUN=1 in a terminal.",
        )
        return False

    # The SIM.

    async def _sim_is_ready(self, facts: Facts, quirks: Quirks) -> bool:
        try:
            lines = await self._patience.ask(self._commands, "AT+CPIN?", timeout_s=self._timing.answer_s)
            reason = _reason_of_state((value_of(lines, "+CPIN") or "").strip('"'))
        except CommandRefused as refused:
            reason = _reason_of_refusal(refused)
        if reason is not Reason.READY:
            facts.wants_pin = reason is Reason.PIN_MISSING
            self._say("SIM", Mark.FAULT, SIM_FAULTS[reason], CONDITIONS[reason].remedy)
            return False
        iccid = await self._iccid(quirks)
        self._say(
            "SIM",
            Mark.OK,
            f"The SIM is ready, {f'ICCID {iccid}' if iccid else 'and does not tell its ICCID'}.",
        )
        return True

    async def _iccid(self, quirks: Quirks) -> str:
        try:
            return await self._patience.until_told(
                lambda: read_iccid(self._commands, quirks.iccid_command, self._timing), busy=NOT_YET
            )
        except CommandRefused:
            return ""

    async def _own_number(self) -> str:
        told = value_of(await self._ask("AT+CNUM"), "+CNUM")
        fields = parameters(told or "")
        found = fields[1] if len(fields) > 1 else ""
        return found if E164.fullmatch(found) else ""

    # The network.

    async def _look_at_network(self) -> None:
        reception = await self._reception()
        self._tell_signal(reception)
        if reception.is_registered:
            kind = "roaming" if reception.is_roaming else "at home"
            self._say(
                "network", Mark.OK, f"It is in the network {reception.operator or '(unnamed)'}, {kind}."
            )
        elif reception.is_denied:
            remedy = CONDITIONS[Reason.REGISTRATION_DENIED].remedy
            self._say("network", Mark.FAULT, "The network does not let this SIM in.", remedy)
        else:
            remedy = CONDITIONS[Reason.NO_NETWORK].remedy
            self._say("network", Mark.FAULT, "It is in no network and still looks for one.", remedy)

    async def _reception(self) -> Reception:
        """How it is connected, once it has a network or has looked for one long enough."""
        give_up_at = self._clock.monotonic() + self._timing.registration_s
        while True:
            reception = await read_reception(self._commands, self._timing)
            if reception.is_registered or reception.is_denied or self._clock.monotonic() >= give_up_at:
                return reception
            await asyncio.sleep(self._timing.busy_step_s)

    def _tell_signal(self, reception: Reception) -> None:
        percent = reception.signal_percent
        if percent < 0 and not reception.is_registered:
            remedy = "See to the antenna and its plug, and try another place, near a window."
            self._say("signal", Mark.FAULT, "It hears no signal.", remedy)
        elif percent < 0:
            self._say("signal", Mark.OK, "It does not say how well it hears the network.")
        elif percent < SIGNAL_WEAK_PERCENT:
            remedy = "Messages may fail now and then: try a better antenna or place."
            self._say("signal", Mark.WARNING, f"The signal is weak, {percent} %.", remedy)
        else:
            self._say("signal", Mark.OK, f"The signal is {percent} %.")

    # The message service.

    async def _smsc_is_known(self) -> bool:
        try:
            lines = await self._patience.ask(self._commands, "AT+CSCA?", timeout_s=self._timing.smsc_s)
        except CommandRefused as refused:
            self._say(
                "message centre", Mark.WARNING, f"It does not tell its message centre ({refused.text})."
            )
            return True
        told = value_of(lines, "+CSCA")
        centre = parameters(told)[0] if told else ""
        if not centre:
            remedy = CONDITIONS[Reason.SMSC_MISSING].remedy
            self._say("message centre", Mark.FAULT, "The SIM does not know its message centre.", remedy)
            return False
        self._say("message centre", Mark.OK, f"The message centre is {centre}.")
        return True

    async def _look_at_storage(self) -> None:
        """`+CPMS: "ME",used,total,…` three times: to read, to write, for what comes in."""
        told = value_of(await self._ask("AT+CPMS?"), "+CPMS")
        fields = parameters(told or "")
        stores = {
            fields[at]: numbers(",".join(fields[at + 1 : at + 3])) for at in range(0, len(fields) - 2, 3)
        }
        counted = {
            name: (used, total) for name, (used, total) in stores.items() if used is not None and total
        }
        full = [name for name, (used, total) in counted.items() if used >= total]
        words = ", ".join(f"{name} {used} of {total}" for name, (used, total) in counted.items())
        if full:
            self._say(
                "memory",
                Mark.WARNING,
                f"The memory for messages is full: {words}.",
                "Nothing comes in until there is room. The driver takes over what is stored and deletes it.",
            )
        elif words:
            self._say("memory", Mark.OK, f"Messages in its memory: {words}.")
        else:
            self._say("memory", Mark.WARNING, "It does not tell how much room it has for messages.")

    async def _look_at_message_service(self) -> None:
        try:
            await self._patience.ask(self._commands, "AT+CMGF=0", timeout_s=self._timing.setting_s)
        except CommandRefused as refused:
            remedy = "It cannot be used. Perhaps a newer firmware of its maker can do it."
            seen = f"It does not go into PDU mode (AT+CMGF=0: {refused.text})."
            self._say("messages", Mark.FAULT, seen, remedy)
            return
        told = value_of(await self._ask("AT+CNMI=?"), "+CNMI")
        listed = [listed_numbers(group) for group in groups(told or "")]
        if told is None:
            remedy = "Many old ones do not. The driver tries; if it fails, what comes in is found every minute or two."
            self._say(
                "messages", Mark.WARNING, "It does not tell whether it announces what comes in.", remedy
            )
        elif len(listed) < 4 or not listed[1] & {1, 2}:
            remedy = (
                "They are looked for every minute or two, so they come in late. Reports may not come at all."
            )
            self._say("messages", Mark.WARNING, "It does not announce what comes in.", remedy)
        elif not listed[3] & {1, 2}:
            remedy = (
                "Messages that it sent stay `sent`. Try another of the stick's ports, or a newer firmware."
            )
            self._say("messages", Mark.WARNING, "It announces messages but no delivery reports.", remedy)
        else:
            self._say("messages", Mark.OK, "It announces incoming messages and delivery reports.")


SIM_FAULTS = {
    Reason.PIN_MISSING: "The SIM wants its PIN. The probe enters none: three wrong ones lock the SIM.",
    Reason.PUK_REQUIRED: "The SIM is locked: its PIN was wrong too often.",
    Reason.SIM_LOCKED: "The modem is locked to another SIM or operator.",
    Reason.SIM_MISSING: "There is no SIM.",
    Reason.SIM_FAILURE: "The SIM cannot be read.",
    Reason.SIM_BUSY: "The SIM is busy and stays so.",
}


def _reason_of_state(state: str) -> Reason:
    """What `+CPIN: <state>` means (27.007 §8.3)."""
    if state in FINE:
        return Reason.READY
    if state.startswith("PH-"):
        return Reason.SIM_LOCKED
    return {"SIM PIN": Reason.PIN_MISSING, "SIM PUK": Reason.PUK_REQUIRED}.get(state, Reason.SIM_BUSY)


def _reason_of_refusal(refused: CommandRefused) -> Reason:
    if refused.code is None:  # from modems that know no codes
        return Reason.SIM_MISSING
    table = {Domain.CME: CME_REASONS, Domain.CMS: CMS_REASONS}.get(refused.domain, {})
    return table.get(refused.code, Reason.SIM_BUSY)
