"""The real library in the driver's process, on a machine from which nothing goes out.

Whatever it would say to WhatsApp goes to a proxy of the test, which lets nothing through.
"""

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.runtime.contract_kit.subject import WAIT_S, Rig, Subject
from infinireach.v1.message_pb2 import CHANNEL_WHATSAPP

NUMBER = "+15559876543"


class ClosedProxy:
    """An HTTP proxy that refuses everything and remembers for which host it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.port = 0
        self.serve = self.answer

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do with a connection what the test wants."""
        await self.serve(reader, writer)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readline()).decode()
        self.asked.append(request.split(" HTTP")[0])
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def hang(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take the request and never answer, until the other side is gone."""
        self.asked.append((await reader.readline()).decode().split(" HTTP")[0])
        await reader.read()
        writer.close()

    @property
    def environment(self) -> dict[str, str]:
        """In capitals: the library reads these, gRPC does not."""
        url = f"http://127.0.0.1:{self.port}"
        return {"HTTPS_PROXY": url, "HTTP_PROXY": url, "NO_PROXY": "", "no_proxy": ""}


@pytest.fixture
async def proxy() -> AsyncIterator[ClosedProxy]:
    proxy = ClosedProxy()
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy


SCRIPT = """
import asyncio, ctypes, json, os, sys
from pathlib import Path
from drivers.whatsapp_web.account import AccountFailed, NotSent
from drivers.whatsapp_web.driver import open_account

told = []

async def hear(event):
    told.append(repr(event))

async def main(session):
    account = open_account(session, hear)
    print("a line of the library's")
    try:
        await account.run()
    except AccountFailed as failed:
        told.append(str(failed))
    from neonize.events import EVENT_TO_INT
    from neonize.proto import Neonize_pb2 as wire
    # As Go calls them: from a thread of its own, with an address.
    show_code, _, tell_event, *_ = account._client._connect_refs
    code = ctypes.create_string_buffer(b"2@constructed")
    await asyncio.to_thread(show_code, None, ctypes.addressof(code))
    while not any("2@constructed" in each for each in told):
        await asyncio.sleep(0)
    for event in [wire.Connected(status=True), wire.Disconnected(status=True)]:
        content = event.SerializeToString()
        held = ctypes.create_string_buffer(content, len(content))
        number = EVENT_TO_INT[type(event)]
        await asyncio.to_thread(tell_event, b"id", ctypes.addressof(held), len(content), number)
    await account.close()
    try:
        await account.send_text("+15551230000", "hello")
    except NotSent as failed:
        told.append(failed.detail)
    await asyncio.to_thread(tell_event, b"id", ctypes.addressof(held), len(content), number)

answers = os.dup(1)
asyncio.run(main(Path(sys.argv[1])))
os.write(answers, json.dumps(told).encode())
"""


async def test_library_opens_a_session_and_its_callbacks_reach_the_driver(
    proxy: ClosedProxy, tmp_path: Path
) -> None:
    session = tmp_path / "session.db"
    session.touch(mode=0o600)
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-P", "-c", SCRIPT, str(session)],
        env={**os.environ, **proxy.environment},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answers, log = await asyncio.wait_for(process.communicate(), 3 * WAIT_S)
    assert process.returncode == 0, log.decode()
    assert json.loads(answers) == [
        "WhatsApp cannot be reached from this machine.",
        "PairingCode(payload='2@constructed')",
        "Connected()",
        "Disconnected()",
        "There was no connection to WhatsApp.",
    ]
    assert set(proxy.asked) == {"CONNECT web.whatsapp.com:443"}
    assert session.read_bytes().startswith(b"SQLite format 3")
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in os.scandir(tmp_path)}
    assert set(modes.values()) == {0o600}, modes


def the_driver(proxy: ClosedProxy) -> Subject:
    """The driver as it is run, behind that proxy."""
    return Subject(
        argv=[sys.executable, "-m", "drivers.whatsapp_web"],
        device_key="whatsapp-web",
        channel=CHANNEL_WHATSAPP,
        source=NUMBER,
        destination="+15551230000",
        taken=list,
        environment={
            **proxy.environment,
            "INFINIREACH_WHATSAPP_WEB_ACCEPT_RISK": "yes",
            "INFINIREACH_WHATSAPP_WEB_NUMBER": NUMBER,
        },
    )


async def test_driver_that_cannot_reach_whatsapp_says_so_and_stops_when_told(
    proxy: ClosedProxy, tmp_path: Path
) -> None:
    subject = the_driver(proxy)
    async with Rig(subject, tmp_path) as rig:
        await rig.start_without_waiting()
        await rig.core.until(lambda: bool(rig.core.device_changes), timeout_s=3 * WAIT_S)
        told = rig.core.device_changes[-1]
        assert (told.reason, told.window) == ("library_failed", 0)
        assert told.remedy.startswith("WhatsApp cannot be reached")
        rig.terminate()
        assert await rig.exit_status() == 0
        assert NUMBER not in rig.log_text()
        assert NUMBER.removeprefix("+") not in rig.log_text()
    assert set(proxy.asked) == {"CONNECT web.whatsapp.com:443"}
    assert (tmp_path / "whatsapp-web" / "whatsapp-web" / "session.db").exists()


async def test_driver_stops_when_told_although_the_library_still_waits_for_a_network(
    proxy: ClosedProxy, tmp_path: Path
) -> None:
    proxy.serve = proxy.hang
    async with Rig(the_driver(proxy), tmp_path) as rig:
        await rig.start_without_waiting()
        await rig.until(lambda: bool(proxy.asked))
        rig.terminate()
        assert await rig.exit_status() == 0
