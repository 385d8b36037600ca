"""whatsapp.toml: which numbers there are, how Meta is reached, and where its webhooks come in.

Owns the file's form and reads it once, reporting every problem together. Knows no connection.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from drivers.whatsapp_cloud.secret_files import Secret, check_secret, is_readable_by_others

NUMBERS_MAX = 100
FILE_BYTES_MAX = 1_000_000
MESSAGES_PER_S = 80
"""What Meta allows a number to begin with ("Throughput")."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class ConfigInvalid(ValueError):
    """whatsapp.toml cannot be used as it is."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        """One sentence for each, naming the table and the key."""


@dataclass(slots=True, frozen=True)
class GraphConfig:
    """How Meta is reached."""

    url: str = "https://graph.facebook.com"
    version: str = "v25.0"
    timeout_s: float = 30.0
    """From the request to the end of the answer."""


@dataclass(slots=True, frozen=True)
class WebhookConfig:
    """Where webhooks come in."""

    verify_token: Secret
    host: str = "127.0.0.1"
    port: int = 8087
    path: str = "/whatsapp"
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(slots=True, frozen=True)
class NumberConfig:
    """One number of the business."""

    name: str
    """Its key: what the core, the logs and the control socket call it. Another name is another device."""
    number: str
    """E.164."""
    phone_number_id: str
    token: Secret
    app_secret: Secret
    messages_per_s: int = MESSAGES_PER_S
    groups: bool = False
    """Whether the number may write to groups."""


@dataclass(slots=True, frozen=True)
class Config:
    """The whole file."""

    graph: GraphConfig
    webhook: WebhookConfig
    numbers: tuple[NumberConfig, ...]
    exposed: tuple[str, ...] = ()
    """Files with secrets that others can read."""


@dataclass(slots=True, frozen=True)
class Key:
    """One key of a table."""

    name: str
    read: Callable[[Any], Any]
    """Raises ValueError with a sentence that begins "must be"."""
    help: str
    is_required: bool = False


def _matching(pattern: str, sentence: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"must be {sentence}")
        return value

    return read


def _between(minimum: int, maximum: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int or not minimum <= value <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return value

    return read


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _url(value: Any) -> str:
    sentence = "must be an https URL without query; http only to this machine"
    if not isinstance(value, str) or not re.fullmatch(r"https?://[!-~]{1,200}", value):
        raise ValueError(sentence)
    try:
        parts = urlsplit(value)
        is_usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(sentence) from None
    is_private = parts.scheme == "https" or parts.hostname in LOOPBACK
    if not is_usable or not is_private or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(sentence)
    return value.rstrip("/")


def _secret(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return check_secret(value)


_file = _matching(r"[^\x00]{1,1000}", "the path of a file")

GRAPH_KEYS = (
    Key("url", _url, "Where Graph is. https://graph.facebook.com if not set."),
    Key("version", _matching(r"v[0-9]{1,3}\.[0-9]{1,2}", "a version such as v25.0"), "v25.0 if not set."),
    Key("timeout_s", _between(1, 300), "Seconds for a request and its answer. 30 if not set."),
)
WEBHOOK_KEYS = (
    Key("host", _matching(r"[!-~]{1,253}", "an address or a host name"), "127.0.0.1 if not set."),
    Key("port", _between(0, 65535), "8087 if not set; 0 is any that is free."),
    Key("path", _matching(r"/[A-Za-z0-9._~/-]{0,200}", "a path such as /whatsapp"), "/whatsapp if not set."),
    Key("cert_file", _file, "Certificate chain (PEM), to speak HTTPS here."),
    Key("key_file", _file, "Private key (PEM) of that certificate."),
    Key("verify_token", _secret, "What Meta's handshake has to name; or verify_token_file."),
    Key("verify_token_file", _file, "File with it."),
)
NUMBER_KEYS = (
    Key(
        "name",
        _matching(r"[a-z0-9._-]{1,64}", "1 to 64 characters of a-z, 0-9, dot, dash and underscore"),
        "What this number is called everywhere.",
        is_required=True,
    ),
    Key(
        "number",
        _matching(r"\+[1-9][0-9]{6,14}", "E.164: a plus sign and 7 to 15 digits"),
        "The number, E.164.",
        is_required=True,
    ),
    Key(
        "phone_number_id",
        _matching(r"[0-9]{1,32}", "digits in quotes"),
        "Meta's id of the number, from the app's page WhatsApp > API Setup.",
        is_required=True,
    ),
    Key("token", _secret, "Access token of a system user; or token_file."),
    Key("token_file", _file, "File with it. Read anew when it changes."),
    Key("app_secret", _secret, "Secret of the app that signs webhooks; or app_secret_file."),
    Key("app_secret_file", _file, "File with it. Read anew when it changes."),
    Key("messages_per_s", _between(1, 1000), f"What Meta allows the number. {MESSAGES_PER_S} if not set."),
    Key("groups", _yes_or_no, "Whether the number may write to groups. false if not set."),
)


def read_config(path: Path) -> Config:
    """The file's content. Raises ConfigInvalid with every problem it has."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
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
        self._exposed: dict[str, None] = {}

    def read(self, document: dict[str, Any]) -> Config:
        known = "known are [graph], [webhook] and [[number]]"
        self._problems += [
            f"{key} is not known; {known}" for key in document if key not in {"graph", "webhook", "number"}
        ]
        graph = self._table("[graph]", document.get("graph", {}), GRAPH_KEYS)
        webhook = self._table(
            "[webhook]", document.get("webhook", {}), WEBHOOK_KEYS, secrets=["verify_token"]
        )
        if ("cert_file" in webhook) != ("key_file" in webhook):
            self._problems.append("[webhook]: cert_file and key_file must be given together")
        for name in ("cert_file", "key_file"):
            if name in webhook:
                webhook[name] = self._file(webhook[name])
        numbers = self._numbers(document.get("number"))
        if self._problems:
            raise ConfigInvalid(self._problems)
        return Config(
            GraphConfig(**graph),
            WebhookConfig(**webhook),
            tuple(NumberConfig(**number) for number in numbers),
            tuple(self._exposed),
        )

    def _numbers(self, tables: Any) -> list[dict[str, Any]]:
        if not isinstance(tables, list) or not 1 <= len(tables) <= NUMBERS_MAX:
            self._problems.append(f"{self._path} must have 1 to {NUMBERS_MAX} [[number]] tables")
            return []
        numbers: list[dict[str, Any]] = []
        for place, table in enumerate(tables, 1):
            is_named = isinstance(table, dict) and isinstance(table.get("name"), str)
            called = f'number "{table["name"]}"' if is_named else f"number {place}"
            numbers.append(self._table(called, table, NUMBER_KEYS, secrets=["token", "app_secret"]))
        for key in ("name", "number", "phone_number_id"):
            values = [number[key] for number in numbers if key in number]
            if len(set(values)) < len(values):
                self._problems.append(f"{key} must differ between numbers")
        return numbers

    def _table(
        self, called: str, table: Any, keys: Sequence[Key], *, secrets: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The values of a table that can be used; what is wrong with the others is noted."""
        if not isinstance(table, dict):
            self._problems.append(f"{called}: must be a table")
            return {}
        known = {key.name for key in keys}
        self._problems += [
            f"{called}: {key} is not known; known are {', '.join(sorted(known))}"
            for key in table
            if key not in known
        ]
        values: dict[str, Any] = {}
        for key in keys:
            if key.name not in table:
                if key.is_required:
                    self._problems.append(f"{called}: {key.name} is missing: {key.help}")
                continue
            try:
                values[key.name] = key.read(table[key.name])
            except ValueError as error:
                self._problems.append(f"{called}: {key.name} {error}")
        for name in secrets:
            self._settle_secret(called, name, table, values)
        return values

    def _settle_secret(
        self, called: str, name: str, table: Mapping[str, Any], values: dict[str, Any]
    ) -> None:
        """Put a secret where it belongs, whether it is in the table or in a file."""
        file_name = f"{name}_file"
        text, file = values.pop(name, None), values.pop(file_name, None)
        if (name in table) == (file_name in table):
            self._problems.append(f"{called}: one of {name} and {file_name} must be given")
            return
        try:
            if text is not None:
                values[name] = Secret(text)
                self._note_exposure(self._path)
            elif file is not None:
                path = self._file(file)
                values[name] = Secret.from_file(path)
                self._note_exposure(path)
        except OSError as error:
            self._problems.append(f"{called}: {file_name} must be a file that can be read: {error.strerror}")
        except ValueError as error:
            self._problems.append(f"{called}: {file_name} {error}")

    def _file(self, text: str) -> Path:
        """A relative path begins at the folder of the file."""
        return self._path.parent / text

    def _note_exposure(self, path: Path) -> None:
        if is_readable_by_others(path):
            self._exposed[str(path)] = None
