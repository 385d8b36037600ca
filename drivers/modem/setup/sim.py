"""The SIM: whether it is there, its PIN, and whether it is the one that the number belongs to.

Owns two rules. A PIN is entered at most once for each (SIM, PIN) that is not known to be right: "trying" is on disk
before the SIM hears it, so neither a crash nor a loop can use up a second try; a PUK is never entered. And another SIM
than before never goes on under the old number. Knows nothing of ports and of sending.
"""

import hashlib
import json
from dataclasses import dataclass

from drivers.modem.at.results import CommandRefused, Domain
from drivers.modem.conditions import NotReady, Reason
from drivers.modem.config import ModemConfig, is_same_iccid
from drivers.modem.line import Commands
from drivers.modem.setup.answers import value_of
from drivers.modem.setup.identity import read_iccid, read_imsi
from drivers.modem.setup.patience import Patience
from drivers.modem.timing import Timing
from drivers.runtime import Context

READY = "READY"
PIN_WANTED = "SIM PIN"
FINE = frozenset({READY, "SIM PIN2", "SIM PUK2"})
"""The second PIN guards settings of the SIM that this driver does not touch."""
REFUSED_TRIES_MAX = 2
"""Refused PINs of one SIM after which none is tried: the third would lock it (TS 102 221 §9.5.1)."""

TRYING = b"trying"
ACCEPTED = b"accepted"
REFUSED = b"refused"

CME_REASONS = {
    10: Reason.SIM_MISSING,
    11: Reason.PIN_MISSING,
    12: Reason.PUK_REQUIRED,
    13: Reason.SIM_FAILURE,
    15: Reason.SIM_FAILURE,
}
"""3GPP TS 27.007 §9.2."""
CMS_REASONS = {
    310: Reason.SIM_MISSING,
    311: Reason.PIN_MISSING,
    313: Reason.SIM_FAILURE,
    315: Reason.SIM_FAILURE,
    316: Reason.PUK_REQUIRED,
}
"""3GPP TS 27.005 §3.2.5; some modems answer AT+CPIN? so."""


@dataclass(slots=True, frozen=True)
class Sim:
    """A SIM that is ready."""

    key: str
    """What reports and fragments belong to: its serial number; or `imsi-…`, `imei-…` if no command tells it."""
    iccid: str
    imsi: str


