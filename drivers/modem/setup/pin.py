"""The PIN: entered at most once for each (SIM, PIN) that is not known to be right, whatever crashes and restarts.

Owns the marks in the journal's store that say what became of each PIN, and what an answer to AT+CPIN means. The mark is
on disk before the SIM hears the PIN, so neither a crash nor a loop can use up a second try. A PUK is never entered.
Which SIM it is, it is told.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from drivers.modem.at.results import CommandRefused, Domain
from drivers.modem.conditions import NotReady, Reason
from drivers.modem.config import ModemConfig
from drivers.modem.line import Commands
from drivers.modem.setup.patience import BUSY
from drivers.modem.timing import Timing
from drivers.runtime import Context

FINE = frozenset({"READY", "SIM PIN2", "SIM PUK2"})
"""The second PIN guards settings of the SIM that this driver does not touch."""
PUK_WANTED = "SIM PUK"
TRIES_MAX = 2
"""Tries that a SIM has, or may have, refused since it was open, after which a person must allow each: the third locks
it (TS 102 221 §9.5.1)."""

TRYING = "trying"
"""The SIM may have heard it, and nobody knows what it said: not tried again."""
ONCE_MORE = "once more"
"""It was right before and its answer is awaited, or the SIM was too busy for it: tried once more, as `TRYING`."""
ACCEPTED = "accepted"
REFUSED = "refused"
ALLOWED = "allowed"
"""A person says that it is right: tried once, whatever was refused before."""

WRONG_PIN = (Domain.CME, 16)
PIN_STILL_WANTED = frozenset({(Domain.CME, 11), (Domain.CMS, 311)})
PUK_IS_NEXT = frozenset({(Domain.CME, 12), (Domain.CMS, 316)})
"""3GPP TS 27.007 §9.2, TS 27.005 §3.2.5."""

PLACE = "sim-pin/"
SIM_UNKNOWN = "-"
"""In place of the serial number of a SIM that does not tell it before its PIN."""

AskState = Callable[[], Awaitable[str]]
"""What AT+CPIN? says, such as "READY"."""


@dataclass(slots=True, frozen=True)
class Mark:
    """What became of one PIN at one SIM."""

    state: str
    tries: int = 0
    """How often the SIM has, or may have, refused it since it was open."""

    def write(self) -> bytes:
        """As it is in the store."""
        return f"{self.tries} {self.state}".encode()

    @classmethod
    def read(cls, stored: bytes) -> "Mark":
        """What `write` has written."""
        tries, _, state = stored.decode().partition(" ")
        return cls(state, int(tries))


class PinEntry:
    """Enters the PIN of modems.toml into the SIM of one modem.

    A mark is kept under the SIM's serial number and the modem's name. A SIM whose number is not told may be any that
    was in this modem, so all marks of the modem count for it; and what was marked without a number counts for every SIM
    in this modem. Of several marks of one PIN the most cautious decides.
    """

    def __init__(self, context: Context, config: ModemConfig, timing: Timing) -> None:
        self._store = context.store
        self._name = config.name
        self._pin = config.pin
        self._timing = timing

    async def enter(self, commands: Commands, iccid: str, ask_state: AskState) -> None:
        """Open the SIM. Raises NotReady if it is not open afterwards; CommandUnanswered, ChannelClosed."""
        if not self._pin:
            raise NotReady(Reason.PIN_MISSING)
        marks = await self._marks(iccid)
        mine = {place: mark for place, mark in marks.items() if place == self._place_beside(place)}
        states = {mark.state for mark in mine.values()}
        tries = sum(mark.tries for mark in marks.values())
        if ALLOWED not in states:
            if tries >= TRIES_MAX:
                raise NotReady(Reason.PIN_LAST_TRY)
            if states & {REFUSED, TRYING}:
                raise NotReady(Reason.PIN_REFUSED if REFUSED in states else Reason.PIN_UNCERTAIN)
        is_known = ACCEPTED in states and not states & {ONCE_MORE, ALLOWED}
        place = self._place(iccid or SIM_UNKNOWN)
        # What a person allowed is for one try, under whatever name this SIM is known by.
        before = {other: mark for other, mark in mine.items() if other == place or mark.state == ALLOWED}
        before.setdefault(place, Mark(TRYING))
        trying = _all_are(ONCE_MORE if is_known else TRYING, before)
        trying[place] = replace(trying[place], tries=before[place].tries + 1)
        await self._write(trying)
        try:
            await commands.execute(f'AT+CPIN="{self._pin}"', timeout_s=self._timing.pin_s)
        except CommandRefused as refused:
            if (refused.domain, refused.code) in BUSY:
                if ONCE_MORE not in states:
                    await self._write(_all_are(ACCEPTED if is_known else ONCE_MORE, before))
                raise NotReady(Reason.SIM_BUSY) from None
            await self._judge(refused, trying, ask_state, is_last=tries + 1 >= TRIES_MAX)
        await self._note_accepted(iccid, {*mine, place})
        if await ask_state() not in FINE:
            raise NotReady(Reason.SIM_BUSY)

    async def _judge(
        self, refused: CommandRefused, trying: dict[str, Mark], ask_state: AskState, *, is_last: bool
    ) -> None:
        """Return if the SIM is open all the same; raises NotReady with what the refusal means."""
        code = refused.domain, refused.code
        state = "" if code == WRONG_PIN or code in PUK_IS_NEXT else await ask_state()
        if state in FINE:
            return
        is_locked = code in PUK_IS_NEXT or state == PUK_WANTED
        if not is_locked and code != WRONG_PIN and code not in PIN_STILL_WANTED:
            # It may be the SIM's answer to a wrong PIN, or the modem's to anything else.
            raise NotReady(Reason.PIN_UNCERTAIN)
        await self._write(_all_are(REFUSED, trying))
        if is_locked:
            raise NotReady(Reason.PUK_REQUIRED)
        raise NotReady(Reason.PIN_LAST_TRY if is_last else Reason.PIN_REFUSED)

    async def note_open(self, iccid: str) -> None:
        """The SIM is open without being asked. If a PIN was being tried when the process died, it was that one."""
        if not self._pin:
            return
        places = {self._place(iccid or SIM_UNKNOWN), self._place(SIM_UNKNOWN)}
        marks = await self._marks(iccid)
        proven = {place for place in places & marks.keys() if marks[place].state in (TRYING, ONCE_MORE)}
        await self._note_accepted(iccid, proven)

    async def _note_accepted(self, iccid: str, places: set[str]) -> None:
        """The SIM is open, by the PIN at these places if there are any: all of its tries are left again."""
        sim = f"{PLACE}{iccid or SIM_UNKNOWN}/"
        marks = await self._marks(iccid)
        rested = {place: replace(mark, tries=0) for place, mark in marks.items() if place.startswith(sim)}
        changed = {**rested, **dict.fromkeys(places, Mark(ACCEPTED))}
        if changed := {place: mark for place, mark in changed.items() if mark != marks.get(place)}:
            await self._write(changed)

    async def allow_once(self, iccid: str) -> int:
        """A person says that the PIN is right, so it may be tried once more; how many tries may have been refused."""
        marks = await self._marks(iccid)
        mine = {place: mark for place, mark in marks.items() if place == self._place_beside(place)}
        mine.setdefault(self._place(iccid or SIM_UNKNOWN), Mark(ALLOWED))
        await self._write(_all_are(ALLOWED, mine))
        return sum(mark.tries for mark in marks.values())

    async def _write(self, marks: dict[str, Mark]) -> None:
        await self._store.write({place: mark.write() for place, mark in marks.items()})

    async def _marks(self, iccid: str) -> dict[str, Mark]:
        """All marks that may be this SIM's, of any PIN."""
        found: dict[str, Mark] = {}
        for place, stored in (await self._store.read(PLACE)).items():
            sim, name, _ = place.removeprefix(PLACE).split("/")
            may_be_ours = name == self._name and (not iccid or sim == SIM_UNKNOWN)
            if sim == iccid or may_be_ours:
                found[place] = Mark.read(stored)
        return found

    def _place(self, sim: str, name: str = "") -> str:
        """Where the mark of this PIN is for a SIM in a modem, by default this one."""
        name = name or self._name
        digest = hashlib.sha256(f"{sim}/{name}/{self._pin}".encode()).hexdigest()
        return f"{PLACE}{sim}/{name}/{digest[:16]}"

    def _place_beside(self, place: str) -> str:
        """Where the mark of this PIN is for the same SIM and modem."""
        sim, name, _ = place.removeprefix(PLACE).split("/")
        return self._place(sim, name)


def _all_are(state: str, marks: Mapping[str, Mark]) -> dict[str, Mark]:
    return {place: replace(mark, state=state) for place, mark in marks.items()}
