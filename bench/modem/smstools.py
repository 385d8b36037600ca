"""smsd of smstools as a subject."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from bench.modem import packages
from bench.modem.emulated import Emulated
from bench.modem.subject import TEXT, Subject
from tools.engines.processes import end, launch

MESSAGES = 600
STOP_S = 10.0
FOLDERS = ("incoming", "outgoing", "checked", "sent", "failed", "report")
_CONFIGURATION = """\
devices = GSM1
incoming = {folder}/incoming
outgoing = {folder}/outgoing
checked = {folder}/checked
sent = {folder}/sent
failed = {folder}/failed
report = {folder}/report
logfile = {folder}/smsd.log
infofile = {folder}/smsd.working
pidfile = {folder}/smsd.pid
loglevel = 5
delaytime = 1

[GSM1]
device = {port}
baudrate = 115200
incoming = yes
report = yes
init = AT+CNMI=2,1,0,2,0
primary_memory = SM
secondary_memory = SR
secondary_memory_max = 50
max_continuous_sending = {continuous_s}
"""
CONTINUOUS_S = 10
"""After so many seconds of sending it looks for reports; 300 is its default, more than a turn lasts."""


@contextmanager
def running(folder: Path, emulated: Emulated) -> Generator[Subject]:
    """With MESSAGES files in its folder for what goes out."""
    for name in FOLDERS:
        (folder / name).mkdir()
    for number in range(MESSAGES):
        file = folder / "outgoing" / f"bench-{number:04}"
        file.write_text(f"To: 15550{number:06}\n\n{TEXT}", encoding="ascii")
    configuration = folder / "smsd.conf"
    text = _CONFIGURATION.format(folder=folder, port=emulated.modems[0].port, continuous_s=CONTINUOUS_S)
    configuration.write_text(text, encoding="utf-8")
    process = launch(
        [str(packages.program(packages.SMSTOOLS)), "-t", "-c", str(configuration)],
        folder=folder,
        log=folder / "output.log",
        environment=packages.environment(),
    )
    try:
        yield Subject(
            pids={"smsd": process.pid},
            reported=lambda: len(list((folder / "report").iterdir())),
            waiting=lambda: sum(len(list((folder / name).iterdir())) for name in ("outgoing", "checked")),
            durability="a file moved to another folder after the answer; lock files are synced, messages are not",
            configuration={"smsd.conf": text},
            versions={"smstools": packages.version(packages.SMSTOOLS, "-V")},
        )
    finally:
        end(process, grace_s=STOP_S)
