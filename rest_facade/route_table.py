"""Every route of the public API. What is not in this table is not served, and what is in it is documented.

Owns the order in which the documentation shows the nouns.
"""

from rest_facade.route import Route
from rest_facade.routes import health, messages

ROUTES: tuple[Route, ...] = (*messages.ROUTES, *health.ROUTES)
