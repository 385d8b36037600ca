"""The settings of a modem that ATZ, AT&F and a restart put back: plain numbers and names of charsets.

A setting is declared once here; its set, read and test forms follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.modem.emulator.command_line import Call, Form
from drivers.modem.emulator.errors import Refusal


@dataclass(slots=True, frozen=True)
class Setting:
    """A command that keeps one number."""

    name: str
    values: str
    """As its test form tells them: `0-2` or `0,1,4`."""
    default: int = 0

    def allows(self, value: int) -> bool:
        """Whether the number is among the values."""
        for part in self.values.split(","):
            first, _, last = part.partition("-")
            if int(first) <= value <= int(last or first):
                return True
        return False


SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("E", "0,1", 1),
        Setting("Q", "0,1"),
        Setting("V", "0,1", 1),
        Setting("+CMEE", "0-2"),
        Setting("+CREG", "0-2"),
        Setting("+CGREG", "0-2"),
        Setting("+CEREG", "0-2"),
        Setting("+CMGF", "0,1"),
        Setting("+CMMS", "0-2"),
        Setting("+CSDH", "0,1"),
        Setting("+CGSMS", "0-3", 3),
        Setting("+CRC", "0,1"),
        Setting("+CLIP", "0,1"),
        Setting("+COLP", "0,1"),
        Setting("+CCWA", "0,1"),
        Setting("+CMOD", "0-3"),
        Setting("+CTZR", "0,1"),
        Setting("+CTZU", "0,1"),
        Setting("+IPR", "0,9600,19200,38400,57600,115200,230400,460800,921600"),
    )
}
CHARSETS = ("IRA", "GSM", "UCS2")


class Profile:
    """The values that hold now."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.charset = CHARSETS[0]
        self.reset()

    def reset(self) -> None:
        """Back to how the modem leaves its factory."""
        self._numbers = {setting.name: setting.default for setting in SETTINGS.values()}
        self.charset = CHARSETS[0]

    def __getitem__(self, name: str) -> int:
        return self._numbers[name]

    def set(self, name: str, value: int) -> None:
        """Set one. Raises Refusal for a value that it does not have."""
        if not SETTINGS[name].allows(value):
            raise Refusal
        self._numbers[name] = value

    def carry_out(self, call: Call) -> Sequence[str]:
        """The usual forms of a setting: `=n`, `?` and `=?`."""
        if call.form is Form.TEST:
            return [f"{call.name}: ({SETTINGS[call.name].values})"]
        if call.form is Form.READ:
            return [f"{call.name}: {self[call.name]}"]
        self.set(call.name, call.number(0, 0))
        return []

    def encoded(self, text: str) -> str:
        """A text as strings of commands and answers hold it under +CSCS (3GPP TS 27.007, 5.5)."""
        if self.charset == "UCS2":
            return text.encode("utf-16-be", "surrogatepass").hex().upper()
        return "".join(character if " " <= character <= "~" else "?" for character in text)

    def decoded(self, text: str) -> str:
        """The text that such a string means. Raises Refusal."""
        if self.charset != "UCS2":
            return text
        try:
            return bytes.fromhex(text).decode("utf-16-be")
        except ValueError:
            raise Refusal from None
