"""The answers of a Graph that has a bad day."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web

from drivers.whatsapp_cloud.fake_graph.faults import Fault
from drivers.whatsapp_cloud.fake_graph.refusals import Trouble

HUGE_BYTES = 64 * 1024 * 1024
CHUNK = b" " * 65_536
Answer = Callable[[web.Request, Fault], Awaitable[web.StreamResponse]]


async def wait(stopping: asyncio.Event, seconds: float) -> None:
    """Wait, but not beyond the end of the fake."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


def answer_of(trouble: Trouble) -> web.Response:
    """An error object with its status."""
    return web.json_response(trouble.answer(), status=trouble.http_status)


async def cut(request: web.Request, _: Fault) -> web.StreamResponse:
    """Close the connection; what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _server_error(_: web.Request, fault: Fault) -> web.StreamResponse:
    if fault.flag("object"):
        return answer_of(Trouble(131000, "Message failed to send due to an unknown error.", status=500))
    return web.Response(
        status=500, text="<html>Sorry, something went wrong.</html>", content_type="text/html"
    )


async def _garbage(_: web.Request, __: Fault) -> web.StreamResponse:
    return web.Response(body=b"\x00<html>{\xff", content_type="text/html")


async def _without_id(_: web.Request, __: Fault) -> web.StreamResponse:
    return web.json_response({"messaging_product": "whatsapp", "messages": []})


async def _huge(request: web.Request, _: Fault) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    with suppress(ConnectionError):
        await response.prepare(request)
        for _count in range(HUGE_BYTES // len(CHUNK)):
            await response.write(CHUNK)
        await response.write_eof()
    return response


async def _redirect(request: web.Request, _: Fault) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": str(request.url)})


async def _too_many(_: web.Request, fault: Fault) -> web.StreamResponse:
    response = (
        answer_of(Trouble(4, "The app has reached its API call rate limit.", status=429))
        if fault.flag("object")
        else web.Response(status=429)
    )
    if retry_after_s := fault.integer("retry_after_s"):
        response.headers["Retry-After"] = str(retry_after_s)
    return response


async def _error(_: web.Request, fault: Fault) -> web.StreamResponse:
    return answer_of(Trouble(fault.integer("code"), fault.text("details"), status=fault.integer("status")))


ANSWERS: dict[str, Answer] = {
    "no_answer": cut,
    "disconnect": cut,
    "server_error": _server_error,
    "garbage": _garbage,
    "answer_without_id": _without_id,
    "huge_answer": _huge,
    "redirect": _redirect,
    "too_many_requests": _too_many,
    "error": _error,
}
"""By the names of faults. One with `hang_s` or `delay_s` has waited for it before."""
