"""The app's local server: its routes, its password, and what of a request goes wrong."""

import asyncio
import base64
import json
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC
from typing import Any, Protocol

from aiohttp import web

from drivers.android.fake_smsgate.app import App, between
from drivers.android.fake_smsgate.bodies import (
    BodyInvalid,
    message_of,
    page_of,
    period_of,
    wants_events,
)
from drivers.android.fake_smsgate.clock import PhoneClock
from drivers.android.fake_smsgate.outbox import IdTaken, OutboxFull
from drivers.android.fake_smsgate.values import AppKind, Heard, Received, Sim, State
from drivers.android.fake_smsgate.webhooks import WebhookInvalid
from drivers.fake_kit.faults import Faults

SHUTDOWN_S = 0.05
"""For requests that are being answered when the app dies; with 0 aiohttp would wait for ever."""
ACCEPT_TURNS = 4
"""Of the event loop, in which a connection that was taken comes to its protocol."""
BODY_BYTES_MAX = 1024 * 1024
WRONG_MAX, LOCK_S = 10, 300.0
"""So many wrong passwords in so many seconds, and for as many nobody is let in (the app's LoginThrottle)."""
BATTERY_WARN, BATTERY_FAIL = 25, 10
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Phone(Protocol):
    """What the server needs of the phone around the app."""

    @property
    def battery(self) -> int:
        """Percent."""
        ...

    @property
    def provider(self) -> list[Received]:
        """Android's own messages that came in, oldest first."""
        ...

    def sims(self) -> list[Sim]:
        """The SIMs that are there."""
        ...

    def heard(self, request: Heard) -> None:
        """A request has come."""
        ...

    async def until_fault_ends(self, name: str) -> None:
        """Wait until no fault of this name is in force."""
        ...


