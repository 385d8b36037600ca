"""What a probe tells a person of a modem, for everything that can be wrong with one."""

import asyncio
import errno
import os
import pty
import subprocess
import sys
import termios
import threading
import tomllib
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.modem.config import read_config
from drivers.modem.emulator import Emulator, Equipment
from drivers.modem.link.dialogue import BytePort
from drivers.modem.link.port_errors import MODEM_MANAGER, busy, opening_failed
from drivers.modem.link.serial_ports import SerialPort
from drivers.modem.probe.examining import examine
from drivers.modem.probe.findings import Examination, Finding, Mark
from drivers.modem.timing import Timing

TIMING = replace(
    Timing(), wake_s=0.4, setting_s=2.0, sim_busy_s=0.3, busy_step_s=0.05, registration_s=0.3, smsc_s=2.0
)
"""Patient enough for a busy machine where something answers, and quick where nothing does."""


@pytest.fixture
async def emulator() -> AsyncGenerator[Emulator]:
    """A modem as it should be."""
    async with Emulator() as emulator:
        yield emulator


async def probed(
    port: object, *, ports: Sequence[SerialPort] = (), timing: Timing = TIMING, **options: Any
) -> Examination:
    """The examination of a port."""
    told: list[Finding] = []
    examination = await examine(str(port), tell=told.append, timing=timing, ports=lambda: ports, **options)
    assert told == examination.findings
    return examination


def troubles(examination: Examination) -> list[tuple[str, Mark]]:
    """What is not fine."""
    return [(each.step, each.mark) for each in examination.findings if each.mark is not Mark.OK]


def trouble(examination: Examination) -> Finding:
    """The one finding that is not fine."""
    [found] = [each for each in examination.findings if each.mark is not Mark.OK]
    return found


async def test_a_modem_that_is_fine_can_send_and_every_step_says_so(emulator: Emulator) -> None:
    port = await emulator.open_pty()
    examination = await probed(port)
    assert troubles(examination) == []
    assert examination.can_send
    assert [each.step for each in examination.findings] == [
        *("port", "answer", "modem", "SIM", "signal", "network", "message centre", "memory", "messages")
    ]


async def test_the_probe_leaves_what_it_found_to_the_driver_and_sends_nothing(emulator: Emulator) -> None:
    emulator.deliver("Still there afterwards")
    port = await emulator.open_pty()
    assert (await probed(port)).can_send
    memory = next(each for each in (await probed(port)).findings if each.step == "memory")
    assert "1 of" in memory.seen
    assert list(emulator.network.parts) == []


async def test_the_entry_can_be_put_into_modems_toml_as_it_is(emulator: Emulator, tmp_path: Path) -> None:
    port = await emulator.open_pty()
    examination = await probed(port)
    (tmp_path / "modems.toml").write_text(examination.entry)
    [modem] = read_config(tmp_path / "modems.toml")
    assert (modem.name, modem.port) == ("emulated-modem", str(port))
    assert (modem.number, modem.imei) == ("+15559876543", "350000000000016")


async def test_a_number_that_the_sim_does_not_tell_is_to_be_filled_in(emulator: Emulator) -> None:
    emulator.faults.add("refuse", command="+CNUM")
    examination = await probed(await emulator.open_pty())
    assert examination.can_send
    assert tomllib.loads(examination.entry)["modem"][0]["number"] == ""
    assert "the number of the SIM" in examination.entry


async def test_it_works_over_the_network_too(emulator: Emulator) -> None:
    examination = await probed(f"socket://127.0.0.1:{await emulator.open_tcp()}")
    assert examination.can_send


# The port.


async def test_a_port_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    examination = await probed(tmp_path / "none", ports=[SerialPort("/dev/ttyUSB7")])
    assert not examination.can_send
    assert trouble(examination).step == "port"
    assert "There is no modem at" in trouble(examination).seen
    assert "There are: /dev/ttyUSB7." in trouble(examination).remedy
    assert examination.entry == ""


async def test_a_port_that_this_user_may_not_open_is_told_with_its_group() -> None:
    async def refused(url: str, *, baud_rate: int) -> BytePort:
        raise opening_failed(url, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))

    examination = await probed("/dev/ttyUSB0", open_port=refused)
    assert trouble(examination).seen == "This user may not open /dev/ttyUSB0."
    assert "dialout" in trouble(examination).remedy


async def test_a_port_that_modem_manager_has_is_told_with_the_rule_that_keeps_it_away() -> None:
    async def refused(url: str, *, baud_rate: int) -> BytePort:
        del baud_rate
        raise busy(url, MODEM_MANAGER)

    examination = await probed("/dev/ttyUSB0", open_port=refused)
    assert trouble(examination).seen == "ModemManager has the port /dev/ttyUSB0."
    assert "systemctl disable --now ModemManager" in trouble(examination).remedy
    assert "infinireach modem system-files" in trouble(examination).remedy


