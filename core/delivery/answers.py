"""The reading of answers from receivers that are careless or hostile.

Owns what we ask beyond aiohttp's own reader of responses, which sits between the socket and the client. It
must not know requests, endpoints or deliveries.
"""

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage
from aiohttp.streams import StreamReader

INTERIM_ANSWERS_MAX = 16
_HEAD_END = b"\r\n\r\n"


class GuardedResponseHandler(ResponseHandler):
    """aiohttp's protocol of a client connection, with four differences.

    An answer counts as soon as its head is complete: bytes after a 204, which has no body, do not spoil it.
    More than 16 interim answers (1xx) in a row are an error in place of an endless loop. And closing is
    always immediate: it waits neither for a peer that does not read nor for one that does not say goodbye in
    TLS.
    """

    _interim_answers = 0
    _head_complete = False

    def set_response_params(self, **parameters: object) -> None:
        """Begin with the next answer."""
        self._interim_answers = 0
        self._head_complete = False
        super().set_response_params(**parameters)  # pyright: ignore[reportArgumentType] - passed on untouched

    def data_received(self, data: bytes) -> None:
        """Read heads apart from what follows them."""
        while not self._head_complete and self.exception() is None:
            end = data.find(_HEAD_END) + len(_HEAD_END)
            if not len(_HEAD_END) <= end < len(data):
                break
            super().data_received(data[:end])
            data = data[end:]
        if self.exception() is None:
            super().data_received(data)
        if self.exception() is not None and self._payload is not None and not self._payload.is_eof():
            # Or whoever reads the body would wait for the rest of it until the deadline.
            self._payload.set_exception(ClientPayloadError("the body is malformed"))

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take a complete head."""
        if data[0].code >= 200:
            self._head_complete = True
        else:
            self._interim_answers += 1
        if self._interim_answers > INTERIM_ANSWERS_MAX:
            self.abort()
            self.set_exception(HttpProcessingError(message="too many interim answers"))
            return
        super().feed_data(data, size)

    def close(self) -> None:
        """Close at once."""
        self.abort()
