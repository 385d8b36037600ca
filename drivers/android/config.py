"""phones.toml: which phones there are, how each is reached, and what it may do.

Owns the file's form and reads it once, reporting every problem together. Knows no phone.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from drivers.runtime.config_file import (
    PHONE_NUMBER,
    ConfigInvalid,
    Key,
    beside,
    device_name,
    matching,
    read_table,
    read_tables,
    read_toml,
    whole_number,
)
from drivers.runtime.secret_files import settle_secret

PHONES_MAX = 100
SIMS_MAX = 3
POLL_S = 3.0
PARTS_PER_30_MIN = 25
"""Android asks its user, or refuses, beyond about 30 parts of an app in 30 minutes (AOSP, SmsUsageMonitor)."""
SECRETS = ("password", "signing_key")


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


def _seconds(minimum: float, maximum: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if type(value) not in (int, float) or not minimum <= value <= maximum:
            raise ValueError(f"must be a number from {minimum:g} to {maximum:g}")
        return float(value)

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
        if not isinstance(number, str) or not re.fullmatch(PHONE_NUMBER, number):
            raise ValueError("must have each number in E.164: a plus sign and 7 to 15 digits")
        if type(sim) is not int or not 1 <= sim <= SIMS_MAX:
            raise ValueError(f"must have each sim from 1 to {SIMS_MAX}")
        numbers.append(SimNumber(number, sim))
    if len({each.sim for each in numbers}) < len(numbers):
        raise ValueError("must give each number its own sim")
    return tuple(numbers)


ONE_LINE = r"[^\x00-\x1f\x7f]{1,500}"
_one_line = matching(ONE_LINE, "a text of 1 to 500 characters")

PHONE_KEYS = (
    Key("name", device_name, is_required=True),
    Key("url", read_url, is_required=True),
    Key(
        "user",
        matching(r"[^\x00-\x1f\x7f:]{1,500}", "a text of 1 to 500 characters without a colon"),
        is_required=True,
    ),
    Key("password", _one_line),
    Key("password_file", _one_line),
    Key("numbers", _numbers, is_required=True),
    Key("poll_s", _seconds(0.05, 300)),
    Key("parts_per_30_min", whole_number(1, 100_000)),
    Key("signing_key", _one_line),
    Key("signing_key_file", _one_line),
)
WEBHOOK_KEYS = (
    Key("url", read_url, is_required=True),
    Key("port", whole_number(0, 65535), is_required=True),
    Key("host", _one_line),
    Key("cert_file", _one_line),
    Key("key_file", _one_line),
)


def read_config(path: Path) -> Config:
    """What is in a file, phones in its order. Raises ConfigInvalid with every problem it has."""
    return _Reader(path).read(read_toml(path))


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
        tables, problems = read_tables(self._path, document, "phone", tables_max=PHONES_MAX)
        self._problems += problems
        has_webhook = "webhook" in document
        webhook = self._webhook(document["webhook"]) if has_webhook else None
        phones = [self._phone(called, table, has_webhook) for called, table in tables]
        found = tuple(phone for phone in phones if phone is not None)
        self._problems += _duplicates(found)
        if self._problems:
            raise ConfigInvalid(self._problems)
        return Config(found, webhook)

    def _phone(self, called: str, table: Any, has_webhook: bool) -> PhoneConfig | None:
        values, problems = read_table(called, table, PHONE_KEYS)
        is_table = isinstance(table, dict)
        if is_table and not {"password", "password_file"} & set(table):
            problems.append(f"{called}: password is missing")
        if has_webhook and is_table and not {"signing_key", "signing_key_file"} & set(table):
            problems.append(f"{called}: signing_key is missing: with [webhook] each phone needs the app's")
        for key in SECRETS:
            kept = settle_secret(values, key, config=self._path, pattern=ONE_LINE, content="one line")
            problems += [f"{called}: {problem}" for problem in kept]
        self._problems += problems
        return None if problems else PhoneConfig(**values)

    def _webhook(self, table: Any) -> WebhookConfig | None:
        values, problems = read_table("webhook", table, WEBHOOK_KEYS)
        for key in ("cert_file", "key_file"):
            if key in values:
                problems += self._settle_file(values, key)
        if "key_file" in values and "cert_file" not in values:
            problems.append("webhook: key_file is given without cert_file")
        if "url" in values and not is_callable(values["url"]):
            problems.append(
                "webhook: url must begin with https:// or be http://127.0.0.1: the app calls no other"
            )
        self._problems += problems
        return None if problems else WebhookConfig(**values)

    def _settle_file(self, values: dict[str, Any], key: str) -> list[str]:
        try:
            values[key] = beside(self._path, values[key])
            is_file = values[key].is_file()
        except ValueError as error:
            return [f"webhook: {key} {error}"]
        except OSError as error:
            return [f"webhook: {key} must be a file that can be read: {error.strerror}"]
        return [] if is_file else [f"webhook: {key} must be a file"]


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
