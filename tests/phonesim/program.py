"""ofono-phonesim as a process: started on a definition of a phone, told to let messages come in, ended.

Knows how it is called, not what its phones do.
"""

import asyncio
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

PORT = 12345
START_S_MAX = 10.0
TRY_AGAIN_S = 0.1
SOCKETS = ("/proc/net/tcp", "/proc/net/tcp6")
LISTENING = "0A"
"""TCP_LISTEN there."""
SCRIPT = "message.js"
SCRIPTING = ("--dest=org.ofono.phonesim", "/", "org.ofono.phonesim.Script")


@dataclass(slots=True, frozen=True)
class Program:
    """Where it is."""

    path: Path
    root: Path | None
    """Of packages that were unpacked and not installed: their loader and libraries are used. None: the system's."""
    own_definition: Path | None = None

    @property
    def stock(self) -> Path:
        """The definition of a phone that comes with it."""
        return self.own_definition or self.path.parent.parent / "share/ofono-phonesim/default.xml"

    @asynccontextmanager
    async def running(self, definition: Path, folder: Path) -> AsyncGenerator["Phone"]:
        """A phone at `PORT`, with its window (never shown), which its scripts press buttons of."""
        # The script says where the session's bus is, and becomes the program.
        session = ["dbus-run-session", "--", "sh", "-c", 'echo "$DBUS_SESSION_BUS_ADDRESS"; exec "$@"', "sh"]
        with (folder / "phonesim.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *session,
                *self._command(definition),
                stdout=PIPE,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )
        try:
            assert process.stdout is not None
            bus = (await asyncio.wait_for(process.stdout.readline(), START_S_MAX)).decode().strip()
            await _listening(process)
            yield Phone(bus, folder)
        finally:
            # The session's leader and what it started; nothing else is in its group.
            os.killpg(process.pid, signal.SIGTERM)
            await process.wait()

    def _command(self, definition: Path) -> list[str]:
        call = [str(self.path), "-gui", "-p", str(PORT), str(definition)]
        if self.root is None:
            return call
        libraries = next((self.root / "usr/lib").glob("*-linux-gnu"))
        loader = next((self.root / "lib64").glob("ld-linux*"))
        return [str(loader), "--library-path", str(libraries), *call]

    def _environment(self) -> dict[str, str]:
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        if self.root is not None:
            plugins = next((self.root / "usr/lib").glob("*-linux-gnu/qt5/plugins"))
            environment["QT_PLUGIN_PATH"] = str(plugins)
        return environment


@dataclass(slots=True, frozen=True)
class Phone:
    """A phone that runs."""

    bus: str
    folder: Path

    @property
    def url(self) -> str:
        """Its port, as pyserial knows it."""
        return f"socket://127.0.0.1:{PORT}"

    async def let_come_in(self, text: str, *, sender: str) -> None:
        """Fill in the window's form for a message and press its button. It splits long texts itself."""
        steps = (
            f"tabSMS.gbMessage1.leMessageSender.text = {json.dumps(sender)};",
            f"tabSMS.gbMessage1.teSMSText.setPlainText({json.dumps(text)});",
            "tabSMS.gbMessage1.pbSendSMSMessage.click();",
        )
        (self.folder / SCRIPT).write_text("\n".join(steps) + "\n", encoding="utf-8")
        await self._call("SetPath", str(self.folder))
        await self._call("Run", SCRIPT)

    async def _call(self, method: str, argument: str) -> None:
        *destination, interface = SCRIPTING
        process = await asyncio.create_subprocess_exec(
            "dbus-send",
            "--session",
            "--print-reply",
            *destination,
            f"{interface}.{method}",
            f"string:{argument}",
            stdout=PIPE,
            stderr=PIPE,
            env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": self.bus},
        )
        _, said = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"its scripting does not answer: {said.decode(errors='replace')}")


async def _listening(process: Process) -> None:
    """Wait until it takes connections, without one: each is a phone of its own, and scripts are for the first."""
    async with asyncio.timeout(START_S_MAX):
        while not _is_listening():
            if process.returncode is not None:
                raise RuntimeError(f"it ended with status {process.returncode}")
            await asyncio.sleep(TRY_AGAIN_S)


def _is_listening() -> bool:
    """Whether somebody does in this network namespace (proc(5))."""
    lines = [line for file in SOCKETS for line in Path(file).read_text(encoding="ascii").splitlines()[1:]]
    sockets = [(fields[1].rpartition(":")[2], fields[3]) for fields in map(str.split, lines)]
    return (f"{PORT:04X}", LISTENING) in sockets
