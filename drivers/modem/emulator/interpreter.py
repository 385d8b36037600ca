"""The command line of a modem: bytes in, bytes out, one command at a time, echo, results, prompts and news.

Owns what stands between a port and the commands; knows no command. Does no I/O and waits for nothing itself.
Sources: ITU-T V.250, 5.2 to 5.7; 3GPP TS 27.005, 3.5.1 for the prompt.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from drivers.fake_kit.faults import Faults
from drivers.modem.emulator.command_line import SIGNS, Call, Form, commands_on
from drivers.modem.emulator.errors import EquipmentRefusal, Refusal
from drivers.modem.emulator.profile import Profile

INPUT_BYTES_MAX = 8192
"""What waits while the modem is busy; more is lost, as in a UART without flow control."""
NEWS_MAX = 1000
"""Unsolicited lines that are held back while a text is entered."""
HELD_MAX = 1000
"""Pieces of what it says that a modem holds back while it hangs."""
ESCAPE, CTRL_Z, BACKSPACE = b"\x1b", b"\x1a", 0x08
NUMERIC_RESULTS = {"OK": 0, "ERROR": 4, "NO CARRIER": 3}
INTERRUPTIONS_AT_PROMPT = ("RING",)
INTERRUPTIONS_BEFORE_RESULT = ('+CIEV: "signal",3', "^RSSI: 20")


class Pending:
    """The result of a command that takes time. Exactly one of its methods is called, once."""

    def __init__(self) -> None:
        self._lines: Sequence[str] = ()
        self._refusal: Refusal | None = None
        self._listener: Callable[[], None] | None = None
        self._is_ended = False
        self.is_silent = False
        """Whether there is no result to tell."""

    def complete(self, lines: Sequence[str] = ()) -> None:
        """It went well."""
        self._lines = lines
        self._end()

    def refuse(self, refusal: Refusal) -> None:
        """It failed."""
        self._refusal = refusal
        self._end()

    def forget(self) -> None:
        """Its result never comes; the modem takes commands again."""
        self.is_silent = True
        self._end()

    def lines(self) -> Sequence[str]:
        """What it told. Raises the Refusal if it failed."""
        if self._refusal is not None:
            raise self._refusal
        return self._lines

    def when_ended(self, action: Callable[[], None] | None) -> None:
        """Whom to call at its end, or now if it has ended; None: nobody any more."""
        self._listener = action
        if self._is_ended and action is not None:
            action()

    def _end(self) -> None:
        self._is_ended = True
        if self._listener is not None:
            self._listener()


@dataclass(slots=True, frozen=True)
class Prompt:
    """A command asks for a text, which Ctrl-Z ends and ESC takes back."""

    entered: Callable[[str], "Answer"]
    """What is done with the text."""
    delay_s: float = 0.0


Answer = Sequence[str] | Pending | Prompt
"""Information lines, or how to come by them."""
Handler = Callable[[Call], Answer]


class Interpreter:
    """The dialogue with whoever is at the port."""

    def __init__(
        self,
        commands: Mapping[str, Handler],
        profile: Profile,
        faults: Faults,
        *,
        write: Callable[[bytes], None],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        """`write` gets what the modem says; `later` calls an action after some seconds."""
        self._commands = commands
        self._profile = profile
        self._faults = faults
        self._write_out = write
        self._later = later
        self._input = bytearray()
        self._echoed = 0
        self._calls: deque[Call] = deque()
        self._pending: Pending | None = None
        self._prompt: Prompt | None = None
        self._is_working = False
        self._is_interrupted = False
        self._last_line = ""
        self._news: deque[str] = deque(maxlen=NEWS_MAX)
        self._held: list[bytes] = []

    def reset(self) -> None:
        """The modem was switched off: whatever was begun is forgotten."""
        if self._pending is not None:
            self._pending.when_ended(None)
        self._input.clear()
        self._calls.clear()
        self._news.clear()
        self._held.clear()
        self._echoed, self._last_line = 0, ""
        self._pending = self._prompt = None

    def feed(self, data: bytes) -> None:
        """Bytes came from the port."""
        if self._faults.active("wrong_port"):
            return
        self._input += data[: INPUT_BYTES_MAX - len(self._input)]
        self.go_on()

    def announce(self, line: str) -> None:
        """Say something unasked; after the text, if one is being entered."""
        if self._prompt is not None:
            self._news.append(line)
        else:
            self._write(f"\r\n{line}\r\n".encode("latin-1", "replace"))

    def go_on(self) -> None:
        """Do what can be done: after new bytes, after a command, and when a hang has ended."""
        if self._faults.active("hang"):
            return
        if self._held:
            held, self._held = self._held, []
            for data in held:
                self._write_out(data)
        if self._is_working:
            # What is being carried out led here; the loop below goes on after it.
            return
        self._is_working = True
        try:
            while self._input and self._pending is None:
                if not (self._take_text() if self._prompt is not None else self._take_line()):
                    break
        finally:
            self._is_working = False

    def _write(self, data: bytes) -> None:
        if self._faults.active("wrong_port"):
            return
        if self._faults.active("hang"):
            if len(self._held) < HELD_MAX:
                self._held.append(data)
            return
        self._write_out(data)

    def _echo(self, end: int) -> None:
        if end > self._echoed and (self._profile["E"] or self._faults.active("echo_on")):
            self._write(bytes(self._input[self._echoed : end]))
        self._echoed = max(self._echoed, end)

    def _consume(self, end: int) -> bytes:
        taken = bytes(self._input[:end])
        del self._input[:end]
        self._echoed = max(0, self._echoed - end)
        return taken

    def _take_line(self) -> bool:
        """Take a command line from the input, and begin it; whether there was one."""
        if bytes(self._input[:2]).upper() == b"A/":
            self._echo(2)
            self._consume(2)
            self._begin(self._last_line)
            return True
        end = self._input.find(b"\r")
        self._echo(end + 1 if end >= 0 else len(self._input))
        if end < 0:
            if self._input.endswith(ESCAPE) or len(self._input) >= INPUT_BYTES_MAX:
                self._consume(len(self._input))
            return False
        line = _edited(self._consume(end + 1))
        start = line.upper().find("AT")
        if start >= 0 and not self._faults.take("sleepy"):
            self._begin(line[start + 2 :])
        return True

    def _begin(self, line: str) -> None:
        self._last_line = line
        try:
            self._calls = deque(commands_on(line))
        except Refusal as refusal:
            self._finish(refusal)
            return
        self._run()

    def _run(self) -> None:
        """Carry out what is left of the line, until a command has to wait."""
        while self._calls:
            call = self._calls.popleft()
            try:
                answer = self._carry_out(call)
            except Refusal as refusal:
                self._finish(refusal)
                return
            if not self._settle(answer):
                return
        self._finish(None)

    def _carry_out(self, call: Call) -> Answer:
        written = call.name + SIGNS[call.form] + ",".join(call.arguments)
        for fault in self._faults.active_all("refuse"):
            refused = fault.text("command").upper()
            is_among = call.form is Form.SET and "=" in refused and written.startswith(refused)
            if refused in {call.name, written} or is_among:
                code = int(fault.number("code"))
                raise EquipmentRefusal(code) if code else Refusal
        handler = self._commands.get(call.name)
        if handler is None:
            raise Refusal
        return handler(call)

    def _settle(self, answer: Answer) -> bool:
        """Whether the line can go on at once."""
        if isinstance(answer, Pending):
            self._pending = answer
            answer.when_ended(self._pending_ended)
            return False
        if isinstance(answer, Prompt):
            self._ask(answer)
            return False
        self._inform(answer)
        return True

    def _pending_ended(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        if pending.is_silent:
            self._calls.clear()
            self._flush_news()
        else:
            try:
                self._inform(pending.lines())
            except Refusal as refusal:
                self._finish(refusal)
            else:
                self._run()
        self.go_on()

    def _ask(self, prompt: Prompt) -> None:
        if self._faults.take("no_prompt"):
            self._calls.clear()
            return
        late = self._faults.take("late_prompt")
        if late is None:
            self._show(prompt)
            return
        # Meanwhile the input waits; ESC is then the first thing that the prompt gets.
        waiting = Pending()
        self._pending = waiting

        def show() -> None:
            if self._pending is waiting:
                self._pending = None
                self._show(prompt)
                self.go_on()

        self._later(late.number("delay_s"), show)

    def _show(self, prompt: Prompt) -> None:
        self._write(b"\r\n>" if self._faults.take("bare_prompt") else b"\r\n> ")
        self._is_interrupted = self._faults.take("interrupted_send") is not None
        if self._is_interrupted:
            for line in INTERRUPTIONS_AT_PROMPT:
                self.announce(line)
        self._prompt = prompt

    def _take_text(self) -> bool:
        """Take the text that was asked for, if it has ended; whether it has."""
        ends = [end for mark in (CTRL_Z, ESCAPE) if (end := self._input.find(mark)) >= 0]
        end = min(ends, default=-1)
        self._echo(end if end >= 0 else len(self._input))
        if end < 0:
            if len(self._input) >= INPUT_BYTES_MAX:
                self._consume(len(self._input))
            return False
        entered = self._consume(end + 1)
        prompt, self._prompt = self._prompt, None
        assert prompt is not None
        if entered.endswith(ESCAPE):
            self._calls.clear()
            self._finish(None)
            return True
        if self._is_interrupted:
            for line in INTERRUPTIONS_BEFORE_RESULT:
                self.announce(line)
        try:
            answer = prompt.entered(entered[:-1].decode("latin-1"))
        except Refusal as refusal:
            self._finish(refusal)
            return True
        if self._settle(answer):
            self._run()
        return True

    def _inform(self, lines: Sequence[str]) -> None:
        if lines:
            text = "\r\n".join(lines)
            self._write(
                (f"\r\n{text}\r\n" if self._profile["V"] else f"{text}\r\n").encode("latin-1", "replace")
            )

    def _finish(self, refusal: Refusal | None) -> None:
        """The line has ended: its final result, and the news that had to wait."""
        self._calls.clear()
        result = "OK" if refusal is None else refusal.text(self._profile["+CMEE"])
        if not self._faults.take("lost_result") and not self._profile["Q"]:
            if self._profile["V"]:
                self._write(f"\r\n{result}\r\n".encode())
            else:
                self._write(f"{NUMERIC_RESULTS.get(result, result)}\r".encode())
        self._flush_news()

    def _flush_news(self) -> None:
        while self._news:
            self.announce(self._news.popleft())


def _edited(line: bytes) -> str:
    """A line as its typist meant it (V.250, 5.2.2): without line feeds, and with what was rubbed out."""
    characters = bytearray()
    for byte in line.rpartition(ESCAPE)[2]:
        if byte == BACKSPACE:
            del characters[-1:]
        elif byte >= 0x20:
            characters.append(byte)
    return characters.decode("latin-1")
