"""Answers in full: error bodies in the form that is asked for, and the headers that every answer carries.

Owns which headers those are. Must not know routes or the core.
"""

import traceback

import structlog
from sanic.request import Request

from rest_facade import render
from rest_facade.cors import Cors
from rest_facade.errors import ApiError
from rest_facade.windows import WINDOW_S, Verdict
from rest_facade.wire import JSON, PROBLEM_JSON, Answer, WireResponse, header_lines

log = structlog.get_logger("rest_facade")

_EVERY_ANSWER = header_lines((
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
))


def json_answer(status: int, facts: dict[str, object]) -> Answer:
    """An answer of JSON."""
    return Answer(status, render.encode(facts))


def error_answer(error: ApiError, request_id: str, accept: str | None) -> Answer:
    """The one error body, or problem details (RFC 9457) where the Accept header names them."""
    if accept is not None and wants_problem(accept):
        facts, content_type = render.problem_facts(error, request_id), PROBLEM_JSON
    else:
        facts, content_type = render.error_facts(error, request_id), JSON
    return Answer(error.code.status, render.encode(facts), content_type, tuple(error.headers))


def wants_problem(accept: str) -> bool:
    """Whether an Accept header names problem details by name and does not weigh them 0."""
    for choice in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in choice.split(";"))
        if media_type == PROBLEM_JSON:
            weights = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
            return not weights or weights[0].strip("0.") != ""
    return False


def rate_limited(verdict: Verdict) -> ApiError:
    """429 for a key that has used up its minute."""
    sentence = f"Rate limit exceeded: {verdict.limit} requests per minute. Try again in {verdict.reset_s} s."
    return ApiError("rate_limited", sentence, headers=(("Retry-After", str(verdict.reset_s)),))


def rate_lines(verdict: Verdict) -> bytes:
    """draft-ietf-httpapi-ratelimit-headers-10, and the older names; X-RateLimit-Reset is Unix time."""
    return (
        b'ratelimit-policy: "default";q=%d;w=%d\r\nratelimit: "default";r=%d;t=%d\r\n'
        b"x-ratelimit-limit: %d\r\nx-ratelimit-remaining: %d\r\nx-ratelimit-reset: %d\r\n"
    ) % (
        verdict.limit,
        WINDOW_S,
        verdict.remaining,
        verdict.reset_s,
        verdict.limit,
        verdict.remaining,
        verdict.reset_at,
    )


def dress(
    answer: Answer, *, request: Request, request_id: str, cors: Cors, verdict: Verdict | None = None
) -> WireResponse:
    """The response with every header it needs."""
    lines = b"content-type: %b\r\nx-request-id: %b\r\n%b" % (
        answer.content_type.encode("ascii"),
        request_id.encode("ascii"),
        _EVERY_ANSWER,
    )
    if verdict is not None:
        lines += rate_lines(verdict)
    if answer.headers:
        lines += header_lines(answer.headers)
    if cors.is_on:
        lines += header_lines(cors.headers_for(request.headers.get("origin")))
    return WireResponse(answer.status, lines, answer.body)


def report_crash(route: str, request_id: str, error: BaseException) -> None:
    """Log where it happened, without the exception's words: they may quote numbers and texts."""
    places = "".join(traceback.format_tb(error.__traceback__))
    log.error("crash", route=route, request_id=request_id, error=type(error).__qualname__, traceback=places)
