"""Every route of the public API. What is not in this table is not served, and what is in it is documented.

Owns the order in which the documentation shows the nouns.
"""

from rest_facade.route import Route
from rest_facade.routes import (
    deliveries,
    devices,
    documents,
    driver_tokens,
    events,
    health,
    messages,
    webhooks,
)

ROUTES: tuple[Route, ...] = (
    *messages.ROUTES,
    *devices.ROUTES,
    *driver_tokens.ROUTES,
    *webhooks.ROUTES,
    *deliveries.ROUTES,
    *events.ROUTES,
    *documents.ROUTES,
    *health.ROUTES,
)
