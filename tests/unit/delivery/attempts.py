"""What the tests of attempts share: a sender with its parts chosen, and a request with all parts filled
in."""

import ssl

from core.clock import SystemClock
from core.delivery.egress import EgressPolicy
from core.delivery.resolver import Lookup, system_lookup
from core.delivery.sender import WebhookRequest, WebhookSender

TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
LONG_DEADLINE_S = 10.0
"""For attempts that end by themselves, also on a machine that is very busy."""
SHORT_DEADLINE_S = 0.2
"""For attempts of which nothing is expected but to end at the deadline."""
ENOUGH_FOR_A_HEAD_S = 2.0
"""For attempts that get so far as an answer's head, and then end at the deadline."""


def new_sender(
    policy: EgressPolicy | None = None, *, tls: ssl.SSLContext = TRUSTS_NOBODY, lookup: Lookup = system_lookup
) -> WebhookSender:
    """A sender, for the development policy unless told otherwise."""
    return WebhookSender(policy or EgressPolicy.development(), tls=tls, lookup=lookup, clock=SystemClock())


def new_request(
    url: str,
    *,
    endpoint_id: str = "endpoint",
    config_version: int = 1,
    headers: dict[str, str] | None = None,
    body: bytes = b'{"event":"message.sent"}',
    deadline_s: float = LONG_DEADLINE_S,
) -> WebhookRequest:
    """A request to this URL."""
    return WebhookRequest(
        endpoint_id=endpoint_id,
        config_version=config_version,
        url=url,
        headers=headers or {},
        body=body,
        deadline_s=deadline_s,
    )
