"""Webhook secrets and signatures.

Owns the two signature schemes that every delivery carries and the shape of a secret. It must not know
endpoints, storage, encryption at rest or HTTP: it turns bytes into header values.

The first scheme is the bare HMAC that receivers of the documented API check. The second is Standard Webhooks
(https://github.com/standard-webhooks/standard-webhooks, specification 1.0), which adds replay protection and
lets several secrets sign at once. Both start from the same secret text, with different keys: see
`legacy_signature` and `standard_signature`.
"""

import base64
import hmac
import secrets
from collections.abc import Sequence

SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix of every secret, not one of them
NEW_SECRET_BYTES = 32
SECRET_BYTES_MIN = 24
SECRET_BYTES_MAX = 64

LEGACY_SIGNATURE_HEADERS: tuple[str, ...] = ("X-Infini-Reach-Signature", "X-Webhook-Signature")


class InvalidSecret(ValueError):
    """The text is not `whsec_` followed by the base64 of 24..64 bytes. The message never quotes the text."""


def new_secret() -> str:
    """Return a fresh secret: `whsec_` and the base64 of 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(NEW_SECRET_BYTES)).decode("ascii")


def legacy_signature(secret: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of the body as bare lower-case hex.

    The key is the secret's characters exactly as they are shown to the customer, `whsec_` included.
    """
    return hmac.digest(secret.encode(), body, "sha256").hex()


def standard_signature(secret: str, *, event_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the Standard Webhooks signature `v1,<base64>` over `<event_id>.<timestamp_s>.<body>`.

    The key is the decoded base64 part of the secret. `timestamp_s` is the Unix time of the attempt. Raises
    InvalidSecret, and ValueError if `event_id` holds a full stop, which would make the signed text ambiguous.
    """
    if "." in event_id:
        raise ValueError("an event id must not contain a full stop")
    signed = b"%b.%d.%b" % (event_id.encode(), timestamp_s, body)
    digest = hmac.digest(_standard_key(secret), signed, "sha256")
    return "v1," + base64.b64encode(digest).decode("ascii")


def signature_headers(
    primary: str, others: Sequence[str], *, event_id: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """Return the signature headers of one attempt.

    `primary` signs the single-valued headers; `primary` and then all `others` (secrets that are being rotated
    in or out) sign the list in `webhook-signature`. Raises as `standard_signature` does.
    """
    legacy = legacy_signature(primary, body)
    headers: dict[str, str] = dict.fromkeys(LEGACY_SIGNATURE_HEADERS, legacy)
    headers["webhook-id"] = event_id
    headers["webhook-timestamp"] = str(timestamp_s)
    headers["webhook-signature"] = " ".join(
        standard_signature(secret, event_id=event_id, timestamp_s=timestamp_s, body=body)
        for secret in (primary, *others)
    )
    return headers


def _standard_key(secret: str) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        raise InvalidSecret("a webhook secret starts with whsec_")
    encoded = secret[len(SECRET_PREFIX) :]
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise InvalidSecret("the part of a webhook secret after whsec_ is base64") from None
    if base64.b64encode(key).decode("ascii") != encoded:
        raise InvalidSecret("the part of a webhook secret after whsec_ is base64 in its one usual form")
    if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise InvalidSecret(f"a webhook secret holds {SECRET_BYTES_MIN}..{SECRET_BYTES_MAX} bytes")
    return key
