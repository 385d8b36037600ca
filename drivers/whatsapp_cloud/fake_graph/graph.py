"""The fake Graph: its HTTP side, and what a test or a person can do to it while it runs.

Owns the listener, the tokens and the answers. What is accepted and what becomes of it is decided in `acceptance`.
"""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Self

from aiohttp import web

from drivers.whatsapp_cloud.fake_graph.acceptance import TAKEN_MAX, Acceptance, Rules, Taken
from drivers.whatsapp_cloud.fake_graph.callback import RETRY_S, Callback
from drivers.whatsapp_cloud.fake_graph.changes import Changes
from drivers.whatsapp_cloud.fake_graph.checking import Posted, Template, check
from drivers.whatsapp_cloud.fake_graph.clock import Clock
from drivers.whatsapp_cloud.fake_graph.fault_table import Occasion
from drivers.whatsapp_cloud.fake_graph.faults import Fault, Faults
from drivers.whatsapp_cloud.fake_graph.misbehaviour import ANSWERS, answer_of, wait
from drivers.whatsapp_cloud.fake_graph.notices import Inbound, Number, inbound
from drivers.whatsapp_cloud.fake_graph.refusals import Refused, Trouble

NUMBER = Number("+15559876543", "100000000000001")
APP_SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of no application
VERIFY_TOKEN = "fake-graph"  # noqa: S105 - of no application
BODY_BYTES_MAX = 1024 * 1024


@dataclass(slots=True, frozen=True)
class Credentials:
    """What application and Graph know each other by."""

    app_secret: str = APP_SECRET
    """Signs webhooks."""
    verify_token: str = VERIFY_TOKEN
    """Is told in the handshake."""
    token: str = ""
    """Valid at the start; empty: one that nobody has."""


