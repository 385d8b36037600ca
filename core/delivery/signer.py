"""From a claimed delivery to the request that carries it.

Owns the headers of an attempt and the few opened secrets that are kept. Knows no storage and sends nothing.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from core.delivery.claims import ClaimedDelivery, Endpoint
from core.delivery.sender import WebhookRequest
from core.delivery.signing import signature_headers

SECRETS_MAX = 1_024
"""Endpoints whose opened secrets are kept; the least recently used ones are forgotten."""

OpenSecrets = Callable[[Endpoint], Sequence[str]]
"""Opens an endpoint's secrets: the primary one, then those that sign the list as well."""


class Signer:
    """Makes requests. Opens each endpoint's secrets once for each version of it."""

    def __init__(self, open_secrets: OpenSecrets) -> None:
        self._open = open_secrets
        self._opened: OrderedDict[tuple[str, int], Sequence[str]] = OrderedDict()

    def request(self, delivery: ClaimedDelivery, now_ms: int) -> WebhookRequest:
        """The request of one attempt, signed as of now. Raises what the opening of the secrets raises."""
        endpoint = delivery.endpoint
        primary, *others = self._secrets(endpoint)
        headers = signature_headers(
            primary, others, event_id=delivery.event_id, timestamp_s=now_ms // 1_000, body=delivery.body
        )
        headers["X-Infini-Reach-Event"] = delivery.event_type
        headers["X-Infini-Reach-Delivery"] = delivery.delivery_id
        headers["X-Infini-Reach-Attempt"] = str(delivery.attempt)
        if delivery.traceparent:
            headers["traceparent"] = delivery.traceparent
        return WebhookRequest(
            endpoint_id=endpoint.webhook_id,
            config_version=endpoint.version,
            url=endpoint.url,
            headers=headers,
            body=delivery.body,
            deadline_s=endpoint.timeout_s,
        )

    def _secrets(self, endpoint: Endpoint) -> Sequence[str]:
        key = (endpoint.webhook_id, endpoint.version)
        secrets = self._opened.get(key)
        if secrets is None:
            secrets = self._opened[key] = self._open(endpoint)
            if len(self._opened) > SECRETS_MAX:
                self._opened.popitem(last=False)
        else:
            self._opened.move_to_end(key)
        return secrets
