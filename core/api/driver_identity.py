"""Who opens a driver stream: the driver token that is presented, or that a client certificate stands for.

Owns which proof counts on which listener, and that all proofs of one stream agree. Knows no session.

On the public listener only a token counts. On the internal one a certificate does too: the peer's own, or the one
that a proxy verified and tells of in `x-forwarded-client-cert`. A peer whose own certificate is a driver's is no
proxy, so it may forward nothing.
"""

from collections.abc import Sequence
from typing import Any

from core import credentials
from core.api import forwarded_certificate
from core.api.forwarded_certificate import (
    MalformedCertificateHeader,
    forwarded_uris,
    is_token_id,
    token_ids,
)
from core.api.identity import AUTHORIZATION, text_of
from core.credentials import DRIVER_TOKEN_PREFIX, Credential
from core.errors import Unauthenticated
from core.sessions.lifecycle import Lifecycle
from core.store.rows import DriverTokenRow

Context = Any
"""grpc.aio.ServicerContext; its published types lack what is used here."""

PEER_URI = "peer_uri"
"""gRPC's name for a SAN URI of the peer's verified certificate."""


class DriverIdentity:
    """Authenticates driver streams of one listener."""

    def __init__(self, lifecycle: Lifecycle, *, takes_certificates: bool) -> None:
        self._lifecycle = lifecycle
        self._takes_certificates = takes_certificates

    async def authenticate(self, context: Context) -> DriverTokenRow:
        """The live driver token that a stream is opened with. Raises Unauthenticated, Unavailable."""
        token = _token(context)
        certified_id = _certified_id(context) if self._takes_certificates else None
        if token is not None:
            row = await self._lifecycle.find_token(token.public_id)
            if row is None or not token.matches(row.secret_sha256):
                raise Unauthenticated("The driver token is unknown or revoked.")
        elif certified_id is not None:
            row = await self._lifecycle.find_token(certified_id)
            if row is None:
                raise Unauthenticated(
                    "The driver token that the certificate stands for is unknown or revoked."
                )
        else:
            raise Unauthenticated("A driver presents its token as `authorization: Bearer <token>`.")
        if certified_id not in (None, row.id):
            raise Unauthenticated("The certificate and the driver token are not the same driver's.")
        return row


def _token(context: Context) -> Credential | None:
    """The token that is presented, right by its form; None if none is."""
    given = text_of(context.invocation_metadata() or ()).get(AUTHORIZATION)
    if given is None:
        return None
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("A driver presents its token as `authorization: Bearer <token>`.")
    credential = credentials.parse(token.strip(), DRIVER_TOKEN_PREFIX)
    if credential is None:
        raise Unauthenticated("The driver token is malformed.")
    return credential


def _certified_id(context: Context) -> str | None:
    """The id of the token that the driver's certificate stands for; None if there is no such certificate."""
    own = _one_of(_own_ids(context))
    forwarded = [
        value
        for key, value in context.invocation_metadata() or ()
        if key == forwarded_certificate.HEADER and isinstance(value, str)
    ]
    if not forwarded:
        return own
    if own is not None or len(forwarded) > 1:
        raise Unauthenticated(f"This peer may not say {forwarded_certificate.HEADER}.")
    try:
        uris = forwarded_uris(forwarded[0])
    except MalformedCertificateHeader as malformed:
        raise Unauthenticated(f"The header {forwarded_certificate.HEADER} {malformed}.") from None
    return _one_of(token_ids(uris))


def _own_ids(context: Context) -> list[str]:
    uris: Sequence[bytes] = context.auth_context().get(PEER_URI, ())
    return token_ids(uri.decode(errors="replace") for uri in uris)


def _one_of(ids: Sequence[str]) -> str | None:
    if len(ids) > 1:
        raise Unauthenticated("The certificate stands for more than one driver token.")
    if ids and not is_token_id(ids[0]):
        raise Unauthenticated("The certificate stands for no driver token.")
    return ids[0] if ids else None
