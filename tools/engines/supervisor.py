"""Keeps engines running in the background: started in order, started again when one dies, stopped in reverse order.

Owns the file that says what runs, and that logs do not grow for ever. Knows the engines by what they can do only.
"""

import contextlib
import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Protocol, TextIO

from core.cli.supervisor.log_file import LogFile
from tools.engines.processes import POLL_S, EngineFailed

STATE_NAME = "engines.json"
LOCK_NAME = "engines.lock"
LOOK_S = 0.5
PATIENCE_S = 1.0
"""Whoever only looks whether the folder has a supervisor holds the lock for a moment."""

AGAIN_S = 2.0
"""Wait after an engine could not be started."""


class Engine(Protocol):
    """What runs."""

    log: Path

    @property
    def pid(self) -> int:
        """Its process; 0 if it does not run."""
        ...

    def start(self) -> None:
        """Start it; returns when it serves. Raises EngineFailed."""
        ...

    def stop(self) -> None:
        """End it in order."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


def supervise(folder: Path, engines: Mapping[str, Engine]) -> None:
    """Keep the engines running until SIGTERM or SIGINT. Raises EngineFailed if one cannot be started at first."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    with only_one(folder):
        started: list[Engine] = []
        try:
            for name, engine in engines.items():
                if told.is_set():
                    return
                _say(f"starting {name}")
                started.append(engine)
                engine.start()
            logs = [LogFile(engine.log) for engine in started]
            while not told.is_set():
                _write(folder, engines)
                for log in logs:
                    with contextlib.suppress(OSError):  # no room to keep the predecessor
                        log.bound()
                told.wait(LOOK_S)
                _start_again(engines)
        finally:
            (folder / STATE_NAME).unlink(missing_ok=True)
            for engine in reversed(started):
                with contextlib.suppress(EngineFailed):  # it does not run
                    engine.stop()


def state(folder: Path) -> dict[str, Any]:
    """What runs: `supervisor` and `engines` with their process ids; empty before all serve and after the end."""
    if not is_supervised(folder):
        return {}  # what a supervisor that was killed left behind tells of nothing
    return _written(folder)


def _written(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / STATE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def is_supervised(folder: Path) -> bool:
    """Whether a supervisor has this folder."""
    try:
        with only_one(folder, patience_s=0):
            return False
    except EngineFailed:
        return True


@contextlib.contextmanager
def only_one(folder: Path, *, patience_s: float = PATIENCE_S) -> Generator[None]:
    """Hold the folder's lock; the kernel lets go of it however this process ends. Raises EngineFailed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + patience_s
    with (folder / LOCK_NAME).open("a+", encoding="ascii") as file:
        while not _locked(file):
            if time.monotonic() >= deadline:
                raise EngineFailed(f"The engines in {folder} run already, or are about to stop.")
            time.sleep(POLL_S)
        yield


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _start_again(engines: Mapping[str, Engine]) -> None:
    for name, engine in engines.items():
        if not engine.pid:
            _say(f"{name} has ended; starting it again")
            try:
                engine.start()
            except EngineFailed as failed:
                _say(str(failed))
                time.sleep(AGAIN_S)


def _write(folder: Path, engines: Mapping[str, Engine]) -> None:
    document = {
        "supervisor": os.getpid(),
        "engines": {name: {"pid": engine.pid, "log": str(engine.log)} for name, engine in engines.items()},
    }
    if document != _written(folder):
        draft = folder / f"{STATE_NAME}.new"
        draft.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        draft.replace(folder / STATE_NAME)


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()
