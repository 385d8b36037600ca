"""Commands that speak to the REST API, against one that answers what the test says."""

import json
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from core.cli import messages, run_file
from core.cli.run_file import Running
from tests.fakes.command_line import infinireach
from tests.fakes.rest_api import RestApi, rest_api

MESSAGE_ID = "6741234567890abcdef12345"
ACCEPTED = {"success": True, "queued": True, "messageId": MESSAGE_ID, "jobId": f"job-{MESSAGE_ID}"}
PHONE = {
    "id": "d1",
    "name": "Simulated phone",
    "status": "online",
    "channels": ["sms"],
    "driver": "simulated",
    "lastSeenAt": None,
    "remedy": None,
    "signalPercent": None,
    "numbers": [{"channel": "sms", "number": "+15559876543", "slot": 1, "ready": True}],
}


def message(status: str, **more: Any) -> dict[str, Any]:
    """A message as the API shows it."""
    return {
        "success": True,
        "id": MESSAGE_ID,
        "messageId": MESSAGE_ID,
        "status": status,
        "channel": "sms",
        "direction": "outbound",
        "from": "+15559876543",
        "to": "+1234567890",
        "message": "Hello",
        "createdAt": "2024-10-25T10:30:00.000Z",
        "reason": None,
        **more,
    }


def steps(*names: str) -> dict[str, Any]:
    """A timeline with these steps."""
    entries = [
        {
            "time": f"2024-10-25T10:30:0{at}.000Z",
            "step": name,
            "description": "",
            "attributes": {"attempt": str(at)},
        }
        for at, name in enumerate(names)
    ]
    return {"success": True, "timeline": entries}


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder in which nothing runs."""
    monkeypatch.setenv("INFINIREACH_VAR", str(tmp_path))
    monkeypatch.setattr(messages, "POLL_S", 0.01)
    monkeypatch.setattr(messages, "POLL_S_MAX", 0.01)
    return tmp_path


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Generator[RestApi]:
    """An API that the environment names; its answers are the test's."""
    with rest_api({}) as served:
        monkeypatch.setenv("INFINIREACH_URL", served.url)
        monkeypatch.setenv("INFINIREACH_API_KEY", "irk_x")
        yield served


def test_a_message_is_posted_with_exactly_what_was_said(api: RestApi) -> None:
    api.answers["POST /api/v1/messages"] = [(201, ACCEPTED)]
    finished = infinireach(
        "message", "send", "Hello", "--to", "+1234567890", "--from", "+15559876543", "--json"
    )
    assert finished.status == 0
    assert json.loads(finished.out) == ACCEPTED
    [asked] = api.asked
    assert asked.api_key == "irk_x"
    assert asked.body == {"to": "+1234567890", "message": "Hello", "from": "+15559876543", "channel": "sms"}


def sent(api: RestApi, *options: str) -> Any:
    """The body that `message send` posts to a WhatsApp user with these options."""
    api.answers["POST /api/v1/messages"] = [(201, ACCEPTED)]
    numbers = ("--to", "+1234567890", "--from", "+15559876543", "--channel", "whatsapp")
    finished = infinireach("message", "send", *options, *numbers)
    assert finished.status == 0, finished.err
    body = api.asked[-1].body
    usual = {"to": "+1234567890", "from": "+15559876543", "channel": "whatsapp"}
    assert {name: body.pop(name) for name in usual} == usual
    return body


def test_a_template_is_posted_with_what_goes_into_its_places(api: RestApi, tmp_path: Path) -> None:
    components = [{"type": "body", "parameters": [{"type": "text", "text": "ä"}]}]
    file = tmp_path / "components.json"
    file.write_text(json.dumps(components), encoding="utf-8")
    named = ("--template", "order_shipped", "--language", "en_US")
    template = {"name": "order_shipped", "language": "en_US"}
    assert sent(api, *named) == {"template": template}
    for told in (json.dumps(components), f"@{file}"):
        assert sent(api, *named, "--components", told) == {"template": {**template, "components": components}}


@pytest.mark.parametrize("components", ["[", "@missing.json", "{'a': 1}", "[" * 100_000])
def test_components_that_cannot_be_read_are_refused_before_anything_is_asked(
    api: RestApi, components: str
) -> None:
    finished = infinireach(
        "message", "send", "--to", "+1234567890", "--template", "n", "--components", components
    )
    assert finished.status == 1
    assert "--components" in finished.err
    assert api.asked == []


@pytest.mark.parametrize("option", ["--components", "--language"])
def test_what_belongs_to_a_template_is_not_dropped_without_one(api: RestApi, option: str) -> None:
    finished = infinireach("message", "send", "Hello", "--to", "+1234567890", option, "[]")
    assert finished.status == 1
    assert option in finished.err
    assert "--template" in finished.err
    assert api.asked == []


def test_a_file_is_posted_with_the_text_as_its_caption(api: RestApi) -> None:
    link = ("--file-url", "https://example.com/a.pdf")
    assert sent(api, "Here.", "--media", "document", *link, "--filename", "a.pdf") == {
        "message": "Here.",
        "media": {"type": "document", "url": "https://example.com/a.pdf", "filename": "a.pdf"},
    }
    assert sent(api, "--media", "sticker", *link) == {
        "media": {"type": "sticker", "url": "https://example.com/a.pdf"}
    }


