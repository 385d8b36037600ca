"""What a gRPC call came to, read as a client with typed details reads it."""

from collections.abc import Awaitable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

Detail = TypeVar("Detail", bound=Message)


class Refusal:
    """The error of a call."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code: str = error.code().name
        self.text: str = error.details() or ""
        self._status: Any = rpc_status.from_call(error)  # pyright: ignore[reportArgumentType]

    @property
    def reason(self) -> str:
        """Reason of its ErrorInfo, whose domain is checked on the way."""
        info = self.detail(error_details_pb2.ErrorInfo)
        assert info.domain == "infinireach"
        return info.reason

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata of its ErrorInfo."""
        return dict(self.detail(error_details_pb2.ErrorInfo).metadata)

    @property
    def fields(self) -> list[str]:
        """The faulty fields of its BadRequest, sorted."""
        return sorted(v.field for v in self.detail(error_details_pb2.BadRequest).field_violations)

    def detail(self, kind: type[Detail]) -> Detail:
        """The one detail of this kind."""
        assert self._status is not None, "the error has no google.rpc.Status"
        found = kind()
        assert any(packed.Unpack(found) for packed in self._status.details), f"no {kind.__name__}"
        return found


async def refusal(call: Awaitable[object]) -> Refusal:
    """The error that `call` must end in."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return Refusal(error)
    raise AssertionError(f"the call succeeded: {answer}")
