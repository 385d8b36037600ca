"""The app's webhooks: which there are, what an event says, and its delivery with signature and retries."""

import asyncio
import hashlib
import hmac
import itertools
import json
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from drivers.android.fake_smsgate.clock import PhoneClock
from drivers.fake_kit.faults import Faults

EVENTS = (
    "sms:received",
    "sms:data-received",
    "sms:sent",
    "sms:delivered",
    "sms:failed",
    "sms:cancelled",
    "system:ping",
    "mms:received",
    "mms:downloaded",
    "app:started",
)
WEBHOOKS_MAX = 1000
WAITING_MAX = 100_000
"""Events that wait for their delivery; more are not sent."""
RETRIES_MAX = 14
RETRY_FIRST_S = 10.0
ANSWER_S_MAX = 30.0
"""Of ours, not of the phone."""
AT_ONCE = 4
_ID_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-"


class WebhookInvalid(ValueError):
    """The app takes no such webhook."""


@dataclass(slots=True, frozen=True)
class Webhook:
    """One event that goes to one address."""

    id: str
    url: str
    event: str

    def shown(self) -> dict[str, Any]:
        """As the app answers with it."""
        return {"id": self.id, "url": self.url, "event": self.event}


@dataclass(slots=True)
class Delivery:
    """An event on its way."""

    url: str
    body: bytes
    key: str | None
    """What it is signed with; None: nothing."""


class Webhooks:
    """The registered webhooks and their deliveries."""

    def __init__(
        self,
        clock: PhoneClock,
        faults: Faults,
        *,
        device_id: str,
        signing_key: str,
        tls: ssl.SSLContext | None = None,
        changed: Callable[[], None],
    ) -> None:
        """`tls`: whom the phone trusts; None: whom this machine does."""
        self.registered: dict[str, Webhook] = {}
        self.attempts = 0
        """How often a delivery was tried."""
        self.delivered = 0
        self.given_up = 0
        self._clock = clock
        self._faults = faults
        self._device_id = device_id
        self._signing_key = signing_key
        self._tls = tls
        self._changed = changed
        self._waiting: dict[int, Delivery] = {}
        self._numbers = itertools.count()
        self._held_back: list[Delivery] = []
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._places = asyncio.Semaphore(AT_ONCE)

    @property
    def waiting(self) -> int:
        """How many events are not delivered yet."""
        return len(self._waiting) + len(self._held_back)

    def register(self, body: dict[str, Any]) -> Webhook:
        """Have a webhook, in place of the one with its id. Raises WebhookInvalid."""
        url, event, webhook_id = body.get("url"), body.get("event"), body.get("id")
        if not isinstance(url, str) or not _is_allowed(url):
            raise WebhookInvalid("url must start with https:// or http://127.0.0.1")
        if event not in EVENTS:
            raise WebhookInvalid("Unsupported event")
        if webhook_id is not None and not isinstance(webhook_id, str):
            raise WebhookInvalid("id must be a string")
        if body.get("deviceId") not in {None, self._device_id}:
            raise WebhookInvalid("Device ID mismatch")
        webhook = Webhook(webhook_id or new_id(), url, str(event))
        if webhook.id not in self.registered and len(self.registered) >= WEBHOOKS_MAX:
            raise WebhookInvalid("Too many webhooks")
        self.registered[webhook.id] = webhook
        return webhook

    def emit(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event to all that are registered for it."""
        for webhook in self.registered.values():
            if webhook.event == event:
                self._emit(webhook, payload)

    def start(self) -> None:
        """The app runs: what waits is sent."""
        connector = aiohttp.TCPConnector(ssl=self._tls or True, force_close=True)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=ANSWER_S_MAX)
        )
        for number in self._waiting:
            self._begin(number)

    async def stop(self) -> None:
        """The app ends; what was not delivered is kept."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def forget(self) -> None:
        """What the app knew is lost."""
        self.registered.clear()
        self._waiting.clear()
        self._held_back.clear()

    def _emit(self, webhook: Webhook, payload: dict[str, Any]) -> None:
        if self._faults.take("webhook_lost") is not None:
            return
        key: str | None = self._signing_key
        if self._faults.take("webhook_wrongly_signed") is not None:
            key = f"not {key}"
        if self._faults.take("webhook_unsigned") is not None:
            key = None
        copies = 2 if self._faults.take("webhook_doubled") is not None else 1
        deliveries = [Delivery(webhook.url, self._body(webhook, payload), key) for _ in range(copies)]
        if self._faults.take("webhook_reordered") is not None:
            self._held_back += deliveries
            return
        for delivery in [*deliveries, *self._held_back]:
            self._add(delivery)
        self._held_back.clear()

    def _body(self, webhook: Webhook, payload: dict[str, Any]) -> bytes:
        envelope = {
            "deviceId": self._device_id,
            "event": webhook.event,
            "id": new_id(),
            "payload": payload,
            "webhookId": webhook.id,
        }
        return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()

    def _add(self, delivery: Delivery) -> None:
        if len(self._waiting) >= WAITING_MAX:
            self.given_up += 1
            return
        number = next(self._numbers)
        self._waiting[number] = delivery
        if self._session is not None:
            self._begin(number)

    def _begin(self, number: int) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(number), name="fake phone webhook")
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    async def _deliver(self, number: int) -> None:
        delivery = self._waiting[number]
        for retry in range(RETRIES_MAX + 1):
            if retry:
                await self._clock.sleep(RETRY_FIRST_S * 2.0 ** (retry - 1))
            is_taken = await self._is_taken(delivery)
            self.attempts += 1
            self._changed()
            if is_taken:
                self.delivered += 1
                break
        else:
            self.given_up += 1
        self._waiting.pop(number, None)
        self._changed()

    async def _is_taken(self, delivery: Delivery) -> bool:
        """One attempt. A phone that is out of the network has none that succeeds."""
        if self._session is None or self._faults.active("away") is not None:
            return False
        headers = {
            "Content-Type": "application/json; charset=UTF-8",
            "User-Agent": "me.capcom.smsgateway/1.0",
        }
        if delivery.key is not None:
            timestamp = str(int(self._clock.now().timestamp()))
            signed = delivery.body + timestamp.encode()
            headers["X-Timestamp"] = timestamp
            headers["X-Signature"] = hmac.new(delivery.key.encode(), signed, hashlib.sha256).hexdigest()
        try:
            async with (
                self._places,
                self._session.post(
                    delivery.url, data=delivery.body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


def new_id() -> str:
    """An id as the app makes them: 21 characters."""
    return "".join(random.choices(_ID_CHARACTERS, k=21))  # noqa: S311 - nothing is guarded by it


def _is_allowed(url: str) -> bool:
    """HTTPS to anywhere, or HTTP to the phone itself, which `adb reverse` may have led to another machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "127.0.0.1")
    )
