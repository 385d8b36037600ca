"""The supervisor with small programs in the places of the real ones: restarts, order, leash, logs."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from core.cli import run_file
from core.cli.output import CommandFailed
from core.cli.run_file import Running
from core.cli.supervisor import child as child_module
from core.cli.supervisor.child import Child, Role
from core.cli.supervisor.gateway import Gateway
from core.cli.supervisor.log_file import LogFile
from core.cli.supervisor.readiness import core_serves
from tests import repository
from tests.fakes.edge_upstreams import FakeCore

BOUND_S = 15.0
"""No wait of these tests is longer; on an idle machine each takes some milliseconds."""

LIVES = "import time\nprint('alive', flush=True)\nwhile True: time.sleep(60)"
DIES = "import sys\nprint('cannot begin')\nsys.exit(3)"
DEAF = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{LIVES}"
PARENT = (
    "import subprocess, sys, time\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(child.pid, flush=True)\ntime.sleep(600)"
)


async def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + BOUND_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {BOUND_S} s: {what}"
        await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    with suppress(OSError):
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    return False


async def at_once() -> bool:
    """The readiness of a program that is ready when it is started."""
    return True


def role(
    name: str, program: str, *, is_ready: Callable[[], Awaitable[bool]] = at_once, stop_s: float = 2.0
) -> Role:
    """A role that runs a piece of Python."""
    return Role(name, [sys.executable, "-c", program], is_ready, stop_s)


def read(path: Path) -> str:
    """A file's text, empty as long as there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


