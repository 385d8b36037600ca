"""The screen of `infinireach up`: what can be pasted works."""

import json
import shlex
from typing import Any

from core.cli.run_file import Running
from core.cli.supervisor.phones import Phones
from core.cli.supervisor.screen import curl, screen
from core.config import Settings, load

RUNNING = Running(
    "http://127.0.0.1:8080",
    "127.0.0.1:50051",
    "http://127.0.0.1:9464/metrics",
    "irk_x",
    devices=[
        {
            "id": "d",
            "name": "Simulated phone",
            "status": "online",
            "channels": ["sms"],
            "number": "+15559876543",
        }
    ],
)


def test_the_curl_command_is_a_whole_request() -> None:
    words = shlex.split(curl(RUNNING, "+15559876543").replace("\\\n", " "))
    assert words[:4] == ["curl", "-X", "POST", "http://127.0.0.1:8080/api/v1/messages"]
    assert "X-API-Key: irk_x" in words
    assert json.loads(words[-1]) == {
        "to": "+1234567890",
        "message": "Hello from Infini Reach!",
        "from": "+15559876543",
        "channel": "sms",
    }


def test_the_screen_tells_what_the_profile_allows() -> None:
    assert "Development profile: webhooks may go to this machine" in screen(load({}), RUNNING)
    assert "https addresses on the internet only" in screen(Settings(profile="production"), RUNNING)


def test_without_a_driver_the_screen_says_how_to_enrol_one() -> None:
    alone = Running(RUNNING.rest, RUNNING.grpc, RUNNING.metrics, RUNNING.api_key)
    assert "infinireach driver-token create" in screen(load({}), alone)
    assert "simulate" not in screen(load({}), alone)


def test_nobody_sees_the_key_by_printing_the_object() -> None:
    assert "irk_x" not in repr(RUNNING)


def test_at_an_edge_the_curl_command_trusts_its_certificate() -> None:
    edge = Running(
        RUNNING.rest, RUNNING.grpc, RUNNING.metrics, RUNNING.api_key,
        rest_tls="https://localhost:8443", ca="/srv/my certs/ca.pem",
    )  # fmt: skip
    words = shlex.split(curl(edge, "+15559876543").replace("\\\n", " "))
    assert words[:6] == [
        *("curl", "-X", "POST", "--cacert", "/srv/my certs/ca.pem", "https://localhost:8443/api/v1/messages"),
    ]


def test_commands_on_the_screen_name_the_data_folder_unless_it_is_the_default() -> None:
    assert "\n  infinireach message watch" in screen(load({}), RUNNING)
    elsewhere = load({"INFINIREACH_VAR": "/srv/reach"})
    assert "\n  INFINIREACH_VAR=/srv/reach infinireach message watch" in screen(elsewhere, RUNNING)


def test_where_a_modem_is_emulated_the_screen_says_how_a_message_comes_in_through_it() -> None:
    assert "modem emulate inbound --from +1234567890" in screen(load({}), RUNNING, Phones.EMULATED)


def test_modems_are_shown_with_their_state_and_remedy_and_devices_of_earlier_runs_are_not() -> None:
    stick: dict[str, Any] = {"id": "s", "name": "stick", "channels": ["sms"], "number": "+491701234567"}
    running = Running(
        RUNNING.rest, RUNNING.grpc, RUNNING.metrics, RUNNING.api_key,
        devices=[
            {**RUNNING.devices[0], "status": "offline"},
            {**stick, "status": "attention", "remedy": "There is no SIM."},
        ],
    )  # fmt: skip
    shown = screen(load({}), running, Phones.MODEMS)
    assert "  stick  attention +491701234567 There is no SIM.\n" in shown
    assert '"from": "+491701234567"' in shown
    assert "Simulated phone" not in shown
