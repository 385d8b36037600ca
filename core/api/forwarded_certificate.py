"""Which driver token a certificate stands for, and what a proxy says of its client's certificate.

Owns the form of the identity, a SAN URI, and of Envoy's `x-forwarded-client-cert`. Knows neither who may say such
a thing nor whether the token is live.
"""

import re
from collections.abc import Iterable, Iterator

from core.credentials import PUBLIC_ID_CHARACTERS

HEADER = "x-forwarded-client-cert"
DRIVER_URI = "urn:infinireach:driver-token:"
"""What the SAN URI of a driver's certificate begins with; the id of the driver token's row follows."""

CHARACTERS_MAX = 16_384
"""Of a header that is read at all; Envoy may put the whole chain into it."""

_TOKEN_ID = re.compile(rf"[0-9A-Za-z]{{{PUBLIC_ID_CHARACTERS}}}")
_PAIR = re.compile(
    r"""
    (?P<key>[A-Za-z]+)=
    (?: "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<plain>[^",;]*) )
    (?P<end>[,;]|$)
    """,
    re.VERBOSE | re.DOTALL,
)


class MalformedCertificateHeader(ValueError):
    """The header does not have Envoy's form, or tells of more than one client."""


def driver_uri(token_id: str) -> str:
    """The SAN URI of a certificate that stands for a driver token."""
    return DRIVER_URI + token_id


def token_ids(uris: Iterable[str]) -> list[str]:
    """What a certificate's SAN URIs name as ids of driver tokens; other URIs mean nothing here."""
    return list(dict.fromkeys(uri.removeprefix(DRIVER_URI) for uri in uris if uri.startswith(DRIVER_URI)))


def is_token_id(text: str) -> bool:
    """Whether a driver token can have this id."""
    return _TOKEN_ID.fullmatch(text) is not None


def forwarded_uris(header: str) -> list[str]:
    """The SAN URIs of the one client that `x-forwarded-client-cert` tells of.

    Raises MalformedCertificateHeader, also for more than one element: a proxy that sets the header anew writes
    one, so that a second one is somebody else's word.
    """
    if len(header) > CHARACTERS_MAX:
        raise MalformedCertificateHeader(f"has more than {CHARACTERS_MAX} characters")
    return [value for key, value in _pairs(header) if key.lower() == "uri" and value]


def _pairs(header: str) -> Iterator[tuple[str, str]]:
    place = 0
    while True:
        match = _PAIR.match(header, place)
        if match is None:
            raise MalformedCertificateHeader("does not have the form key=value;key=value")
        quoted = match["quoted"]
        yield match["key"], match["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if match["end"] == ",":
            raise MalformedCertificateHeader("tells of more than one client")
        if not match["end"]:
            return
        place = match.end()
