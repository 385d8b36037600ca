"""The routes that ask for a key, and what stands in their paths.

Owns the names of path parameters and values for them that nothing has.
"""

import re
from uuid import uuid4

from rest_facade.route import Route
from rest_facade.route_table import ROUTES
from tests.e2e.gateway import new_id

GUARDED = [route for route in ROUTES if route.scope is not None]


def named(route: Route) -> str:
    """The path parameter of a route; empty if there is none."""
    found = re.findall(r"\{(\w+)\}", route.path)
    assert len(found) <= 1
    return found[0] if found else ""


def unknown(parameter: str) -> str:
    """A value of the right shape that nothing has."""
    return str(uuid4()) if parameter == "deviceId" else new_id()[: 8 if parameter == "driverTokenId" else 24]


def path_of(route: Route) -> str:
    """The route's path with an id that nothing has."""
    parameter = named(route)
    return route.path.replace(f"{{{parameter}}}", unknown(parameter)) if parameter else route.path
