"""whatsapp.toml: which numbers there are, how Meta is reached, and where its webhooks come in.

Owns the file's form and reads it once, reporting every problem together. Knows no connection.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from drivers.runtime.config_file import (
    ConfigInvalid,
    Key,
    beside,
    device_name,
    file_path,
    matching,
    phone_number,
    read_table,
    read_tables,
    read_toml,
    whole_number,
    yes_or_no,
)
from drivers.runtime.secret_files import is_readable_by_others
from drivers.whatsapp_cloud.secret_files import Secret, check_secret

NUMBERS_MAX = 100
MESSAGES_PER_S = 80
"""What Meta allows a number to begin with ("Throughput")."""
LABEL_CHARACTERS_MAX = 63
"""Of a name between two dots (RFC 1035, 2.3.4)."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


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


def _url(value: Any) -> str:
    sentence = "must be an https URL without query; http only to this machine"
    if not isinstance(value, str) or not re.fullmatch(r"https?://[!-~]{1,200}", value):
        raise ValueError(sentence)
    try:
        parts = urlsplit(value)
        labels = (parts.hostname or "").removesuffix(".").split(".")
        is_usable = parts.port != 0 and all(0 < len(label) <= LABEL_CHARACTERS_MAX for label in labels)
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


GRAPH_KEYS = (
    Key("url", _url, "Where Graph is. https://graph.facebook.com if not set."),
    Key("version", matching(r"v[0-9]{1,3}\.[0-9]{1,2}", "a version such as v25.0"), "v25.0 if not set."),
    Key("timeout_s", whole_number(1, 300), "Seconds for a request and its answer. 30 if not set."),
)
WEBHOOK_KEYS = (
    Key("host", matching(r"[!-~]{1,253}", "an address or a host name"), "127.0.0.1 if not set."),
    Key("port", whole_number(0, 65535), "8087 if not set; 0 is any that is free."),
    Key("path", matching(r"/[A-Za-z0-9._~/-]{0,200}", "a path such as /whatsapp"), "/whatsapp if not set."),
    Key("cert_file", file_path, "Certificate chain (PEM), to speak HTTPS here."),
    Key("key_file", file_path, "Private key (PEM) of that certificate."),
    Key("verify_token", _secret, "What Meta's handshake has to name; or verify_token_file."),
    Key("verify_token_file", file_path, "File with it."),
)
NUMBER_KEYS = (
    Key("name", device_name, "What this number is called everywhere.", is_required=True),
    Key("number", phone_number, "The number, E.164.", is_required=True),
    Key(
        "phone_number_id",
        matching(r"[0-9]{1,32}", "digits in quotes"),
        "Meta's id of the number, from the app's page WhatsApp > API Setup.",
        is_required=True,
    ),
    Key("token", _secret, "Access token of a system user; or token_file."),
    Key("token_file", file_path, "File with it. Read anew when it changes."),
    Key("app_secret", _secret, "Secret of the app that signs webhooks; or app_secret_file."),
    Key("app_secret_file", file_path, "File with it. Read anew when it changes."),
    Key(
        "messages_per_s", whole_number(1, 1000), f"What Meta allows the number. {MESSAGES_PER_S} if not set."
    ),
    Key("groups", yes_or_no, "Whether the number may write to groups. false if not set."),
)


def read_config(path: Path) -> Config:
    """The file's content. Raises ConfigInvalid with every problem it has."""
    return _Reader(path).read(read_toml(path))


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
        self._settle_files(webhook, "cert_file", "key_file")
        numbers = self._numbers(document)
        if self._problems:
            raise ConfigInvalid(self._problems)
        return Config(
            GraphConfig(**graph),
            WebhookConfig(**webhook),
            tuple(NumberConfig(**number) for number in numbers),
            tuple(self._exposed),
        )

    def _settle_files(self, values: dict[str, Any], *keys: str) -> None:
        for key in keys:
            if key in values:
                try:
                    values[key] = beside(self._path, values[key])
                except ValueError as error:
                    self._problems.append(f"[webhook]: {key} {error}")

    def _numbers(self, document: Mapping[str, Any]) -> list[dict[str, Any]]:
        tables, problems = read_tables(self._path, document, "number", tables_max=NUMBERS_MAX)
        self._problems += problems
        numbers = [
            self._table(called, table, NUMBER_KEYS, secrets=["token", "app_secret"])
            for called, table in tables
        ]
        for key in ("name", "number", "phone_number_id"):
            values = [number[key] for number in numbers if key in number]
            if len(set(values)) < len(values):
                self._problems.append(f"{key} must differ between numbers")
        return numbers

    def _table(
        self, called: str, table: Any, keys: Sequence[Key], *, secrets: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The values of a table that can be used; what is wrong with the others is noted."""
        values, problems = read_table(called, table, keys)
        self._problems += problems
        if isinstance(table, dict):
            for name in secrets:
                self._settle_secret(called, name, table, values)
        return values

    def _settle_secret(
        self, called: str, name: str, table: Mapping[str, Any], values: dict[str, Any]
    ) -> None:
        """Put a secret where it belongs, to be read anew if it is in a file; one that others can read is noted."""
        key = f"{name}_file"
        text, file = values.pop(name, None), values.pop(key, None)
        if (name in table) == (key in table):
            self._problems.append(f"{called}: one of {name} and {key} must be given")
            return
        try:
            if text is not None:
                values[name] = Secret(text)
                self._note_exposure(self._path)
            elif file is not None:
                path = beside(self._path, file)
                values[name] = Secret.from_file(path)
                self._note_exposure(path)
        except OSError as error:
            self._problems.append(f"{called}: {key} must be a file that can be read: {error.strerror}")
        except ValueError as error:
            self._problems.append(f"{called}: {key} {error}")

    def _note_exposure(self, path: Path) -> None:
        if is_readable_by_others(path):
            self._exposed[str(path)] = None
