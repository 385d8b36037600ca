"""Log lines on their way out."""

import io
import json

import pytest

from rest_facade.call import NOBODY, request_id_of
from rest_facade.logs import BUFFER_BYTES_MAX, LineSink, request_log


def test_line_outside_a_loop_is_written_at_once() -> None:
    stream = io.BytesIO()
    LineSink(stream).msg(b"one")
    assert stream.getvalue() == b"one\n"


async def test_lines_inside_a_loop_are_written_together() -> None:
    stream = io.BytesIO()
    sink = LineSink(stream)
    sink.msg(b"one")
    sink.msg(b"two")
    assert stream.getvalue() == b""
    sink.flush()
    assert stream.getvalue() == b"one\ntwo\n"
    sink.flush()
    assert stream.getvalue() == b"one\ntwo\n"


async def test_full_buffer_is_written_without_waiting() -> None:
    stream = io.BytesIO()
    LineSink(stream).msg(b"x" * BUFFER_BYTES_MAX)
    assert len(stream.getvalue()) == BUFFER_BYTES_MAX + 1


def test_request_line_is_one_json_object() -> None:
    stream = io.BytesIO()
    request_log("info", "json", LineSink(stream))(NOBODY, "r1", route="GET /x", status=200, duration_s=0.0123)
    line = json.loads(stream.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "role": "rest",
        "route": "GET /x",
        "status": 200,
        "duration_ms": 12.3,
        "request_id": "r1",
        "tenant_id": "",
        "key_id": "",
    }


def test_no_request_line_is_written_above_info() -> None:
    stream = io.BytesIO()
    request_log("warning", "json", LineSink(stream))(NOBODY, "r1", route="GET /x", status=200, duration_s=0.0)
    assert stream.getvalue() == b""


@pytest.mark.parametrize("given", ["r1", "x" * 128, "a/b:c=d~"])
def test_sane_request_id_is_kept(given: str) -> None:
    assert request_id_of(given) == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", "ä", "a\r\nSet-Cookie: x", "\udcff", "a\x00"])
def test_any_other_request_id_is_replaced(given: str | None) -> None:
    made = request_id_of(given)
    assert len(made) == 24
    assert made != request_id_of(given)


async def test_what_cannot_be_written_is_dropped_and_nobody_fails_for_it() -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    sink = LineSink(Full())
    for _ in range(3):
        sink.msg(b"x" * BUFFER_BYTES_MAX)
    sink.flush()
