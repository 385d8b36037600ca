"""USSD: asks the network something by a code such as *100#, and reads what it says.

Owns the dialogue of AT+CUSD (3GPP TS 27.007 §7.15) and the ways in which modems write the network's text (the coding
scheme of cell broadcast, TS 23.038 §5). Never logs a code or an answer: they hold balances and numbers.
"""

import asyncio
import re
from dataclasses import dataclass

from drivers.modem.at.results import CommandRefused, CommandUnanswered, Unsolicited
from drivers.modem.codec import gsm7
from drivers.modem.line import Commands, Priority
from drivers.modem.setup.answers import number, parameters, value_of
from drivers.modem.setup.identity import ask
from drivers.modem.timing import Timing

CODE_PATTERN = re.compile(r"[0-9*#+]{1,182}")
CODING_GSM7 = 15
CANCEL = "AT+CUSD=2"
PACKED_DIGITS_MIN = 10
CARRIAGE_RETURN = 0x0D
"""Fills up the last octet of a packed text (23.038 §6.1.2.3.1)."""


class UssdRefused(Exception):
    """The modem or the network did not take the code; the sentence is for people."""


class UssdUnanswered(Exception):
    """The network did not answer in time."""


@dataclass(slots=True, frozen=True)
class UssdAnswer:
    """What the network said."""

    text: str
    is_open: bool
    """It waits for an answer, such as the number of a menu entry."""


class UssdDialogue:
    """Asks through one modem, one question at a time."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._turn = asyncio.Lock()
        self._awaited: asyncio.Future[str] | None = None

    def take(self, unsolicited: Unsolicited) -> None:
        """The modem says +CUSD. What nobody asked for, such as a cancelled dialogue's end, is dropped."""
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(unsolicited.parameters)

    async def ask(self, commands: Commands, code: str, *, is_packed: bool) -> UssdAnswer:
        """Send the code and wait for the answer.

        Raises ValueError if it is none, UssdRefused, UssdUnanswered; CommandUnanswered, ChannelClosed.
        """
        if not CODE_PATTERN.fullmatch(code):
            raise ValueError("must be 1 to 182 of the characters 0-9, *, # and +")
        async with self._turn:
            self._awaited = asyncio.get_running_loop().create_future()
            try:
                return await self._ask(commands, code, self._awaited, is_packed=is_packed)
            finally:
                self._awaited = None

    async def _ask(
        self, commands: Commands, code: str, awaited: "asyncio.Future[str]", *, is_packed: bool
    ) -> UssdAnswer:
        written = gsm7.pack(gsm7.encode(code)).hex().upper() if is_packed else code
        command = f'AT+CUSD=1,"{written}",{CODING_GSM7}'
        try:
            lines = await commands.execute(command, timeout_s=self._timing.ussd_s, priority=Priority.POLL)
        except CommandRefused as refused:
            raise UssdRefused(f"The modem refused the code: {refused.text}.") from None
        # Most modems answer OK and bring the text when the network has it; some bring it before the OK.
        said = value_of(lines, "+CUSD")
        if said is None:
            try:
                said = await asyncio.wait_for(awaited, self._timing.ussd_s)
            except TimeoutError:
                await self._cancel(commands)
                raise UssdUnanswered("The network did not answer in time.") from None
        return _answer(said, is_packed=is_packed)

    async def _cancel(self, commands: Commands) -> None:
        """End the dialogue, or the network refuses the next one. What becomes of this command changes nothing."""
        try:
            await ask(commands, CANCEL, timeout_s=self._timing.answer_s)
        except CommandUnanswered:
            return


def _answer(said: str, *, is_packed: bool) -> UssdAnswer:
    """What `<m>[,"<text>",<coding>]` means. Raises UssdRefused where the network ended the dialogue without a text."""
    fields = parameters(said)
    kind = number(fields[0]) if fields else None
    text = _text(fields, is_packed=is_packed)
    if kind == 4:
        raise UssdRefused("The network does not support this code.")
    if kind == 5:
        raise UssdUnanswered("The network gave up waiting.")
    if kind == 2 and not text:
        raise UssdRefused("The network ended the dialogue.")
    return UssdAnswer(text=text, is_open=kind == 1)


def _text(fields: list[str], *, is_packed: bool) -> str:
    """The text of the fields after <m>; a text with an unquoted comma in it does not occur, they are quoted."""
    if len(fields) < 2:
        return ""
    raw = fields[1]
    coding = number(fields[2]) if len(fields) > 2 else CODING_GSM7
    is_hexadecimal = len(raw) % 2 == 0 and re.fullmatch(r"[0-9A-Fa-f]+", raw) is not None
    if not is_hexadecimal:
        return raw
    octets = bytes.fromhex(raw)
    if coding is not None and _is_ucs2(coding):
        return octets.decode("utf-16-be", errors="replace")
    unpacked = _unpacked(octets)
    if is_packed or (len(raw) >= PACKED_DIGITS_MIN and re.search("[A-Fa-f]", raw) and unpacked.isprintable()):
        return unpacked
    return raw


def _unpacked(octets: bytes) -> str:
    septets = gsm7.unpack(octets, count=len(octets) * 8 // 7)
    if len(octets) % 7 == 0 and septets.endswith(bytes([CARRIAGE_RETURN])):
        septets = septets[:-1]
    return gsm7.decode(septets)


def _is_ucs2(coding: int) -> bool:
    """0x11, and 0x4X to 0x7X whose bits 3 and 2 are 10."""
    return coding == 0x11 or (0x40 <= coding <= 0x7F and coding & 0x0C == 0x08)
