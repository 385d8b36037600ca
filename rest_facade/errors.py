"""What can go wrong, by public code, and what the core's reasons become.

Owns the catalogue of codes with their HTTP statuses and sentences, and the one table from a core's reason or
gRPC status to a code. Must not know HTTP handling or gRPC: a status is its name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rest_facade.field_names import PUBLIC_FIELD_NAMES, PUBLIC_OBJECTS


@dataclass(frozen=True, slots=True)
class Code:
    """A public error code: what programs branch on."""

    name: str
    status: int
    sentence: str
    help: str


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One faulty field by its public name, and what is wrong with it."""

    field: str
    issue: str


_CODES = (
    Code(
        "invalid_request",
        400,
        "The request has faulty fields.",
        "`details` names every one. Correct them and send again.",
    ),
    Code(
        "invalid_json",
        400,
        "The body is not valid JSON.",
        "The sentence says where. Send one JSON object in UTF-8.",
    ),
    Code(
        "bad_request",
        400,
        "The request is not well-formed HTTP.",
        "The request line, a header or the transfer coding is broken.",
    ),
    Code(
        "unauthorized",
        401,
        "Invalid or missing API key.",
        "Send a live key in `X-API-Key` or as `Authorization: Bearer`.",
    ),
    Code(
        "forbidden",
        403,
        "This API key does not have the scope.",
        "Use a key with the scope that the sentence names.",
    ),
    Code(
        "device_not_found",
        404,
        "No device found with this phone number for your account.",
        "`GET /api/v1/devices` shows the numbers that may stand in `from`, and their channels.",
    ),
    Code(
        "not_found",
        404,
        "Resource not found.",
        "No such route, or no such resource in this account.",
    ),
    Code("cursor_not_found", 404, "No earlier answer gave this cursor.", "Begin again without a cursor."),
    Code(
        "method_not_allowed", 405, "This method is not allowed here.", "The header `Allow` lists the methods."
    ),
    Code("request_timeout", 408, "The body did not arrive in time.", "Send the body at once."),
    Code(
        "external_id_conflict",
        409,
        "This externalId was used before with different content; nothing was sent.",
        "Use a new `externalId` for a new message.",
    ),
    Code(
        "not_cancellable",
        409,
        "The message is past the point where it can be cancelled.",
        "Only `queued` and `scheduled` messages can be withdrawn.",
    ),
    Code(
        "device_busy",
        409,
        "A message is with the device; try again when it is settled.",
        "Try again in a few seconds.",
    ),
    Code("too_many_webhooks", 409, "The account has as many webhooks as it may have.", "Delete one first."),
    Code("conflict", 409, "The resource is not in a state that allows this.", "The sentence says why."),
    Code("payload_too_large", 413, "The body is too large.", "The sentence names the limit."),
    Code("uri_too_long", 414, "The URL is too long.", "Shorten the query."),
    Code(
        "unsupported_media_type",
        415,
        "The body must be application/json.",
        "Set `Content-Type: application/json`, without compression.",
    ),
    Code("expectation_failed", 417, "The Expect header asks for something unknown.", "Leave the header out."),
    Code(
        "rate_limited",
        429,
        "Rate limit exceeded.",
        "Wait as long as `Retry-After` says. The headers `RateLimit` and `X-RateLimit-*` show what is left.",
    ),
    Code("headers_too_large", 431, "The request headers are too large.", "Shorten them to 8 KiB."),
    Code("internal", 500, "Something went wrong on our end.", "Report it with the `requestId`."),
    Code(
        "unavailable",
        503,
        "The gateway cannot take this at the moment; nothing was accepted.",
        "Send again after `Retry-After` seconds.",
    ),
    Code(
        "outcome_unknown",
        503,
        "It is not known whether this was accepted.",
        "Send the message again with the same `externalId`: it is then sent once. Without an `externalId` look at "
        "`GET /api/v1/messages` first.",
    ),
)
CODES: Mapping[str, Code] = {code.name: code for code in _CODES}

