"""The reading of answers from receivers that are careless or hostile.

Owns what we ask beyond aiohttp's own reader of responses, which sits between the socket and the client. It
must not know requests, endpoints or deliveries.
"""

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage
from aiohttp.streams import StreamReader

HEAD_BYTES_MAX = 32 * 1024
"""All heads of one answer together; there may be interim ones (1xx) before the final one."""
_HEAD_END = b"\r\n\r\n"


class GuardedResponseHandler(ResponseHandler):
    """aiohttp's protocol of a client connection, with four differences.

    - An answer counts as soon as its head is complete: bytes after a 204, which has no body, do not spoil it.
    - Heads have a limit in total, not only per line; so interim answers do not go on for ever either.
    - A malformed body ends at once, where its reader would otherwise wait for the rest of it.
    - Closing is immediate: it waits neither for a peer that does not read nor for one that keeps TLS open.
    """

    _head_complete = False
    _head_bytes = 0

    def set_response_params(self, **parameters: object) -> None:
        """Begin with the next answer."""
        self._head_complete = False
        self._head_bytes = 0
        super().set_response_params(**parameters)  # pyright: ignore[reportArgumentType] - passed on untouched

    def data_received(self, data: bytes) -> None:
        """Read each head apart from what follows it."""
        while not self._head_complete and (end := data.find(_HEAD_END) + len(_HEAD_END)) >= len(_HEAD_END):
            self._read(data[:end])
            data = data[end:]
            if not data or self.exception() is not None:
                return
        self._read(data)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take a complete head."""
        self._head_complete = data[0].code >= 200
        super().feed_data(data, size)

    def close(self) -> None:
        """Close at once."""
        self.abort()

    def _read(self, data: bytes) -> None:
        super().data_received(data)
        if not self._head_complete:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self.abort()
                self.set_exception(HttpProcessingError(message=f"heads of more than {HEAD_BYTES_MAX} bytes"))
        if self.exception() is not None and self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(ClientPayloadError("the body is malformed"))
