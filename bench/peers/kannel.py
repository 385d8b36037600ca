"""Kannel as a subject: bearerbox, smsbox and a fake SMSC that takes what comes.

A message lies in the memory of bearerbox; its store is written to a file every ten seconds, without a sync.
"""

import re
import shutil
import subprocess
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.peers.subject import Subject, answer_of, url
from bench.wrk import Request
from tools.engines.ports import answers, free_port
from tools.engines.processes import end, launch, wait_until_ready

FAKE_SMSC = Path("/usr/lib/kannel/test/fakesmsc")
PASSWORD = "bench"  # noqa: S105 - of a process that lives for a minute on loopback
READY_S = 20.0

_CONFIGURATION = """\
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = {password}
smsbox-port = {smsbox}
smsbox-interface = 127.0.0.1
box-allow-ip = "127.0.0.1"
log-file = "{folder}/bearerbox.log"
log-level = 2
store-type = file
store-location = "{folder}/kannel.store"

group = smsc
smsc = fake
smsc-id = fake
port = {smsc}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
log-file = "{folder}/smsbox.log"
log-level = 2

group = sendsms-user
username = bench
password = {password}

group = sms-service
keyword = default
text = "none"
max-messages = 0
"""


def missing() -> list[str]:
    """Debian packages that this subject lacks."""
    lacks = [] if shutil.which("bearerbox") and shutil.which("smsbox") else ["kannel"]
    return lacks if FAKE_SMSC.exists() else [*lacks, "kannel-extras"]


@contextmanager
def running(folder: Path) -> Generator[Subject]:
    """Kannel with its data in `folder`."""
    ports = {name: free_port() for name in ("admin", "smsbox", "smsc", "sendsms")}
    text = _CONFIGURATION.format(folder=folder, password=PASSWORD, **ports)
    file = folder / "kannel.conf"
    file.write_text(text, encoding="ascii")
    with ExitStack() as stack:
        pids: dict[str, int] = {}
        bearerbox, smsbox = shutil.which("bearerbox") or "", shutil.which("smsbox") or ""
        for name, command, port in (
            ("bearerbox", (bearerbox, "-v", "3", str(file)), ports["smsbox"]),
            ("smsbox", (smsbox, "-v", "3", str(file)), ports["sendsms"]),
            ("fakesmsc", (str(FAKE_SMSC), "-v", "3", "-r", str(ports["smsc"]), "-m", "0", "1 2 text x"), 0),
        ):
            log = folder / f"{name}.output"
            process = launch(command, folder=folder, log=log)
            stack.callback(end, process, grace_s=3.0)
            if port:
                wait_until_ready(name, process, lambda port=port: answers(port), log=log, within_s=READY_S)
            pids[name] = process.pid
        status = Request(url(f"http://127.0.0.1:{ports['admin']}/status.txt", password=PASSWORD), {})
        wait_until_ready(
            "fakesmsc", process, lambda: "online" in answer_of(status)[1].partition("SMSC connections")[2],
            log=log, within_s=READY_S,
        )  # fmt: skip
        yield Subject(
            request=_request(ports["sendsms"]),
            is_accepted=lambda status, body: status == 202 and body[:2] in ("0:", "3:"),
            accepted=lambda: _sent(answer_of(status)[1]),
            pids=pids,
            configuration={"kannel.conf": text},
            versions={"kannel": _version(bearerbox)},
            durability="in the memory of bearerbox; written to the store file every 10 s, without a sync",
        )


def _request(port: int) -> Request:
    base = f"http://127.0.0.1:{port}/cgi-bin/sendsms"
    message = {"from": "+15559876543", "to": "+1234567890", "text": "Hello from Infini Reach!"}
    return Request(url(base, username="bench", password=PASSWORD, **message), {})


def _sent(status: str) -> int:
    """How many messages to phones bearerbox has taken: those it has sent and those that wait."""
    found = re.search(r"SMS:.* sent (\d+) \((\d+) queued\)", status)
    if found is None:
        raise RuntimeError(f"Kannel's status says no count:\n{status}")
    return sum(map(int, found.groups()))


def _version(bearerbox: str) -> str:
    done = subprocess.run([bearerbox, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"version [`'\"]?([\d.]+\w*)", done.stdout + done.stderr)
    return found[1] if found else "unknown"
