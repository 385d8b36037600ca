"""Settings from the environment: each is declared once with its name, reader, default and help.

Reads all of them together and reports every problem at once. Knows nothing of what they are for.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class SettingsInvalid(Exception):
    """One or more settings are missing or wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        """One sentence for each."""


@dataclass(slots=True, frozen=True)
class Setting:
    """One environment variable."""

    name: str
    """The variable's name, for example INFINIREACH_DRIVER_NAME."""
    read: Callable[[str], Any]
    """Turns the text into the value; raises ValueError with a sentence that ends "must be …"."""
    help: str
    """One sentence; with the unit, if it has one."""
    default: str = ""
    """The text that is read when the variable is not set; empty: the setting's value is then None."""
    is_secret: bool = False


Check = Callable[[dict[str, Any]], Iterable[str]]
"""Looks at the values together; gives one sentence for each problem."""


def read_settings(
    settings: Iterable[Setting], environment: Mapping[str, str], *, checks: Iterable[Check] = ()
) -> dict[str, Any]:
    """The values by name. Raises SettingsInvalid with all problems, those of `checks` included."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in settings:
        text = environment.get(setting.name, "") or setting.default
        if not text:
            values[setting.name] = None
            continue
        try:
            values[setting.name] = setting.read(text)
        except ValueError as error:
            shown = "its value" if setting.is_secret else repr(text)
            problems.append(f"{setting.name}: {shown} {error}")
            values[setting.name] = None
    for check in checks:
        problems.extend(check(values))
    if problems:
        raise SettingsInvalid(problems)
    return values


def describe_settings(settings: Iterable[Setting]) -> str:
    """The settings for people, as `--help` shows them."""
    lines: list[str] = []
    for setting in settings:
        default = f" Default: {setting.default}." if setting.default else ""
        lines += [f"  {setting.name}", f"      {setting.help}{default}"]
    return "\n".join(lines)


def one_line(text: str) -> str:
    """A text without line breaks."""
    if not text.isprintable():
        raise ValueError("must be one line of printable characters")
    return text


def name(text: str) -> str:
    """A name as the stream allows it."""
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789.-_")
    if not 1 <= len(text) <= 64 or not set(text) <= allowed:
        raise ValueError("must be 1 to 64 characters of a-z, 0-9, dot, dash and underscore")
    return text


def address(text: str) -> str:
    """host:port."""
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("must be host:port")
    return text


def addresses(text: str) -> tuple[str, ...]:
    """One host:port, or several with commas between."""
    found = tuple(address(part.strip()) for part in text.split(",") if part.strip())
    if not found:
        raise ValueError("must be host:port")
    return found


def number(minimum: float, maximum: float) -> Callable[[str], float]:
    """A reader of numbers within these limits, both included."""

    def read(text: str) -> float:
        sentence = f"must be a number from {minimum:g} to {maximum:g}"
        try:
            value = float(text)
        except ValueError:
            raise ValueError(sentence) from None
        if not minimum <= value <= maximum:
            raise ValueError(sentence)
        return value

    return read


def yes_or_no(text: str) -> bool:
    """yes or no."""
    if text.lower() not in ("yes", "no", "true", "false", "1", "0"):
        raise ValueError("must be yes or no")
    return text.lower() in ("yes", "true", "1")


def path(text: str) -> Path:
    """A file or folder, which need not exist."""
    return Path(text).expanduser()


def readable_file(text: str) -> Path:
    """A file that can be read now."""
    file = Path(text).expanduser()
    try:
        with file.open("rb"):
            return file
    except OSError as error:
        raise ValueError(f"must be a file that can be read: {error.strerror}") from None


def one_of(*words: str) -> Callable[[str], str]:
    """A reader that allows these words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return read
