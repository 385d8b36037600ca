"""Infini Reach as a subject: the driver alone with a core that only hands out and counts, and the whole gateway."""

import json
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from bench.gateway import Gateway, running_gateway
from bench.modem.emulated import Emulated, Modem
from bench.modem.subject import TEXT, Subject
from bench.options import Options
from tools.engines.processes import end, launch

STOP_S = 10.0
MESSAGES = 4_000
"""That wait in the gateway: more than a round can send."""
BATCH = 100
DURABILITY = (
    "each part committed to the driver's journal (SQLite, synchronous=FULL) before it is handed over, again with its "
    "reference, and each report before its slot is cleared; nothing is sent again without certainty"
)


class Counter:
    """The core of `bench.modem.core` as a process, asked for its counts."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bench.modem.core"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.address = self._read()

    def counts(self) -> dict[str, int]:
        """What came so far."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return json.loads(self._read())

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()


@contextmanager
def driver(folder: Path, emulated: Emulated) -> Generator[Subject]:
    """The driver's process; the core hands it the next message as soon as there is room."""
    core = Counter()
    try:
        with driver_process(folder, emulated.modems, core.address) as pid:
            text = modems_toml(emulated.modems)
            yield Subject(
                pids={"driver": pid},
                reported=lambda: core.counts()["delivered"],
                waiting=lambda: 1,
                durability=DURABILITY,
                configuration={"modems.toml": text},
                versions={"infinireach": version("infinireach")},
            )
    finally:
        core.close()


@contextmanager
def driver_process(folder: Path, modems: Sequence[Modem], core: str) -> Generator[int]:
    """The driver as a process of its own; its process id."""
    config = folder / "modems.toml"
    config.write_text(modems_toml(modems), encoding="utf-8")
    process = launch(
        [sys.executable, "-P", "-m", "drivers.modem"],
        folder=Path.cwd(),
        log=folder / "driver.log",
        environment={
            "INFINIREACH_VAR": str(folder),
            "INFINIREACH_DRIVER_CORE": core,
            "INFINIREACH_DRIVER_TOKEN": "ird_bench",
            "INFINIREACH_MODEM_CONFIG": str(config),
        },
    )
    try:
        yield process.pid
    finally:
        end(process, grace_s=STOP_S)


@contextmanager
def gateway(folder: Path, emulated: Emulated) -> Generator[Subject]:
    """Core, facade and driver on SQLite, with MESSAGES accepted before its modem is there."""
    config = folder / "modems.toml"
    text = modems_toml(emulated.modems)
    config.write_text(text, encoding="utf-8")
    with running_gateway(Options(), modems=config) as running:
        for _ in range(MESSAGES // BATCH):
            _post(running)
        yield Subject(
            pids=running.pids,
            reported=lambda: _in_state(running, "delivered"),
            waiting=lambda: _in_state(running, "queued"),
            durability=f"each message committed before its 201; {DURABILITY}",
            configuration={"modems.toml": text},
            versions={"infinireach": version("infinireach")},
        )


def _post(gateway: Gateway) -> None:
    message = {"to": "+15550001111", "message": TEXT, "from": gateway.senders[0], "channel": "sms"}
    answer = gateway.call("POST", "/api/v1/messages/batch", {"messages": [message] * BATCH})
    if not answer["success"]:
        raise RuntimeError(f"not accepted: {answer}")


def _in_state(gateway: Gateway, state: str) -> int:
    return gateway.query(f"SELECT count(*) FROM message WHERE state = '{state}'")[0][0]  # noqa: S608 - our own word


def modems_toml(modems: Sequence[Modem]) -> str:
    """The driver's file."""
    return "\n".join(
        f'[[modem]]\nname = "{modem.name}"\nport = "{modem.port}"\nnumber = "{modem.number}"\n'
        for modem in modems
    )
