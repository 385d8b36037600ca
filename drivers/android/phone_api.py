"""The app's local HTTP interface: one method for each request, answers checked and given as values.

Owns paths, forms and limits; decides nothing. Source: the app's documentation (local server, reading messages, health,
webhooks) and its source where that is silent. Versions differ in what they have; None says that this one has it not.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from drivers.android.config import PhoneConfig
from drivers.android.states import DELIVERED, SENT, MessageState

ANSWER_BYTES_MAX = 4_000_000
CONNECT_S = 5.0
ANSWER_S = 10.0
"""For a whole answer: a phone that dozes takes seconds to wake."""
CONNECTIONS_MAX = 4
NOT_THERE = (404, 405)


class PhoneAway(Exception):
    """There was no answer."""

    def __init__(
        self, *, is_refused: bool = False, is_untouched: bool = False, is_late: bool = False
    ) -> None:
        super().__init__("the phone does not answer")
        self.is_late = is_late
        """It was waited for, for as long as one waits."""
        self.is_refused = is_refused
        """The phone is there and nothing listens on the port."""
        self.is_untouched = is_untouched
        """Certainly nothing of the request arrived."""


class PhoneRefused(Exception):
    """The phone answered that it will not."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the phone answers {status}")
        self.status = status


class NotTheApp(Exception):
    """Something answers, and not as the app does."""


@dataclass(slots=True, frozen=True)
class Health:
    """What `GET /health` tells."""

    version: str
    battery_percent: int
    """-1 if unknown."""
    is_charging: bool
    clock_ahead_s: float
    """How far the phone's clock is ahead of ours."""
    failing: tuple[str, ...] = ()
    """The names of checks that the app itself calls failed."""


@dataclass(slots=True, frozen=True)
class Sim:
    """A SIM in the phone."""

    slot: int
    """From 1."""
    number: str = ""
    """Empty where Android does not tell."""
    carrier: str = ""


@dataclass(slots=True, frozen=True)
class Outgoing:
    """A message to hand to the phone."""

    message_id: str
    text: str
    destination: str
    sim: int
    wants_report: bool
    ttl_s: int | None
    """Seconds for which the phone may still send it. A span, so that the phone's clock need not be right."""


@dataclass(slots=True, frozen=True)
class Received:
    """A message that came in."""

    source: str
    text: str
    at_s: int
    """When the message centre says that it was sent, in seconds since 1970."""
    sim: int | None
    recipient: str = ""


