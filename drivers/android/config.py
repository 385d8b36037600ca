"""phones.toml: which phones there are, how each is reached, and what it may do.

Owns the file's form and reads it once, reporting every problem together. Knows no phone.
"""

import os
import re
import stat
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PHONES_MAX = 100
SIMS_MAX = 3
FILE_BYTES_MAX = 1_000_000
POLL_S = 3.0
PARTS_PER_30_MIN = 25
"""Android asks its user, or refuses, beyond about 30 parts of an app in 30 minutes (AOSP, SmsUsageMonitor)."""
SECRETS = ("password", "signing_key")


class ConfigInvalid(ValueError):
    """phones.toml cannot be used as it is."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        """One sentence for each, naming the phone and the key."""


@dataclass(slots=True, frozen=True)
class SimNumber:
    """A number of a phone."""

    number: str = field(repr=False)
    """E.164."""
    sim: int = 1
    """The SIM slot, from 1."""


@dataclass(slots=True, frozen=True)
class PhoneConfig:
    """One phone as its owner describes it."""

    name: str
    """Its key: what the core and the logs call it. Another name is another device."""
    url: str
    """Where the app's local server is, without a slash at the end."""
    user: str
    password: str = field(repr=False)
    numbers: tuple[SimNumber, ...]
    poll_s: float = POLL_S
    """Seconds between two looks at messages whose fate is open, and at what came in."""
    parts_per_30_min: int = PARTS_PER_30_MIN
    signing_key: str = field(default="", repr=False)
    """What the app signs its webhooks with; empty: none are believed."""


@dataclass(slots=True, frozen=True)
class WebhookConfig:
    """Where phones call back."""

    url: str
    """How a phone reaches the listener; a phone's name is appended to its path."""
    port: int
    host: str = "127.0.0.1"
    cert_file: Path | None = None
    key_file: Path | None = None

    def url_of(self, name: str) -> str:
        """Where the phone of this name calls."""
        return f"{self.url}/{name}"


@dataclass(slots=True, frozen=True)
class Config:
    """The whole file."""

    phones: tuple[PhoneConfig, ...]
    webhook: WebhookConfig | None = None


def _matching(pattern: str, sentence: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"must be {sentence}")
        return value

    return read


def _between(minimum: float, maximum: float, kind: type) -> Callable[[Any], Any]:
    what = "a whole number" if kind is int else "a number"

    def read(value: Any) -> Any:
        is_number = type(value) is int or (kind is float and type(value) is float)
        if not is_number or not minimum <= value <= maximum:
            raise ValueError(f"must be {what} from {minimum:g} to {maximum:g}")
        return kind(value)

    return read


def read_url(value: Any) -> str:
    """A URL of http or https without user, query and the slash at its end. Raises ValueError."""
    sentence = "must be a URL such as http://192.168.1.20:8080"
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(sentence) from None
    if not is_usable or parts.username or parts.query or parts.fragment or not value.isprintable():
        raise ValueError(f"{sentence}, without user and query")
    return value.rstrip("/")


def _numbers(value: Any) -> tuple[SimNumber, ...]:
    sentence = 'must be a list of 1 to 3 numbers such as {number = "+491701234567", sim = 1}'
    if not isinstance(value, list) or not 1 <= len(value) <= SIMS_MAX:
        raise ValueError(sentence)
    numbers: list[SimNumber] = []
    for entry in value:
        if not isinstance(entry, dict) or not set(entry) <= {"number", "sim"}:
            raise ValueError(sentence)
        number, sim = entry.get("number"), entry.get("sim", 1)
        if not isinstance(number, str) or not re.fullmatch(r"\+[1-9][0-9]{6,14}", number):
            raise ValueError("must have each number in E.164: a plus sign and 7 to 15 digits")
        if type(sim) is not int or not 1 <= sim <= SIMS_MAX:
            raise ValueError(f"must have each sim from 1 to {SIMS_MAX}")
        numbers.append(SimNumber(number, sim))
    if len({each.sim for each in numbers}) < len(numbers):
        raise ValueError("must give each number its own sim")
    return tuple(numbers)


_one_line = _matching(r"[^\x00-\x1f\x7f]{1,500}", "a text of 1 to 500 characters")
_name = _matching(r"[a-z0-9._-]{1,64}", "1 to 64 characters of a-z, 0-9, dot, dash and underscore")

Keys = Mapping[str, Callable[[Any], Any]]

PHONE_KEYS: Keys = {
    "name": _name,
    "url": read_url,
    "user": _matching(r"[^\x00-\x1f\x7f:]{1,500}", "a text of 1 to 500 characters without a colon"),
    "password": _one_line,
    "password_file": _one_line,
    "numbers": _numbers,
    "poll_s": _between(0.05, 300, float),
    "parts_per_30_min": _between(1, 100_000, int),
    "signing_key": _one_line,
    "signing_key_file": _one_line,
}
PHONE_REQUIRED = ("name", "url", "user", "password", "numbers")
WEBHOOK_KEYS: Keys = {
    "url": read_url,
    "port": _between(0, 65535, int),
    "host": _one_line,
    "cert_file": _one_line,
    "key_file": _one_line,
}
WEBHOOK_REQUIRED = ("url", "port")


