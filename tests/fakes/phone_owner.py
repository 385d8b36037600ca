"""What surrounds a fake phone in tests: a caller of its app, and a place to which its webhooks go."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from drivers.android.fake_smsgate import PASSWORD, SIGNING_KEY, USER, FakeSmsGate

TO = "+15551230000"


@dataclass(slots=True, frozen=True)
class Said:
    """An answer of the app."""

    status: int
    body: Any
    """Of JSON; None of anything else."""
    headers: dict[str, str]


class Caller:
    """Asks the app as a program does that knows its password."""

    def __init__(self, phone: FakeSmsGate, session: aiohttp.ClientSession) -> None:
        self._phone = phone
        self._session = session

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        password: str = PASSWORD,
        raw: bytes | None = None,
    ) -> Said:
        """One request; `body` as JSON, or `raw` bytes."""
        known = base64.b64encode(f"{USER}:{password}".encode()).decode()
        data = raw if body is None else json.dumps(body).encode()
        async with self._session.request(
            method, self._phone.url + path, data=data, headers={"Authorization": f"Basic {known}"}
        ) as answer:
            content = await answer.read()
            return Said(
                answer.status,
                json.loads(content) if answer.content_type == "application/json" else None,
                dict(answer.headers),
            )

    async def send(self, message_id: str, text: str = "Hello", **changes: Any) -> Said:
        """Have a message sent."""
        body = {"id": message_id, "textMessage": {"text": text}, "phoneNumbers": [TO], **changes}
        return await self.ask("POST", "/message", body)

    async def state(self, message_id: str) -> Any:
        """What the app says about a message."""
        return (await self.ask("GET", f"/message/{message_id}")).body


@asynccontextmanager
async def calling(phone: FakeSmsGate) -> AsyncGenerator[Caller]:
    """A caller, while its connections are open."""
    async with aiohttp.ClientSession() as session:
        yield Caller(phone, session)


@dataclass(slots=True, frozen=True)
class Event:
    """A webhook that came."""

    body: dict[str, Any]
    raw: bytes
    headers: dict[str, str]

    @property
    def is_signed(self) -> bool:
        """Whether its signature is right (the app's documentation of webhooks)."""
        signed = self.raw + self.headers.get("X-Timestamp", "").encode()
        right = hmac.new(SIGNING_KEY.encode(), signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(right, self.headers.get("X-Signature", ""))


@dataclass(slots=True)
class Place:
    """Where webhooks come in."""

    url: str = ""
    events: list[Event] = field(default_factory=list[Event])
    status: Callable[[], int] = lambda: 200
    """What the next one is answered with."""
    refused: int = 0

    def names(self) -> list[str]:
        """The events that came, in order."""
        return [event.body["event"] for event in self.events]

    async def take(self, request: web.Request) -> web.Response:
        """Take one, or refuse it."""
        status = self.status()
        if status >= 300:
            self.refused += 1
            return web.Response(status=status)
        raw = await request.read()
        self.events.append(Event(json.loads(raw), raw, dict(request.headers)))
        return web.Response(status=status)


@asynccontextmanager
async def webhook_place() -> AsyncGenerator[Place]:
    """A place on loopback to which a phone may send, as by way of `adb reverse`."""
    place = Place()
    application = web.Application()
    application.router.add_post("/hook", place.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    place.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield place
    finally:
        await runner.cleanup()
