"""Errors as gRPC statuses with typed details (google.rpc.Status in the trailing metadata).

Owns the one translation of `core.errors`. Knows neither calls nor services.
"""

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from core.errors import InfiniReachError, InvalidArgument, Unavailable

DOMAIN = "infinireach"
INTERNAL_REASON = "INTERNAL"
TEXT_BYTES_MAX = 600
VIOLATIONS_BYTES_MAX = 3000
"""Bounds of one status. Peers may refuse more than 8 KiB of trailing metadata, in which the text stands twice
(once percent-encoded) and the details in base64."""

_CODES = {code.name: code for code in grpc.StatusCode}


def code_of(error: InfiniReachError) -> grpc.StatusCode:
    """The gRPC status code of an error."""
    return _CODES[error.status]


def status_of(error: InfiniReachError, request_id: str) -> status_pb2.Status:
    """The status that a caller gets for `error`: ErrorInfo, RequestInfo, and what its kind adds."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata),
        error_details_pb2.RequestInfo(request_id=request_id),
    ]
    if isinstance(error, InvalidArgument):
        details.append(_bad_request(error))
    if isinstance(error, Unavailable):
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_after_s * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return _status(error.status, _cut(error.message, TEXT_BYTES_MAX), details)


def internal_status(request_id: str) -> status_pb2.Status:
    """The status of an error that nobody foresaw; it tells nothing but where to look."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=INTERNAL_REASON, domain=DOMAIN),
        error_details_pb2.RequestInfo(request_id=request_id),
    ]
    return _status("INTERNAL", "Something went wrong here; the log has it under the request id.", details)


def _bad_request(error: InvalidArgument) -> error_details_pb2.BadRequest:
    """As many violations as there is room for, the first ones first."""
    bad_request = error_details_pb2.BadRequest()
    for violation in error.violations:
        bad_request.field_violations.add(
            field=_cut(violation.field, 100), description=_cut(violation.description, 200)
        )
        if bad_request.ByteSize() > VIOLATIONS_BYTES_MAX:
            del bad_request.field_violations[-1]
            break
    return bad_request


def _cut(text: str, bytes_max: int) -> str:
    return text.encode()[:bytes_max].decode(errors="ignore")


def _status(code: str, message: str, details: list[Message]) -> status_pb2.Status:
    status = status_pb2.Status(code=code_pb2.Code.Value(code), message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
