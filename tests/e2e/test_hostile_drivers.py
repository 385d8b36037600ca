"""Drivers that break the protocol on a real stream: each is told why and cut off, and nobody else notices."""

from collections.abc import AsyncGenerator

import pytest

from tests.driver_frames import (
    Request,
    change_fact,
    device_description,
    facts_frame,
    heartbeat_frame,
    inbound_fact,
    report_fact,
)
from tests.e2e.gateway import NUMBER, Client, Gateway, new_id
from tests.e2e.played_driver import hello, new_number, played_driver


@pytest.fixture
async def token(other: Client) -> str:
    """A driver token of the other tenant."""
    made = await other.post("/api/v1/driver-tokens", {"name": "played"})
    return made["driverToken"]["token"]


@pytest.fixture(autouse=True)
async def simulated_driver_works_on(running: Gateway, owner: Client) -> AsyncGenerator[None]:
    """Whatever a test does, the simulated driver keeps its stream and delivers."""
    streams = running.log_events("driver", "stream.opened")
    yield
    await owner.message_in(await owner.send(), "delivered")
    assert running.log_events("driver", "stream.opened") == streams


BROKEN: dict[str, tuple[list[Request], str, str]] = {
    "facts before hello": ([facts_frame(inbound_fact(1))], "INVALID_ARGUMENT", "HELLO_MISSING"),
    "heartbeat before hello": ([heartbeat_frame()], "INVALID_ARGUMENT", "HELLO_MISSING"),
    "an empty frame before hello": ([Request()], "INVALID_ARGUMENT", "HELLO_MISSING"),
    "hello twice": ([hello(), hello()], "INVALID_ARGUMENT", "HELLO_MISSING"),
    "a gap": ([hello(), facts_frame(change_fact(1), change_fact(3))], "DATA_LOSS", "SEQUENCE_GAP"),
    "a gap at the beginning": ([hello(), facts_frame(change_fact(2))], "DATA_LOSS", "SEQUENCE_GAP"),
    "an unknown command": (
        [hello(), facts_frame(report_fact(1, f"{new_id()}-1"))],
        "INVALID_ARGUMENT",
        "FACT_NOT_APPLICABLE",
    ),
    "a command id of no known form": (
        [hello(), facts_frame(report_fact(1, "' or 1=1 --"))],
        "INVALID_ARGUMENT",
        "FACT_NOT_APPLICABLE",
    ),
    "a message to a device of somebody else": (
        [hello(), facts_frame(inbound_fact(1, device_key="phone"))],
        "INVALID_ARGUMENT",
        "FACT_NOT_APPLICABLE",
    ),
    "a frame that is too large": (
        [hello(), facts_frame(*(inbound_fact(number, "x" * 19_000) for number in range(1, 20)))],
        "INVALID_ARGUMENT",
        "PROTOCOL_VIOLATION",
    ),
    "a hello without devices": ([hello(devices=())], "INVALID_ARGUMENT", "PROTOCOL_VIOLATION"),
    "a hello without a name": ([hello(driver_name="")], "INVALID_ARGUMENT", "PROTOCOL_VIOLATION"),
}


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_driver_that_breaks_the_protocol_is_told_why_and_cut_off(
    fault: str, running: Gateway, token: str
) -> None:
    frames, code, reason = BROKEN[fault]
    async with played_driver(running.run["grpc"], token, frames) as driver:
        end = await driver.end()
    assert (end.code, end.reason) == (code, reason)
    assert end.text


@pytest.mark.parametrize("token", [None, "", "nonsense", "ird_" + "a" * 46])
async def test_a_stream_without_a_live_token_is_refused(token: str | None, running: Gateway) -> None:
    async with played_driver(running.run["grpc"], token) as driver:  # refused before it has said anything
        end = await driver.end()
    assert (end.code, end.reason, driver.frames) == ("UNAUTHENTICATED", "UNAUTHENTICATED", [])


async def test_an_api_key_is_no_driver_token(running: Gateway, other: Client) -> None:
    async with played_driver(running.run["grpc"], other.key) as driver:
        assert (await driver.end()).reason == "UNAUTHENTICATED"


async def test_the_stream_of_a_revoked_token_is_closed_and_not_opened_again(
    running: Gateway, other: Client
) -> None:
    made = (await other.post("/api/v1/driver-tokens", {"name": "short"}))["driverToken"]
    async with played_driver(running.run["grpc"], made["token"], [hello()]) as driver:
        await driver.frame("welcome")
        assert (await other.request("DELETE", f"/api/v1/driver-tokens/{made['id']}")).status == 200
        end = await driver.end()
    assert (end.code, end.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
    async with played_driver(running.run["grpc"], made["token"], [hello()]) as driver:
        assert (await driver.end()).reason == "UNAUTHENTICATED"


async def test_a_report_on_anothers_command_is_like_one_on_none_and_changes_nothing(
    running: Gateway, owner: Client, token: str
) -> None:
    message_id = await owner.send(to="+15005550004")
    await owner.message_in(message_id, "sent")
    before = await owner.get(f"/api/v1/messages/{message_id}/timeline")
    ends: list[tuple[str, str, list[str]]] = []
    for command_id in (f"{message_id}-1", f"{new_id()}-1"):
        frames = [hello(), facts_frame(report_fact(1, command_id))]
        async with played_driver(running.run["grpc"], token, frames) as driver:
            end = await driver.end()
        ends.append((end.reason, end.text.replace(command_id, "<given>"), driver.rejections()))
    assert ends[0] == ends[1]
    assert ends[0][2] == ["UNKNOWN_COMMAND"]
    assert await owner.get(f"/api/v1/messages/{message_id}/timeline") == before


async def test_anothers_number_is_not_taken_over_and_its_owner_is_not_named(
    running: Gateway, owner: Client, other: Client, token: str
) -> None:
    devices = (device_description("thief", NUMBER),)
    async with played_driver(running.run["grpc"], token, [hello(devices=devices)]) as driver:
        refused = (await driver.frame("welcome")).welcome.refused_devices
        assert [(device.device_key, device.number) for device in refused] == [("thief", NUMBER)]
        shown = str(refused)
        for secret in (running.run["tenant"], *(device["id"] for device in running.run["devices"])):
            assert secret not in shown
        answer = await other.request(
            "POST",
            "/api/v1/messages",
            {"to": "+15551230000", "message": "x", "from": NUMBER, "channel": "sms"},
        )
        assert answer.json["code"] == "device_not_found"
        await owner.message_in(await owner.send(), "delivered")


async def test_a_played_driver_that_keeps_the_rules_gets_its_tenants_messages_only(
    running: Gateway, other: Client, token: str
) -> None:
    number = new_number()
    devices = (device_description("modem-1", number),)
    async with played_driver(running.run["grpc"], token, [hello(devices=devices)]) as driver:
        await driver.frame("welcome")
        message_id = await other.send(**{"from": number})
        commands = (await driver.frame("send_commands")).send_commands.commands
        assert [command.message_id for command in commands] == [message_id]
        await driver.send(facts_frame(report_fact(1, commands[0].command_id)))
        await other.message_in(message_id, "sent")


async def test_a_newer_stream_of_a_driver_supersedes_the_older(running: Gateway, token: str) -> None:
    first = hello()
    async with played_driver(running.run["grpc"], token, [first]) as old:
        welcome = await old.frame("welcome")
        async with played_driver(running.run["grpc"], token, [first]) as new:
            newer = await new.frame("welcome")
            end = await old.end()
    assert (end.code, end.reason) == ("ABORTED", "SESSION_SUPERSEDED")
    assert newer.welcome.epoch > welcome.welcome.epoch
