"""The Sanic application: routes from the table, errors from Sanic in our form, start and stop.

Owns how the parts are put together. Must not know any single route.
"""

import asyncio
import re
import secrets
import time
from typing import Any

from sanic import Sanic
from sanic.exceptions import MethodNotAllowed, PayloadTooLarge, SanicException
from sanic.handlers import ErrorHandler
from sanic.request import Request

from rest_facade.answers import dress, error_answer, report_crash
from rest_facade.auth import Authenticator, AuthLimits
from rest_facade.call import NOBODY, Means, request_id_of
from rest_facade.config import Settings
from rest_facade.core_client import CoreClient
from rest_facade.cors import Cors
from rest_facade.edge import Edge
from rest_facade.errors import ApiError
from rest_facade.limits import RateLimiter
from rest_facade.logs import RequestLog
from rest_facade.metrics import Metrics
from rest_facade.route import Route
from rest_facade.route_table import ROUTES
from rest_facade.site import Site
from rest_facade.tolerant_request import BROKEN_METHOD, TolerantRequest
from rest_facade.wire import LINGER_BYTES_MAX, Answer, WireResponse

APP_NAME = "infinireach_rest"
NO_ROUTE = "none"
"""How logs and metrics name what no route answered."""
IDLE_S = 120
REQUEST_HEAD_S = 15
"""Seconds without a byte after which a half-sent request head is given up."""

_CODES_BY_STATUS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "payload_too_large",
    414: "uri_too_long",
    417: "expectation_failed",
    503: "unavailable",
}


def create_app(
    settings: Settings, *, metrics: Metrics, log: RequestLog, stopping: asyncio.Event
) -> Sanic[Any, Any]:
    """An application that serves the public API; its connections to the cores open with the server.

    Once `stopping` is set it is not ready any more, and each answer is the last one of its connection.
    """
    cors = Cors(settings.cors_origins)
    core = CoreClient(settings)
    metrics.watch_queue(lambda: core.batcher.waiting)
    limiter = RateLimiter(settings.rate_limit_storage)
    edge = Edge(
        settings,
        Means(core, limiter, Site(ROUTES, settings.public_url), stopping),
        authenticator=Authenticator(
            core.resolve_api_key,
            AuthLimits(
                cache_s=settings.key_cache_s,
                entries_max=settings.key_cache_entries_max,
                failures_per_minute=settings.failed_auth_per_minute,
            ),
        ),
        metrics=metrics,
        cors=cors,
        log=log,
    )
    app: Sanic[Any, Any] = Sanic(
        f"{APP_NAME}_{secrets.token_hex(4)}",  # Sanic keeps a register of names
        configure_logging=False,
        request_class=TolerantRequest,
        error_handler=JsonErrors(metrics, cors, log),
        env_prefix="",  # Sanic's own variables would be settings that nobody declared
    )
    _configure(app)
    for route in ROUTES:
        _register(app, edge, route)
    app.register_listener(_opening(core, limiter), "before_server_start")
    app.register_listener(_closing(core, limiter), "after_server_stop")
    return app


def _configure(app: Sanic[Any, Any]) -> None:
    app.config.ACCESS_LOG = False
    app.config.AUTO_EXTEND = False
    app.config.MOTD = False
    app.config.REQUEST_MAX_SIZE = LINGER_BYTES_MAX  # the limit on bodies that are read is the edge's
    app.config.KEEP_ALIVE_TIMEOUT = IDLE_S
    # Sanic compiles its hooks for signals, which nobody uses here, out of its own methods: once in a process.
    app.config.TOUCHUP = not getattr(Sanic, "__touched__", False)
    app.config.REQUEST_TIMEOUT = REQUEST_HEAD_S


def _register(app: Sanic[Any, Any], edge: Edge, route: Route) -> None:
    app.add_route(
        edge.endpoint(route),
        re.sub(r"\{(\w+)\}", r"<\1:str>", route.path),
        methods=_served_methods(route),
        name=route.operation,
        ignore_body=True,  # the edge reads it, after it knows the caller
    )


def _opening(core: CoreClient, limiter: RateLimiter) -> Any:
    async def open_connections(_app: object) -> None:
        await core.open()
        await limiter.open()

    return open_connections


def _closing(core: CoreClient, limiter: RateLimiter) -> Any:
    async def close_connections(_app: object) -> None:
        await core.close()
        await limiter.close()

    return close_connections


class JsonErrors(ErrorHandler):
    """What Sanic finds wrong before or around a route, in the form of every other error."""

    def __init__(self, metrics: Metrics, cors: Cors, log: RequestLog) -> None:
        super().__init__()
        self._log = log
        self._metrics = metrics
        self._cors = cors

    def response(self, request: Request, exception: Exception) -> WireResponse:
        """The answer to a request that no handler answered."""
        started = time.perf_counter()
        request_id = request_id_of(request.headers.get("x-request-id"))
        if isinstance(exception, MethodNotAllowed) and request.method == "OPTIONS" and self._cors.is_on:
            answer = Answer(204, b"", headers=self._cors.preflight_headers(request.headers.get("origin")))
        else:
            error = _as_api_error(request, exception)
            if error.code.name == "internal":
                report_crash(request.method, request_id, exception)
            answer = error_answer(error, request_id, request.headers.get("accept"))
        label = _label(request)
        duration_s = self._metrics.observe(label, answer.status, started)
        self._log(NOBODY, request_id, route=label, status=answer.status, duration_s=duration_s)
        return dress(answer, request=request, request_id=request_id, cors=self._cors)


def _as_api_error(request: Request, exception: BaseException) -> ApiError:
    if isinstance(exception, PayloadTooLarge) and request.method == BROKEN_METHOD:
        return ApiError("headers_too_large")  # Sanic's name for a head that does not fit
    if isinstance(exception, asyncio.CancelledError):
        return ApiError("outcome_unknown")  # the caller hung up, or the time to stop ran out: no crash
    if not isinstance(exception, SanicException):
        return ApiError("internal")
    code = _CODES_BY_STATUS.get(
        exception.status_code, "bad_request" if exception.status_code < 500 else "internal"
    )
    headers = (
        (("Allow", ", ".join(_methods_of(request.path))),) if isinstance(exception, MethodNotAllowed) else ()
    )
    return ApiError(code, headers=headers)


def _label(request: Request) -> str:
    """How logs and metrics name the request's route, where it has one: a caller may hang up in the middle of it."""
    operation = (request.name or "").rpartition(".")[2]
    return next((route.label for route in ROUTES if route.operation == operation), NO_ROUTE)


def _served_methods(route: Route) -> list[str]:
    return ["GET", "HEAD"] if route.method == "GET" else [route.method]


def _methods_of(path: str) -> list[str]:
    """The methods of a path by the table; Sanic does not always say."""
    path = path.rstrip("/") or "/"
    matching = [route for route in ROUTES if route.path == path] or [
        route for route in ROUTES if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route.path), path)
    ]
    return sorted({method for route in matching for method in _served_methods(route)})
