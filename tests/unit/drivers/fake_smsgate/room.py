"""A fake phone for one test, whose days pass fast."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from drivers.android.fake_smsgate import Conditions, FakeSmsGate
from tests.fakes.phone_owner import Caller, Place, calling, webhook_place

SPEED = 100.0
EVENTS = ("sms:received", "sms:sent", "sms:delivered", "sms:failed", "system:ping", "app:started")


@asynccontextmanager
async def room(**options: Any) -> AsyncGenerator[tuple[FakeSmsGate, Caller]]:
    """A phone and somebody who knows its password; options as the phone's."""
    conditions = options.pop("conditions", Conditions(radio_s=0.1, report_s=0.1))
    async with FakeSmsGate(speed=SPEED, conditions=conditions, **options) as phone, calling(phone) as caller:
        yield phone, caller


@asynccontextmanager
async def told_room(**options: Any) -> AsyncGenerator[tuple[FakeSmsGate, Caller, Place]]:
    """The same, with a place that has webhooks for every event."""
    async with webhook_place() as place, room(**options) as (phone, caller):
        for event in EVENTS:
            answer = await caller.ask("POST", "/webhooks", {"id": event, "url": place.url, "event": event})
            assert answer.status == 201
        yield phone, caller, place


async def states(phone: FakeSmsGate, message_id: str, state: str) -> None:
    """Wait until the message has the state."""
    await phone.until(lambda: message_id in phone.messages and phone.messages[message_id].state == state)
