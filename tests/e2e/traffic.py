"""Constant traffic on a gateway of many processes, and what must have become of it afterwards.

Owns what was posted and what was answered. Knows nothing of what happens to the gateway meanwhile.
"""

import asyncio
import contextlib
import json
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.e2e.kills.load import Api
from tests.e2e.kills.many import ManyProcesses
from tests.fakes.webhook_receiver import WebhookReceiver

TO = "+1234567890"
SETTLED_S_MAX = 120.0
EVENTS = ["message.sent", "message.delivered", "message.failed"]
POSTS_PER_S = 25.0
ACCEPTED = (200, 201)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: when it came (monotonic seconds), to what, and its status; 0: none came."""

    at: float
    what: str
    status: int


@dataclass(slots=True)
class Traffic:
    """Constant posts of idempotent messages, each made once, and reads beside them."""

    api: Api
    numbers: list[str]
    per_s: float = POSTS_PER_S
    posted: dict[str, str] = field(default_factory=dict[str, str])
    """Numbers that were to send, by externalId."""
    answers: list[Answered] = field(default_factory=list[Answered])
    accepted: dict[str, str] = field(default_factory=dict[str, str])
    """Message ids by externalId."""

    @classmethod
    def on(cls, many: ManyProcesses, *, per_s: float = POSTS_PER_S) -> "Traffic":
        """Traffic through the edge of a gateway, `per_s` posts a second."""
        return cls(Api.of(many.run()), [phone.number for phone in many.phones()], per_s)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Make traffic while the block runs; then wait for the answers."""
        stopping = asyncio.Event()
        async with self.api.session(answer_s=30) as session, asyncio.TaskGroup() as group:
            loop = group.create_task(self._loop(session, group, stopping))
            try:
                yield
            finally:
                stopping.set()
                await loop

    async def repeat_unanswered(self) -> int:
        """Post again what was not answered 2xx, as a careful client does; how many that were."""
        left = [each for each in self.posted.items() if each[0] not in self.accepted]
        async with self.api.session(answer_s=30) as session:
            for external_id, number in left:
                await self._post(session, number, external_id)
        return len(left)

    async def _loop(
        self, session: aiohttp.ClientSession, group: asyncio.TaskGroup, stopping: asyncio.Event
    ) -> None:
        number = 0
        while not stopping.is_set():
            number += 1
            sender = self.numbers[number % len(self.numbers)]
            group.create_task(self._post(session, sender, str(uuid.uuid4())))
            if number % 5 == 0:
                group.create_task(self._get(session))
            await asyncio.sleep(1 / self.per_s)

    async def _post(self, session: aiohttp.ClientSession, number: str, external_id: str) -> None:
        self.posted[external_id] = number
        document = {
            "to": TO,
            "from": number,
            "channel": "sms",
            "message": "Hello",
            "externalId": external_id,
        }
        status, answer = await _call(session.post(f"{self.api.url}/api/v1/messages", json=document))
        self.answers.append(Answered(time.monotonic(), "POST", status))
        if status in ACCEPTED:
            self.accepted[external_id] = answer["messageId"]

    async def _get(self, session: aiohttp.ClientSession) -> None:
        status, _ = await _call(session.get(f"{self.api.url}/api/v1/messages?limit=5"))
        self.answers.append(Answered(time.monotonic(), "GET", status))

    def first_accepted(self, after: float) -> float | None:
        """When the first post was accepted after a moment; None: not yet."""
        found = (
            each.at
            for each in self.answers
            if each.what == "POST" and each.status in ACCEPTED and each.at > after
        )
        return min(found, default=None)

    def failures(self) -> Counter[tuple[str, int]]:
        """Answers other than 2xx, by what was asked and the status."""
        return Counter((each.what, each.status) for each in self.answers if each.status not in ACCEPTED)


async def _call(request: Any) -> tuple[int, Any]:
    try:
        async with request as answer:
            return answer.status, await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return 0, None


@dataclass(slots=True)
class Told:
    """Of which messages a receiver was told that they were delivered."""

    receiver: WebhookReceiver
    _seen: int = 0
    _ids: set[str] = field(default_factory=set[str])

    def ids(self) -> set[str]:
        """Their ids by now."""
        for request in self.receiver.requests[self._seen :]:
            self._seen += 1
            if request.header("x-infini-reach-event") == "message.delivered":
                self._ids.add(json.loads(request.body)["data"]["messageId"])
        return self._ids


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, *, within_s: float = SETTLED_S_MAX
) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)


async def settled(many: ManyProcesses, made: Traffic, receiver: WebhookReceiver | None = None) -> None:
    """Every accepted message exists once, was sent once, is delivered, and was told of."""
    ids = set(made.accepted.values())
    assert len(ids) == len(made.accepted)

    async def delivered() -> bool:
        rows = await asyncio.to_thread(
            many.query, "SELECT id, state FROM message WHERE direction = 'outbound'"
        )
        states = dict(rows)
        return all(states.get(message_id) == "delivered" for message_id in ids)

    await until(delivered, "all are delivered")
    sent = Counter(entry["message_id"] for entry in many.radio())
    assert not {message_id: sent[message_id] for message_id in ids if sent[message_id] != 1}
    if receiver is not None:
        told = Told(receiver)

        async def all_are_told() -> bool:
            return ids <= told.ids()

        await until(all_are_told, "all are told of")
