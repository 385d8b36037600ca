"""Every sandbox number from the POST to webhooks, timeline and radio."""

import asyncio
import json
from typing import Any

from tests.e2e.gateway import Client, Gateway, until
from tests.e2e.hooks import Hook, hook

SENT, DELIVERED, FAILED = "message.sent", "message.delivered", "message.failed"
FATES: dict[str, tuple[str, str | None, list[str], int]] = {
    "+15005550000": ("delivered", None, [SENT, DELIVERED], 1),
    "+15005550001": ("failed", "destination_invalid", [FAILED], 0),
    "+15005550002": ("failed", "destination_unreachable", [FAILED], 0),
    "+15005550003": ("failed", "network_rejected", [FAILED], 0),
    "+15005550004": ("sent", None, [SENT], 1),
    "+15005550005": ("delivered", None, [SENT, DELIVERED], 1),
    "+15005550006": ("unknown", "outcome_unknown", [FAILED], 1),
    "+15005550007": ("delivered", None, [SENT, DELIVERED], 1),
    "+15005550008": ("failed", "destination_unreachable", [SENT, FAILED], 1),
    "+15005550009": ("delivered", None, [SENT, DELIVERED], 1),
}
"""Number: final status, reason, events in their order, lines of the radio log."""
STEPS = {SENT: "submitted", DELIVERED: "delivered", FAILED: "failed"}
"""What an event is in the timeline."""
SPECIAL_STEPS = {"+15005550006": ["unknown"], "+15005550009": ["delivered", "late_report"]}
"""Where the timeline, which shows what came in the order in which it came, differs from the events."""


async def test_each_sandbox_number_has_its_fate_in_status_webhooks_timeline_and_radio(
    running: Gateway, owner: Client
) -> None:
    streams = len(running.log_events("driver", "stream.opened"))
    async with hook(owner, [SENT, DELIVERED, FAILED]) as receiving:
        ids = dict(
            zip(FATES, await asyncio.gather(*(owner.send(to=number) for number in FATES)), strict=True)
        )
        for number, (status, _, events, _) in FATES.items():
            await owner.message_in(ids[number], status)
            await receiving.wait_for(ids[number], events[-1])
        # One more message through everything: what would come doubled has come by then.
        last = await owner.send()
        await receiving.wait_for(last, DELIVERED)
        for number in FATES:
            await _check(running, owner, receiving, number, ids[number])
    assert len(running.log_events("driver", "stream.opened")) > streams, "the stream was not dropped"


async def _check(running: Gateway, owner: Client, receiving: Hook, number: str, message_id: str) -> None:
    status, reason, events, radio_lines = FATES[number]
    message = await owner.get(f"/api/v1/messages/{message_id}")
    assert (number, message["status"], message["reason"]) == (number, status, reason)
    assert (number, len(running.radio(message_id=message_id))) == (number, radio_lines)
    told = receiving.events(message_id)
    assert (number, [each["event"] for each in told]) == (number, events)
    assert [each["data"]["sequence"] for each in told] == list(range(1, len(told) + 1))
    assert told[-1]["data"]["status"] == status
    assert told[-1]["data"]["reason"] == reason
    timeline = (await owner.get(f"/api/v1/messages/{message_id}/timeline"))["timeline"]
    times = [entry["time"] for entry in timeline]
    assert times == sorted(times)
    _check_steps(number, timeline, events)


def _check_steps(number: str, timeline: list[dict[str, Any]], events: list[str]) -> None:
    steps = [entry["step"] for entry in timeline]
    expected = SPECIAL_STEPS.get(number) or [STEPS[event] for event in events]
    own = [step for step in dict.fromkeys(steps) if step != "webhook_attempt"]
    assert (number, own) == (number, ["accepted", "claimed", *expected])
    assert steps.count("webhook_attempt") == len(events), (number, json.dumps(timeline))


async def test_the_same_fates_on_whatsapp(owner: Client) -> None:
    quick = [number for number in FATES if number not in {"+15005550005", "+15005550007"}]
    ids = await asyncio.gather(*(owner.send(to=number, channel="whatsapp") for number in quick))
    for number, message_id in zip(quick, ids, strict=True):
        found = await owner.message_in(message_id, FATES[number][0])
        assert (number, found["reason"]) == (number, FATES[number][1])


async def test_a_text_of_several_segments_is_delivered_when_all_are(running: Gateway, owner: Client) -> None:
    message_id = await owner.send(to="+15005550009", message="ä€" * 200)
    message = await owner.message_in(message_id, "delivered")
    assert message["segments"] > 1
    entry = await until(lambda: running.radio(message_id=message_id), "it is on the radio")
    assert [each["segments"] for each in entry] == [message["segments"]]
