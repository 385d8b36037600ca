"""The SIM: whether it is there and open, and whether it is the one that the number belongs to.

Owns the rule that another SIM than before never goes on under the old number, nor gets its PIN. Knows nothing of ports
and of sending; how often a PIN is entered is in `pin`.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

from drivers.modem.at.results import CommandRefused, Domain
from drivers.modem.conditions import NotReady, Reason
from drivers.modem.config import ModemConfig, is_same_iccid
from drivers.modem.line import Commands
from drivers.modem.setup.answers import value_of
from drivers.modem.setup.identity import read_iccid, read_imsi
from drivers.modem.setup.patience import NOT_YET, Patience
from drivers.modem.setup.pin import FINE, PUK_WANTED, TRIES_MAX, PinEntry
from drivers.modem.timing import Timing
from drivers.runtime import Context

PIN_WANTED = "SIM PIN"

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


@dataclass(slots=True, frozen=True)
class SimIdentity:
    """What a SIM is told apart by; empty what is not known."""

    iccid: str = ""
    imsi: str = ""

    def is_same(self, other: "SimIdentity") -> bool | None:
        """Whether both are the same SIM; None if they have nothing that could be compared."""
        for one, another in ((self.iccid, other.iccid), (self.imsi, other.imsi)):
            if one and another:
                return one == another
        return None


class SimGate:
    """Lets a modem's SIM through, or says why not. One for each modem, for the life of the process."""

    def __init__(self, context: Context, config: ModemConfig, timing: Timing) -> None:
        self._store = context.store
        self._config = config
        self._timing = timing
        self._patience = Patience(timing, context.clock)
        self._pin = PinEntry(context, config, timing)
        self._seen: str | None = None
        """The serial number of the SIM that was asked last, empty if it did not tell; None: none was there yet."""

    async def admit(self, commands: Commands, *, iccid_command: str, imei: str) -> Sim:
        """The SIM, ready and known to belong to the configured number.

        Raises NotReady, CommandUnanswered, ChannelClosed.
        """
        state = await self._wait_until_told(commands)
        # The serial number needs no PIN on most modems. If it is another SIM, the PIN is not for it.
        iccid = await self._told(lambda: read_iccid(commands, iccid_command, self._timing))
        known = await self._known()
        self._refuse_another(known, SimIdentity(iccid))
        self._seen = iccid
        if state == PIN_WANTED:
            await self._pin.enter(commands, iccid, lambda: self._wait_until_told(commands))
        elif state in FINE:
            await self._pin.note_open(iccid)
        else:
            raise NotReady(_reason_of(state))
        if state == PIN_WANTED and not iccid:
            iccid = await self._told(lambda: read_iccid(commands, iccid_command, self._timing))
        imsi = await self._told(lambda: read_imsi(commands, self._timing))
        told = self._recognized(known, SimIdentity(iccid, imsi))
        await self._store.write({
            self._sim_place: json.dumps({**asdict(told), "number": self._config.number}).encode()
        })
        return Sim(
            key=told.iccid or (f"imsi-{told.imsi}" if told.imsi else f"imei-{imei}"),
            iccid=told.iccid,
            imsi=told.imsi,
        )

    async def allow_pin(self) -> bool | None:
        """A person says that the PIN is right: it is tried once more. None if no SIM was seen yet.

        True: it may be the SIM's last try, since a refusal of it would be the third.
        """
        if self._seen is None:
            return None
        return await self._pin.allow_once(self._seen) >= TRIES_MAX

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

    # Which SIM it is.

    async def _told(self, question: Callable[[], Awaitable[str]]) -> str:
        """What the SIM tells once it can be read; empty if it never can."""
        try:
            return await self._patience.until_told(question, busy=NOT_YET)
        except CommandRefused:
            return ""

    async def _known(self) -> SimIdentity:
        """What is known of the SIM that the configured number belongs to."""
        stored = (await self._store.read(self._sim_place)).get(self._sim_place)
        known: dict[str, str] = json.loads(stored) if stored is not None else {}
        if known.get("number") != self._config.number:
            # None was seen yet, or the owner has given the modem another number since.
            return SimIdentity()
        return SimIdentity(known["iccid"], known["imsi"])

    def _refuse_another(self, known: SimIdentity, told: SimIdentity) -> None:
        """Raise NotReady if this SIM is certainly not the one that the configured number belongs to."""
        if self._config.iccid:
            is_another = told.iccid != "" and not is_same_iccid(told.iccid, self._config.iccid)
        else:
            is_another = known.is_same(told) is False
        if is_another:
            raise NotReady(Reason.SIM_CHANGED)

    def _recognized(self, known: SimIdentity, told: SimIdentity) -> SimIdentity:
        """All that is known of this SIM, which is the configured number's. Raises NotReady if that cannot be said.

        What was known and is not told now is still true of the same SIM, so its key does not change with the moods of
        a modem; and what is known is never forgotten, so that the next SIM is compared with it.
        """
        self._refuse_another(known, told)
        is_same = known.is_same(told)
        if is_same:
            told = SimIdentity(told.iccid or known.iccid, told.imsi or known.imsi)
        if self._config.iccid:
            if not told.iccid or not is_same_iccid(told.iccid, self._config.iccid):
                raise NotReady(Reason.SIM_FAILURE, "The modem does not tell the SIM's serial number.")
        elif is_same is None and known != SimIdentity():
            raise NotReady(Reason.SIM_BUSY, "The modem does not tell which SIM it is.")
        return told


def _reason_of(state: str) -> Reason:
    if state == PUK_WANTED:
        return Reason.PUK_REQUIRED
    return Reason.SIM_LOCKED if state.startswith("PH-") else Reason.SIM_BUSY


def _reason_of_refusal(refused: CommandRefused) -> Reason:
    table = {Domain.CME: CME_REASONS, Domain.CMS: CMS_REASONS}.get(refused.domain, {})
    if refused.code is None:
        # A bare ERROR, from modems that know no codes: what they mean by it is that there is none.
        return Reason.SIM_MISSING
    return table.get(refused.code, Reason.SIM_BUSY)
