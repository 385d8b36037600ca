"""What becomes of an exception that reaches Sanic: an answer, and a log line only if it is a crash."""

import asyncio
import io
from types import SimpleNamespace
from typing import Any

import pytest
from sanic.exceptions import RequestCancelled
from structlog.testing import capture_logs

from rest_facade.app import JsonErrors
from rest_facade.cors import Cors
from rest_facade.logs import LineSink, request_log
from rest_facade.metrics import Metrics

REQUEST: Any = SimpleNamespace(method="GET", headers={}, name=None)


@pytest.fixture
def errors() -> JsonErrors:
    """The facade's handler."""
    return JsonErrors(Metrics(), Cors(()), request_log("error", "json", LineSink(io.BytesIO())))


@pytest.mark.parametrize("cancelled", [RequestCancelled(), asyncio.CancelledError()])
def test_a_caller_that_hangs_up_is_no_crash(errors: JsonErrors, cancelled: Any) -> None:
    with capture_logs() as logged:
        answer = errors.response(REQUEST, cancelled)
    assert (answer.status, logged) == (503, [])


def test_what_nobody_foresaw_is_a_crash_and_its_words_stay_out_of_the_log(errors: JsonErrors) -> None:
    with capture_logs() as logged:
        answer = errors.response(REQUEST, ValueError("+15551230000"))
    assert answer.status == 500
    assert [entry["event"] for entry in logged] == ["crash"]
    assert "+1555" not in str(logged)


@pytest.mark.parametrize(
    ("name", "label"), [("infinireach.listDevices", "GET /api/v1/devices"), ("other", "none"), (None, "none")]
)
def test_a_caller_that_hangs_up_is_logged_at_the_route_it_called(name: str | None, label: str) -> None:
    logged: list[str] = []
    errors = JsonErrors(Metrics(), Cors(()), lambda *_, route, **__: logged.append(route))
    request: Any = SimpleNamespace(method="GET", headers={}, name=name)
    cancelled: Any = RequestCancelled()
    errors.response(request, cancelled)
    assert logged == [label]
