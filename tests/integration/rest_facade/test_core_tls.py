"""The facade and its core over TLS: certificates that change, a core that is not who it says."""

import asyncio
from pathlib import Path

import grpc

from core.cli.certs import SUBJECTS
from tests.fakes.certs_folder import CertsFolder, now
from tests.integration.rest_facade.conftest import Start
from tests.integration.rest_facade.stub_core import StubCore


def serving(certs: CertsFolder) -> grpc.ServerCredentials:
    """What a core shows, and that it demands a certificate of the same authority."""
    pair, trusted = certs.pair("core"), certs.file("ca.pem").read_bytes()
    return grpc.ssl_server_credentials([(pair.key, pair.certificate)], trusted, require_client_auth=True)


def settings(certs: CertsFolder) -> dict[str, Path]:
    """The facade's."""
    return {
        "core_ca_file": certs.file("ca.pem"),
        "core_cert_file": certs.file("client.pem"),
        "core_key_file": certs.file("client.key"),
    }


async def test_files_that_changed_are_shown_at_the_next_connection(
    core: StubCore, start: Start, tmp_path: Path
) -> None:
    certs = CertsFolder.make(tmp_path / "certs")
    await core.stop()
    await core.start(serving(certs))
    api = await start(core_grace_s=30, **settings(certs))
    assert (await api.send()).status == 201
    await core.stop()
    renewed = CertsFolder.make(tmp_path / "renewed")
    await core.start(serving(renewed))
    waiting = asyncio.create_task(api.send())
    for file in renewed.folder.iterdir():
        certs.file(file.name).write_bytes(file.read_bytes())
    assert (await waiting).status == 201


async def test_a_core_of_another_authority_or_name_is_sent_nothing(
    core: StubCore, start: Start, tmp_path: Path
) -> None:
    certs = CertsFolder.make(tmp_path / "certs")
    await core.stop()
    other = CertsFolder.make(tmp_path / "other")
    elsewhere = CertsFolder(tmp_path / "elsewhere", certs.authority)
    elsewhere.folder.mkdir()
    elsewhere.write("ca", certs.authority.pair())
    elsewhere.write("core", certs.authority.issue(SUBJECTS["client"], now()))
    api = await start(core_grace_s=0.2, **settings(certs))
    for served in (other, elsewhere):
        await core.start(serving(served))
        answer = await api.send()
        assert (answer.status, answer.json["code"]) == (503, "unavailable")
        await core.stop()
    assert api.world.messages == {}
    await core.start(serving(certs))
    while (await api.call("GET", "/readyz", key=None)).status != 200:
        pass
    assert (await api.send()).status == 201
