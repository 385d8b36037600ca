"""The dialogue with a modem: one command at a time, its answer told apart from what the modem says unasked.

Owns which line belongs to what. Knows no I/O, no clock and no tasks: bytes come in, events go out, and the owner writes
what it is given to write. Sources: ITU-T V.250 §5, 3GPP TS 27.005 §3 and §4, TS 27.007.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from drivers.modem.at import commands
from drivers.modem.at.commands import Command
from drivers.modem.at.finals import CALL_RESULTS, Final, final_of
from drivers.modem.at.results import (
    AtFailure,
    CommandRefused,
    CommandUnanswered,
    Domain,
    NoPrompt,
    PduNotWritten,
    Unsolicited,
)
from drivers.modem.at.tokens import Mark, Token, Tokenizer
from drivers.modem.at.unsolicited import (
    QUOTED_LINES_MAX,
    RESTARTED,
    WITH_PDU,
    answers,
    has_open_quote,
    is_pdu,
    unsolicited_of,
)

CTRL_Z = b"\x1a"
ESCAPE = b"\x1b"
END_OF_COMMAND = b"\r"
PROBE = "AT"
ANSWER_LINES_MAX = 4096
"""Further lines of one answer are dropped: a list of the fullest SIM has some 500."""
NOISE = "".join(map(chr, range(0x80, 0x100))) + "> \t"
NUMERIC_FINALS = {"0": Final("0", is_ok=True), "4": Final("4")}


@dataclass(slots=True, frozen=True)
class Prompted:
    """The modem asks for the PDU."""


@dataclass(slots=True, frozen=True)
class Ended:
    """The running command has its final result, or will never have one; the engine is free."""

    lines: tuple[str, ...] = ()
    """The information lines that answer it, in order."""
    failure: AtFailure | None = None
    """None: it ended with OK."""


@dataclass(slots=True, frozen=True)
class ProbeAnswered:
    """While the line is being cleared: the modem ended some command, perhaps the probe."""


Event = Unsolicited | Prompted | Ended | ProbeAnswered


class State(Enum):
    """Where the dialogue stands."""

    FREE = auto()
    RUNNING = auto()
    AWAITS_PROMPT = auto()
    PROMPTED = auto()
    SUBMITTED = auto()
    CLEARING = auto()
    """Nobody knows what the modem still answers: everything but unsolicited codes is dropped."""


class Engine:
    """What is written to a modem and what its answers mean."""

    def __init__(self, *, on_line: Callable[[str], None] | None = None) -> None:
        """`on_line` sees every line and prompt as it came, for a trace."""
        self.state = State.FREE
        self._tokenizer = Tokenizer()
        self._on_line = on_line
        self._command: Command | None = None
        self._pdu = ""
        self._lines: list[str] = []
        self._awaits_body = False
        self._head: Unsolicited | None = None
        """A code whose following lines are still to come."""
        self._head_lines = 0

    def start(self, line: str) -> bytes:
        """What to write to begin a command. Raises ValueError (commands.parse); the engine stays free then."""
        command = commands.parse(line)
        assert self.state is State.FREE, "one command at a time"
        self._begin(command, State.RUNNING)
        return command.line.encode("ascii") + END_OF_COMMAND

    def start_submit(self, tpdu_octets: int, pdu: str) -> bytes:
        """What to write to be asked for a PDU. Raises ValueError if the PDU or its length cannot be one."""
        line = commands.submit_line(tpdu_octets)
        self._pdu = commands.pdu_line(pdu)
        assert self.state is State.FREE, "one command at a time"
        self._begin(commands.parse(line), State.AWAITS_PROMPT)
        self._tokenizer.wants_prompt = True
        return line.encode("ascii") + END_OF_COMMAND

    def hand_over(self) -> bytes:
        """The PDU with its end, after Prompted: once it is written, nobody knows until Ended comes."""
        assert self.state is State.PROMPTED
        self.state = State.SUBMITTED
        return self._pdu.encode("ascii") + CTRL_Z

    def give_up(self) -> bytes:
        """Stop waiting, whatever the state, and begin to clear the line: what to write first (ESC leaves a prompt)."""
        self.state = State.CLEARING
        self._tokenizer.wants_prompt = False
        self._awaits_body = False
        return ESCAPE

    def probe(self) -> bytes:
        """While clearing: a command that does nothing; its answer is ProbeAnswered."""
        assert self.state is State.CLEARING
        return PROBE.encode("ascii") + END_OF_COMMAND

    def cleared(self) -> tuple[str, ...]:
        """The modem has answered the probe and fell silent: the next answer belongs to the next command.

        The lines that came too late and answer the command that was given up.
        """
        assert self.state is State.CLEARING
        lines = tuple(self._lines)
        self._free()
        return lines

    def feed(self, data: bytes) -> list[Event]:
        """What these bytes mean; how they are spread over calls changes nothing."""
        events: list[Event] = []
        for token in self._tokenizer.feed(data):
            if self._on_line is not None:
                self._on_line(token.value if isinstance(token, Mark) else token)
            events += self._take(token)
        return events

    def _begin(self, command: Command, state: State) -> None:
        self.state = state
        self._command = command
        self._lines = []
        self._awaits_body = False

    def _free(self) -> None:
        self.state = State.FREE
        self._tokenizer.wants_prompt = False
        self._command = None
        self._pdu = ""
        self._lines = []
        self._awaits_body = False

    def _name(self) -> str:
        return self._command.name if self._command else "AT"

    def _take(self, token: Token) -> list[Event]:
        if isinstance(token, Mark):
            self.state = State.PROMPTED
            self._tokenizer.wants_prompt = False
            return [Prompted()]
        if self._head is not None:
            return self._continue_head(self._head, token)
        line = without_noise(token)
        if self._is_echo(line):
            return []
        if (final := self._final(line)) is not None:
            return self._end(final)
        code = unsolicited_of(line)
        if code is None:
            self._keep(line, is_named=False)
            return []
        if self._command is not None and answers(self._command, code, self._lines):
            self._keep(line, is_named=True)
            return []
        return self._unasked(code)

    def _continue_head(self, head: Unsolicited, line: str) -> list[Event]:
        """The line after `+CMT:` and its like, or a further line of a text in `+CUSD:`."""
        if head.name in WITH_PDU:
            # Another code may come between. Nothing else may: an answer's final result is not looked for here, so
            # that no text of a message can end a command.
            if not is_pdu(line) and (code := unsolicited_of(line)) is not None and code.name not in WITH_PDU:
                return [code]
            self._head = None
            return [replace(head, pdu=line)]
        if self._breaks_quote(line):
            self._head = None
            return [head, *self._take(line)]
        head = replace(head, parameters=f"{head.parameters}\n{line}")
        self._head_lines += 1
        if has_open_quote(head.parameters) and self._head_lines < QUOTED_LINES_MAX:
            self._head = head
            return []
        self._head = None
        return [head]

    def _breaks_quote(self, line: str) -> bool:
        """Whether a line within an open quote is certainly none of its text: the modem has never closed it.

        A bare "OK" or "ERROR" is the operator's text. Where it was the result of the running command after all, that
        one times out, which is little beside a message whose fate a text decides.
        """
        final = self._final(line)
        if final is not None:
            return final.domain is not Domain.NONE or self.state is State.CLEARING
        code = unsolicited_of(line)
        if code is None:
            return False
        is_answer = self._command is not None and answers(self._command, code, self._lines)
        return is_answer or code.name in RESTARTED

    def _unasked(self, code: Unsolicited) -> list[Event]:
        if code.name in WITH_PDU or (code.name == "+CUSD" and has_open_quote(code.parameters)):
            self._head, self._head_lines = code, 1
            return []
        if code.name in RESTARTED and self.state not in {State.FREE, State.CLEARING}:
            return [code, self._forgotten()]
        return [code]

    def _forgotten(self) -> Ended:
        """The modem has restarted: no answer will come any more."""
        failure: AtFailure = CommandUnanswered(self._name(), "the modem restarted")
        if self.state is State.AWAITS_PROMPT:
            failure = NoPrompt(f"{self._name()}: the modem restarted")
        elif self.state is State.PROMPTED:
            failure = PduNotWritten(self._name(), Domain.NONE, None, "the modem restarted")
        self._free()
        return Ended(failure=failure)

    def _is_echo(self, line: str) -> bool:
        if self._command is None:
            return False
        typed = line.removeprefix(">").lstrip()
        return typed in {self._command.line, PROBE} or (bool(self._pdu) and typed == self._pdu)

    def _final(self, line: str) -> Final | None:
        command = self._command
        if command is None:
            return final_of(line) if self.state is State.CLEARING else None
        if command.dials and line.upper() in CALL_RESULTS:
            return Final(line)
        if command.may_end_in_numbers and line in NUMERIC_FINALS:
            return NUMERIC_FINALS[line]
        return final_of(line)

    def _keep(self, line: str, *, is_named: bool) -> None:
        """Put a line to the answer, if the running command has such lines."""
        command = self._command
        if command is None:
            return
        if not is_named and not command.has_plain_lines and not self._awaits_body:
            return
        self._awaits_body = command.has_bodies and is_named
        if len(self._lines) < ANSWER_LINES_MAX:
            self._lines.append(line)

    def _end(self, final: Final) -> list[Event]:
        state = self.state
        if state is State.CLEARING:
            return [ProbeAnswered()]
        failure: AtFailure | None = None
        if state is State.PROMPTED:
            failure = PduNotWritten(self._name(), final.domain, final.code, final.text)
        elif not final.is_ok:
            failure = CommandRefused(self._name(), final.domain, final.code, final.text)
        elif state is State.AWAITS_PROMPT:
            failure = NoPrompt(f"{self._name()}: OK in place of the prompt")
        ended = Ended(tuple(self._lines), failure)
        self._free()
        return [ended]


def without_noise(line: str) -> str:
    """The line without noise or a prompt before it, if what they hide is a result code."""
    bare = line.lstrip(NOISE)
    if bare == line or (final_of(bare) is None and unsolicited_of(bare) is None):
        return line
    return bare


def reference_of(lines: tuple[str, ...]) -> int | None:
    """The message reference in the answer of AT+CMGS (3GPP TS 27.005 §4.3); None if there is none."""
    for line in lines:
        head, _, parameters = line.partition(":")
        if head.strip().upper() == "+CMGS":
            digits = parameters.partition(",")[0].strip()
            return int(digits) if digits.isascii() and digits.isdecimal() and int(digits[:9]) <= 255 else None
    return None
