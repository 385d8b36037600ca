"""The documentation, rendered once: the OpenAPI document and the page.

Owns how the page is filled. Must not know HTTP.
"""

import html
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rest_facade import examples, field_tables, openapi, render, words
from rest_facade.auth import ALL_SCOPES
from rest_facade.errors import CODES
from rest_facade.fields import Field
from rest_facade.route import Route

DEFAULT_URL = "http://127.0.0.1:8080"
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?").fullmatch
_PLACEHOLDER = "https://base-url.invalid"
_BODY_FIELDS: Mapping[str, Sequence[Field]] = {
    "NewMessage": field_tables.MESSAGE_FIELDS,
    "DeviceChange": field_tables.DEVICE_FIELDS,
    "NewDriverToken": field_tables.DRIVER_TOKEN_FIELDS,
    "NewWebhook": field_tables.NEW_WEBHOOK_FIELDS,
    "WebhookChange": field_tables.WEBHOOK_FIELDS,
    "EnableWebhook": field_tables.ENABLE_WEBHOOK_FIELDS,
}


class Site:
    """What /openapi.json and /docs answer. `public_url`: the API's base URL; empty: wherever it is asked.

    Each is made when it is first asked for, which takes some 50 ms.
    """

    def __init__(self, routes: Sequence[Route], public_url: str) -> None:
        self._routes = routes
        self._public_url = public_url.rstrip("/")

    @cached_property
    def openapi(self) -> bytes:
        """The OpenAPI document."""
        return render.encode(openapi.document(self._routes, self._public_url or "/"))

    def page(self, host: str | None) -> bytes:
        """The page, its examples calling the address that was asked."""
        url = self._public_url or (f"http://{host}" if host is not None and _HOST(host) else DEFAULT_URL)
        return self._page.replace(_PLACEHOLDER, html.escape(url)).encode()

    @cached_property
    def _page(self) -> str:
        return _render_page(self._routes)


def _render_page(routes: Sequence[Route]) -> str:
    environment = Environment(
        loader=PackageLoader("rest_facade"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code_spans
    environment.filters["pretty"] = _pretty
    return environment.get_template("docs.html.jinja").render(
        base_url=_PLACEHOLDER,
        groups=_groups(routes),
        codes=list(CODES.values()),
        scopes=ALL_SCOPES,
        statuses=list(words.STATUSES.values()),
        event_types=field_tables.EVENT_TYPES,
        payload=examples.PAYLOAD,
        template_example=examples.TEMPLATE_MESSAGE,
        template_fields=field_tables.TEMPLATE_FIELDS,
        media_example=examples.MEDIA_MESSAGE,
        media_fields=field_tables.MEDIA_FIELDS,
    )


def _groups(routes: Sequence[Route]) -> list[tuple[str, list[dict[str, Any]]]]:
    tags = dict.fromkeys(route.tag for route in routes)
    return [(tag, [_shown(route) for route in routes if route.tag == tag]) for tag in tags]


def _shown(route: Route) -> dict[str, Any]:
    """What the page says of a route."""
    body = route.body
    success = next(iter(route.success.values()))
    return {
        "route": route,
        "example_path": route.path.format(**examples.IDS),
        "fields": _BODY_FIELDS.get(body.schema, ()) if body is not None else (),
        "body_example": body.example if body is not None else None,
        "answer_example": examples.ANSWERS.get(success.schema),
        "codes": openapi.error_codes(route),
    }


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _code_spans(text: str) -> Markup:
    """Escaped text whose `words in backquotes` are code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text)))  # noqa: S704 - it was escaped