class SimGate:
    """Lets a modem's SIM through, or says why not. One for each modem, for the life of the process."""

    def __init__(self, context: Context, config: ModemConfig, timing: Timing) -> None:
        self._store = context.store
        self._config = config
        self._timing = timing
        self._patience = Patience(timing, context.clock)
        self._seen = ""
        """The key of the SIM whose PIN was asked for last."""

    async def admit(self, commands: Commands, *, iccid_command: str, imei: str) -> Sim:
        """The SIM, ready and known to belong to the configured number.

        Raises NotReady, CommandUnanswered, ChannelClosed.
        """
        state = await self._wait_until_told(commands)
        # The serial number needs no PIN on most modems. If it is another SIM, the PIN is not for it.
        iccid = await read_iccid(commands, iccid_command, self._timing)
        await self._check_same(iccid, imsi="")
        self._seen = iccid or f"imei-{imei}"
        if state == PIN_WANTED:
            await self._enter_pin(commands)
        elif state in FINE:
            await self._note_ready()
        else:
            raise NotReady(_reason_of(state))
        iccid = iccid or await read_iccid(commands, iccid_command, self._timing)
        imsi = await read_imsi(commands, self._timing)
        await self._check_same(iccid, imsi)
        if self._config.iccid and not iccid:
            raise NotReady(Reason.SIM_FAILURE, "The modem does not tell the SIM's serial number.")
        known = {"iccid": iccid, "imsi": imsi, "number": self._config.number}
        await self._store.write({self._sim_place: json.dumps(known).encode()})
        return Sim(key=iccid or (f"imsi-{imsi}" if imsi else f"imei-{imei}"), iccid=iccid, imsi=imsi)

    async def forgive(self) -> bool:
        """A person says that the PIN is right: forget what became of PINs at this SIM. False if no SIM was seen yet."""
        if not self._seen:
            return False
        marks = await self._store.read(self._marks_place)
        await self._store.write(dict.fromkeys(marks))
        return True

    # The PIN.

    async def _wait_until_told(self, commands: Commands) -> str:
        """What AT+CPIN? says, once the SIM is not busy any more."""
        try:
            lines = await self._patience.ask(commands, "AT+CPIN?", timeout_s=self._timing.answer_s)
        except CommandRefused as refused:
            reason = _reason_of_refusal(refused)
            if reason is Reason.PIN_MISSING:
                return PIN_WANTED
            raise NotReady(reason) from None
        return (value_of(lines, "+CPIN") or "").strip('"')

    @property
    def _sim_place(self) -> str:
        return f"modem/{self._config.name}/sim"

    @property
    def _marks_place(self) -> str:
        return f"modem-pin/{self._seen}/"

    @property
    def _mark_place(self) -> str:
        digest = hashlib.sha256(f"{self._seen}/{self._config.pin}".encode()).hexdigest()
        return f"{self._marks_place}{digest[:16]}"

    async def _enter_pin(self, commands: Commands) -> None:
        if not self._config.pin:
            raise NotReady(Reason.PIN_MISSING)
        marks = await self._store.read(self._marks_place)
        match marks.get(self._mark_place):
            case b"refused":
                raise NotReady(Reason.PIN_REFUSED)
            case b"trying":
                raise NotReady(Reason.PIN_UNCERTAIN)
            case _ if list(marks.values()).count(REFUSED) >= REFUSED_TRIES_MAX:
                raise NotReady(Reason.PIN_LAST_TRY)
            case _:
                await self._store.write({self._mark_place: TRYING})
        try:
            await commands.execute(f'AT+CPIN="{self._config.pin}"', timeout_s=self._timing.pin_s)
        except CommandRefused as refused:
            await self._store.write({self._mark_place: REFUSED})
            is_locked = _reason_of_refusal(refused) is Reason.PUK_REQUIRED
            raise NotReady(Reason.PUK_REQUIRED if is_locked else Reason.PIN_REFUSED) from None
        await self._store.write({self._mark_place: ACCEPTED})
        if await self._wait_until_told(commands) not in FINE:
            raise NotReady(Reason.SIM_BUSY)

    async def _note_ready(self) -> None:
        """The SIM is open. If a PIN was being tried when the process died, it was that one."""
        if not self._config.pin:
            return
        marks = await self._store.read(self._marks_place)
        if marks.get(self._mark_place) == TRYING:
            await self._store.write({self._mark_place: ACCEPTED})

    # The number.

    async def _check_same(self, iccid: str, imsi: str) -> None:
        """Raise NotReady if this SIM is certainly not the one that the configured number belongs to."""
        if self._config.iccid:
            if iccid and not is_same_iccid(iccid, self._config.iccid):
                raise NotReady(Reason.SIM_CHANGED)
            return
        stored = (await self._store.read(self._sim_place)).get(self._sim_place)
        if stored is None:
            return
        known: dict[str, str] = json.loads(stored)
        if known["number"] != self._config.number:
            # The owner has given the modem another number since: this is the SIM that it goes with.
            return
        for now, before in ((iccid, known["iccid"]), (imsi, known["imsi"])):
            if now and before:
                if now != before:
                    raise NotReady(Reason.SIM_CHANGED)
                return


def _reason_of(state: str) -> Reason:
    if state == "SIM PUK":
        return Reason.PUK_REQUIRED
    return Reason.SIM_LOCKED if state.startswith("PH-") else Reason.SIM_BUSY


def _reason_of_refusal(refused: CommandRefused) -> Reason:
    table = {Domain.CME: CME_REASONS, Domain.CMS: CMS_REASONS}.get(refused.domain, {})
    if refused.code is None:
        # A bare ERROR, from modems that know no codes: what they mean by it is that there is none.
        return Reason.SIM_MISSING
    return table.get(refused.code, Reason.SIM_BUSY)