def read_config(path: Path) -> Config:
    """What is in a file, phones in its order. Raises ConfigInvalid with every problem it has."""
    try:
        if not path.is_file():
            raise ConfigInvalid([f"{path} must be a file"])
        content = path.read_bytes()
    except OSError as error:
        raise ConfigInvalid([f"{path} must be a file that can be read: {error.strerror}"]) from None
    if len(content) > FILE_BYTES_MAX:
        raise ConfigInvalid([f"{path} must not be larger than {FILE_BYTES_MAX} bytes"])
    try:
        document = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid([f"{path} must be TOML: {error}"]) from None
    except RecursionError:
        raise ConfigInvalid([f"{path} must be TOML without deep nesting"]) from None
    return _Reader(path).read(document)


class _Reader:
    """Reads one document and gathers its problems."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._problems: list[str] = []

    def read(self, document: dict[str, Any]) -> Config:
        self._problems += [
            f"{key} is not known; known are [[phone]] and [webhook]"
            for key in document
            if key not in ("phone", "webhook")
        ]
        tables = document.get("phone")
        if not isinstance(tables, list) or not 1 <= len(tables) <= PHONES_MAX:
            self._problems.append(f"{self._path} must have 1 to {PHONES_MAX} [[phone]] tables")
            tables = []
        webhook = self._webhook(document["webhook"]) if "webhook" in document else None
        has_webhook = "webhook" in document
        phones = [self._phone(table, place, has_webhook) for place, table in enumerate(tables, 1)]
        found = tuple(phone for phone in phones if phone is not None)
        self._problems += _duplicates(found)
        if self._problems:
            raise ConfigInvalid(self._problems)
        return Config(found, webhook)

    def _table(
        self, table: Any, keys: Keys, required: Iterable[str], called: str
    ) -> tuple[dict[str, Any], list[str]]:
        if not isinstance(table, dict):
            return {}, [f"{called} must be a table"]
        values: dict[str, Any] = {}
        problems = [
            f"{called}: {key} is not known; known are {', '.join(keys)}" for key in table if key not in keys
        ]
        for key, read in keys.items():
            if key not in table:
                continue
            try:
                values[key] = read(table[key])
            except ValueError as error:
                problems.append(f"{called}: {key} {error}")
        problems += [
            f"{called}: {key} is missing"
            for key in required
            if key not in table and f"{key}_file" not in table
        ]
        return values, problems

    def _phone(self, table: Any, place: int, has_webhook: bool) -> PhoneConfig | None:
        name = table.get("name") if isinstance(table, dict) else None
        called = f'phone "{name}"' if isinstance(name, str) else f"phone {place}"
        values, problems = self._table(table, PHONE_KEYS, PHONE_REQUIRED, called)
        for key in SECRETS:
            problems += [f"{called}: {problem}" for problem in self._settle_secret(values, key)]
        if has_webhook and isinstance(table, dict) and not {"signing_key", "signing_key_file"} & set(table):
            problems.append(f"{called}: signing_key is missing: with [webhook] each phone needs the app's")
        self._problems += problems
        return None if problems else PhoneConfig(**values)

    def _settle_secret(self, values: dict[str, Any], key: str) -> list[str]:
        """Put a secret where it belongs; what is wrong with how it is kept."""
        file = values.pop(f"{key}_file", None)
        if file is not None and key in values:
            return [f"{key} and {key}_file must not both be given"]
        if key in values:
            return _exposure(key, self._path)
        if file is None:
            return []
        try:
            path = self._path.parent / Path(file).expanduser()
            if not path.is_file():
                return [f"{key}_file must be a file"]
            with path.open(encoding="utf-8") as opened:
                values[key] = _one_line(opened.read(1000).strip())
        except (OSError, RuntimeError):
            return [f"{key}_file must be a file that can be read"]
        except ValueError:
            return [f"{key}_file must hold one line"]
        return _exposure(f"{key}_file", path)

    def _webhook(self, table: Any) -> WebhookConfig | None:
        values, problems = self._table(table, WEBHOOK_KEYS, WEBHOOK_REQUIRED, "webhook")
        for key in ("cert_file", "key_file"):
            if key in values:
                values[key] = self._path.parent / Path(values[key]).expanduser()
                if not values[key].is_file():
                    problems.append(f"webhook: {key} must be a file")
        if "key_file" in values and "cert_file" not in values:
            problems.append("webhook: key_file is given without cert_file")
        if "url" in values and not is_callable(values["url"]):
            problems.append(
                "webhook: url must begin with https:// or be http://127.0.0.1: the app calls no other"
            )
        self._problems += problems
        return None if problems else WebhookConfig(**values)


def is_callable(url: str) -> bool:
    """Whether the app takes it as the URL of a webhook: https, or http to the phone itself (adb reverse)."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname == "127.0.0.1"


def _duplicates(phones: tuple[PhoneConfig, ...]) -> list[str]:
    """What two phones must not have in common."""
    kinds: dict[str, Callable[[PhoneConfig], Iterable[str]]] = {
        "name": lambda phone: [phone.name],
        "url": lambda phone: [phone.url],
        "number": lambda phone: [each.number for each in phone.numbers],
    }
    problems: list[str] = []
    for key, values_of in kinds.items():
        counts = Counter(value for phone in phones for value in values_of(phone))
        named = [phone.name for phone in phones if any(counts[value] > 1 for value in values_of(phone))]
        if named:
            problems.append(f"each {key} must be that of one phone; see {', '.join(named)}")
    return problems


def _exposure(key: str, path: Path) -> list[str]:
    if os.name == "posix" and path.stat().st_mode & stat.S_IRWXO:
        return [f"{key}: {path} holds a secret and others can read it; chmod o-rwx {path}"]
    return []