class Server:
    """Answers as the app does."""

    def __init__(self, app: App, phone: Phone, clock: PhoneClock, faults: Faults) -> None:
        self._app = app
        self._phone = phone
        self._clock = clock
        self._faults = faults
        self._wrong: list[float] = []
        self._locked_until = 0.0

    def application(self) -> web.Application:
        """The routes, for one start of the server."""
        application = web.Application(middlewares=[self._as_the_day_is], client_max_size=BODY_BYTES_MAX)
        router = application.router
        router.add_get("/health", self._health)
        router.add_get("/", self._root)
        router.add_get("/device", self._device)
        for path in ("/message", "/messages"):
            router.add_post(path, self._send)
            router.add_post(f"{path}/inbox/export", self._export)
            if self._app.identity.kind is AppKind.NEW:
                router.add_get(path, self._list)
            router.add_get(f"{path}/{{id}}", self._message)
        for path in ("/webhook", "/webhooks"):
            router.add_get(path, self._webhooks)
            router.add_post(path, self._register)
            router.add_delete(f"{path}/{{id}}", self._unregister)
        if self._app.identity.kind is AppKind.NEW:
            router.add_get("/inbox", self._inbox)
            router.add_get("/inbox/{id}", self._inbox_message)
            router.add_post("/inbox/refresh", self._refresh)
        return application

    @web.middleware
    async def _as_the_day_is(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Have the faults of the connection, ask for the password, and answer what is wrong with a request."""
        self._phone.heard(Heard(request.method, request.path, await request.read()))
        await self._phone.until_fault_ends("hang")
        if (slow := self._faults.active("slow")) is not None:
            await self._clock.sleep(slow.number("delay_s"))
        if (error := self._faults.take("error")) is not None:
            return _said("Something went wrong", int(error.number("status")))
        if request.path != "/health" and not self._is_known(request):
            realm = 'Basic realm="Access to SMS Gateway", charset=UTF-8'
            return web.Response(status=401, headers={"WWW-Authenticate": realm})
        try:
            answer = await handler(request)
        except (BodyInvalid, WebhookInvalid) as invalid:
            answer = _said(str(invalid), 400)
        answer.headers["Date"] = self._clock.now().astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return answer

    def _is_known(self, request: web.Request) -> bool:
        """Whether the password is right. After too many wrong ones nobody's is, for a while."""
        now = self._clock.monotonic()
        if now < self._locked_until:
            return False
        identity = self._app.identity
        known = base64.b64encode(f"{identity.user}:{identity.password}".encode()).decode()
        is_right = request.headers.get("Authorization", "") == f"Basic {known}"
        if is_right and self._faults.active("wrong_password") is None:
            self._wrong.clear()
            return True
        self._wrong = [at for at in self._wrong if now - at <= LOCK_S] + [now]
        if len(self._wrong) >= WRONG_MAX:
            self._locked_until = now + LOCK_S
            self._wrong.clear()
        return False

    async def _health(self, _: web.Request) -> web.Response:
        battery = self._phone.battery
        level = "fail" if battery < BATTERY_FAIL else "warn" if battery < BATTERY_WARN else "pass"
        failed = sum(message.state is State.FAILED for message in self._app.outbox.messages.values())
        checks = {
            "messages:failed": {
                "status": "warn" if failed else "pass",
                "observedValue": failed,
                "observedUnit": "messages",
                "description": "Failed messages for last hour",
            },
            "connection:status": {
                "status": "pass",
                "observedValue": 1,
                "observedUnit": "boolean",
                "description": "Internet connection status",
            },
            "battery:level": {
                "status": level,
                "observedValue": battery,
                "observedUnit": "percent",
                "description": "Battery level in percent",
            },
            "battery:charging": {
                "status": "pass",
                "observedValue": 0,
                "observedUnit": "flags",
                "description": "Is the phone charging?",
            },
        }
        worst = next(
            each for each in ("fail", "warn", "pass") if any(c["status"] == each for c in checks.values())
        )
        body = {"status": worst, "version": self._app.identity.version, "releaseId": 160, "checks": checks}
        return web.json_response(body, status=500 if worst == "fail" else 200)

    async def _root(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "model": "Fake phone"})

    async def _device(self, _: web.Request) -> web.Response:
        now = self._clock.shown(self._clock.now())
        device: dict[str, Any] = {
            "id": self._app.identity.device_id,
            "name": "Example/Fake phone",
            "createdAt": now,
            "updatedAt": now,
            "lastSeen": now,
        }
        if self._app.identity.kind is AppKind.NEW:
            device["simCards"] = [
                {
                    "slotIndex": sim.number - 1,
                    "simNumber": sim.number,
                    "phoneNumber": sim.phone_number,
                    "carrierName": sim.carrier,
                }
                for sim in self._phone.sims()
            ]
        return web.json_response([device])

    async def _send(self, request: web.Request) -> web.Response:
        body = await _json(request)
        message = message_of(body, request.query, self._clock.now(), self._app.identity.device_id)
        try:
            self._app.outbox.enqueue(message)
        except IdTaken:
            return _said("Message with the same ID already exists", 409)
        except OutboxFull:
            return _said("database or disk is full", 500)
        if self._faults.take("answer_lost") is not None and request.transport is not None:
            request.transport.abort()
        return web.json_response(self._app.shown(message), status=202)

    async def _message(self, request: web.Request) -> web.Response:
        message = self._app.outbox.messages.get(request.match_info["id"])
        return web.Response(status=404) if message is None else web.json_response(self._app.shown(message))

    async def _list(self, request: web.Request) -> web.Response:
        since, until, limit, offset = page_of(request.query, self._clock.now())
        state = request.query.get("state") or None
        if state is not None and state not in {*State}:
            raise BodyInvalid("Invalid state")
        if (order := request.query.get("sort", "-created_at")) not in {"created_at", "-created_at"}:
            raise BodyInvalid("Invalid sort")
        messages = self._app.outbox.messages.values()
        found = [
            message
            for message in (messages if order == "created_at" else reversed(messages))
            if (state is None or message.state == state)
            and (since is None or message.created_at >= since)
            and message.created_at <= until
        ]
        return web.json_response(
            [self._app.shown(message) for message in found[offset : offset + limit]],
            headers={"X-Total-Count": str(len(found))},
        )

    async def _inbox(self, request: web.Request) -> web.Response:
        since, until, limit, offset = page_of(request.query, self._clock.now())
        if request.query.get("type", "SMS") not in {"SMS", "DATA_SMS", "MMS", "MMS_DOWNLOADED"}:
            raise BodyInvalid("Invalid type")
        found = [message for message in self._app.inbox.values() if between(message, since, until)]
        if request.query.get("type", "SMS") != "SMS":
            found = []
        found.sort(key=lambda message: message.at, reverse=True)
        return web.json_response(
            [self._app.inbox_item(message) for message in found[offset : offset + limit]],
            headers={"X-Total-Count": str(len(found))},
        )

    async def _inbox_message(self, request: web.Request) -> web.Response:
        message = self._app.inbox.get(request.match_info["id"])
        if message is None:
            return web.Response(status=404)
        return web.json_response({**self._app.inbox_item(message), "attachments": []})

    async def _refresh(self, request: web.Request) -> web.Response:
        body = await _json(request)
        since, until = period_of(body)
        sends_events = wants_events(body)
        for message in self._phone.provider:
            if between(message, since, until):
                self._app.receive(message, sends_events=sends_events)
        return web.Response(status=202)

    async def _export(self, request: web.Request) -> web.Response:
        since, until = period_of(await _json(request))
        for message in self._phone.provider:
            if between(message, since, until):
                self._app.inbox[message.inbox_id] = message
                self._app.announce(message)
        return web.Response(status=202)

    async def _webhooks(self, _: web.Request) -> web.Response:
        return web.json_response([each.shown() for each in self._app.webhooks.registered.values()])

    async def _register(self, request: web.Request) -> web.Response:
        body = await _json(request)
        if not isinstance(body, dict):
            raise BodyInvalid("Invalid request body")
        return web.json_response(self._app.webhooks.register(body).shown(), status=201)

    async def _unregister(self, request: web.Request) -> web.Response:
        self._app.webhooks.registered.pop(request.match_info["id"], None)
        return web.Response(status=204)


