"""The main job through a modem: `infinireach up --modem emulated`, from the published command to the webhook."""

import json
import os
import signal
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drivers.runtime import control_socket
from tests.e2e.gateway import NUMBER, Client, Gateway, eventually, until
from tests.e2e.hooks import hook

SMS = b"""{
"to": "+1234567890",
"message": "Hello from Infini Reach!",
"from": "+15559876543",
"channel": "sms"
}"""
WRITER = "+15551112222"


@pytest.fixture(scope="module")
def modem(tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    """A gateway that sends and receives through an emulated modem, in a folder where the simulated phone ran."""
    gateway = Gateway(tmp_path_factory.mktemp("modem") / "var")
    try:
        gateway.start()
        gateway.stop()
        gateway.options = ("--modem", "emulated")
        gateway.start()
        yield gateway
    finally:
        gateway.stop()


@pytest.fixture
async def caller(modem: Gateway) -> AsyncGenerator[Client]:
    """A caller with a key of the demo tenant."""
    async with modem.client() as client:
        yield client


def taken(gateway: Gateway) -> list[dict[str, Any]]:
    """The messages that the emulated network took."""
    return json.loads(gateway.command("modem", "emulate", "taken", "--last", "1000", "--json"))["messages"]


def tell(gateway: Gateway, **order: Any) -> dict[str, Any]:
    """Tell the emulator something."""
    answer = control_socket.ask(gateway.var / "emulated" / "emulator.sock", order, timeout_s=10.0)
    assert answer["ok"], answer
    return answer


async def inbound(client: Client, text: str) -> list[dict[str, Any]]:
    """The messages that came in with this text."""
    page = await client.get("/api/v1/messages?direction=inbound&limit=100")
    return [message for message in page["messages"] if message["message"] == text]


async def come_in(gateway: Gateway, client: Client, text: str) -> None:
    """Have a message come in and wait until it is listed; what came before it has been looked at by then."""
    tell(gateway, inbound={"from": WRITER, "body": text})
    await eventually(lambda: inbound(client, text), "it is listed")


def test_the_number_is_the_modems_now_and_the_simulated_phone_is_away(modem: Gateway) -> None:
    status = {device["name"]: (device["status"], device["number"]) for device in modem.run["devices"]}
    assert status["emulated"] == ("online", NUMBER)
    assert status["Simulated phone"] == ("offline", None)


def test_the_status_command_shows_the_modem(modem: Gateway) -> None:
    [shown] = json.loads(modem.command("modem", "status", "--json"))["modems"]
    assert (shown["name"], shown["state"], shown["reason"]) == ("emulated", "online", "")
    assert modem.command("modem", "ussd", "emulated", "*100#").strip()


async def test_the_published_command_goes_out_and_its_report_comes_back_as_a_webhook(
    modem: Gateway, caller: Client
) -> None:
    async with hook(caller, ["message.sent", "message.delivered"]) as receiving:
        accepted = (await caller.request("POST", "/api/v1/messages", raw=SMS)).json
        delivered = await receiving.wait_for(accepted["messageId"], "message.delivered")
        assert receiving.names(accepted["messageId"]) == ["message.sent", "message.delivered"]
    receiving.verify(delivered)
    data = json.loads(delivered.body)["data"]
    assert (data["from"], data["to"], data["status"]) == (NUMBER, "+1234567890", "delivered")
    [message] = [each for each in taken(modem) if each["to"] == "+1234567890"]
    assert (message["from"], message["body"]) == (NUMBER, "Hello from Infini Reach!")
    assert len(message["references"]) == 1


async def test_a_text_of_1600_emoji_goes_out_in_parts_of_whole_characters(
    modem: Gateway, caller: Client
) -> None:
    text = "".join(chr(0x1F600 + number % 64) for number in range(1600))
    tell(modem, network={"radio_s": 0.01, "report_after_s": 0.01})
    message_id = await caller.send(to="+15551230001", message=text)
    message = await caller.message_in(message_id, "delivered", within_s=60)
    [whole] = [each for each in taken(modem) if each["to"] == "+15551230001"]
    assert whole["body"] == text
    assert len(whole["references"]) == message["segments"] == 49
    log = (modem.var / "emulated" / "radio.log").read_text(encoding="utf-8").splitlines()
    parts = [part for line in log if (part := json.loads(line))["to"] == "+15551230001"]
    assert [part["concatenation"]["number"] for part in parts] == list(range(1, 50))


async def test_a_message_of_three_parts_out_of_order_across_a_restart_comes_in_once(
    modem: Gateway, caller: Client
) -> None:
    text = "".join(f"{number:04d} " for number in range(80))
    # A network dates a message once: a part that it delivers again has the same time as before.
    dated = datetime.now(UTC).isoformat(timespec="seconds")
    long_one = {"from": WRITER, "body": text, "reference": 77, "sent_at": dated}
    async with hook(caller, ["message.inbound"]) as receiving:
        tell(modem, inbound={**long_one, "parts": [3, 1]})
        await come_in(modem, caller, "before the restart")
        driver = modem.run["pids"]["driver"]
        os.kill(driver, signal.SIGKILL)
        tell(modem, inbound={**long_one, "parts": [2, 1]})
        [message] = await eventually(lambda: inbound(caller, text), "it is listed")
        await come_in(modem, caller, "after the restart")
        assert len(await inbound(caller, text)) == 1
        await receiving.wait_for(message["id"], "message.inbound")
        assert receiving.names(message["id"]) == ["message.inbound"]
    assert (message["from"], message["to"]) == (WRITER, NUMBER)
    run = json.loads((modem.var / "run.json").read_text(encoding="utf-8"))
    assert run["pids"]["driver"] != driver
    await until(lambda: not stored(modem), "what the core has is no longer on the SIM")


def stored(gateway: Gateway) -> int:
    """How many messages lie in the modem's memories."""
    [shown] = tell(gateway, state={})["modems"]
    return sum(shown["stored"].values())


async def test_a_modem_whose_power_fails_is_found_again_and_what_waited_goes_out(
    modem: Gateway, caller: Client
) -> None:
    run = json.loads((modem.var / "run.json").read_text(encoding="utf-8"))
    os.kill(run["pids"]["emulator"], signal.SIGKILL)
    message_id = await caller.send(to="+15551230002", message="When you are back")
    assert await caller.message_in(message_id, "delivered", within_s=60)
    assert [each["body"] for each in taken(modem)] == ["When you are back"]


async def test_an_emulated_modem_that_loses_its_sim_is_shown_with_its_remedy(
    modem: Gateway, caller: Client
) -> None:
    tell(modem, fault={"name": "no_sim"})
    tell(modem, fault={"name": "reboot"})

    async def attention() -> Any:
        devices = (await caller.get("/api/v1/devices"))["devices"]
        return next((each for each in devices if each["status"] == "attention"), None)

    device = await eventually(attention, "the modem asks for a person", within_s=60)
    assert (device["name"], device["statusReason"]) == ("emulated", "sim_missing")
    assert "Put one in" in device["remedy"]


def test_no_log_shows_a_number_or_a_text(modem: Gateway) -> None:
    for path in (modem.var / "logs").iterdir():
        text = Path(path).read_text(encoding="utf-8")
        for secret in ("1234567890", "5551230001", WRITER[1:], "before the restart", "Infini Reach!"):
            assert secret not in text, f"{path.name} shows {secret}"
