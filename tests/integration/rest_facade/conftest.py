"""A facade on a free port in front of a stub core, both real servers in the test's own event loop."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import uvloop

from rest_facade import config
from rest_facade.auth import Caller
from rest_facade.server import Facade
from tests.integration.rest_facade.stub_core import StubCore
from tests.integration.rest_facade.stub_world import CREDENTIAL, NUMBER, World

MESSAGE = {"to": "+1234567890", "message": "Hello", "from": NUMBER, "channel": "sms"}


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop that the facade runs in."""
    return {"uvloop": uvloop.new_event_loop}


class LoggedRequests(list[dict[str, Any]]):
    """What the facade logged, a record for each request."""

    def __call__(
        self, caller: Caller, request_id: str, /, *, route: str, status: int, duration_s: float
    ) -> None:
        self.append({"route": route, "status": status, "request_id": request_id, "caller": caller})


@dataclass
class Answer:
    """An answer, read."""

    status: int
    headers: Any
    body: bytes
    json: Any


class Api:
    """A client of the facade under test."""

    def __init__(
        self, session: aiohttp.ClientSession, world: World, *, port: int, log: LoggedRequests
    ) -> None:
        self.session = session
        self.world = world
        self.port = port
        self.log = log

    async def call(self, method: str, path: str, *, key: str | None = "key-of-a", **options: Any) -> Answer:
        """Make a request and read its answer."""
        headers = {} if key is None else {"X-API-Key": key}
        headers.update(options.pop("headers", {}))
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, headers=headers, **options) as response:
            body = await response.read()
            is_json = body and "json" in response.headers.get("content-type", "")
            return Answer(response.status, response.headers, body, json.loads(body) if is_json else None)

    async def post_raw(
        self, body: bytes | io.BytesIO, path: str = "/api/v1/messages", **options: Any
    ) -> Answer:
        """Post bytes as JSON."""
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        return await self.call("POST", path, data=body, headers=headers, **options)

    async def exchange(self, *parts: bytes) -> bytes:
        """Write bytes to a connection of their own and read until the facade closes it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for part in parts:
            writer.write(part)
            await writer.drain()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def send(self, **changes: Any) -> Answer:
        """Send the usual message, changed."""
        return await self.call("POST", "/api/v1/messages", json={**MESSAGE, **changes})


Start = Callable[..., Awaitable[Api]]


@pytest.fixture
async def core() -> AsyncIterator[StubCore]:
    """A stub core that listens."""
    stub = StubCore()
    await stub.start()
    yield stub
    await stub.stop()


@pytest.fixture
async def start(core: StubCore) -> AsyncIterator[Start]:
    """Starts a facade with settings of the test's own; stops it afterwards."""
    async with AsyncExitStack() as stack:

        async def begin(**settings: Any) -> Api:
            given: dict[str, Any] = {
                "port": 0,
                "core_address": f"127.0.0.1:{core.port}",
                "service_credential": CREDENTIAL,
                "failed_auth_per_minute": 1_000_000,
            }
            log = LoggedRequests()
            facade = Facade(config.Settings(**{**given, **settings}), log)
            await facade.start()
            stack.push_async_callback(facade.stop)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Api(session, core.world, port=facade.port, log=log)

        yield begin


@pytest.fixture
async def api(start: Start) -> Api:
    """A facade with the usual settings."""
    return await start()