CURSOR_FIELDS = ("page_token", "after")
"""Proto fields that refer to an earlier answer: one that the core does not know is not found, not malformed."""

RETRY_AFTER_S = 1
"""What 503 advises."""

REASONS: Mapping[str, str] = {
    "INVALID_MESSAGE": "invalid_request",
    "INVALID_ARGUMENT": "invalid_request",
    "DEVICE_NOT_FOUND": "device_not_found",
    "EXTERNAL_ID_CONFLICT": "external_id_conflict",
    "NOT_FOUND": "not_found",
    "NOT_CANCELLABLE": "not_cancellable",
    "DEVICE_BUSY": "device_busy",
    "ALREADY_EXISTS": "conflict",
    "TOO_MANY_WEBHOOKS": "too_many_webhooks",
    "TEST_RATE_LIMITED": "rate_limited",
    "UNAVAILABLE": "unavailable",
    "OUTCOME_UNKNOWN": "outcome_unknown",
}
"""Public code by the core's reason. UNAUTHENTICATED and PERMISSION_DENIED are missing on purpose: there the core
refuses the facade, which is no fault of the caller; only auth takes them as the caller's."""

STATUSES: Mapping[str, str] = {
    "INVALID_ARGUMENT": "invalid_request",
    "OUT_OF_RANGE": "invalid_request",
    "NOT_FOUND": "not_found",
    "ALREADY_EXISTS": "conflict",
    "FAILED_PRECONDITION": "conflict",
    "ABORTED": "conflict",
    "UNAUTHENTICATED": "unavailable",
    "PERMISSION_DENIED": "unavailable",
    "UNIMPLEMENTED": "unavailable",
    "RESOURCE_EXHAUSTED": "unavailable",
    "UNAVAILABLE": "unavailable",
    "DEADLINE_EXCEEDED": "unavailable",
    "CANCELLED": "unavailable",
}
"""Public code by the name of a gRPC status that comes without a known reason."""


class ApiError(Exception):
    """An answer other than success; raised where it is noticed, rendered once at the edge."""

    def __init__(
        self,
        code: str,
        sentence: str | None = None,
        *,
        details: Sequence[FieldFault] = (),
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.code: Code = CODES[code]
        self.sentence: str = sentence or self.code.sentence
        self.details: Sequence[FieldFault] = details
        self.headers: Sequence[tuple[str, str]] = headers
        if self.code.status == 503 and not headers:
            self.headers = (("Retry-After", str(RETRY_AFTER_S)),)
        super().__init__(self.sentence)


def invalid_request(faults: Sequence[FieldFault]) -> ApiError:
    """400 with every faulty field; the sentence names them too, for those who read nothing else."""
    named = "; ".join(f"{fault.field}: {fault.issue.removesuffix('.')}" for fault in faults)
    return ApiError("invalid_request", f"Invalid request. {named}.", details=faults)


def from_core(
    *, status: str, reason: str, sentence: str, violations: Sequence[tuple[str, str]] = ()
) -> ApiError:
    """What the caller is told when the core answered with an error.

    `status` is the gRPC status' name, `reason` ErrorInfo's or empty, `violations` pairs of proto field and issue.
    The core's own sentence is shown only with a reason of the table: anything else may hold internals.
    """
    code = REASONS.get(reason)
    if code is None:
        return ApiError(STATUSES.get(status, "internal"))
    if code == "invalid_request" and violations:
        if all(field in CURSOR_FIELDS for field, _ in violations):
            return ApiError("cursor_not_found")
        return invalid_request([FieldFault(public_field(field), issue) for field, issue in violations])
    if code == "rate_limited":
        return ApiError(code, sentence, headers=(("Retry-After", "60"),))
    return ApiError(code, sentence or None)


def public_field(path: str) -> str:
    """The public name of a proto field path: `message.external_id` is `externalId`, `template.name` itself."""
    holder, _, name = path.rpartition(".")
    public, holder = PUBLIC_FIELD_NAMES.get(name, name), holder.rpartition(".")[2]
    return f"{holder}.{public}" if holder in PUBLIC_OBJECTS else public
