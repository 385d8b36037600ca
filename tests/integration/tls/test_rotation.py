"""Certificates that change while a core runs."""

import asyncio
from collections.abc import Generator
from pathlib import Path

import grpc
import pytest

from core.certificates import Authority
from core.cli.certs import SUBJECTS
from infinireach.v1 import devices_service_pb2, devices_service_pb2_grpc
from tests.fakes.certs_folder import CertsFolder, now
from tests.fakes.core_process import CoreProcess, core_process
from tests.fakes.rpc_outcome import refusal
from tests.integration.tls.channels import CALL_S_MAX, channel, health


@pytest.fixture
def core(tmp_path: Path, certs: CertsFolder) -> Generator[CoreProcess]:
    with core_process(tmp_path / "var", **certs.core_settings()) as core:
        yield core


async def unauthenticated(opened: grpc.aio.Channel) -> str:
    """What a call without a credential comes to: a refusal by a core that is there."""
    stub = devices_service_pb2_grpc.DevicesServiceStub(opened)
    call = stub.ListDevices(devices_service_pb2.ListDevicesRequest(), timeout=CALL_S_MAX)
    return (await refusal(call)).code


async def test_new_files_are_shown_and_demanded_without_a_restart(
    core: CoreProcess, certs: CertsFolder
) -> None:
    old, client = certs.trusting(), certs.trusting(certs.pair("client"))
    async with channel(core.public, old) as open_before:
        assert await unauthenticated(open_before) == "UNAUTHENTICATED"
        renewed = CertsFolder(certs.folder, Authority.new(now()))
        renewed.write("ca", renewed.authority.pair())
        for name, subject in SUBJECTS.items():
            renewed.write(name, renewed.authority.issue(subject, now()))
        assert await health(core.public, renewed.trusting()) == "SERVING"
        assert await health(core.internal, renewed.trusting(renewed.pair("client"))) == "SERVING"
        assert await health(core.public, old) == "UNAVAILABLE"
        assert await health(core.internal, client) == "UNAVAILABLE"
        assert await unauthenticated(open_before) == "UNAUTHENTICATED"  # its connection goes on
    assert core.log.count('"tls.renewed"') == 2


async def test_files_that_do_not_fit_leave_the_old_ones_in_force(
    core: CoreProcess, certs: CertsFolder
) -> None:
    pair = certs.authority.issue(SUBJECTS["core"], now())
    certs.file("core.pem").write_bytes(pair.certificate)
    for _ in range(3):
        assert await health(core.public, certs.trusting()) == "SERVING"
    assert core.log.count('"tls.not_renewed"') == 1
    assert "BEGIN" not in core.log
    certs.file("core.key").write_bytes(pair.key)
    assert await health(core.public, certs.trusting()) == "SERVING"
    assert core.log.count('"tls.renewed"') == 1
    certs.file("core.key").unlink()
    assert await health(core.public, certs.trusting()) == "SERVING"


async def test_files_that_are_away_are_told_of_once_however_many_connect(
    core: CoreProcess, certs: CertsFolder
) -> None:
    certs.file("core.pem").rename(certs.file("away"))
    for _ in range(5):
        assert await health(core.public, certs.trusting()) == "SERVING"
    assert core.log.count('"tls.not_renewed"') == 1
    certs.file("core.key").rename(certs.file("away.key"))
    certs.file("away").rename(certs.file("core.pem"))
    assert await health(core.public, certs.trusting()) == "SERVING"
    assert core.log.count('"tls.not_renewed"') == 2  # another problem


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("core.pem", None, "core.pem: cannot be read: No such file or directory"),
        ("core.pem", b"nonsense", "core.pem: holds no certificate in PEM"),
        ("core.key", b"nonsense", "core.key: holds no private key in PEM that needs no password"),
        ("core.key", "edge.key", "core.key: is not the key of the certificate in"),
        ("ca.pem", b"", "ca.pem: holds no certificate in PEM"),
    ],
)
async def test_a_core_with_files_that_cannot_be_used_says_which_and_ends(
    tmp_path: Path, certs: CertsFolder, name: str, content: bytes | str | None, problem: str
) -> None:
    file = certs.file(name)
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content if isinstance(content, bytes) else certs.file(content).read_bytes())
    (tmp_path / "var").mkdir()
    settings = {f"INFINIREACH_{key}": value for key, value in certs.core_settings().items()}
    core = CoreProcess(tmp_path / "var", settings)
    with pytest.raises(AssertionError):
        await asyncio.to_thread(core.start)
    assert core.wait() == 1
    assert problem in core.log.splitlines()[-1]
    assert "Traceback" not in core.log