def test_what_a_message_carries_is_shown_a_part_a_line(api: RestApi) -> None:
    template = {"name": "order_shipped", "language": "en_US", "components": [{"type": "body"}]}
    media = {"type": "image", "url": None, "filename": None, "mimeType": "image/png", "networkId": "42"}
    carrying = message("sent", template=template, media=media, senderName="Ada\nstatus  failed")
    api.answers[f"GET /api/v1/messages/{MESSAGE_ID}"] = [(200, carrying)]
    api.answers[f"GET /api/v1/messages/{MESSAGE_ID}/timeline"] = [(200, steps("accepted"))]
    lines = [line.split(maxsplit=1) for line in infinireach("message", "get", MESSAGE_ID).out.splitlines()]
    shown = dict(line for line in lines if len(line) == 2)
    assert shown["template.name"] == "order_shipped"
    assert json.loads(shown["template.components"]) == [{"type": "body"}]
    assert (shown["media.mimeType"], shown["senderName"]) == ("image/png", "Ada\\nstatus  failed")
    assert "media.url" not in shown


def test_the_only_number_sends_if_none_is_named(api: RestApi) -> None:
    api.answers["POST /api/v1/messages"] = [(201, ACCEPTED)]
    api.answers["GET /api/v1/devices"] = [(200, {"success": True, "devices": [PHONE]})]
    finished = infinireach("message", "send", "Hello", "--to", "+1234567890", "--external-id", "order-7")
    assert finished.out == f"Queued as {MESSAGE_ID}. Follow it: infinireach message watch {MESSAGE_ID}\n"
    assert api.asked[-1].body["from"] == "+15559876543"
    assert api.asked[-1].body["externalId"] == "order-7"


def test_without_a_number_for_the_channel_nothing_is_sent(api: RestApi) -> None:
    api.answers["GET /api/v1/devices"] = [(200, {"success": True, "devices": [PHONE]})]
    finished = infinireach("message", "send", "Hello", "--to", "+1234567890", "--channel", "whatsapp")
    assert finished.status == 1
    assert "No device can send over whatsapp yet." in finished.err
    assert [asked.method for asked in api.asked] == ["GET"]


def test_a_refusal_is_the_apis_own_sentence_with_its_fields(api: RestApi) -> None:
    refusal = {
        "success": False,
        "error": "The request has faulty fields.",
        "code": "invalid_request",
        "requestId": "r-1",
        "details": [{"field": "to", "issue": "must be E.164"}],
    }
    api.answers["POST /api/v1/messages"] = [(400, refusal)]
    finished = infinireach("message", "send", "Hello", "--to", "1", "--from", "+15559876543")
    assert finished.status == 1
    assert finished.err == "The request has faulty fields.\n  to: must be E.164\n  request r-1\n"


def test_watching_prints_each_step_once_and_ends_with_the_message(api: RestApi) -> None:
    api.answers[f"GET /api/v1/messages/{MESSAGE_ID}"] = [
        (200, message(s)) for s in ("sending", "sent", "delivered")
    ]
    api.answers[f"GET /api/v1/messages/{MESSAGE_ID}/timeline"] = [
        (200, steps("accepted")),
        (200, steps("accepted", "submitted")),
        (200, steps("accepted", "submitted", "delivered")),
    ]
    finished = infinireach("message", "watch", MESSAGE_ID)
    assert finished.status == 0
    assert finished.out.splitlines() == [
        "2024-10-25T10:30:00.000Z  accepted  attempt=0",
        "2024-10-25T10:30:01.000Z  submitted  attempt=1",
        "2024-10-25T10:30:02.000Z  delivered  attempt=2",
        "delivered",
    ]


def test_watching_a_message_that_fails_ends_with_status_1(api: RestApi) -> None:
    failed = message("failed", reason="destination_invalid")
    api.answers[f"GET /api/v1/messages/{MESSAGE_ID}"] = [(200, failed)]
    api.answers[f"GET /api/v1/messages/{MESSAGE_ID}/timeline"] = [(200, steps("accepted"))]
    finished = infinireach("message", "watch", MESSAGE_ID)
    assert finished.status == 1
    assert finished.out.splitlines()[-1] == "failed (destination_invalid)"


def test_watching_gives_up_when_its_time_is_over(api: RestApi) -> None:
    api.answers[f"GET /api/v1/messages/{MESSAGE_ID}"] = [(200, message("queued"))]
    api.answers[f"GET /api/v1/messages/{MESSAGE_ID}/timeline"] = [(200, steps())]
    finished = infinireach("message", "watch", MESSAGE_ID, "--timeout", "1")
    assert (finished.status, finished.err) == (1, "Still queued after 1 s.\n")


