"""Meta's Graph API over HTTPS: what was asked, and how certain it is what became of it.

Owns the connections and the four ways in which a request can end. Never follows a redirect, never asks twice by itself,
never reads more of an answer than ANSWER_BYTES_MAX.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from drivers.whatsapp_cloud.config import GraphConfig, NumberConfig
from drivers.whatsapp_cloud.errors import TOO_MANY_REQUESTS
from drivers.whatsapp_cloud.fields import code_in, object_in, text_in

ANSWER_BYTES_MAX = 64 * 1024
CONNECT_S = 10.0
"""Most seconds for name, connection and TLS."""
CONNECT_SHARE = 0.5
"""Most of `timeout_s` that they may take: until they are done nothing was sent, and that is to be known."""
IDLE_S = 10.0
"""Seconds for which a connection is kept: one that Meta closes just as it is used makes an outcome unknown."""
RETRY_AFTER_MAX_S = 3600.0
DETAILS_CHARACTERS_MAX = 300


@dataclass(slots=True, frozen=True)
class Answered:
    """Graph answered with what was asked for."""

    document: dict[str, Any]


@dataclass(slots=True, frozen=True)
class Refused:
    """Graph answered with an error object; `errors` says whether that proves that it did not take the message."""

    code: int
    http_status: int
    details: str = ""
    """What Meta says of it; may hold anything."""
    retry_after_s: float | None = None


@dataclass(slots=True, frozen=True)
class NotSent:
    """There was no connection, so certainly nothing was sent."""

    detail: str


@dataclass(slots=True, frozen=True)
class Lost:
    """The request may have been sent, and there is no answer that says what came of it."""

    detail: str


Result = Answered | Refused | NotSent | Lost


class Graph:
    """Connections to Graph, shared by all numbers. Open it in the event loop."""

    def __init__(self, config: GraphConfig) -> None:
        self._base = f"{config.url}/{config.version}"
        self._timeout_s = config.timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make it usable. Connects to nothing yet."""
        connect_s = min(CONNECT_S, self._timeout_s * CONNECT_SHARE)
        self._session = aiohttp.ClientSession(
            # How many there are is for the numbers to say: a wait for one would be taken for a connection that failed.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S),
            timeout=aiohttp.ClientTimeout(total=None, connect=connect_s),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def post_message(self, number: NumberConfig, body: bytes) -> Result:
        """Ask for a message to be sent; the body is JSON."""
        return await self._ask("POST", f"{number.phone_number_id}/messages", number.token.text, body)

    async def look_up(self, number: NumberConfig) -> Result:
        """Ask for the number itself, which takes a valid token and sends nothing."""
        path = f"{number.phone_number_id}?fields=display_phone_number"
        return await self._ask("GET", path, number.token.text, None)

    async def _ask(self, method: str, path: str, token: str, body: bytes | None) -> Result:
        assert self._session is not None
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.request(
                    method,
                    f"{self._base}/{path}",
                    data=body,
                    headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                    allow_redirects=False,
                ) as response,
            ):
                content = await _read(response.content)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return NotSent(f"There was no connection to Graph: {type(error).__name__}.")
        except TimeoutError:
            return Lost("Graph did not answer in time.")
        except aiohttp.ClientError as error:
            return Lost(f"The connection to Graph broke: {type(error).__name__}.")
        return _understood(response.status, response.headers.get("Retry-After", ""), content)


async def _read(content: aiohttp.StreamReader) -> bytes | None:
    """An answer; None if it is too long."""
    answer = bytearray()
    async for chunk in content.iter_any():
        answer += chunk
        if len(answer) > ANSWER_BYTES_MAX:
            return None
    return bytes(answer)


def _understood(status: int, retry_after: str, content: bytes | None) -> Result:
    retry_after_s = min(float(retry_after), RETRY_AFTER_MAX_S) if retry_after.isdecimal() else None
    document = _document(content)
    match document.get("error"):
        case dict() as error if (code := code_in(error)) is not None:
            return Refused(code, status, _details(error), retry_after_s)
        case _ if status == TOO_MANY_REQUESTS:
            return Refused(TOO_MANY_REQUESTS, status, "", retry_after_s)
        case None if 200 <= status < 300 and document:
            return Answered(document)
        case _:
            return Lost(f"Graph's answer cannot be understood: HTTP {status}.")


def _document(content: bytes | None) -> dict[str, Any]:
    """The object in an answer; empty if there is none."""
    try:
        document = json.loads(content or b"")
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _details(error: dict[str, Any]) -> str:
    details = text_in(object_in(error, "error_data"), "details", DETAILS_CHARACTERS_MAX)
    return details or text_in(error, "message", DETAILS_CHARACTERS_MAX)
