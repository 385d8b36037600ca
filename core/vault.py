"""Sealing of secrets that are kept in the database.

Owns the sealed format and the file with the master keys. Knows no table: callers say where a secret stands, and
what was sealed for one place cannot be opened in another, so that nobody gains by moving rows about.

Format 1: a byte 1, 4 bytes of key id, 12 bytes of nonce, AES-256-GCM ciphertext and tag. The first key of the
file seals and all of them open; a master key is changed by putting a new one in front, sealing everything again
(`is_current`) and taking the old one out.
"""

import base64
import binascii
import contextlib
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = b"\x01"
KEY_BYTES = 32
KEY_ID_BYTES = 4
NONCE_BYTES = 12
TAG_BYTES = 16
_HEADER_BYTES = len(FORMAT) + KEY_ID_BYTES

_KEY_LINE = re.compile(r"(?P<id>[0-9a-f]{8}):(?P<key>[0-9A-Za-z+/]{43}=)")


class VaultError(Exception):
    """The key file cannot be used, or a sealed secret cannot be opened. Never quotes a key or a secret."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed secret stands; no part holds a bar."""

    table: str
    column: str
    tenant_id: str
    row_id: str

    def __str__(self) -> str:
        return f"{self.table}|{self.column}|{self.tenant_id}|{self.row_id}"


class Vault:
    """Seals with the first of `keys` and opens with any; keyed by id, 8 hexadecimal digits."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise VaultError("there is no key to seal with")
        if any(len(key) != KEY_BYTES for key in keys.values()):
            raise VaultError(f"a key has {KEY_BYTES} bytes")
        self._ciphers = {bytes.fromhex(key_id): AESGCM(key) for key_id, key in keys.items()}
        self._current = next(iter(self._ciphers))

    @classmethod
    def load(cls, path: Path, *, create: bool) -> "Vault":
        """The vault with the keys of a file: lines `<key id>:<base64 of 32 bytes>`, comments after `#`.

        `create`: a missing file is made, readable by its owner only, with a new random key. Raises VaultError with
        the file's name if it is missing, malformed, empty or readable by everybody.
        """
        if create:
            _create(path)
        try:
            mode, text = path.stat().st_mode, path.read_text(encoding="ascii")
        except FileNotFoundError:
            raise VaultError(
                f"{path}: the file with the master keys is missing; run infinireach secrets"
            ) from None
        except OSError as error:
            raise VaultError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise VaultError(f"{path}: is not a file with master keys") from None
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            raise VaultError(f"{path}: everybody on this machine can read it; use chmod 600")
        return cls(_parse(path, text))

    def seal(self, secret: bytes, place: Place) -> bytes:
        """Encrypt a secret for its place; twice the same secret gives different bytes."""
        header = FORMAT + self._current
        nonce = secrets.token_bytes(NONCE_BYTES)
        return header + nonce + self._ciphers[self._current].encrypt(nonce, secret, _bound(header, place))

    def open(self, sealed: bytes, place: Place) -> bytes:
        """Decrypt what was sealed for this place.

        Raises VaultError if it was changed, sealed for another place, or with a key that is not in the file.
        """
        if sealed[:1] != FORMAT or len(sealed) < _HEADER_BYTES + NONCE_BYTES + TAG_BYTES:
            raise VaultError(f"{place}: is no sealed secret")
        header, nonce = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES : _HEADER_BYTES + NONCE_BYTES]
        key_id = header[len(FORMAT) :]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise VaultError(f"{place}: was sealed with the key {key_id.hex()}, which is not in the key file")
        try:
            return cipher.decrypt(nonce, sealed[_HEADER_BYTES + NONCE_BYTES :], _bound(header, place))
        except InvalidTag:
            raise VaultError(f"{place}: was changed or belongs to another place") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed with the key that seals now; if not, open it and seal it again."""
        return sealed[:_HEADER_BYTES] == FORMAT + self._current


def new_key_line() -> str:
    """A line with a new random key, for the top of a key file."""
    key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")
    return f"{secrets.token_hex(KEY_ID_BYTES)}:{key}\n"


def _bound(header: bytes, place: Place) -> bytes:
    return header + str(place).encode()


def _parse(path: Path, text: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        match = _KEY_LINE.fullmatch(entry)
        if match is None:
            raise VaultError(f"{path}: line {number} is not <8 hexadecimal digits>:<base64 of 32 bytes>")
        if match["id"] in keys:
            raise VaultError(f"{path}: line {number} repeats the key id {match['id']}")
        try:
            keys[match["id"]] = base64.b64decode(match["key"], validate=True)
        except binascii.Error:
            raise VaultError(f"{path}: line {number} does not hold base64") from None
    if not keys:
        raise VaultError(f"{path}: holds no key")
    return keys


def _create(path: Path) -> None:
    """Make the file unless it is there. Whole or not at all, also if two processes start at once."""
    if path.exists():
        return
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(new_key_line())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    except OSError as error:
        raise VaultError(f"{path}: cannot be made: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