def test_watching_all_messages_prints_those_that_change(api: RestApi) -> None:
    other = message("delivered", id="0" * 24)
    api.answers["GET /api/v1/messages"] = [
        (200, {"success": True, "messages": [message("queued"), other]}),
        (200, {"success": True, "messages": [message("sent"), other]}),
    ]
    finished = infinireach("message", "watch", "--timeout", "1")
    assert finished.out == f"{MESSAGE_ID}  sms       +15559876543 -> +1234567890  sent\n"


def test_a_message_is_shown_with_its_timeline(api: RestApi) -> None:
    api.answers[f"GET /api/v1/messages/{MESSAGE_ID}"] = [(200, message("sent"))]
    api.answers[f"GET /api/v1/messages/{MESSAGE_ID}/timeline"] = [(200, steps("accepted"))]
    shown = infinireach("message", "get", MESSAGE_ID).out
    assert "status     sent" in shown
    assert "accepted" in shown
    document = json.loads(infinireach("message", "get", MESSAGE_ID, "--json").out)
    assert document["timeline"] == steps("accepted")["timeline"]


def test_lists_pass_their_filters_on_and_shorten_nothing(api: RestApi) -> None:
    api.answers["GET /api/v1/messages"] = [
        (200, {"success": True, "messages": [message("failed")], "nextCursor": ""})
    ]
    finished = infinireach("message", "list", "--status", "failed", "--limit", "5")
    assert MESSAGE_ID in finished.out
    assert api.asked[0].query == {"limit": "5", "status": "failed"}


def test_devices_and_webhooks_are_listed(api: RestApi) -> None:
    hook = {
        "id": "w1",
        "url": "http://h/",
        "enabled": True,
        "events": ["message.failed"],
        "disabledReason": None,
    }
    api.answers["GET /api/v1/devices"] = [(200, {"success": True, "devices": [PHONE]})]
    api.answers["GET /api/v1/webhooks"] = [(200, {"success": True, "webhooks": [hook]})]
    assert "+15559876543" in infinireach("device", "list").out
    assert "message.failed" in infinireach("webhook", "list").out


def test_a_webhook_is_made_with_the_usual_events_and_its_secret_shown(api: RestApi) -> None:
    made = {
        "id": "w1",
        "url": "http://h/",
        "events": ["message.inbound"],
        "enabled": True,
        "secret": "whsec_s",
    }
    api.answers["POST /api/v1/webhooks"] = [(201, {"success": True, "webhook": made})]
    assert "whsec_s" in infinireach("webhook", "create", "http://h/").out
    assert api.asked[0].body == {
        "url": "http://h/",
        "events": ["message.inbound", "message.delivered", "message.failed"],
    }


def test_a_webhook_for_read_reports_names_them(api: RestApi) -> None:
    made = {"id": "w1", "url": "http://h/", "events": ["message.read"], "enabled": True, "secret": "whsec_s"}
    api.answers["POST /api/v1/webhooks"] = [(201, {"success": True, "webhook": made})]
    assert "message.read" in infinireach("webhook", "create", "http://h/", "--events", "message.read").out
    assert api.asked[0].body["events"] == ["message.read"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"success": True, "attempt": {"httpStatus": 204, "durationMs": 12, "error": None}}, 0),
        ({"success": False, "attempt": {"httpStatus": 500, "durationMs": 12, "error": None}}, 1),
        ({"success": False, "attempt": {"httpStatus": None, "durationMs": 12, "error": "refused"}}, 1),
    ],
)
def test_a_webhooks_test_ends_with_the_endpoints_answer(
    api: RestApi, answer: dict[str, Any], status: int
) -> None:
    api.answers["POST /api/v1/webhooks/w1/test"] = [(200, answer)]
    assert infinireach("webhook", "test", "w1").status == status


def test_without_a_gateway_the_way_to_start_one_is_told() -> None:
    finished = infinireach("device", "list")
    assert finished.status == 1
    assert "Start one with infinireach up" in finished.err


def test_a_gateway_that_does_not_answer_is_named() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        finished = infinireach("device", "list", "--url", url, "--api-key", "irk_x")
    assert (finished.status, finished.err) == (
        1,
        f"Nothing answers at {url}. Start the gateway: infinireach up\n",
    )


def test_something_else_that_answers_is_not_taken_for_the_api(api: RestApi) -> None:
    api.answers["GET /api/v1/devices"] = [(200, "<html>hello</html>")]
    assert "is no Infini Reach API" in infinireach("device", "list").err


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://"])
def test_an_address_of_another_form_is_refused(url: str) -> None:
    finished = infinireach("device", "list", "--url", url, "--api-key", "irk_x")
    assert finished.status == 1
    assert "is no address such as http://127.0.0.1:8080" in finished.err


def test_a_running_gateway_is_found_through_run_json(var: Path) -> None:
    with rest_api({"GET /api/v1/devices": [(200, {"success": True, "devices": []})]}) as api:
        run_file.write(var, Running(api.url, "127.0.0.1:1", "http://127.0.0.1:2", "irk_from_run_json"))
        finished = infinireach("device", "list")
        assert finished.out.startswith("There is no device yet.")
        assert api.asked[0].api_key == "irk_from_run_json"