HOLDING = """
import fcntl, sys
port = open(sys.argv[1], "r+b", buffering=0)
fcntl.flock(port, fcntl.LOCK_EX)
print("open", flush=True)
sys.stdin.read()
"""


def of_stick(port: Path, interface: int, *, name: str = "") -> SerialPort:
    """A port as one of several of a stick."""
    return SerialPort(os.path.realpath(port), name, usb_device="1-1", interface=interface)


@contextmanager
def held(port: Path, program: Path) -> Generator[int]:
    """Another program has the port, as programs have theirs: locked. Its process id."""
    program.write_text(HOLDING)
    command = [sys.executable, str(program), str(port)]
    holding = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holding.stdout is not None
        assert holding.stdout.readline() == "open\n"
        yield holding.pid
    finally:
        holding.communicate(timeout=10)


async def test_a_port_that_another_program_has_is_told_with_the_program(
    emulator: Emulator, tmp_path: Path
) -> None:
    port = await emulator.open_pty()
    with held(port, tmp_path / "smsd") as pid:
        examination = await probed(port)
    assert trouble(examination).step == "port"
    assert "has the port" in trouble(examination).seen
    assert f"It is process {pid}" in trouble(examination).remedy


async def test_a_port_that_our_driver_has_is_told_with_the_command_that_asks_it(
    emulator: Emulator, tmp_path: Path
) -> None:
    port = await emulator.open_pty()
    with held(port, tmp_path / "drivers.modem") as pid:
        examination = await probed(port)
    assert f"the modem driver (process {pid})" in trouble(examination).remedy
    assert "infinireach modem status" in trouble(examination).remedy


async def test_where_nothing_answers_the_other_ports_of_the_stick_are_named(emulator: Emulator) -> None:
    emulator.faults.add("wrong_port")
    wrong = await emulator.open_pty()
    stick = [
        of_stick(wrong, 0),
        SerialPort("/dev/ttyUSB9", "/dev/serial/by-id/stick-if02", usb_device="1-1", interface=2),
    ]
    examination = await probed(wrong, ports=stick)
    assert trouble(examination).step == "answer"
    assert "/dev/serial/by-id/stick-if02" in trouble(examination).remedy
    assert f"infinireach modem probe {wrong} --all-ports" in trouble(examination).remedy


async def test_with_all_ports_the_one_that_answers_is_found(emulator: Emulator) -> None:
    right = await emulator.open_pty()
    async with Emulator(name="silent") as silent:
        silent.faults.add("wrong_port")
        wrong = await silent.open_pty()
        stick = [
            of_stick(wrong, 0),
            SerialPort("/dev/none", usb_device="1-1", interface=1),
            of_stick(right, 2, name=str(right)),
        ]
        examination = await probed(wrong, ports=stick, all_ports=True)
    assert examination.can_send
    assert examination.port == str(right)
    assert f'port = "{right}"' in examination.entry


async def test_a_stick_that_answers_nowhere_is_told(emulator: Emulator) -> None:
    emulator.faults.add("wrong_port")
    port = await emulator.open_pty()
    stick = [
        of_stick(port, 0),
        SerialPort("/dev/none", usb_device="1-1", interface=1),
    ]
    examination = await probed(port, ports=stick, all_ports=True)
    assert "nor at the stick's other ports, /dev/none" in trouble(examination).seen
    assert "Unplug" in trouble(examination).remedy


async def test_a_port_with_nothing_behind_it_is_told(emulator: Emulator) -> None:
    emulator.faults.add("wrong_port")
    port = await emulator.open_pty()
    examination = await probed(port, timing=replace(TIMING, wake_s=0.05))
    assert trouble(examination).seen == f"Nothing answers at {port}."
    assert "--baud" in trouble(examination).remedy


class SlowModem:
    """A serial line whose modem hears 9600 baud only, and says OK to everything."""

    def __init__(self) -> None:
        self._line, self._terminal = pty.openpty()
        self.path = os.ttyname(self._terminal)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        heard = b""
        with suppress(OSError):
            while data := os.read(self._line, 1024):
                if termios.tcgetattr(self._line)[5] == termios.B9600:
                    heard += data
                    answers = heard.count(b"\r")
                    heard = heard.rpartition(b"\r")[2]
                    os.write(self._line, b"\r\nOK\r\n" * answers)

    def close(self) -> None:
        """Hang up."""
        os.close(self._terminal)
        self._thread.join(10)
        os.close(self._line)


async def test_a_modem_that_was_set_to_another_speed_is_found_at_it() -> None:
    modem = SlowModem()
    try:
        examination = await probed(modem.path)
    finally:
        await asyncio.to_thread(modem.close)
    answer = next(each for each in examination.findings if each.step == "answer")
    assert answer.seen == "It answers at 9600 baud, not at 115200."
    assert answer.remedy == "Set `baud = 9600` in modems.toml."
    assert "baud = 9600" in examination.entry


