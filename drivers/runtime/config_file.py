"""The TOML file in which people say which devices a driver has: read once, with everything that is wrong in it.

Owns how a file, its tables and their keys are read, and the words for what is wrong with them. What keys there are,
what they mean together and which devices they make is the driver's. Secrets are in `secret_files`.
"""

import errno
import re
import stat
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

FILE_BYTES_MAX = 1_000_000

Config = TypeVar("Config")
Reader = Callable[[Any], Any]
"""Turns what TOML gave into the value. Raises ValueError with a sentence that begins "must"."""


class ConfigInvalid(ValueError):
    """A file cannot be used as it is."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        """One sentence for each, naming the table and the key."""


@dataclass(slots=True, frozen=True)
class Key:
    """One key of a table."""

    name: str
    read: Reader
    help: str = ""
    """What is told of it where it is missing."""
    is_required: bool = False


def matching(pattern: str, sentence: str) -> Callable[[Any], str]:
    """A reader of texts that fit a pattern as a whole; `sentence` goes on from "must be"."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"must be {sentence}")
        return value

    return read


def whole_number(minimum: int, maximum: int) -> Callable[[Any], int]:
    """A reader of whole numbers within these limits, both included."""

    def read(value: Any) -> int:
        if type(value) is not int or not minimum <= value <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return value

    return read


def yes_or_no(value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


PHONE_NUMBER = r"\+[1-9][0-9]{6,14}"
"""A number in E.164 (ITU-T E.164 §6.1)."""
phone_number = matching(PHONE_NUMBER, "E.164: a plus sign and 7 to 15 digits")
device_name = matching(r"[a-z0-9._-]{1,64}", "1 to 64 characters of a-z, 0-9, dot, dash and underscore")
"""The key of a device, as the stream allows it."""
file_path = matching(r"[^\x00]{1,1000}", "the path of a file")
"""The path of a file; `beside` tells which one it is."""


def setting_reader(read_config: Callable[[Path], Config]) -> Callable[[str], Config]:
    """What a Setting that names the file reads: its content. ValueError tells every problem, each in a line."""

    def read(text: str) -> Config:
        try:
            path = Path(text).expanduser()
        except RuntimeError:
            raise ValueError("must not begin in the home of a user whom there is not") from None
        try:
            return read_config(path)
        except ConfigInvalid as invalid:
            problems = "".join(f"\n  {problem}" for problem in invalid.problems)
            raise ValueError(f"must be mended:{problems}") from None

    return read


def read_toml(path: Path) -> dict[str, Any]:
    """The document in a file. Raises ConfigInvalid."""
    try:
        content = read_regular_file(path, FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigInvalid([f"{path} must be a file that can be read: {error.strerror}"]) from None
    if len(content) > FILE_BYTES_MAX:
        raise ConfigInvalid([f"{path} must not be larger than {FILE_BYTES_MAX} bytes"])
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid([f"{path} must be TOML: {error}"]) from None
    except RecursionError:
        raise ConfigInvalid([f"{path} must be TOML without deep nesting"]) from None


def read_tables(
    path: Path, document: Mapping[str, Any], kind: str, *, tables_max: int
) -> tuple[list[tuple[str, Any]], list[str]]:
    """What there is under [[kind]], each with what to call it, such as `modem "alpha"`; and what is wrong with that."""
    tables = document.get(kind)
    if not isinstance(tables, list) or not 1 <= len(tables) <= tables_max:
        return [], [f"{path} must have 1 to {tables_max} [[{kind}]] tables"]
    return [(_called(kind, table, place), table) for place, table in enumerate(tables, 1)], []


def _called(kind: str, table: Any, place: int) -> str:
    name = table.get("name") if isinstance(table, dict) else None
    return f'{kind} "{name}"' if isinstance(name, str) else f"{kind} {place}"


def read_table(called: str, table: Any, keys: Sequence[Key]) -> tuple[dict[str, Any], list[str]]:
    """The values of a table that can be used, by key; and what is wrong with it, each problem with `called` before."""
    if not isinstance(table, dict):
        return {}, [f"{called}: must be a table"]
    known = sorted(key.name for key in keys)
    values: dict[str, Any] = {}
    problems = [f"{key} is not known; known are {', '.join(known)}" for key in table if key not in known]
    for key in keys:
        if key.name not in table:
            if key.is_required:
                problems.append(f"{key.name} is missing{key.help and ': '}{key.help}")
            continue
        try:
            values[key.name] = key.read(table[key.name])
        except ValueError as error:
            problems.append(f"{key.name} {error}")
    return values, [f"{called}: {problem}" for problem in problems]


def beside(config: Path, text: str) -> Path:
    """The file that a configuration names: a relative path begins at its folder. Raises ValueError."""
    try:
        return config.parent / Path(text).expanduser()
    except RuntimeError:
        raise ValueError("must not begin in the home of a user whom there is not") from None


def read_regular_file(path: Path, bytes_max: int) -> bytes:
    """So much of a file's beginning. Raises OSError, also where reading may never end: at a pipe or a device."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "It is no regular file")
    with path.open("rb") as file:
        return file.read(bytes_max)
