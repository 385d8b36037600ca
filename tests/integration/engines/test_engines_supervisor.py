"""Engines in the background: a real Redis is kept running, told of and stopped."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from core.cli.supervisor.log_file import LOG_BYTES_MAX
from tools.engines import __main__ as command
from tools.engines import ports, supervisor
from tools.engines.assembly import engines_folder
from tools.engines.ports import free_port
from tools.engines.processes import EngineFailed, end, launch, wait_until_ready

BOUND_S = 30.0
SLOW_PROGRAM = """
import sys
import time
from pathlib import Path
from tools.engines import supervisor
from tools.engines.redis import Redis
folder = Path(sys.argv[1])

class Slow(Redis):
    def start(self):
        while not (folder / "go").exists():
            time.sleep(0.02)
        super().start()

supervisor.supervise(folder, {"redis": Slow(folder / "redis", int(sys.argv[2]))})
"""
PROGRAM = """
import sys
from pathlib import Path
from tools.engines import supervisor
from tools.engines.redis import Redis
folder = Path(sys.argv[1])
supervisor.supervise(folder, {"redis": Redis(folder / "redis", int(sys.argv[2]))})
"""


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture
def supervised(tmp_path: Path) -> Generator[tuple[Path, int, subprocess.Popen[bytes]]]:
    """A supervisor of one Redis: its folder, the port, its process."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(port)], stderr=subprocess.DEVNULL
    )
    eventually(lambda: supervisor.state(tmp_path) != {}, "the supervisor tells what runs")
    yield tmp_path, port, process
    process.kill()
    process.wait()


Supervised = tuple[Path, int, subprocess.Popen[bytes]]


def redis_pid(folder: Path) -> int:
    return supervisor.state(folder).get("engines", {}).get("redis", {}).get("pid", 0)


def test_a_killed_engine_is_started_again(supervised: Supervised) -> None:
    folder, port, process = supervised
    assert supervisor.state(folder)["supervisor"] == process.pid
    first = redis_pid(folder)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: redis_pid(folder) not in {0, first}, "another process")
    eventually(lambda: ports.answers(port), "it serves")


def test_a_stopped_supervisor_leaves_nothing_behind(supervised: Supervised) -> None:
    folder, port, process = supervised
    assert supervisor.is_supervised(folder)
    with pytest.raises(EngineFailed, match="run already"), supervisor.only_one(folder):
        pass
    process.terminate()
    process.wait(BOUND_S)
    assert not ports.answers(port)
    assert supervisor.state(folder) == {}
    assert not supervisor.is_supervised(folder)


def test_a_killed_supervisor_takes_its_engines_along(supervised: Supervised) -> None:
    folder, port, process = supervised
    process.kill()
    process.wait()
    eventually(lambda: not ports.answers(port), "Redis is gone too")
    assert not supervisor.is_supervised(folder)
    assert (folder / supervisor.STATE_NAME).exists()
    assert supervisor.state(folder) == {}


def test_a_start_waits_for_one_that_was_begun_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = engines_folder(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", SLOW_PROGRAM, str(folder), str(free_port())])
    try:
        eventually(lambda: supervisor.is_supervised(folder), "the first start is under way")
        threading.Timer(0.2, (folder / "go").touch).start()
        command.start(tmp_path)
        assert f"process {redis_pid(folder)}" in capsys.readouterr().out
    finally:
        end(process, grace_s=BOUND_S)


def test_a_log_that_has_grown_too_large_is_begun_anew(supervised: Supervised) -> None:
    folder, _, _ = supervised
    log = folder / "redis" / "redis.log"
    with log.open("ab") as file:
        file.truncate(LOG_BYTES_MAX + 1)
    eventually(lambda: log.stat().st_size <= LOG_BYTES_MAX, "the log is bounded")
    assert log.with_name("redis.log.1").stat().st_size > LOG_BYTES_MAX


def test_an_engine_that_cannot_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "said.log"
    process = launch(
        [sys.executable, "-c", "print('no luck'); raise SystemExit(3)"], folder=tmp_path, log=log
    )
    with pytest.raises(EngineFailed, match=r"Thing ended with status 3:\nno luck"):
        wait_until_ready("Thing", process, lambda: False, log=log, within_s=BOUND_S)


def test_a_deaf_process_is_killed_after_its_grace(tmp_path: Path) -> None:
    log = tmp_path / "said.log"
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    process = launch([sys.executable, "-c", deaf], folder=tmp_path, log=log)
    wait_until_ready("It", process, lambda: "deaf" in log.read_text(), log=log, within_s=BOUND_S)
    end(process, grace_s=0.1)
    assert process.returncode == -signal.SIGKILL