class Witness:
    """Remembers what the supervisor told."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.announced: list[Running] = []
        self.ends: list[tuple[int, float]] = []

    def started(self, child: Child) -> None:
        """As Observer."""

    def became_ready(self, child: Child) -> None:
        """As Observer."""

    def ended(self, child: Child, status: int, delay_s: float) -> None:
        """As Observer."""
        self.ends.append((status, delay_s))


@asynccontextmanager
async def kept(child: Child) -> AsyncGenerator[Child]:
    """The child, kept while the block runs and stopped after it."""
    keeper = asyncio.create_task(child.keep())
    try:
        yield child
    finally:
        await child.stop()
        await keeper


@pytest.fixture
def witness() -> Witness:
    """Fresh for each test."""
    return Witness()


def child_of(what: Role, folder: Path, witness: Witness) -> Child:
    """A child with a log in `folder`."""
    return Child(what, LogFile(folder / f"{what.name}.log"), witness)


def gateway_of(
    folder: Path, witness: Witness, *roles: Role, tell: Callable[[str], None] | None = None
) -> Gateway:
    """A gateway of these roles that tells the witness."""
    return Gateway(
        folder,
        [[role] for role in roles],
        Running("http://127.0.0.1:1", "127.0.0.1:2", "http://127.0.0.1:3", "irk_x", "tenant"),
        list_devices=lambda: [{"id": "device"}],
        announce=witness.announced.append,
        tell=tell or witness.sentences.append,
    )


async def test_a_killed_child_is_started_again_at_once(tmp_path: Path, witness: Witness) -> None:
    async with kept(child_of(role("core", LIVES), tmp_path, witness)) as child:
        await asyncio.wait_for(child.ready.wait(), BOUND_S)
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: child.pid not in {None, first}, "a new process")
        await asyncio.wait_for(child.ready.wait(), BOUND_S)
    assert witness.ends == [(-signal.SIGKILL, 0.0)]


async def test_a_child_that_dies_again_and_again_is_started_ever_later(
    tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "RESTART_DELAYS_S", (0.0, 0.01, 0.02, 0.03))
    async with kept(child_of(role("core", DIES), tmp_path, witness)):
        await eventually(lambda: len(witness.ends) >= 6, "six deaths")
    assert witness.ends[:6] == [(3, 0.0), (3, 0.01), (3, 0.02), (3, 0.03), (3, 0.03), (3, 0.03)]


async def test_the_pace_starts_anew_after_the_child_was_ready_for_a_while(
    tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "RESTART_DELAYS_S", (0.0, 0.01))
    monkeypatch.setattr(child_module, "STEADY_S", 0.05)
    marker = tmp_path / "marker"
    count = (
        f"from pathlib import Path\nm = Path({str(marker)!r})\nn = len(m.read_text()) if m.exists() else 0\n"
        "m.write_text('x' * (n + 1))\n"
    )

    async def after_two() -> bool:
        return marker.exists() and len(marker.read_text()) > 2

    program = f"{count}import sys, time\nif n < 2: sys.exit(1)\ntime.sleep(600)"
    async with kept(child_of(role("core", program, is_ready=after_two), tmp_path, witness)) as child:
        await asyncio.wait_for(child.ready.wait(), BOUND_S)
        await eventually(lambda: child.deaths == 0, "it has been ready for a while")
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        await eventually(lambda: len(witness.ends) == 3, "its death")
    assert witness.ends == [(1, 0.0), (1, 0.01), (-signal.SIGKILL, 0.0)]


async def test_a_deaf_child_is_killed_when_its_time_is_up(tmp_path: Path, witness: Witness) -> None:
    child = child_of(role("core", DEAF, stop_s=0.2), tmp_path, witness)
    async with kept(child):
        await eventually(lambda: child.log.tail() == "alive", "it ignores SIGTERM now")
        pid = child.pid
    assert pid is not None
    assert not is_alive(pid)
    assert witness.ends == []


async def test_what_a_dead_child_had_started_dies_too(tmp_path: Path, witness: Witness) -> None:
    async with kept(child_of(role("rest", PARENT), tmp_path, witness)) as child:
        await eventually(lambda: child.log.tail() != "", "the grandchild's process id")
        grandchild, first = int(child.log.tail()), child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: not is_alive(grandchild), "the grandchild is gone")


async def test_run_json_names_the_processes_and_follows_a_restart(tmp_path: Path, witness: Witness) -> None:
    gateway = gateway_of(tmp_path, witness, role("rest", LIVES), role("core", LIVES))
    running = asyncio.create_task(gateway.run())
    await eventually(lambda: bool(witness.announced), "all are ready")
    document = run_file.read(tmp_path)
    assert document["devices"] == [{"id": "device"}]
    assert document["apiKey"] == "irk_x"
    assert set(document["pids"]) == {"rest", "core", "up"}
    assert document["pids"]["up"] == os.getpid()
    assert (tmp_path / run_file.NAME).stat().st_mode & 0o777 == 0o600
    os.kill(document["pids"]["core"], signal.SIGKILL)
    await eventually(
        lambda: run_file.read(tmp_path)["pids"]["core"] != document["pids"]["core"], "the new process id"
    )
    pids = run_file.read(tmp_path)["pids"]
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, BOUND_S)
    assert not is_alive(pids["core"])
    assert not is_alive(pids["rest"])
    assert run_file.read(tmp_path) == {}
    assert any("SIGKILL; starting it again now" in sentence for sentence in witness.sentences)


async def test_children_are_stopped_in_the_given_order(tmp_path: Path, witness: Witness) -> None:
    order = tmp_path / "order"
    program = (
        "import signal, sys, time\nfrom pathlib import Path\n"
        "def end(*_):\n    with open({order!r}, 'a') as file: file.write('{name} ')\n    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\nPath({ready!r}).touch()\nwhile True: time.sleep(60)"
    )

    def noting(name: str) -> Role:
        ready = tmp_path / f"{name}.ready"

        async def is_ready() -> bool:
            return ready.exists()

        return role(name, program.format(order=str(order), name=name, ready=str(ready)), is_ready=is_ready)

    gateway = gateway_of(tmp_path, witness, noting("rest"), noting("driver"), noting("core"))
    running = asyncio.create_task(gateway.run())
    await eventually(lambda: bool(witness.announced), "all are ready")
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(running, BOUND_S)
    assert order.read_text() == "rest driver core "


async def test_a_child_that_cannot_begin_is_explained_and_the_others_end(
    tmp_path: Path, witness: Witness
) -> None:
    async def never() -> bool:
        return False

    gateway = gateway_of(tmp_path, witness, role("rest", LIVES), role("core", DIES, is_ready=never))
    with pytest.raises(
        CommandFailed, match=r"(?s)core ended with status 3\. The end of its log, .*cannot begin"
    ):
        await asyncio.wait_for(gateway.run(), BOUND_S)
    assert witness.announced == []


async def test_a_signal_during_the_start_ends_what_was_started(tmp_path: Path, witness: Witness) -> None:
    async def never() -> bool:
        return False

    gateway = gateway_of(tmp_path, witness, role("rest", LIVES), role("core", LIVES, is_ready=never))
    running = asyncio.create_task(gateway.run())
    await eventually((tmp_path / "logs" / "core.log").exists, "the core was started")
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, BOUND_S)
    assert witness.announced == []


async def test_a_second_signal_ends_everything_at_once(tmp_path: Path, witness: Witness) -> None:
    gateway = gateway_of(tmp_path, witness, role("core", DEAF, stop_s=600))
    running = asyncio.create_task(gateway.run())
    await eventually(lambda: "alive" in read(tmp_path / "logs" / "core.log"), "it ignores SIGTERM now")
    await eventually(lambda: bool(witness.announced), "all are ready")
    os.kill(os.getpid(), signal.SIGINT)
    await eventually(lambda: "Stopping." in witness.sentences, "the first signal was noticed")
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(running, BOUND_S)


async def test_a_gateway_whose_console_has_gone_still_stops(tmp_path: Path, witness: Witness) -> None:
    def gone(_: str) -> None:
        raise BrokenPipeError

    gateway = gateway_of(tmp_path, witness, role("core", LIVES), tell=gone)
    running = asyncio.create_task(gateway.run())
    await eventually(lambda: bool(witness.announced), "all are ready")
    os.kill(run_file.read(tmp_path)["pids"]["core"], signal.SIGKILL)
    await eventually(lambda: is_alive(run_file.read(tmp_path)["pids"]["core"]), "it was started again")
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, BOUND_S)


async def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    program = f"""
import asyncio
from pathlib import Path
from tests.integration.cli.test_supervisor import LIVES, Witness, gateway_of, role
asyncio.run(gateway_of(Path({str(tmp_path)!r}), Witness(), role("core", LIVES), role("rest", LIVES)).run())
"""
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=repository.ROOT)
    try:
        await eventually(lambda: bool(run_file.read(tmp_path)), "all are ready")
        pids: dict[str, Any] = run_file.read(tmp_path)["pids"]
        assert pids["up"] == supervisor.pid
    finally:
        supervisor.kill()
        await supervisor.wait()
    await eventually(
        lambda: not is_alive(pids["core"]) and not is_alive(pids["rest"]), "the children are gone"
    )


def test_a_log_keeps_its_size_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "core.log", bytes_max=100)
    descriptor = log.open()
    os.write(descriptor, b"old\n" * 50)
    log.bound()
    os.write(descriptor, b"new\n")
    os.close(descriptor)
    assert log.path.read_bytes() == b"new\n"
    assert log.path.with_name("core.log.1").read_bytes() == b"old\n" * 50
    assert log.tail() == "new"


def test_a_log_that_cannot_be_kept_is_bounded_all_the_same(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "core.log", bytes_max=100)
    log.path.write_bytes(b"old\n" * 50)
    log.path.with_name("core.log.1").joinpath("core.log").mkdir(parents=True)  # nothing can be copied there
    with pytest.raises(IsADirectoryError):
        log.bound()
    assert log.path.read_bytes() == b""


def test_the_tail_of_a_log_begins_with_the_last_start(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "core.log")
    log.path.write_text("of an earlier run\n")
    descriptor = log.open()
    os.write(descriptor, "".join(f"line {number}\n" for number in range(40)).encode())
    os.close(descriptor)
    assert log.tail().splitlines() == [f"line {number}" for number in range(25, 40)]


def test_run_json_is_replaced_as_a_whole(tmp_path: Path) -> None:
    running = Running("http://127.0.0.1:1", "127.0.0.1:2", "http://127.0.0.1:3", "irk_x")
    run_file.write(tmp_path, running)
    run_file.write(tmp_path, running)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert json.loads((tmp_path / "run.json").read_text()) == running.document()
    (tmp_path / "run.json").write_text("{half")
    assert run_file.read(tmp_path) == {}


async def test_a_rolling_restart_replaces_one_after_the_other_and_counts_no_deaths(
    tmp_path: Path, witness: Witness
) -> None:
    gateway = gateway_of(tmp_path, witness, role("rest", LIVES), role("core", DEAF, stop_s=0.2))
    running = asyncio.create_task(gateway.run())
    await eventually(lambda: bool(witness.announced), "all are ready")
    before = run_file.read(tmp_path)["pids"]
    os.kill(os.getpid(), signal.SIGUSR1)
    await eventually(lambda: "All have been restarted." in witness.sentences, "the last one is ready")
    after = run_file.read(tmp_path)["pids"]
    assert before["up"] == after["up"]
    assert {before["rest"], before["core"]}.isdisjoint(after.values())
    assert [s for s in witness.sentences if s.startswith("Restarting")] == [
        "Restarting rest.",
        "Restarting core.",
    ]
    assert not [s for s in witness.sentences if "starting it again" in s]
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, BOUND_S)


async def test_a_child_that_died_before_its_turn_is_only_waited_for(
    tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "RESTART_DELAYS_S", (0.2,))
    async with kept(child_of(role("core", LIVES), tmp_path, witness)) as child:
        await asyncio.wait_for(child.ready.wait(), BOUND_S)
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: child.pid is None, "its end")
        await asyncio.wait_for(child.restart(), BOUND_S)
        assert child.pid not in {None, first}
    assert witness.ends == [(-signal.SIGKILL, 0.2)]


async def test_a_proxy_of_the_environment_is_not_asked_whether_the_core_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    async with FakeCore() as core:
        assert await core_serves(core.address)
