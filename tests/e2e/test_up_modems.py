"""`infinireach up --modem modems.toml`: the modems of a file, whatever state they are in."""

import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from core.cli.roles import command_of
from tests.e2e.gateway import Gateway

TWO = """
[[modem]]
name = "present"
port = "{url}"
number = "+15559876543"

[[modem]]
name = "unplugged"
port = "/dev/serial/by-id/none"
number = "+15559876544"
"""


@pytest.fixture
def url(tmp_path: Path) -> Generator[str]:
    """Where a modem listens that somebody else runs."""
    command = command_of("drivers.modem", "emulate", "--folder", str(tmp_path / "elsewhere"), "--tcp", "0")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=20)


async def test_the_gateway_is_ready_though_a_modem_is_not_and_the_other_one_sends(
    tmp_path: Path, url: str
) -> None:
    (tmp_path / "modems.toml").write_text(TWO.format(url=url))
    gateway = Gateway(tmp_path / "var", options=("--modem", str(tmp_path / "modems.toml")))
    try:
        gateway.start()
        devices = {device["name"]: device for device in gateway.run["devices"]}
        assert set(devices) == {"present", "unplugged"}
        assert devices["unplugged"]["status"] == "degraded"
        async with gateway.client() as client:
            assert await client.message_in(await client.send(), "delivered")
    finally:
        gateway.stop()


def test_what_is_wrong_in_the_file_is_told_before_anything_is_started(tmp_path: Path) -> None:
    (tmp_path / "modems.toml").write_text('[[modem]]\nname = "stick"\nnumber = "0170"\n')
    gateway = Gateway(tmp_path / "var", options=("--modem", str(tmp_path / "modems.toml")))
    with pytest.raises(AssertionError) as told:
        gateway.start()
    assert 'modem "stick": port is missing' in str(told.value)
    assert 'modem "stick": number must be E.164' in str(told.value)
    assert not (tmp_path / "var" / "logs").exists()
