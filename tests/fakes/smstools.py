"""smstools' `smsd`, a program of others that sends and receives through modems: its folders and one run of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAM = Path(sys.prefix) / "smstools/smsd"
"""Where `make test` unpacks it."""
FOLDERS = ("outgoing", "checked", "incoming", "sent", "failed", "report", "saved", "phonecalls", "stats")
STOP_TIMEOUT_S = 30


class Smsd:
    """The folders through which it is told what to send and tells what came."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in FOLDERS:
            (folder / name).mkdir()

    def send(self, name: str, *, to: str, text: str) -> None:
        """Have a message sent through any of its devices."""
        aside = self._folder / f".{name}"
        aside.write_text(f"To: {to.lstrip('+')}\n\n{text}", encoding="utf-8")
        aside.rename(self._folder / "outgoing" / name)

    def names_in(self, folder: str) -> set[str]:
        """The messages in one of its folders."""
        return {path.name for path in (self._folder / folder).iterdir()}

    def received(self) -> list[tuple[str, str]]:
        """Sender and text of each message that came in, in no particular order."""
        found: list[tuple[str, str]] = []
        for path in (self._folder / "incoming").iterdir():
            head, _, text = path.read_text(encoding="latin-1").partition("\n\n")
            fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
            found.append(("+" + fields["From"], text))
        return found

    def log(self) -> str:
        """What it has written about its work."""
        path = self._folder / "smsd.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


@contextmanager
def running(folder: Path, devices: Mapping[str, str]) -> Generator[Smsd]:
    """Run it on devices by name: a device file, or `@host:port`."""
    assert PROGRAM.exists(), "smstools is not there; `make test` unpacks it"
    smsd = Smsd(folder)
    config = folder / "smsd.conf"
    config.write_text(_config(folder, devices), encoding="utf-8")
    process = subprocess.Popen(
        [PROGRAM, "-c", config, "-t"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield smsd
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        finally:
            # Its processes for the devices are in the same group, which nobody else is in.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _config(folder: Path, devices: Mapping[str, str]) -> str:
    lines = [f"{name} = {folder / name}" for name in FOLDERS]
    lines += [
        f"devices = {', '.join(devices)}",
        f"logfile = {folder / 'smsd.log'}",
        f"infofile = {folder / 'smsd.working'}",
        f"pidfile = {folder / 'smsd.pid'}",
        "loglevel = 7",
        "delaytime = 1",
        "receive_before_send = no",
        "autosplit = 3",
    ]
    for name, device in devices.items():
        lines += [f"[{name}]", f"device = {device}", "incoming = yes"]
    return "\n".join(lines) + "\n"
