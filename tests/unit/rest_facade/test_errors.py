"""The catalogue of errors and what the core's reasons become."""

import json

import pytest

from rest_facade import errors, render
from rest_facade.answers import error_answer, wants_problem
from rest_facade.errors import CODES, REASONS, STATUSES, ApiError, FieldFault, from_core

GRPC_STATUSES = {
    "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED",
}  # fmt: skip


def test_every_reason_and_status_becomes_a_code_of_the_catalogue() -> None:
    assert set(REASONS.values()) | set(STATUSES.values()) <= set(CODES)


@pytest.mark.parametrize("status", sorted(GRPC_STATUSES))
def test_every_status_without_a_reason_has_an_answer_that_shows_nothing_of_it(status: str) -> None:
    error = from_core(status=status, reason="", sentence="select * from secrets")
    assert error.sentence == error.code.sentence


@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [
        ("DEVICE_NOT_FOUND", 404, "device_not_found"),
        ("NOT_FOUND", 404, "not_found"),
        ("EXTERNAL_ID_CONFLICT", 409, "external_id_conflict"),
        ("NOT_CANCELLABLE", 409, "not_cancellable"),
        ("DEVICE_BUSY", 409, "device_busy"),
        ("TOO_MANY_WEBHOOKS", 409, "too_many_webhooks"),
        ("TEST_RATE_LIMITED", 429, "rate_limited"),
        ("UNAVAILABLE", 503, "unavailable"),
        ("OUTCOME_UNKNOWN", 503, "outcome_unknown"),
    ],
)
def test_reason_decides_status_and_code_and_its_sentence_is_passed_on(
    reason: str, status: int, code: str
) -> None:
    error = from_core(status="INTERNAL", reason=reason, sentence="What happened.")
    assert (error.code.status, error.code.name, error.sentence) == (status, code, "What happened.")


@pytest.mark.parametrize("reason", ["UNAUTHENTICATED", "PERMISSION_DENIED", "INTERNAL", "SOMETHING_NEW"])
def test_what_is_between_facade_and_core_is_not_blamed_on_the_caller(reason: str) -> None:
    error = from_core(
        status="UNAUTHENTICATED", reason=reason, sentence="The service credential is not valid."
    )
    assert error.code.status == 503
    assert "credential" not in error.sentence


def test_violations_name_public_fields() -> None:
    violations = [
        ("message.external_id", "is too long"),
        ("text", "is required"),
        ("webhook.timeout_s", "is odd"),
        ("template", "is not one of this device's"),
        ("message.template.components_json", "is too long"),
        ("media.url", "is odd"),
    ]
    error = from_core(
        status="INVALID_ARGUMENT", reason="INVALID_ARGUMENT", sentence="", violations=violations
    )
    assert [fault.field for fault in error.details] == [
        "externalId",
        "message",
        "timeoutSeconds",
        "template",
        "template.components",
        "media.url",
    ]
    assert error.code.name == "invalid_request"


def test_unknown_cursor_is_not_found() -> None:
    error = from_core(
        status="INVALID_ARGUMENT",
        reason="INVALID_ARGUMENT",
        sentence="",
        violations=[("page_token", "is none")],
    )
    assert error.code.name == "cursor_not_found"


def test_503_tells_when_to_try_again() -> None:
    assert ("Retry-After", "1") in ApiError("unavailable").headers
    assert ("Retry-After", "1") in ApiError("outcome_unknown").headers
    assert ApiError("internal").headers == ()


def test_plain_body_has_the_sentence_twice_and_details_only_for_fields() -> None:
    facts = render.error_facts(ApiError("not_found"), "r1")
    assert facts == {
        "success": False,
        "error": "Resource not found.",
        "message": "Resource not found.",
        "code": "not_found",
        "requestId": "r1",
    }
    faulty = render.error_facts(errors.invalid_request([FieldFault("to", "is required")]), "r1")
    assert faulty["details"] == [{"field": "to", "issue": "is required"}]
    assert "to: is required" in faulty["error"]
    assert errors.invalid_request([FieldFault("url", "No.")]).sentence == "Invalid request. url: No."


def test_problem_details_hold_the_same_facts() -> None:
    answer = error_answer(ApiError("rate_limited"), "r1", "application/problem+json")
    facts = json.loads(answer.body)
    assert answer.content_type == "application/problem+json"
    assert facts["type"] == "/docs#error-rate_limited"
    assert facts["status"] == 429
    assert facts["title"] == facts["detail"] == facts["error"]
    assert facts["requestId"] == "r1"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/problem+json", True),
        ("application/json, application/problem+json;q=0.5", True),
        ("Application/Problem+JSON", True),
        ("application/problem+json;q=0", False),
        ("application/problem+json; q=0.000", False),
        ("application/json", False),
        ("*/*", False),
        ("application/*", False),
        ("", False),
        (";;;,,,", False),
    ],
)
def test_problem_details_are_sent_to_those_who_name_them(accept: str, wanted: bool) -> None:
    assert wants_problem(accept) is wanted
