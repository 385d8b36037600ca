"""The process of an engine: started, waited for, ended. Dies with whoever started it, however that ends.

Owns the wait for readiness and what is told if it does not come. Knows no engine.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from core.cli.supervisor.child import LEASH

TAIL_LINES = 15
POLL_S = 0.05


class EngineFailed(Exception):
    """An engine did not start, or something that it needs is missing; the sentence says what to do."""


def launch(
    command: Sequence[str],
    *,
    folder: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Run a program in `folder`; what it says goes to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            process_group=0,
        )


def wait_until_ready(
    name: str,
    process: subprocess.Popen[bytes],
    is_ready: Callable[[], bool],
    *,
    log: Path,
    within_s: float,
) -> None:
    """Return when it serves. Raises EngineFailed with the end of its log; the process is gone then."""
    deadline = time.monotonic() + within_s
    while not is_ready():
        if process.poll() is not None:
            raise EngineFailed(f"{name} ended with status {process.returncode}:\n{tail(log)}")
        if time.monotonic() > deadline:
            end(process, grace_s=0)
            raise EngineFailed(f"{name} did not serve within {within_s:g} s:\n{tail(log)}")
        time.sleep(POLL_S)


def end(process: subprocess.Popen[bytes], *, grace_s: float) -> None:
    """Ask a process to end, and kill it if it takes longer than `grace_s`; 0 kills at once."""
    if process.poll() is None and grace_s:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    if process.poll() is None:
        process.kill()
    process.wait()


def tail(log: Path) -> str:
    """The last lines of a log."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])
