"""The documentation that the facade serves about itself; no key is asked for.

Owns /openapi.json and /docs.
"""

from rest_facade.call import Call
from rest_facade.route import Route, Success
from rest_facade.wire import Answer

HTML = "text/html; charset=utf-8"
_PAGE_POLICY = (
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"),
)


async def show_openapi(call: Call) -> Answer:
    """The OpenAPI document."""
    return Answer(200, call.site.openapi)


async def show_docs(call: Call) -> Answer:
    """The documentation as a page."""
    return Answer(200, call.site.page(call.request.headers.get("host")), HTML, _PAGE_POLICY)


ROUTES = (
    Route(
        method="GET",
        path="/openapi.json",
        handler=show_openapi,
        operation="getOpenApi",
        tag="Documentation",
        summary="This description for programs",
        scope=None,
        success={200: Success("An OpenAPI 3.1 document.", "OpenApi")},
    ),
    Route(
        method="GET",
        path="/docs",
        handler=show_docs,
        operation="getDocs",
        tag="Documentation",
        summary="This description for people",
        scope=None,
        success={200: Success("A page.", content_type=HTML)},
    ),
)