async def test_a_modem_that_falls_silent_in_the_middle_is_told(emulator: Emulator) -> None:
    emulator.faults.add("lost_result", skip=9, seconds=60)
    examination = await probed(await emulator.open_pty(), timing=replace(TIMING, answer_s=0.3))
    assert not examination.can_send
    assert examination.findings[-1].seen.startswith("It stopped answering")


# The SIM.


@pytest.mark.parametrize(
    ("fault", "seen", "remedy"),
    [
        ("no_sim", "There is no SIM.", "Put one in"),
        ("sim_failure", "The SIM cannot be read.", "Clean its contacts"),
        ("sim_busy", "The SIM is busy and stays so.", "take it out"),
        ("pin", "The SIM wants its PIN.", "Set `pin` in modems.toml"),
        ("puk", "The SIM is locked: its PIN was wrong too often.", "enter the PUK"),
    ],
)
async def test_what_is_wrong_with_the_sim_is_told(
    emulator: Emulator, fault: str, seen: str, remedy: str
) -> None:
    emulator.faults.add(fault)
    examination = await probed(await emulator.open_pty())
    assert not examination.can_send
    assert trouble(examination).step == "SIM"
    assert trouble(examination).seen.startswith(seen)
    assert remedy in trouble(examination).remedy


async def test_a_sim_that_becomes_ready_is_waited_for(emulator: Emulator) -> None:
    emulator.faults.add("sim_busy", seconds=0.1)
    assert (await probed(await emulator.open_pty())).can_send


async def test_no_pin_is_entered_and_the_entry_has_a_place_for_it(emulator: Emulator) -> None:
    emulator.faults.add("pin", tries=1)
    port = await emulator.open_pty()
    examination = await probed(port)
    assert 'pin = ""' in examination.entry
    assert trouble(await probed(port)).remedy == trouble(examination).remedy


# The network and the message service.


async def test_no_signal_is_told(emulator: Emulator) -> None:
    emulator.faults.add("no_signal")
    examination = await probed(await emulator.open_pty())
    assert troubles(examination) == [("signal", Mark.FAULT), ("network", Mark.FAULT)]
    assert "antenna" in next(each for each in examination.findings if each.step == "signal").remedy


async def test_a_sim_that_the_network_refuses_is_told(emulator: Emulator) -> None:
    emulator.faults.add("registration_denied")
    examination = await probed(await emulator.open_pty())
    network = next(each for each in examination.findings if each.step == "network")
    assert network.mark is Mark.FAULT
    assert "does not let this SIM in" in network.seen
    assert "Ask the operator" in network.remedy


async def test_a_missing_message_centre_is_told_and_has_a_place_in_the_entry(emulator: Emulator) -> None:
    emulator.faults.add("no_smsc")
    examination = await probed(await emulator.open_pty())
    assert trouble(examination).step == "message centre"
    assert "set `smsc` in modems.toml" in trouble(examination).remedy
    assert 'smsc = ""' in examination.entry


async def test_a_full_memory_keeps_nothing_from_going_out_and_is_told(emulator: Emulator) -> None:
    emulator.faults.add("memory_full")
    examination = await probed(await emulator.open_pty())
    assert examination.can_send
    assert troubles(examination) == [("memory", Mark.WARNING)]


async def test_a_modem_that_does_not_tell_what_it_announces_can_send_all_the_same(emulator: Emulator) -> None:
    emulator.faults.add("refuse", command="+CNMI=?")
    examination = await probed(await emulator.open_pty())
    assert examination.can_send
    assert (trouble(examination).step, trouble(examination).mark) == ("messages", Mark.WARNING)
    assert "does not tell" in trouble(examination).seen


async def test_a_modem_that_refuses_pdu_mode_cannot_send_whatever_it_lists(emulator: Emulator) -> None:
    emulator.faults.add("refuse", command="+CMGF=0")
    examination = await probed(await emulator.open_pty())
    assert not examination.can_send
    assert "PDU mode" in trouble(examination).seen


async def test_a_modem_whose_radio_is_off_is_told(emulator: Emulator) -> None:
    port = await emulator.open_pty()
    await asyncio.to_thread(say, port, "AT+CFUN=4")
    examination = await probed(port)
    assert trouble(examination).step == "radio"
    assert "AT+CFUN=4" in trouble(examination).seen


def say(port: Path, command: str) -> None:
    """Tell a modem something and wait until it is done."""
    with port.open("r+b", buffering=0) as line:
        line.write(f"{command}\r".encode())
        answer = b""
        while b"OK\r\n" not in answer:
            answer += line.read(64)


async def test_what_the_modem_is_stands_in_the_entry_and_the_findings() -> None:
    equipment = Equipment("Quectel", "EC25", "EC25EFAR06A03M4G", "867322000000017")
    async with Emulator(equipment=equipment) as emulator:
        examination = await probed(await emulator.open_pty())
    assert "Quectel EC25 EC25EFAR06A03M4G, IMEI 867322000000017." in [e.seen for e in examination.findings]
    assert 'name = "ec25"' in examination.entry
