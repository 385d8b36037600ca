"""Requests that no well-meaning program makes: never 5xx, never anything but JSON."""

import asyncio
import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.rest_facade.conftest import MESSAGE, Api, Start

HEAD = (
    b"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nX-API-Key: key-of-a\r\nContent-Type: application/json\r\n"
)
VALID = json.dumps(MESSAGE).encode()


def answers_in(received: bytes) -> list[tuple[int, Any]]:
    """Status and body of each answer that came over one connection."""
    answers: list[tuple[int, Any]] = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        answers.append((int(head.split(b" ")[1]), json.loads(rest[:length])))
        received = rest[length:]
    return answers


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"[]", "invalid_json"),
        (b"null", "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b'{"to":"\xff"}', "invalid_json"),
        (b'{"to":"\\ud800"}', "invalid_json"),
        (b'{"to":NaN}', "invalid_json"),
        (b'{"to":' + b"9" * 10_000 + b"}", "invalid_json"),
        (b'{"a":' * 8_000 + b"1" + b"}" * 8_000, "invalid_json"),
        (b"[" * 60_000, "invalid_json"),
        (b'{"to":"+1","to":"+2"}', "invalid_json"),
        (b"{}", "invalid_request"),
        (b'{"to":{"a":[]},"message":true,"from":0.5,"channel":["sms"]}', "invalid_request"),
        (VALID.replace(b"Hello", b"\\u0000"), "invalid_request"),
        (VALID.replace(b"Hello", b"x" * 1601), "invalid_request"),
    ],
)
async def test_hostile_body_is_a_bad_request(api: Api, body: bytes, code: str) -> None:
    answer = await api.post_raw(body)
    assert (answer.status, answer.json["code"]) == (400, code)
    assert api.world.messages == {}


async def test_repeated_key_is_named(api: Api) -> None:
    answer = await api.post_raw(b'{"to":"+1234567890","to":"+1234567891"}')
    assert '"to"' in answer.json["error"]


async def test_bad_key_is_refused_before_the_body_is_looked_at(api: Api) -> None:
    for body in (b"{", b"\xff", b"x" * 10_000_000):
        answer = await api.post_raw(io.BytesIO(body), key="wrong")
        assert (answer.status, answer.json["code"]) == (401, "unauthorized")
    assert (await api.post_raw(b"{", key=None)).status == 401


async def test_large_body_is_refused_by_its_length(api: Api) -> None:
    answer = await api.post_raw(io.BytesIO(b"x" * 10_000_000))
    assert (answer.status, answer.json["code"]) == (413, "payload_too_large")
    assert "65536 bytes" in answer.json["error"]


async def test_body_of_exactly_64_kib_is_read(api: Api) -> None:
    padding = b" " * (65_536 - len(VALID))
    assert (await api.post_raw(VALID + padding)).status == 201
    assert (await api.post_raw(VALID + padding + b" ")).status == 413


async def test_large_chunked_body_is_refused_when_it_is_too_large(api: Api) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 65_536

    answer = await api.call(
        "POST", "/api/v1/messages", data=endless(), headers={"Content-Type": "application/json"}
    )
    assert (answer.status, answer.json["code"]) == (413, "payload_too_large")


async def test_chunked_body_is_read(api: Api) -> None:
    async def parts() -> Any:
        for byte in VALID:
            yield bytes([byte])

    answer = await api.call(
        "POST", "/api/v1/messages", data=parts(), headers={"Content-Type": "application/json"}
    )
    assert answer.status == 201


async def test_body_of_an_unwanted_length_is_refused_before_it_arrives(api: Api) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(HEAD + b"Content-Length: 1000000\r\n\r\n")
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413")
    writer.close()
    await writer.wait_closed()


async def test_body_that_does_not_arrive_in_time_is_given_up(start: Start) -> None:
    api = await start(body_timeout_s=0.1)
    ((status, answer),) = answers_in(await api.exchange(HEAD + b"Content-Length: 100\r\n\r\n{"))
    assert (status, answer["code"]) == (408, "request_timeout")


