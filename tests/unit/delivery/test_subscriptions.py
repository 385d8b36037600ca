"""Names of events: what an endpoint chose, what it gets, and the bytes that say so."""

import json

import pytest

from core.delivery.subscriptions import body_under, join, names_by_type
from core.payloads import render


def test_an_endpoint_gets_what_it_chose_under_the_events_own_name() -> None:
    stored = join(["message.sent", "message.failed"])
    assert names_by_type(stored) == {"message.sent": "message.sent", "message.failed": "message.failed"}


def test_an_endpoint_that_chose_the_alias_gets_inbound_messages_under_it() -> None:
    assert names_by_type("message.received") == {"message.inbound": "message.received"}


@pytest.mark.parametrize("stored", ["message.received message.inbound", "message.inbound message.received"])
def test_an_endpoint_that_chose_both_names_gets_one_of_them(stored: str) -> None:
    assert names_by_type(stored) == {"message.inbound": "message.inbound"}


def test_the_body_under_its_own_name_is_the_stored_one() -> None:
    body = render("message.inbound", 0, {"body": "hello"})
    assert body_under("message.inbound", body) is body


def test_the_body_under_the_alias_differs_in_the_name_alone() -> None:
    data = {"body": 'says {"event":"message.inbound",', "from": "+15550100"}
    assert body_under("message.received", render("message.inbound", 0, data)) == render(
        "message.received", 0, data
    )


def test_the_body_under_the_alias_is_the_same_each_time() -> None:
    body = render("message.inbound", 0, {"body": "hello"})
    assert body_under("message.received", body) == body_under("message.received", body)
    assert json.loads(body_under("message.received", body))["event"] == "message.received"


def test_a_body_that_does_not_begin_with_its_name_is_left_alone() -> None:
    assert body_under("message.received", b'{"data":{}}') == b'{"data":{}}'