class Listener:
    """The port at which the server is, or is not, reached."""

    def __init__(self, server: Server, host: str, port: int) -> None:
        self._server = server
        self._host = host
        self.port = port
        """0 until it is open for the first time; then the same for ever."""
        self._runner: web.AppRunner | None = None
        self._socket: socket.socket | None = None
        self._turn = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether the server is reached."""
        return self._runner is not None

    async def set_open(self, wanted: Callable[[], bool]) -> None:
        """Be open or closed as it is wanted when its turn has come. Raises OSError if the port is taken."""
        async with self._turn:
            if wanted() and self._runner is None:
                runner = web.AppRunner(
                    self._server.application(),
                    access_log=None,
                    shutdown_timeout=SHUTDOWN_S,
                    handle_signals=False,
                )
                await runner.setup()
                self._socket = socket.create_server((self._host, self.port))
                self.port = self._socket.getsockname()[1]
                await web.SockSite(runner, self._socket).start()
                self._runner = runner
            elif not wanted() and self._runner is not None:
                runner, self._runner = self._runner, None
                await self._end(runner)

    async def _end(self, runner: web.AppRunner) -> None:
        """Close the port and every connection.

        A connection that asyncio is just accepting when its server closes is lost to it and stays open (Python 3.11);
        so nothing is accepted any more some turns of the loop before.
        """
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
        for _ in range(ACCEPT_TURNS):
            await asyncio.sleep(0)
        await runner.cleanup()


async def _json(request: web.Request) -> object:
    try:
        return json.loads(await request.read())
    except ValueError:
        raise BodyInvalid("Invalid request body") from None


def _said(sentence: str, status: int) -> web.Response:
    return web.json_response({"message": sentence}, status=status)
