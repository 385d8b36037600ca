"""What the app calls for: who may call, and what a call means.

Owns the signature, its age and the forms of the events, older ones too. A call only says when to look, except for what
comes in and for delivered parts; so one that is lost, doubled or out of order changes nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

import structlog

from drivers.android.phone import Phone
from drivers.android.phone_api import received
from drivers.runtime import JournalUnwritable
from drivers.runtime.clock import Clock
from drivers.runtime.hooks import HookAnswer, HookRequest, is_signed

AGE_S_MAX = 300
"""How far the time of a signature may be from ours (the app's documentation)."""
PARTS_MAX = 255

log = structlog.get_logger("driver")


class Webhooks:
    """Answers the calls of all phones."""

    def __init__(self, phones: Mapping[str, Phone], clock: Clock) -> None:
        self._phones = phones
        self._clock = clock
        self._doubted: set[str] = set()
        """Phones of which the last call was not believed: a stranger who goes on fills no log."""

    async def answer(self, request: HookRequest) -> HookAnswer:
        """Take a call. Anything but 2xx and the app calls again later, for two days."""
        if request.method != "POST":
            return HookAnswer(405)
        # What is before the name is a proxy's.
        phone = self._phones.get(request.path.rstrip("/").rpartition("/")[2])
        if phone is None:
            return HookAnswer(404)
        name = phone.config.name
        if not self._is_genuine(request, phone):
            if name not in self._doubted:
                self._doubted.add(name)
                log.warning("webhook.not_believed", device=name)
            return HookAnswer(401)
        self._doubted.discard(name)
        try:
            call = json.loads(request.body)
        except (ValueError, RecursionError):
            return HookAnswer(400)
        event, payload = (call.get("event"), call.get("payload")) if isinstance(call, dict) else (None, None)
        if not isinstance(event, str):
            return HookAnswer(400)
        try:
            fields = payload if isinstance(payload, dict) else {}
            await self._take(phone, event, fields, event_id=str(call.get("id", "")))
        except JournalUnwritable:
            return HookAnswer(503)
        return HookAnswer(200)

    def _is_genuine(self, request: HookRequest, phone: Phone) -> bool:
        stamp = request.headers.get("X-Timestamp", "")
        if not phone.config.signing_key or not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
            return False
        if abs(int(stamp) - self._clock.wall_ns() / 1e9) > AGE_S_MAX:
            return False
        signature = request.headers.get("X-Signature", "")
        return is_signed(request.body + stamp.encode(), phone.config.signing_key.encode(), signature)

    async def _take(self, phone: Phone, event: str, payload: Mapping[str, Any], *, event_id: str) -> None:
        message_id = payload.get("messageId")
        match event, message_id:
            case "sms:received", _:
                message = received(payload, "message", "receivedAt")
                if message is not None:
                    await phone.inbox.take(message)
            case (("sms:sent" | "sms:failed" | "sms:cancelled"), str()):
                parts = payload.get("partsCount")
                is_count = type(parts) is int and 1 <= parts <= PARTS_MAX
                await phone.following.look_soon(message_id, parts=parts if is_count else None)
                phone.look_now()
            case "sms:delivered", str():
                # An event that is told twice may have another id the second time, but not another time.
                mark = payload.get("deliveredAt") or event_id
                await phone.following.part_delivered(message_id, str(mark))
            case "app:started", _:
                phone.examine_now()
            case _:
                phone.look_now()
