"""The walk of every request: key, rate, scope, body, handler, answer, log line.

Owns the order of these steps and the headers that every answer carries. Must not know any route.

It is one function and no middleware: at ten thousand requests a second every layer is counted.
"""

import time
from collections.abc import Callable, Coroutine
from typing import Any

from sanic.request import Request
from sanic.response import HTTPResponse

from rest_facade.answers import dress, error_answer, rate_limited, report_crash
from rest_facade.auth import Authenticator, Caller, key_in
from rest_facade.call import Call, Means
from rest_facade.client_address import client_address
from rest_facade.config import Settings
from rest_facade.cors import Cors
from rest_facade.errors import ApiError
from rest_facade.logs import RequestLog
from rest_facade.metrics import Metrics
from rest_facade.request_body import read_json_body
from rest_facade.route import Route
from rest_facade.strict_json import parse_object
from rest_facade.windows import Verdict
from rest_facade.wire import Answer, WireResponse

Endpoint = Callable[..., Coroutine[Any, Any, HTTPResponse]]


class Edge:
    """Everything a request passes through."""

    def __init__(
        self,
        settings: Settings,
        means: Means,
        *,
        authenticator: Authenticator,
        metrics: Metrics,
        cors: Cors,
        log: RequestLog,
    ) -> None:
        self._settings = settings
        self._means = means
        self._authenticator = authenticator
        self._metrics = metrics
        self._cors = cors
        self._log = log

    def endpoint(self, route: Route) -> Endpoint:
        """The function that Sanic calls for a route."""
        label, means = route.label, self._means

        async def serve(request: Request, **path: str) -> WireResponse:
            started = time.perf_counter()
            call = Call(request, path, means)
            try:
                if route.scope is not None:
                    await self._admit(call, route.scope)
                if route.body is not None:
                    await self._read_body(call, route)
                answer = await route.handler(call)
            except ApiError as error:
                answer = error_answer(error, call.request_id, request.headers.get("accept"))
            except Exception as error:  # noqa: BLE001 - the top of the request's task
                report_crash(label, call.request_id, error)
                answer = error_answer(ApiError("internal"), call.request_id, request.headers.get("accept"))
            return self._finish(label, call, answer, started)

        return serve

    async def _admit(self, call: Call, scope: str) -> None:
        """Key, then rate, then scope. Raises ApiError."""
        key = key_in(call.request.headers)
        caller = self._authenticator.cached(key) if key else None
        if caller is None:
            address = client_address(call.request, self._settings.proxies)
            caller = await self._authenticator.authenticate(key, address)
        call.caller = caller
        call.verdict = await self._count(caller)
        if not call.verdict.allowed:
            raise rate_limited(call.verdict)
        if scope not in caller.scopes:
            raise ApiError("forbidden", f"This API key does not have the scope {scope}.")

    async def _count(self, caller: Caller) -> Verdict:
        limiter = self._means.limiter
        if limiter.is_shared:
            return await limiter.take_shared(caller.limit_name, limit=caller.per_minute)
        return limiter.take(caller.limit_name, limit=caller.per_minute)

    async def _read_body(self, call: Call, route: Route) -> None:
        assert route.body is not None
        settings = self._settings
        body = await read_json_body(
            call.request,
            bytes_max=settings.batch_body_bytes_max if route.body.is_batch else settings.body_bytes_max,
            timeout_s=settings.body_timeout_s,
        )
        if body or route.body.required:
            call.body = parse_object(body)

    def _finish(self, label: str, call: Call, answer: Answer, started: float) -> WireResponse:
        """The response with the headers of every answer; the log line and the metric."""
        response = dress(
            answer, request=call.request, request_id=call.request_id, cors=self._cors, verdict=call.verdict
        )
        duration_s = self._metrics.observe(label, answer.status, started)
        self._log(call.caller, call.request_id, route=label, status=answer.status, duration_s=duration_s)
        return response
