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
    """There was no answer in time, and the network may have had the code all the same; the sentence is for people."""


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
        self._may_be_open = False
        """A question was given up, so the network's answer to it may still come."""

    def take(self, unsolicited: Unsolicited) -> None:
        """The modem says +CUSD. What nobody asked for, such as a cancelled dialogue's end, is dropped."""
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(unsolicited.parameters)

    async def ask(self, commands: Commands, code: str, *, is_packed: bool) -> UssdAnswer:
        """Send the code and wait for the answer, `Timing.ussd_whole_s` at most.

        A code whose turn has not come by then, or before this is cancelled, is never sent.
        Raises ValueError if it is none, UssdRefused, UssdUnanswered; CommandUnanswered, ChannelClosed.
        """
        if not CODE_PATTERN.fullmatch(code):
            raise ValueError("must be 1 to 182 of the characters 0-9, *, # and +")
        give_up_at = asyncio.get_running_loop().time() + self._timing.ussd_s
        try:
            async with asyncio.timeout_at(give_up_at):
                await self._turn.acquire()
        except TimeoutError:
            raise UssdUnanswered("Another code still waits for its answer; this one was not sent.") from None
        try:
            said = await self._ask(commands, _command(code, is_packed=is_packed), give_up_at)
        finally:
            self._awaited = None
            self._turn.release()
        return _answer(said, is_packed=is_packed)

    async def _ask(self, commands: Commands, command: str, give_up_at: float) -> str:
        """What the network says. Most modems answer OK and bring it when they have it; some before the OK."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(give_up_at) as limit:
                if self._may_be_open:
                    await self._cancel(commands)
                self._may_be_open = True
                self._awaited = loop.create_future()
                lines = await commands.execute(command, timeout_s=self._timing.ussd_s, priority=Priority.POLL)
                said = value_of(lines, "+CUSD")
                if said is None:
                    limit.reschedule(loop.time() + self._timing.ussd_s)
                    said = await self._awaited
        except CommandRefused as refused:
            self._may_be_open = False
            raise UssdRefused(f"The modem refused the code: {refused.text}.") from None
        except TimeoutError:
            await self._cancel(commands)
            raise UssdUnanswered(
                "There was no answer in time. If the code orders something, see whether it was done before you "
                "send it again."
            ) from None
        self._may_be_open = False
        return said

    async def _cancel(self, commands: Commands) -> None:
        """End the dialogue, or the network refuses the next one, and a late answer passes for that to the next."""
        try:
            async with asyncio.timeout(self._timing.answer_s):
                await ask(commands, CANCEL, timeout_s=self._timing.answer_s)
        except (TimeoutError, CommandUnanswered):
            return
        self._may_be_open = False


def _command(code: str, *, is_packed: bool) -> str:
    written = gsm7.pack(gsm7.encode(code)).hex().upper() if is_packed else code
    return f'AT+CUSD=1,"{written}",{CODING_GSM7}'


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