async def test_body_that_is_held_back_for_permission_is_asked_for_only_if_it_is_wanted(api: Api) -> None:
    length = f"Content-Length: {len(VALID)}\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(HEAD + length + b"Expect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(VALID)
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 201")
    writer.close()
    await writer.wait_closed()
    unwanted = HEAD.replace(b"key-of-a", b"wrong") + length + b"Expect: 100-continue\r\n\r\n"
    ((status, _),) = answers_in(await api.exchange(unwanted))
    assert status == 401


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'],
)
async def test_json_is_accepted_with_parameters(api: Api, content_type: str) -> None:
    assert (await api.post_raw(VALID, headers={"Content-Type": content_type})).status == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "json",
        "application/jsonx",
    ],
)
async def test_other_types_are_unsupported(api: Api, content_type: str) -> None:
    answer = await api.post_raw(VALID, headers={"Content-Type": content_type})
    assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")


async def test_body_without_a_type_is_taken_for_json(api: Api) -> None:
    ((status, _), *_) = answers_in(
        await api.exchange(
            HEAD.replace(b"Content-Type: application/json\r\n", b"Connection: close\r\n")
            + f"Content-Length: {len(VALID)}\r\n\r\n".encode()
            + VALID
        )
    )
    assert status == 201


async def test_compressed_body_is_unsupported(api: Api) -> None:
    answer = await api.post_raw(gzip.compress(b" " * 10_000_000), headers={"Content-Encoding": "gzip"})
    assert answer.status == 415


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/3.0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nno colon\r\n\r\n",
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Content-Length: 1_0\r\n\r\n",
        HEAD + b"Content-Length: ten\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
    ],
)
async def test_broken_http_is_a_bad_request_in_json(api: Api, request_bytes: bytes) -> None:
    ((status, answer),) = answers_in(await api.exchange(request_bytes))
    assert (status, answer["success"]) == (400, False)
    assert answer["error"] == answer["message"]


async def test_large_request_head_is_refused(api: Api) -> None:
    ((status, answer),) = answers_in(
        await api.exchange(b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n")
    )
    assert (status, answer["code"]) == (431, "headers_too_large")


async def test_two_requests_on_one_connection_are_answered_in_order(api: Api) -> None:
    post = HEAD + f"Content-Length: {len(VALID)}\r\n\r\n".encode() + VALID
    refused = HEAD + b"Content-Length: 2\r\n\r\n[]"
    last = b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"
    answers = answers_in(await api.exchange(post + refused + last))
    assert [status for status, _ in answers] == [201, 400, 200]


async def test_unread_body_does_not_spoil_the_next_request(api: Api) -> None:
    wrong = HEAD.replace(b"key-of-a", b"wrong") + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000
    with_body = b"GET /healthz HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    last = b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"
    answers = answers_in(await api.exchange(wrong + with_body + last))
    assert [status for status, _ in answers] == [401, 200, 200]


@given(body=st.binary(max_size=300))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_bytes_are_answered_with_400(api: Api, body: bytes) -> None:
    answer = await api.post_raw(body)
    assert answer.status == 400
    assert answer.json["code"] in {"invalid_json", "invalid_request"}


@given(
    body=st.dictionaries(
        st.sampled_from([*MESSAGE, "externalId", "deviceId", "body"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.none(), max_size=2),
    )
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_values_are_accepted_or_refused_in_detail(api: Api, body: dict[str, Any]) -> None:
    answer = await api.call("POST", "/api/v1/messages", json={**MESSAGE, **body})
    assert answer.status in {201, 200, 400, 404, 409}
    assert answer.status != 400 or answer.json["details"]


@given(path=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"), max_size=40))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_path_is_answered_in_json(api: Api, path: str) -> None:
    received = await api.exchange(b"GET /" + path.encode() + b" HTTP/1.1\r\nConnection: close\r\n\r\n")
    ((status, answer),) = answers_in(received)
    assert status in {200, 400, 401, 404, 405}
    assert isinstance(answer, dict)