class FakeGraph:
    """One application at Meta with its numbers. Make it in the event loop; `async with FakeGraph() as graph:` opens it.

    Nothing of it is reachable from other machines. Everything it takes and gives is in memory.
    """

    def __init__(
        self,
        *,
        numbers: Sequence[Number] = (NUMBER,),
        templates: Sequence[Template] = (),
        rules: Rules | None = None,
        callback_url: str = "",
        credentials: Credentials = Credentials(),
        port: int = 0,
        retry_s: float = RETRY_S,
    ) -> None:
        """It knows the template `hello_world` in en_US and `templates`. `port` 0: any that is free.

        `retry_s` is the wait before a webhook that was not answered with 200 comes again; it doubles.
        """
        self.numbers = {number.phone_number_id: number for number in numbers}
        self.templates = {(each.name, each.language): each for each in (Template("hello_world"), *templates)}
        self.credentials = credentials
        self.token = credentials.token or new_token()
        """The newest token; it is the only one that is valid, unless it was revoked."""
        self.is_token_valid = True
        self.clock = Clock()
        self.faults = Faults()
        self._changes = Changes()
        self.callback = Callback(
            self.faults,
            self._changes,
            secret=credentials.app_secret,
            verify_token=credentials.verify_token,
            retry_s=retry_s,
        )
        self.callback.url = callback_url
        self.requests = 0
        """Posts of messages, refused ones included."""
        self.posted: deque[str | None] = deque(maxlen=TAKEN_MAX)
        """The callback data of each message that was posted in the right form, whatever became of it."""
        self.when_accepted: Callable[[Taken], None] = lambda taken: None
        """Called with each message that is accepted, before it is answered."""
        self._acceptance = Acceptance(
            self.clock, self.faults, self.callback, changes=self._changes, rules=rules or Rules()
        )
        self._port = port
        self._runner: web.AppRunner | None = None
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Listen on 127.0.0.1. Raises OSError."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_post("/{version:v[0-9]+\\.[0-9]+}/{id}/messages", self._guarded(self._messages))
        app.router.add_get("/{version:v[0-9]+\\.[0-9]+}/{id}", self._guarded(self._number))
        app.router.add_route("*", "/{rest:.*}", self._guarded(_unknown_path))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self.callback.start()

    async def close(self) -> None:
        """Take the listener away, and everything that was still to happen."""
        self._stopping.set()
        self._acceptance.close()
        await self.callback.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """What takes the place of https://graph.facebook.com."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def number(self) -> Number:
        """The first number."""
        return next(iter(self.numbers.values()))

    @property
    def taken(self) -> list[Taken]:
        """The messages that were accepted, in their order."""
        return list(self._acceptance.taken)

    @property
    def rules(self) -> Rules:
        """What is accepted and what becomes of it; may be changed at any time."""
        return self._acceptance.rules

    def revoke_token(self) -> None:
        """No token is valid any more."""
        self.is_token_valid = False

    def new_token(self) -> str:
        """A new token; those before are not valid any more."""
        self.token = new_token()
        self.is_token_valid = True
        return self.token

    def subscribe(self, callback_url: str) -> None:
        """Deliver webhooks to this URL from now on, once it answered the handshake."""
        self.callback.subscribe(callback_url)

    def pause_webhooks(self) -> None:
        """Let webhooks wait."""
        self.callback.pause()

    def resume_webhooks(self, *, shuffled: Random | None = None) -> None:
        """Let go the webhooks that wait; in an order by chance if there is one."""
        if shuffled is not None:
            self.callback.shuffle(shuffled)
        self.callback.resume()

    def inbound(self, told: Inbound | str, *, text: str = "", to: str = "") -> str:
        """Have a user write, which opens the window for a day; the id of the message.

        `told` may be the sender, who then writes `text`. `to` is one of our numbers, E.164; empty: the first one.
        """
        if isinstance(told, str):
            told = Inbound(told, text=text)
        message_id = self._acceptance.new_id()
        self._acceptance.open_window(told.sender.lstrip("+"))
        self.callback.send(inbound(self.number_of(to), told, message_id=message_id, at=self.clock.now()))
        return message_id

    def number_of(self, number: str) -> Number:
        """The number of ours that is written so; empty: the first one. Raises KeyError."""
        if not number:
            return self.number
        return {each.number: each for each in self.numbers.values()}[number]

    def report(
        self,
        message_id: str,
        name: str,
        *,
        code: int = 0,
        callback_data: str | None = None,
        number: Number | None = None,
    ) -> None:
        """Have a status go out that nothing is behind: of any id, of any number, with any callback data.

        Of a message that was taken the rest is filled in. `code` is the error of a status `failed`.
        """
        self._acceptance.report(
            message_id,
            name,
            trouble=Trouble(code) if code else None,
            callback_data=callback_data,
            number=number or self.number,
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds. It is asked whenever a message was posted or a webhook was answered."""
        await self._changes.until(condition)

    def _guarded(
        self, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """With refusals turned into answers."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                return await answer(request)
            except Refused as refused:
                return answer_of(refused.trouble)

        return guarded

    async def _number(self, request: web.Request) -> web.StreamResponse:
        self._check_token(request)
        number = self._number_in(request)
        fields: dict[str, Any] = {
            "verified_name": "Infini Reach",
            "code_verification_status": "VERIFIED",
            "display_phone_number": number.number,
            "quality_rating": "GREEN",
            "platform_type": "CLOUD_API",
            "throughput": {"level": "STANDARD"},
        }
        if wanted := request.query.get("fields"):
            fields = {name: value for name, value in fields.items() if name in wanted.split(",")}
        return web.json_response({**fields, "id": number.phone_number_id})

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self._changes.happened()
        self._check_token(request)
        number = self._number_in(request)
        try:
            body: Any = json.loads(await request.read())
        except ValueError:
            raise Refused(100, "The body is not JSON.") from None
        posted = check(body, self.templates)
        if posted.recipient == number.number.lstrip("+"):
            raise Refused(131021, "The recipient is the number that sends.")
        self.posted.append(posted.callback_data)
        self._changes.happened()
        fault = self.faults.at(Occasion.REQUEST, posted.recipient)
        if fault is not None and not fault.parameters.get("taken", fault.name == "slow"):
            return await self._misbehave(request, fault)
        taken = self._acceptance.accept(number, posted)
        self.when_accepted(taken)
        await self._acceptance.before_answer(taken)
        if fault is not None:
            # What becomes of a message does not wait for an answer that is late or never comes.
            self._acceptance.follow(taken)
            if fault.name != "slow":
                return await self._misbehave(request, fault)
            await wait(self._stopping, fault.number("delay_s"))
        response = web.json_response(_accepted(taken, posted))
        # Whoever has hung up meanwhile has sent the message all the same.
        with suppress(ConnectionError):
            await response.prepare(request)
            await response.write_eof()
        if fault is None:
            self._acceptance.follow(taken)
        return response

    async def _misbehave(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if "hang_s" in fault.parameters:
            await wait(self._stopping, fault.number("hang_s"))
        return await ANSWERS[fault.name](request, fault)

    def _number_in(self, request: web.Request) -> Number:
        number = self.numbers.get(request.match_info["id"])
        if number is None:
            raise Refused(
                100,
                "Object with this ID does not exist, cannot be loaded due to missing permissions, or does not "
                "support this operation.",
                subcode=33,
            )
        return number

    def _check_token(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise Refused(190, "An access token is required to request this resource.")
        if not self.is_token_valid or token != self.token:
            raise Refused(190, "The access token is no longer valid.", subcode=463)


async def _unknown_path(_: web.Request) -> web.StreamResponse:
    raise Refused(100, "Unknown path components.", status=404)


def _accepted(taken: Taken, posted: Posted) -> dict[str, Any]:
    contact = {"input": posted.to, "user_id" if posted.is_user_id else "wa_id": posted.recipient}
    return {
        "messaging_product": "whatsapp",
        "contacts": [contact],
        "messages": [{"id": taken.id}],
    }


def new_token() -> str:
    """One that nobody has."""
    return "EAA" + secrets.token_hex(24)
