"""The form of API keys (`irk_`) and driver tokens (`ird_`), and how they are compared.

Owns the format: prefix, 8 characters of public id, 32 of secret, 6 of checksum, all base62. The checksum lets
a scanner of leaked secrets, and us, tell a real credential from a made-up one without asking a database.
Knows nothing of tenants or storage.

The secret's 190 random bits are why one SHA-256 is enough at rest: there is nothing to guess and so nothing
to slow down.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

API_KEY_PREFIX = "irk_"
DRIVER_TOKEN_PREFIX = "ird_"  # noqa: S105 - the public prefix of every token, not one of them
PREFIXES = (API_KEY_PREFIX, DRIVER_TOKEN_PREFIX)

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
PUBLIC_ID_CHARACTERS = 8
SECRET_CHARACTERS = 32
CHECKSUM_CHARACTERS = 6

FOREIGN_CHARACTERS_MIN = 8
FOREIGN_CHARACTERS_MAX = 255
"""Bounds of a key that another system made; how hard it is to guess is that system's doing."""

_OURS = re.compile(
    r"(?P<signed>(?P<prefix>ir[kd]_)(?P<id>[0-9A-Za-z]{8})[0-9A-Za-z]{32})(?P<checksum>[0-9A-Za-z]{6})"
)
_FOREIGN = re.compile(rf"[\x21-\x7e]{{{FOREIGN_CHARACTERS_MIN},{FOREIGN_CHARACTERS_MAX}}}")


@dataclass(frozen=True, slots=True)
class Credential:
    """A well-formed credential: under which id it is kept, and the digest that must be found there."""

    public_id: str
    sha256: bytes = field(repr=False)

    def matches(self, kept_sha256: bytes) -> bool:
        """Whether this is the credential whose digest was kept; takes the same time either way."""
        return hmac.compare_digest(self.sha256, kept_sha256)


def new_credential(prefix: str) -> str:
    """A fresh credential; show it once and keep only `parse(it)`."""
    characters = (secrets.choice(BASE62) for _ in range(PUBLIC_ID_CHARACTERS + SECRET_CHARACTERS))
    signed = prefix + "".join(characters)
    return signed + checksum(signed)


def parse(text: str, prefix: str) -> Credential | None:
    """Read a credential of our own shape; None if it has another or its checksum is wrong."""
    match = _OURS.fullmatch(text)
    if match is None or match["prefix"] != prefix or match["checksum"] != checksum(match["signed"]):
        return None
    return Credential(match["id"], _sha256(text))


def parse_foreign(text: str) -> Credential | None:
    """Read a key that another system made, 8 to 255 printable ASCII characters without space.

    None if it cannot be one; what starts like a credential of ours is never foreign. Its public id is the
    beginning of its digest, from which the key cannot be told.
    """
    if text.startswith(PREFIXES) or _FOREIGN.fullmatch(text) is None:
        return None
    digest = _sha256(text)
    return Credential(_base62(int.from_bytes(digest[:6]) >> 1, PUBLIC_ID_CHARACTERS), digest)


def checksum(signed: str) -> str:
    """The last characters of a credential: CRC-32 of all before them, in base62."""
    return _base62(zlib.crc32(signed.encode()), CHECKSUM_CHARACTERS)


def _base62(number: int, width: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, len(BASE62))
        digits = BASE62[digit] + digits
    return digits.rjust(width, BASE62[0])


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
