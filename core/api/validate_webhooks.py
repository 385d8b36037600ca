"""Requests on webhooks read: every field checked, all faults told at once.

Owns the rules for the fields of each request. Whether a URL is allowed is for the egress policy to say, which
is passed in. Raises as core.api.validate does.
"""

from collections.abc import Callable, Sequence

from core.api import paging, validate
from core.api.checks import Faults
from core.api.convert_webhooks import STATES
from core.delivery.subscriptions import ALIASES
from core.delivery_log import DeliveryFilter
from core.event_feed import FeedRequest
from core.webhooks import EVENT_NAMES, NewWebhook, WebhookChange, doubled_event
from infinireach.v1 import webhook_pb2, webhooks_service_pb2

TIMEOUT_S_MAX = 30
DESCRIPTION_CHARACTERS_MAX = 255
EVENTS_PAGE_DEFAULT = 100
EVENTS_PAGE_MAX = 1000
CHANGEABLE = ("url", "events", "enabled", "timeout_s", "ordered", "description")

UrlIssue = Callable[[str], str | None]
"""Says why an endpoint may not have a URL; None if it may."""


def new_webhook(
    given: webhook_pb2.Webhook, tenant_id: str, *, url_issue: UrlIssue, timeout_default_s: int
) -> NewWebhook:
    """An endpoint to make."""
    faults = Faults()
    new = NewWebhook(
        tenant_id,
        url=_url(faults, given.url, url_issue),
        events=_events(faults, given.events),
        timeout_s=_timeout(faults, given.timeout_s, timeout_default_s),
        ordered=given.ordered,
        description=_description(faults, given.description),
    )
    faults.check()
    return new


def webhook_change(
    request: webhooks_service_pb2.UpdateWebhookRequest, *, url_issue: UrlIssue, timeout_default_s: int
) -> WebhookChange:
    """What to change of an endpoint; only what the mask names is looked at."""
    given = request.webhook
    webhook_id = validate.id_of("webhook", "webhook.id", given.id)
    faults = Faults()
    changed = faults.mask("update_mask", request.update_mask, CHANGEABLE)
    change = WebhookChange(
        webhook_id,
        url=_url(faults, given.url, url_issue) if "url" in changed else None,
        events=_events(faults, given.events) if "events" in changed else None,
        enabled=given.enabled if "enabled" in changed else None,
        timeout_s=_timeout(faults, given.timeout_s, timeout_default_s) if "timeout_s" in changed else None,
        ordered=given.ordered if "ordered" in changed else None,
        description=_description(faults, given.description) if "description" in changed else None,
    )
    faults.check()
    return change


def list_deliveries(request: webhooks_service_pb2.ListDeliveriesRequest) -> DeliveryFilter:
    """Which deliveries to list."""
    webhook_id = validate.id_of("webhook", "webhook_id", request.webhook_id)
    faults = Faults()
    faults.number("page_size", request.page_size, least=1, most=paging.PAGE_SIZE_MAX, zero=0)
    faults.enum("state", request.state, webhook_pb2.DeliveryState.values())
    before_id = faults.gather(lambda: paging.decode(request.page_token)) or ""
    faults.check()
    return DeliveryFilter(webhook_id, STATES.get(request.state, ""), before_id)


def list_events(request: webhooks_service_pb2.ListEventsRequest) -> FeedRequest:
    """Which part of the feed to read."""
    faults = Faults()
    position = faults.gather(lambda: paging.decode_cursor(request.after, field="after")) or 0
    types = faults.words("types", request.types, EVENT_NAMES)
    limit = faults.number(
        "page_size", request.page_size, least=1, most=EVENTS_PAGE_MAX, zero=EVENTS_PAGE_DEFAULT
    )
    faults.check()
    return FeedRequest(position, types, limit)


def _url(faults: Faults, value: str, url_issue: UrlIssue) -> str:
    issue = url_issue(value) if value else "is required"
    if issue is not None:
        faults.add("url", issue)
    return value


def _events(faults: Faults, names: Sequence[str]) -> Sequence[str]:
    chosen = faults.words("events", names, EVENT_NAMES)
    if doubled := doubled_event(chosen):
        faults.add("events", f"{doubled} and {ALIASES[doubled]} are two names of one event; choose one")
    return chosen


def _timeout(faults: Faults, value: int, default_s: int) -> int:
    return faults.number("timeout_s", value, least=1, most=TIMEOUT_S_MAX, zero=default_s)


def _description(faults: Faults, value: str) -> str:
    return faults.note("description", value, characters_max=DESCRIPTION_CHARACTERS_MAX)
