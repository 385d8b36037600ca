"""An application at Meta: the receiver of its webhooks, and requests as it makes them."""

import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web

from drivers.whatsapp_cloud.fake_graph import APP_SECRET, VERIFY_TOKEN, FakeGraph

USER = "+15551230000"


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook."""

    body: bytes
    signature: str | None

    @property
    def is_signed(self) -> bool:
        """Whether the signature is that of the application's secret over the bytes."""
        expected = hmac.new(APP_SECRET.encode(), self.body, hashlib.sha256).hexdigest()
        return self.signature == f"sha256={expected}"

    @property
    def value(self) -> dict[str, Any]:
        """Of its only change."""
        [entry] = json.loads(self.body)["entry"]
        [change] = entry["changes"]
        assert change["field"] == "messages"
        return change["value"]

    @property
    def statuses(self) -> list[str]:
        """The names of the statuses in it."""
        return [each["status"] for each in self.value.get("statuses", [])]


async def _nothing() -> None:
    pass


@dataclass(slots=True)
class Application:
    """Answers the handshake and takes webhooks."""

    answers: list[int] = field(default_factory=list[int])
    """The statuses of the next answers; 200 when there is none left."""
    received: list[Received] = field(default_factory=list[Received])
    before_answer: Callable[[], Awaitable[object]] = _nothing
    """Awaited before a webhook is answered."""
    handshakes: int = 0
    knows_token: str = VERIFY_TOKEN
    url: str = ""

    async def verify(self, request: web.Request) -> web.Response:
        """The handshake."""
        self.handshakes += 1
        if request.query["hub.mode"] != "subscribe" or request.query["hub.verify_token"] != self.knows_token:
            return web.Response(status=403)
        return web.Response(text=request.query["hub.challenge"])

    async def take(self, request: web.Request) -> web.Response:
        """A webhook."""
        body = await request.read()
        self.received.append(Received(body, request.headers.get("X-Hub-Signature-256")))
        await self.before_answer()
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    @property
    def statuses(self) -> list[str]:
        """The names of all statuses, in the order in which they came."""
        return [name for each in self.received for name in each.statuses]


@asynccontextmanager
async def application() -> AsyncGenerator[Application]:
    """One that listens."""
    made = Application()
    app = web.Application()
    app.router.add_get("/hook", made.verify)
    app.router.add_post("/hook", made.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield made
    finally:
        await runner.cleanup()


@dataclass(frozen=True, slots=True)
class Answer:
    """What Graph said."""

    status: int
    body: Any

    @property
    def code(self) -> int:
        """Of its error object."""
        return self.body["error"]["code"]

    @property
    def id(self) -> str:
        """Of the message that it accepted."""
        return self.body["messages"][0]["id"]


class Caller:
    """Posts messages."""

    def __init__(self, graph: FakeGraph) -> None:
        self.graph = graph
        self.token = graph.token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def post(self, body: Any, *, phone_number_id: str = "") -> Answer:
        """Post a body as it is."""
        assert self._session is not None
        url = f"{self.graph.url}/v25.0/{phone_number_id or self.graph.number.phone_number_id}/messages"
        async with self._session.post(
            url, json=body, headers={"Authorization": f"Bearer {self.token}"}, allow_redirects=False
        ) as response:
            data = await response.read()
            try:
                return Answer(response.status, json.loads(data))
            except ValueError:
                return Answer(response.status, None)

    async def text(self, to: str | None = USER, **changes: Any) -> Answer:
        """Post a text; a change to None leaves the field out."""
        return await self.post(text_to(to, **changes))

    async def get(self, path: str) -> Answer:
        """What there is at a path."""
        assert self._session is not None
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self._session.get(f"{self.graph.url}{path}", headers=headers) as response:
            return Answer(response.status, await response.json())


def text_to(to: str | None = USER, **changes: Any) -> dict[str, Any]:
    """The body of a text."""
    body = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": to,
        "type": "text",
        "text": {"preview_url": False, "body": "Hello"},
        "biz_opaque_callback_data": "command-1",
    } | changes
    return {name: value for name, value in body.items() if value is not None}
