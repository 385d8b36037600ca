"""gammu-smsd as a subject, on files."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from bench.modem import packages
from bench.modem.emulated import Emulated
from bench.modem.subject import TEXT, Subject
from tools.engines.processes import end, launch

MESSAGES = 600
STOP_S = 10.0
_CONFIGURATION = """\
[gammu]
device = {port}
connection = at115200

[smsd]
service = files
inboxpath = {folder}/inbox/
outboxpath = {folder}/outbox/
sentsmspath = {folder}/sent/
errorsmspath = {folder}/error/
logfile = {folder}/smsd.log
deliveryreport = sms
loopsleep = 0
"""


@contextmanager
def running(folder: Path, emulated: Emulated) -> Generator[Subject]:
    """With MESSAGES files in its outbox."""
    for name in ("inbox", "outbox", "sent", "error"):
        (folder / name).mkdir()
    for number in range(MESSAGES):
        # Letter d: a delivery report is wanted.
        file = folder / "outbox" / f"OUTA20261130_120000_{number:03}_+15550{number:06}_bench.txtd"
        file.write_text(TEXT, encoding="ascii")
    configuration = folder / "gammu-smsdrc"
    text = _CONFIGURATION.format(port=emulated.modems[0].port, folder=folder)
    configuration.write_text(text, encoding="utf-8")
    process = launch(
        [str(packages.program(packages.GAMMU)), "--config", str(configuration)],
        folder=folder,
        log=folder / "output.log",
        environment=packages.environment(),
    )
    try:
        yield Subject(
            pids={"gammu-smsd": process.pid},
            reported=lambda: len(list((folder / "inbox").iterdir())),
            waiting=lambda: len(list((folder / "outbox").iterdir())),
            durability="a file moved to another folder after the answer; no fsync; sends again after 30 s without one",
            configuration={"gammu-smsdrc": text},
            versions={"gammu-smsd": packages.version(packages.GAMMU, "--version")},
        )
    finally:
        end(process, grace_s=STOP_S)