class PhoneApi:
    """One phone's app. Every method may raise PhoneAway, PhoneRefused and NotTheApp."""

    def __init__(self, config: PhoneConfig) -> None:
        self._url = config.url
        self._session = aiohttp.ClientSession(
            headers={"Authorization": aiohttp.encode_basic_auth(config.user, config.password, "utf-8")},
            timeout=aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=CONNECT_S),
            # A connection of its own for each request: "not connected" then means "nothing arrived".
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, force_close=True),
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """End what runs."""
        await self._session.close()

    async def health(self, *, wall_s: float) -> Health:
        """How the phone is; `wall_s` is what time it is here."""
        status, headers, body = await self._request("GET", "/health")
        # The app answers 500 if one of its checks fails, and tells which one all the same.
        if status not in (200, 500) or not isinstance(body, dict) or "status" not in body:
            raise NotTheApp
        told = body.get("checks")
        checks = {n: check for n, check in told.items() if _is(check)} if isinstance(told, dict) else {}
        battery, charging = (_number(checks, name) for name in ("battery:level", "battery:charging"))
        return Health(
            version=str(body.get("version", ""))[:64],
            battery_percent=battery if battery is not None and 0 <= battery <= 100 else -1,
            is_charging=bool(charging),
            clock_ahead_s=_clock_s(headers, wall_s) - wall_s,
            failing=tuple(name for name, check in checks.items() if check.get("status") == "fail"),
        )

    async def sims(self) -> list[Sim] | None:
        """The SIMs in it; None if the app does not tell. Tells a wrong password too."""
        try:
            devices = await self._ask("GET", "/device")
        except PhoneRefused as refused:
            if refused.status not in NOT_THERE:
                raise
            await self.webhooks()
            return None
        cards = (
            devices[0].get("simCards") if isinstance(devices, list) and devices and _is(devices[0]) else None
        )
        if not isinstance(cards, list):
            return None
        return [
            Sim(card["simNumber"], _text(card, "phoneNumber"), _text(card, "carrierName"))
            for card in cards
            if _is(card) and isinstance(card.get("simNumber"), int)
        ]

    async def submit(self, message: Outgoing) -> None:
        """Hand over a message. Returns if the phone has it, also if it had it before."""
        try:
            await self._ask("POST", "/message", {"skipPhoneValidation": "true"}, form_of(message))
        except PhoneRefused as refused:
            if refused.status != 409:
                raise

    async def message(self, message_id: str) -> MessageState | None:
        """What became of a message; None if the phone does not know it."""
        try:
            return _state(await self._ask("GET", f"/message/{message_id}"))
        except PhoneRefused as refused:
            if refused.status == 404:
                return None
            raise

    async def messages(self, *, since_s: float, until_s: float, limit: int) -> dict[str, MessageState] | None:
        """The newest of what was given to it in a time by its own clock, by id; None if it has no such list."""
        query = {"from": _time(since_s), "to": _time(until_s), "limit": str(limit)}
        found = await self._list("/messages", query)
        return None if found is None else {_text(each, "id"): _state(each) for each in found}

    async def inbox(
        self, *, since_s: float, until_s: float, limit: int, offset: int
    ) -> list[Received] | None:
        """A page of what came in, by the time of the message centre; None if it has no such list."""
        query = {"type": "SMS", "from": _time(since_s), "to": _time(until_s)}
        found = await self._list("/inbox", query | {"limit": str(limit), "offset": str(offset)})
        if found is None:
            return None
        return [read for each in found if (read := received(each, "contentPreview", "createdAt")) is not None]

    async def refresh_inbox(self, *, since_s: float, until_s: float) -> bool:
        """Have it look for what came in while the app was not running; False if it cannot."""
        # Versions differ in how they are told not to call webhooks for it.
        quiet = {"triggerWebhooks": False, "webhookDelivery": "Disabled"}
        return await self._has_done("/inbox/refresh", _period(since_s, until_s) | quiet)

    async def export_inbox(self, *, since_s: float, until_s: float) -> bool:
        """Have an older version call its webhooks again for what came in; False if it cannot."""
        return await self._has_done("/messages/inbox/export", _period(since_s, until_s))

    async def webhooks(self) -> list[dict[str, str]]:
        """The webhooks that are registered: id, url and event of each."""
        found = await self._ask("GET", "/webhooks")
        if not isinstance(found, list):
            raise NotTheApp
        return [{key: _text(each, key) for key in ("id", "url", "event")} for each in found if _is(each)]

    async def register(self, *, webhook_id: str, url: str, event: str) -> None:
        """Have it call for an event, in place of what had this id before."""
        await self._ask("POST", "/webhooks", None, {"id": webhook_id, "url": url, "event": event})

    async def _list(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]] | None:
        try:
            found = await self._ask("GET", path, query)
        except PhoneRefused as refused:
            if refused.status in NOT_THERE:
                return None
            raise
        if not isinstance(found, list):
            raise NotTheApp
        return [each for each in found if _is(each)]

    async def _has_done(self, path: str, form: Mapping[str, Any]) -> bool:
        try:
            await self._ask("POST", path, None, form)
        except PhoneRefused as refused:
            if refused.status in NOT_THERE:
                return False
            raise
        return True

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, Any] | None = None,
    ) -> Any:
        status, _, body = await self._request(method, path, query, form)
        if not 200 <= status < 300:
            raise PhoneRefused(status)
        return body

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, Any] | None = None,
    ) -> tuple[int, Mapping[str, str], Any]:
        try:
            async with self._session.request(
                method, self._url + path, params=query, json=form, allow_redirects=False
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAX:
                        raise NotTheApp
                return response.status, response.headers, _json(bytes(body), response.status)
        except aiohttp.ClientConnectorError as error:
            is_refused = isinstance(error.os_error, ConnectionRefusedError)
            raise PhoneAway(is_refused=is_refused, is_untouched=True) from None
        except aiohttp.ConnectionTimeoutError:
            raise PhoneAway(is_untouched=True, is_late=True) from None
        except TimeoutError:
            raise PhoneAway(is_late=True) from None
        except (aiohttp.ClientError, OSError):
            raise PhoneAway from None


def form_of(message: Outgoing) -> dict[str, Any]:
    """A message as the app wants it."""
    form: dict[str, Any] = {
        "id": message.message_id,
        "textMessage": {"text": message.text},
        "phoneNumbers": [message.destination],
        "simNumber": message.sim,
        "withDeliveryReport": message.wants_report,
    }
    return form if message.ttl_s is None else form | {"ttl": message.ttl_s}


def received(item: Mapping[str, Any], text_key: str, time_key: str) -> Received | None:
    """A message that came in, as a list or a webhook tells it; None if it is none."""
    source = _text(item, "sender") or _text(item, "phoneNumber")
    try:
        at = datetime.fromisoformat(_text(item, time_key))
    except ValueError:
        return None
    if not source or not isinstance(item.get(text_key), str):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    sim = item.get("simNumber")
    return Received(
        source=source,
        text=item[text_key],
        at_s=int(at.timestamp()),
        sim=sim if type(sim) is int else None,
        recipient=_text(item, "recipient"),
    )


def _json(body: bytes, status: int) -> Any:
    try:
        return json.loads(body) if body.strip() else None
    except (ValueError, RecursionError):
        if 200 <= status < 300:
            raise NotTheApp from None
        return None


def _state(item: Any) -> MessageState:
    recipients = item.get("recipients") if _is(item) else None
    first = recipients[0] if isinstance(recipients, list) and recipients and _is(recipients[0]) else {}
    state = _text(item, "state") if _is(item) else ""
    if not state:
        raise NotTheApp
    # One recipient for each message, so its own state is the message's, and newer if they differ.
    state = _text(first, "state") or state
    if state == SENT and _is(item.get("states")) and DELIVERED in item["states"]:
        # A report that was faster than the news that it was sent, which the app then put in its place.
        state = DELIVERED
    return MessageState(state, _text(first, "error"))


def _is(item: Any) -> bool:
    return isinstance(item, dict)


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


def _number(checks: Mapping[str, dict[str, Any]], name: str) -> int | None:
    value = checks.get(name, {}).get("observedValue")
    return int(value) if isinstance(value, (int, float)) else None


def _clock_s(headers: Mapping[str, str], wall_s: float) -> float:
    try:
        return parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (TypeError, ValueError):
        return wall_s


def _time(seconds: float) -> str:
    """As the app reads times: milliseconds and a zone."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _period(since_s: float, until_s: float) -> dict[str, Any]:
    return {"since": _time(since_s), "until": _time(until_s)}
