"""Attempts that must not connect: names, literals and changing answers that lead inside."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from core.delivery.egress import EgressPolicy
from core.delivery.sender import AttemptResult, ErrorClass
from tests.fakes.name_lookup import ScriptedLookup
from tests.fakes.webhook_receiver import Reply, WebhookReceiver
from tests.unit.delivery.attempts import new_request, new_sender

# As on the internet, but with plain http and any port, so that a canary on this machine could be reached.
OPEN_BUT_FOR_ADDRESSES = replace(EgressPolicy.production(), allow_http=True, allow_unprivileged_ports=True)
# 127.0.0.1 stands for the internet here, and 127.0.0.66 for the inside.
INSIDE = "127.0.0.66"
ONE_LOOPBACK_ADDRESS = replace(EgressPolicy.development(), denied_networks=(ip_network(f"{INSIDE}/32"),))
HOST = "receiver.example"


def told_to_the_tenant(result: AttemptResult) -> tuple[object, ...]:
    return (
        result.status,
        result.error_class,
        result.response_snippet,
        result.retry_after_s,
    )


DENIED = (
    None,
    ErrorClass.DENIED,
    "",
    None,
)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0",
        "0.0.0.0",  # noqa: S104 - nothing is bound
    ],
)
async def test_no_spelling_of_a_local_address_reaches_the_canary(canary: WebhookReceiver, host: str) -> None:
    async with new_sender(OPEN_BUT_FOR_ADDRESSES) as sender:
        result = await sender.send(new_request(f"http://{host}:{canary.port}/"))
    assert told_to_the_tenant(result) == DENIED


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "::1", "::ffff:7f00:1"])
async def test_no_name_for_a_local_address_reaches_the_canary(
    canary: WebhookReceiver, lookup: ScriptedLookup, address: str
) -> None:
    lookup.answer(HOST, [address])
    async with new_sender(OPEN_BUT_FOR_ADDRESSES, lookup=lookup) as sender:
        result = await sender.send(new_request(f"http://{HOST}:{canary.port}/"))
    assert told_to_the_tenant(result) == DENIED


@pytest.mark.parametrize("name", ["localhost", "localhost.", "LOCALHOST"])
async def test_localhost_does_not_reach_the_canary(canary: WebhookReceiver, name: str) -> None:
    async with new_sender(OPEN_BUT_FOR_ADDRESSES) as sender:
        result = await sender.send(new_request(f"http://{name}:{canary.port}/"))
    assert told_to_the_tenant(result) == DENIED


async def test_open_and_closed_ports_behind_a_denied_address_look_the_same(
    canary: WebhookReceiver, lookup: ScriptedLookup
) -> None:
    lookup.answer(HOST, ["127.0.0.1"])
    async with WebhookReceiver() as closed:
        closed_port = closed.port
    async with new_sender(OPEN_BUT_FOR_ADDRESSES, lookup=lookup) as sender:
        results = [
            await sender.send(new_request(f"http://{HOST}:{port}/")) for port in (canary.port, closed_port)
        ]
    assert [told_to_the_tenant(result) for result in results] == [DENIED, DENIED]
    assert results[0].operator_detail == results[1].operator_detail


async def test_an_answer_that_changes_between_two_attempts_is_judged_anew() -> None:
    async with (
        WebhookReceiver() as receiver,
        WebhookReceiver(host=INSIDE, port=receiver.port) as canary,
        new_sender(ONE_LOOPBACK_ADDRESS, lookup=(lookup := ScriptedLookup())) as sender,
    ):
        lookup.answer(HOST, ["127.0.0.1"], [INSIDE])
        receiver.respond_with(Reply(headers=[("Connection", "close")]))
        request = new_request(f"http://{HOST}:{receiver.port}/")
        results = [await sender.send(request) for _ in range(3)]
        assert results[0].status == 200
        assert [told_to_the_tenant(result) for result in results[1:]] == [DENIED, DENIED]
        assert canary.connections_opened == 0


@pytest.mark.parametrize("position", [0, 1])
async def test_one_inside_address_among_the_answers_spoils_them_all(
    receiver: WebhookReceiver, lookup: ScriptedLookup, position: int
) -> None:
    addresses = ["127.0.0.1"]
    addresses.insert(position, INSIDE)
    lookup.answer(HOST, addresses)
    async with new_sender(ONE_LOOPBACK_ADDRESS, lookup=lookup) as sender:
        result = await sender.send(new_request(f"http://{HOST}:{receiver.port}/"))
    assert told_to_the_tenant(result) == DENIED
    assert receiver.connections_opened == 0


async def test_a_kept_connection_does_not_serve_a_url_that_now_leads_inside(
    receiver: WebhookReceiver, lookup: ScriptedLookup
) -> None:
    lookup.answer(HOST, ["127.0.0.1"])
    lookup.answer("inside.example", [INSIDE])
    async with new_sender(ONE_LOOPBACK_ADDRESS, lookup=lookup) as sender:
        assert (await sender.send(new_request(f"http://{HOST}:{receiver.port}/"))).status == 200
        moved = await sender.send(new_request(f"http://inside.example:{receiver.port}/"))
    assert told_to_the_tenant(moved) == DENIED
    assert len(receiver.requests) == 1


async def test_the_next_address_is_tried_where_one_refuses(
    lookup: ScriptedLookup, receiver: WebhookReceiver
) -> None:
    lookup.answer(HOST, ["127.0.0.77", "127.0.0.1"])
    async with new_sender(lookup=lookup) as sender:
        assert (await sender.send(new_request(f"http://{HOST}:{receiver.port}/"))).status == 200


async def test_the_machines_own_address_is_denied_even_where_no_row_names_it(
    canary: WebhookReceiver, lookup: ScriptedLookup
) -> None:
    lookup.answer(HOST, ["127.0.0.1"])
    async with new_sender(replace(OPEN_BUT_FOR_ADDRESSES, deny_rules=()), lookup=lookup) as sender:
        result = await sender.send(new_request(f"http://{HOST}:{canary.port}/"))
    assert told_to_the_tenant(result) == DENIED


async def test_a_network_that_the_operator_opened_is_reached(receiver: WebhookReceiver) -> None:
    policy = replace(OPEN_BUT_FOR_ADDRESSES, allowed_networks=(ip_network("127.0.0.0/8"),))
    async with new_sender(policy) as sender:
        assert (await sender.send(new_request(receiver.url))).status == 200
