"""What is known of a serial port without opening it."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.modem.link.serial_ports import SerialPort, holders_of, names, serial_ports, siblings

STICK = [
    SerialPort(
        f"/dev/ttyUSB{number}", f"/dev/serial/by-id/stick-if0{number}", "Stick", 0x12D1, "1-1.3", number
    )
    for number in range(3)
]
OTHER = SerialPort("/dev/ttyUSB3", "", "Another stick", 0x2C7C, "1-1.4", 0)
CONVERTER = SerialPort("/dev/ttyUSB4", "", "USB serial", 0x1A86, "1-1.5", 0)
BOARD = SerialPort("/dev/ttyS0")


@pytest.mark.parametrize(
    ("port", "guess"),
    [
        (STICK[0], "modem (Huawei)"),
        (CONVERTER, "converter (WCH), perhaps with a modem behind it"),
        (BOARD, "serial line"),
        (SerialPort("/dev/ttyACM0", vendor=0xFFFF), ""),
    ],
)
def test_its_vendor_tells_what_is_probably_behind_it(port: SerialPort, guess: str) -> None:
    assert port.guess == guess


def test_siblings_are_the_other_ports_of_the_same_stick() -> None:
    ports = [OTHER, STICK[2], STICK[0], STICK[1], BOARD]
    assert siblings("/dev/ttyUSB1", ports) == [STICK[0], STICK[2]]
    assert siblings("/dev/ttyS0", ports) == []
    assert siblings("socket://127.0.0.1:1", ports) == []


def test_siblings_are_found_by_a_name_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "by-id").symlink_to("/dev/ttyUSB2")
    assert siblings(str(tmp_path / "by-id"), STICK) == STICK[:2]


def test_ports_are_named_as_modems_toml_takes_them() -> None:
    assert names([STICK[0], CONVERTER]) == "/dev/serial/by-id/stick-if00, /dev/ttyUSB4"
    assert names([]) == "none at all"


def test_whoever_holds_a_port_is_seen() -> None:
    ours, device = pty.openpty()
    path = os.ttyname(device)
    script = (
        "import sys; port = open(sys.argv[1], 'rb', buffering=0); print('open', flush=True); sys.stdin.read()"
    )
    holding = subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holding.stdout
        assert holding.stdout.readline() == "open\n"
        holder = holders_of([path])[path]
        assert holder.pid == holding.pid
        assert holder.command.startswith(sys.executable)
        assert holders_of(["/dev/pts/none"]) == {}
    finally:
        holding.communicate(timeout=10)
        os.close(ours)
        os.close(device)


def test_the_ports_of_this_machine_can_be_listed() -> None:
    assert all(port.device.startswith("/dev/") for port in serial_ports())
