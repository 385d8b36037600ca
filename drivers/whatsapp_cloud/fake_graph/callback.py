"""The way of webhooks to the application: the handshake, signed deliveries, and again what was not answered with 200.

As Meta's "Webhooks: getting started" describes it. Deliveries go out one after the other, or several at the same time;
one that fails comes again later, behind others, so that the application sees them in another order than they happened.
"""

import asyncio
import hashlib
import hmac
import json
import secrets
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp

from drivers.whatsapp_cloud.fake_graph.changes import Changes
from drivers.whatsapp_cloud.fake_graph.fault_table import Occasion
from drivers.whatsapp_cloud.fake_graph.faults import Faults

WAITING_MAX = 100_000
"""Webhooks that wait; one more and the oldest is given up."""
ANSWER_TIMEOUT_S = 10.0
RETRY_S, RETRY_MAX_S = 0.2, 5.0
"""Before the first repetition, doubled before each further one. Meta waits longer, and goes on for up to 7 days."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One webhook on its way."""

    body: bytes
    is_repetition_wanted: bool = False
    """Whether it comes once more after it was answered with 200."""
    retry_s: float = 0.0


class Callback:
    """Has a queue of webhooks and one task that works it off. Made in the event loop."""

    def __init__(
        self,
        faults: Faults,
        changes: Changes,
        *,
        secret: str,
        verify_token: str,
        retry_s: float = RETRY_S,
    ) -> None:
        self._faults = faults
        self._changes = changes
        self._secret = secret
        self._verify_token = verify_token
        self._retry_s = retry_s
        self._waiting: deque[Delivery] = deque()
        self._later: set[asyncio.TimerHandle] = set()
        self._stirred = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self.at_once = 1
        """How many may be under way at the same time; one keeps their order, Meta does not."""
        self.url = ""
        """Of the application; empty: nothing is delivered."""
        self.is_verified = False
        self.is_paused = False
        self.delivered = 0
        self.repeated = 0
        self.given_up = 0
        self.when_sent: Callable[[], None] = lambda: None
        """Called before each webhook goes out."""
        self.last_answer = ""
        """What the application said last, for people: a status, or what kept it from being asked."""

    def start(self) -> None:
        """Begin to deliver."""
        self._task = asyncio.create_task(self._work(), name="webhooks of the fake Graph")

    async def close(self) -> None:
        """Deliver nothing any more."""
        for handle in self._later:
            handle.cancel()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for delivery in self._under_way:
            delivery.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)

    def subscribe(self, url: str) -> None:
        """Deliver to this URL from now on, once it answered the handshake."""
        self.url = url
        self.is_verified = False
        self._stirred.set()

    def pause(self) -> None:
        """Let webhooks wait."""
        self.is_paused = True

    def resume(self) -> None:
        """Let go what waits."""
        self.is_paused = False
        self._stirred.set()

    def send(self, notice: dict[str, Any]) -> None:
        """Have a webhook delivered, after those that wait."""
        self._put(Delivery(json.dumps(notice, separators=(",", ":")).encode()))

    def shuffle(self, chance: Random) -> None:
        """Put those that wait in another order."""
        waiting = list(self._waiting)
        chance.shuffle(waiting)
        self._waiting = deque(waiting)

    @property
    def waiting(self) -> int:
        """Webhooks that are not delivered yet."""
        return len(self._waiting) + len(self._later) + len(self._under_way)

    def _put(self, delivery: Delivery) -> None:
        if self.waiting >= WAITING_MAX:
            self.given_up += 1
            if not self._waiting:
                return
            self._waiting.popleft()
        self._waiting.append(delivery)
        self._stirred.set()

    async def _work(self) -> None:
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                is_full = len(self._under_way) >= self.at_once
                if not self.url or self.is_paused or not self._waiting or is_full:
                    self._stirred.clear()
                    await self._stirred.wait()
                elif not self.is_verified:
                    await self._verify(session)
                else:
                    delivery = asyncio.create_task(self._deliver(session, self._waiting.popleft()))
                    self._under_way.add(delivery)
                    delivery.add_done_callback(self._ended)
                self._changes.happened()

    def _ended(self, delivery: asyncio.Task[None]) -> None:
        self._under_way.discard(delivery)
        self._stirred.set()
        self._changes.happened()

    async def _verify(self, session: aiohttp.ClientSession) -> None:
        challenge = str(secrets.randbelow(10**9))
        query = {
            "hub.mode": "subscribe",
            "hub.challenge": challenge,
            "hub.verify_token": self._verify_token,
        }
        try:
            async with session.get(self.url, params=query, allow_redirects=False) as response:
                said = await response.content.read(1024)
                self.is_verified = response.status == 200 and said == challenge.encode()
                self.last_answer = f"{response.status} to the handshake"
        except (aiohttp.ClientError, TimeoutError) as error:
            self.last_answer = f"{type(error).__name__} at the handshake"
        if not self.is_verified:
            with suppress(TimeoutError):
                self._stirred.clear()
                await asyncio.wait_for(self._stirred.wait(), self._retry_s)

    async def _deliver(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        body, headers = delivery.body, {"Content-Type": "application/json"}
        fault = self._faults.at(Occasion.WEBHOOK)
        name = fault.name if fault else ""
        if name == "malformed":
            body = body[: len(body) // 2]
        secret = secrets.token_hex(16) if name == "wrong_signature" else self._secret
        if name != "no_signature":
            signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Hub-Signature-256"] = f"sha256={signature}"
        self.when_sent()
        delivery.is_repetition_wanted |= name == "webhook_doubled"
        try:
            async with session.post(self.url, data=body, headers=headers, allow_redirects=False) as response:
                is_taken = response.status == 200
                self.last_answer = str(response.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            is_taken = False
            self.last_answer = type(error).__name__
        if is_taken and not delivery.is_repetition_wanted:
            self.delivered += 1
            return
        self.repeated += 1
        if is_taken:
            delivery.is_repetition_wanted = False
            self._put(delivery)
        else:
            self._put_later(delivery)

    def _put_later(self, delivery: Delivery) -> None:
        delivery.retry_s = min(delivery.retry_s * 2 or self._retry_s, RETRY_MAX_S)

        def put() -> None:
            self._later.discard(handle)
            self._put(delivery)

        handle = asyncio.get_running_loop().call_later(delivery.retry_s, put)
        self._later.add(handle)
