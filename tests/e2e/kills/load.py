"""Constant traffic: posts, inbound messages, and a receiver that is sometimes unwell.

Owns what was attempted and what was answered. Posts with an externalId are repeated until they are answered 2xx, as a
careful client does; posts without one are made once.
"""

import asyncio
import contextlib
import json
import random
import ssl
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.e2e.kills.gateway import Phone
from tests.fakes.webhook_receiver import Connection, ReceivedRequest, Reply

PLAIN = "+1234567890"
SANDBOX = "+1500555{:04d}"
POSTS_PER_S = 40.0
INBOUND_PER_S = 4.0
ANSWER_S_MAX = 10.0
RETRY_S = 0.2
DESTINATIONS = {
    PLAIN: 60, SANDBOX.format(1): 4, SANDBOX.format(2): 4, SANDBOX.format(3): 4, SANDBOX.format(4): 4,
    SANDBOX.format(5): 3, SANDBOX.format(6): 4, SANDBOX.format(7): 1, SANDBOX.format(8): 4, SANDBOX.format(9): 4,
}  # fmt: skip


@dataclass(slots=True)
class Post:
    """One message that a client wants sent. `answers`: statuses in order, 0 for none; `ids`: what 2xx answers named."""

    body: dict[str, str]
    answers: list[int] = field(default_factory=list[int])
    ids: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Api:
    """Where the REST API is; over TLS where there is an edge."""

    url: str
    key: str
    ca: str = ""

    @classmethod
    def of(cls, run: dict[str, Any]) -> "Api":
        """The API that a run.json names."""
        return cls(run.get("restTls") or run["rest"], run["apiKey"], run.get("ca", ""))

    def trust(self) -> ssl.SSLContext | None:
        """What its certificate is checked with; None where it speaks no TLS."""
        return ssl.create_default_context(cafile=self.ca) if self.ca else None

    def session(self, *, answer_s: float = ANSWER_S_MAX) -> aiohttp.ClientSession:
        """A client of it."""
        return aiohttp.ClientSession(
            headers={"X-API-Key": self.key},
            timeout=aiohttp.ClientTimeout(total=answer_s),
            connector=aiohttp.TCPConnector(ssl=self.trust() or True),
        )

    async def create_webhook(self, url: str, events: Sequence[str]) -> str:
        """Have events posted there; the secret."""
        async with (
            self.session() as session,
            session.post(f"{self.url}/api/v1/webhooks", json={"url": url, "events": list(events)}) as answer,
        ):
            document: Any = await answer.json()
            assert answer.status == 201, document
            return document["webhook"]["secret"]


@dataclass(slots=True)
class Load:
    """The traffic of one run."""

    api: Api
    phones: Sequence[Phone]
    rng: random.Random
    posts: list[Post] = field(default_factory=list[Post])
    inbound: dict[str, bool] = field(default_factory=dict[str, bool])
    stopping: bool = False

    async def run(self) -> None:
        """Make traffic until `stopping`, then finish what is to be repeated."""
        async with self.api.session() as session, asyncio.TaskGroup() as group:
            group.create_task(self._inbound_loop())
            while not self.stopping:
                group.create_task(self._post(session))
                await asyncio.sleep(self.rng.expovariate(POSTS_PER_S))

    async def _post(self, session: aiohttp.ClientSession) -> None:
        post = Post(self._body())
        self.posts.append(post)
        while not await self._answered(session, post) and "externalId" in post.body:  # noqa: ASYNC110 - the gateway is asked again
            await asyncio.sleep(RETRY_S)

    def _body(self) -> dict[str, str]:
        destination = self.rng.choices(list(DESTINATIONS), list(DESTINATIONS.values()))[0]
        body = {
            "to": destination,
            "from": self.rng.choice(self.phones).number,
            "channel": self.rng.choice(("sms", "sms", "whatsapp")),
            "message": self.rng.choice(("Hello", "Grüße 漢字", "long " * 90)),
        }
        if self.rng.random() < 0.85:
            body["externalId"] = str(uuid.UUID(int=self.rng.getrandbits(128)))
        return body

    async def _answered(self, session: aiohttp.ClientSession, post: Post) -> bool:
        try:
            async with session.post(f"{self.api.url}/api/v1/messages", json=post.body) as answer:
                document: Any = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            post.answers.append(0)
            return False
        post.answers.append(answer.status)
        if answer.status not in (200, 201):
            return False
        post.ids.append(document["messageId"])
        return True

    async def _inbound_loop(self) -> None:
        while not self.stopping:
            body = f"inbound {len(self.inbound)}"
            self.inbound[body] = False
            # One that was cut off may have been taken: a phone does not send again, so neither does this.
            with contextlib.suppress(OSError, ValueError, TimeoutError):
                async with asyncio.timeout(ANSWER_S_MAX):
                    self.inbound[body] = await _inject(self.rng.choice(self.phones), body)
            await asyncio.sleep(self.rng.expovariate(INBOUND_PER_S))


async def _inject(phone: Phone, body: str) -> bool:
    reader, writer = await asyncio.open_unix_connection(phone.control)
    try:
        request = {"inbound": {"from": "+19995550123", "to": phone.number, "body": body, "channel": "sms"}}
        writer.write(json.dumps(request).encode() + b"\n")
        await writer.drain()
        return bool(json.loads(await reader.readline())["ok"])
    finally:
        writer.close()


@dataclass(slots=True)
class MoodyReceiver:
    """Answers most webhooks 200, some 500, and hangs up on a few."""

    rng: random.Random
    well: bool = False

    async def __call__(self, request: ReceivedRequest, connection: Connection) -> None:
        """One request."""
        mood = 1.0 if self.well else self.rng.random()
        if mood < 0.02:
            connection.close()
        else:
            await Reply(status=500 if mood < 0.06 else 200)(request, connection)
