"""Attempts: what is sent, and what is reported."""

import asyncio
import unicodedata
from email.utils import formatdate
from time import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.delivery import resolver
from core.delivery.backoff import Control
from core.delivery.egress import EgressPolicy
from core.delivery.sender import DEADLINE_S_MAX, RESPONSE_BYTES_MAX, ErrorClass, WebhookSender
from tests.fakes.name_lookup import NO_SUCH_NAME, SERVER_FAILURE, ScriptedLookup
from tests.fakes.webhook_receiver import Reply, WebhookReceiver, say_nothing
from tests.unit.delivery.attempts import SHORT_DEADLINE_S, new_request, new_sender

BODY = '{"event":"message.inbound","data":{"body":"Grüße 👋\u2028"}}'.encode()


async def test_the_request_carries_exactly_what_was_asked_for(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    headers = {"X-Infini-Reach-Signature": "ab" * 32, "webhook-id": "1", "traceparent": "00-1-2-01"}
    await sender.send(new_request(receiver.url + "?t=a%2Fb+c&x[]=~", headers=headers, body=BODY))
    (request,) = receiver.requests
    assert (request.method, request.target, request.body) == ("POST", "/hook?t=a%2Fb+c&x[]=~", BODY)
    assert dict(request.headers) == headers | {
        "Host": f"127.0.0.1:{receiver.port}",
        "Content-Type": "application/json",
        "Content-Length": str(len(BODY)),
        "User-Agent": "InfiniReach-Webhooks/1",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
    }


@pytest.mark.parametrize("status", [200, 201, 202, 204, 400, 404, 410, 429, 500, 503, 599])
async def test_a_status_is_reported_as_it_is(
    sender: WebhookSender, receiver: WebhookReceiver, status: int
) -> None:
    receiver.respond_with(Reply(status, b""))
    result = await sender.send(new_request(receiver.url))
    assert (result.status, result.error_class) == (status, None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_not_followed(
    sender: WebhookSender, receiver: WebhookReceiver, canary: WebhookReceiver, status: int
) -> None:
    receiver.respond_with(Reply(status, headers=[("Location", canary.url)]))
    assert (await sender.send(new_request(receiver.url))).status == status
    assert len(receiver.requests) == 1


async def test_a_redirect_to_cloud_metadata_is_not_followed(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Reply(301, headers=[("Location", "http://169.254.169.254/latest/meta-data/")]))
    assert (await sender.send(new_request(receiver.url))).status == 301


async def test_cookies_are_not_kept(sender: WebhookSender, receiver: WebhookReceiver) -> None:
    receiver.respond_with(Reply(headers=[("Set-Cookie", "session=1; Path=/")]))
    for _ in range(2):
        await sender.send(new_request(receiver.url))
    assert [request.header("Cookie") for request in receiver.requests] == [None, None]


async def test_proxies_and_credentials_in_the_environment_play_no_part(
    sender: WebhookSender,
    receiver: WebhookReceiver,
    canary: WebhookReceiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, canary.url)
        monkeypatch.setenv(name.lower(), canary.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    credentials = tmp_path_factory.mktemp("home") / "netrc"
    credentials.write_text("machine 127.0.0.1 login admin password secret\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(credentials))
    await sender.send(new_request(receiver.url))
    assert receiver.requests[0].header("Authorization") is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", None),
        ("-5", None),
        ("315360000", 86_400),
        ("soon", None),
        pytest.param(formatdate(time() - 3_600, usegmt=True), None, id="an hour ago"),
        pytest.param(formatdate(time() + 3 * 86_400, usegmt=True), 86_400, id="in three days"),
    ],
)
async def test_retry_after_is_reported(
    sender: WebhookSender, receiver: WebhookReceiver, value: str, seconds: int | None
) -> None:
    receiver.respond_with(Reply(429, headers=[("Retry-After", value)]))
    assert (await sender.send(new_request(receiver.url))).retry_after_s == seconds


@pytest.mark.parametrize(
    ("value", "control"),
    [
        ("disable", Control.DISABLE),
        ("abort-message", Control.ABORT_MESSAGE),
        (" Disable ", Control.DISABLE),
        ("", None),
        ("disable, abort-message", None),
        ("delete", None),
    ],
)
async def test_what_the_receiver_asks_for_is_reported(
    sender: WebhookSender, receiver: WebhookReceiver, value: str, control: Control | None
) -> None:
    receiver.respond_with(Reply(500, headers=[("Webhook-Delivery", value)]))
    assert (await sender.send(new_request(receiver.url))).control is control


@pytest.mark.parametrize(
    ("body", "snippet"),
    [
        (b"", ""),
        (b"plain", "plain"),
        ("Grüße\n\t👋".encode(), "Grüße\n\t👋"),
        (b"\xff\xfe\x80", "\ufffd\ufffd\ufffd"),
        (b"a\x00b\x1bc\x7fd\r\n", "a\ufffdb\ufffdc\ufffdd\ufffd\n"),
        ("\u202eabc\u2066\u0085".encode(), "\ufffdabc\ufffd\ufffd"),
        (b"a" * (RESPONSE_BYTES_MAX + 1), "a" * RESPONSE_BYTES_MAX),
        ("é".encode() * RESPONSE_BYTES_MAX, "é" * (RESPONSE_BYTES_MAX // 2)),
    ],
    ids=["empty", "plain", "UTF-8", "no UTF-8", "control characters", "bidirectional", "long", "long UTF-8"],
)
async def test_the_snippet_is_short_and_printable(
    sender: WebhookSender, receiver: WebhookReceiver, body: bytes, snippet: str
) -> None:
    receiver.respond_with(Reply(500, body))
    assert (await sender.send(new_request(receiver.url))).response_snippet == snippet


@given(body=st.binary(max_size=200))
async def test_no_snippet_holds_what_a_database_or_a_terminal_trips_over(body: bytes) -> None:
    async with WebhookReceiver() as receiver, new_sender() as sender:
        receiver.respond_with(Reply(500, body))
        snippet = (await sender.send(new_request(receiver.url))).response_snippet
    assert not {unicodedata.category(character) for character in set(snippet) - set("\n\t")} & {"Cc", "Cs"}


async def test_no_listener_means_no_connection(sender: WebhookSender) -> None:
    async with WebhookReceiver() as closed:
        url = closed.url
    result = await sender.send(new_request(url))
    assert (result.status, result.error_class) == (None, ErrorClass.CONNECT)


async def test_silence_ends_at_the_deadline(sender: WebhookSender, receiver: WebhookReceiver) -> None:
    receiver.respond_with(say_nothing)
    result = await sender.send(new_request(receiver.url, deadline_s=SHORT_DEADLINE_S))
    assert (result.status, result.error_class) == (None, ErrorClass.TIMEOUT)
    assert result.duration_ms >= SHORT_DEADLINE_S * 1_000
    await receiver.wait_until_unconnected()


@pytest.mark.parametrize(
    "answer", [NO_SUCH_NAME, SERVER_FAILURE, []], ids=["none", "server failure", "empty"]
)
async def test_a_name_without_address_is_a_dns_error(
    lookup: ScriptedLookup, answer: list[str] | OSError
) -> None:
    lookup.answer("receiver.example", answer)
    async with new_sender(lookup=lookup) as sender:
        result = await sender.send(new_request("http://receiver.example/"))
    assert (result.status, result.error_class) == (None, ErrorClass.DNS)


async def test_a_slow_lookup_is_a_dns_error(lookup: ScriptedLookup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "LOOKUP_S_MAX", 0.05)
    lookup.hang("receiver.example")
    async with new_sender(lookup=lookup) as sender:
        result = await sender.send(new_request("http://receiver.example/"))
    assert result.error_class is ErrorClass.DNS


async def test_the_deadline_covers_the_lookup(lookup: ScriptedLookup) -> None:
    lookup.hang("receiver.example")
    async with new_sender(lookup=lookup) as sender:
        result = await sender.send(new_request("http://receiver.example/", deadline_s=0.05))
    assert result.error_class is ErrorClass.TIMEOUT


@pytest.mark.parametrize("deadline_s", [0, -1, DEADLINE_S_MAX + 0.1, float("nan"), float("inf")])
async def test_a_deadline_out_of_range_is_refused(sender: WebhookSender, deadline_s: float) -> None:
    with pytest.raises(ValueError, match="deadline"):
        await sender.send(new_request("http://127.0.0.1:1024/", deadline_s=deadline_s))


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "a\x00b"])
async def test_a_header_that_would_break_the_request_is_refused(
    sender: WebhookSender, receiver: WebhookReceiver, value: str
) -> None:
    with pytest.raises(ValueError, match=r"."):
        await sender.send(new_request(receiver.url, headers={"traceparent": value}))
    await receiver.wait_until_unconnected()
    assert receiver.requests == []


async def test_a_cancelled_attempt_closes_its_connection(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(say_nothing)
    attempt = asyncio.create_task(sender.send(new_request(receiver.url)))
    await receiver.wait_for(1)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    await receiver.wait_until_unconnected()


async def test_no_detail_quotes_the_url(lookup: ScriptedLookup) -> None:
    lookup.answer("denied.example", ["10.0.0.1"])
    lookup.answer("refused.example", ["127.0.0.1"])
    async with WebhookReceiver() as receiver, new_sender(lookup=lookup) as sender:
        receiver.respond_with(Reply(1_000))
        urls = [
            "http://denied.example/canary?canary",
            "http://missing.example/canary?canary",
            "http://refused.example:1/canary?canary",
            "http://refused.example:1024/canary?canary",
            f"{receiver.url}?canary",
            f"{receiver.url}?canary#",
        ]
        results = [await sender.send(new_request(url)) for url in urls]
    assert {result.error_class for result in results} >= {
        ErrorClass.DENIED,
        ErrorClass.DNS,
        ErrorClass.CONNECT,
        ErrorClass.PROTOCOL,
    }
    assert all(result.operator_detail and "canary" not in result.operator_detail for result in results)


async def test_a_url_that_the_policy_no_longer_allows_is_denied(
    sender: WebhookSender, canary: WebhookReceiver
) -> None:
    async with new_sender(EgressPolicy.production()) as strict:
        result = await strict.send(new_request(canary.url))
    assert (result.status, result.error_class) == (None, ErrorClass.DENIED)
