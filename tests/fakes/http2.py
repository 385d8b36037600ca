"""HTTP/2 byte by byte (RFC 9113), for callers that do what no client library does.

Owns frames and uncompressed header blocks. Knows nothing of connections.
"""

from collections.abc import Mapping

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS = 0, 1, 3, 4
END_STREAM, END_HEADERS = 0x1, 0x4
INITIAL_WINDOW_SIZE = 4
"""The setting that says how much of each answer may come before more is asked for."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame (clause 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def setting(name: int, value: int) -> bytes:
    """A SETTINGS frame with one setting (clause 6.5)."""
    return frame(SETTINGS, 0, 0, name.to_bytes(2, "big") + value.to_bytes(4, "big"))


def header_block(headers: Mapping[str, str]) -> bytes:
    """Headers as literals without indexing (RFC 7541, clause 6.2.2); names and values are shorter than 127 bytes."""
    return b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in headers.items()
    )


def grpc_call(stream: int, path: str, *, is_whole: bool) -> bytes:
    """A gRPC call and its first, empty, message; nothing follows if it is whole."""
    headers = {
        ":method": "POST",
        ":scheme": "https",
        ":path": path,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    return frame(HEADERS, END_HEADERS, stream, header_block(headers)) + frame(
        DATA, END_STREAM if is_whole else 0, stream, b"\0\0\0\0\0"
    )
