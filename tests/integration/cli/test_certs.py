"""`infinireach certs`: what it makes, keeps and refuses, and that TLS handshakes with it succeed."""

import datetime
import json
import re
import shlex
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from core import certificates
from core.api.forwarded_certificate import driver_uri
from core.certificates import Authority
from core.cli.certs import SUBJECTS
from tests import repository
from tests.fakes.certs_folder import now
from tests.fakes.command_line import infinireach

DAY = datetime.timedelta(days=1)


@pytest.fixture(autouse=True)
def certs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the certificates, which does not exist yet."""
    monkeypatch.setenv("INFINIREACH_VAR", str(tmp_path / "var"))
    return tmp_path / "var" / "certs"


def told(*arguments: str) -> Any:
    """What a command answers."""
    finished = infinireach(*arguments, "--json")
    assert finished.status == 0, finished.err
    return json.loads(finished.out)


def made(*arguments: str) -> list[str]:
    """The names of the certificates that `certs init` made."""
    return [Path(path).name for path in told("certs", "init", *arguments)["made"]]


def load(path: Path) -> x509.Certificate:
    """The certificate in a file."""
    return x509.load_pem_x509_certificate(path.read_bytes())


def handshake(server: Path, client: Path, authority: Path, *, name: str) -> Any:
    """The client's certificate, as the server sees it after a handshake in which both demand one."""
    ends: list[ssl.SSLObject] = []
    pipes = (ssl.MemoryBIO(), ssl.MemoryBIO())
    for pair, is_server in ((server, True), (client, False)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authority)
        context.load_cert_chain(pair, pair.with_suffix(".key"))
        context.verify_mode = ssl.CERT_REQUIRED
        incoming, outgoing = pipes if is_server else pipes[::-1]
        ends.append(
            context.wrap_bio(
                incoming, outgoing, server_side=is_server, server_hostname=None if is_server else name
            )
        )
    for _ in range(4):
        for end in ends[::-1]:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].getpeercert()


def test_init_makes_an_authority_and_a_certificate_for_each_part(certs: Path) -> None:
    assert made() == ["ca.pem", "edge.pem", "core.pem", "client.pem"]
    names = {path.name for path in certs.iterdir()}
    assert names == {f"{name}.{kind}" for name in ("ca", *SUBJECTS) for kind in ("pem", "key")}
    assert certs.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in certs.glob("*.key"))
    authority = load(certs / "ca.pem")
    verifier = PolicyBuilder().store(Store([authority]))
    for name in ("edge", "core"):
        verifier.build_server_verifier(x509.DNSName("localhost")).verify(load(certs / f"{name}.pem"), [])
    for name in ("core", "client"):
        verifier.build_client_verifier().verify(load(certs / f"{name}.pem"), [])
    lives = [load(certs / f"{name}.pem") for name in SUBJECTS]
    assert all(cert.not_valid_after_utc - cert.not_valid_before_utc <= 397 * DAY for cert in lives)
    assert len({cert.serial_number for cert in (authority, *lives)}) == 4


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "core"])
def test_the_parts_trust_each_other_by_every_name(certs: Path, name: str) -> None:
    told("certs", "init")
    peer = handshake(certs / "core.pem", certs / "client.pem", certs / "ca.pem", name=name)
    assert peer["subject"] == ((("commonName", "infinireach-internal"),),)


def test_a_client_is_no_server(certs: Path) -> None:
    told("certs", "init")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(certs / "client.pem", certs / "core.pem", certs / "ca.pem", name="infinireach-internal")


def test_init_again_changes_nothing(certs: Path) -> None:
    told("certs", "init")
    before = {path: path.read_bytes() for path in certs.iterdir()}
    assert made() == []
    assert {path: path.read_bytes() for path in certs.iterdir()} == before
    assert "is there already" in infinireach("certs", "init").out


def test_init_makes_anew_what_is_missing_or_ends_soon(certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told("certs", "init")
    (certs / "edge.pem").unlink()
    (certs / "edge.key").unlink()
    (certs / "client.key").unlink()
    assert made() == ["edge.pem", "client.pem"]
    authority = Authority.read(certs / "ca.pem", certs / "ca.key", now())
    monkeypatch.setattr(certificates, "LEAF_DAYS", certificates.RENEW_DAYS - 1)
    pair = authority.issue(SUBJECTS["core"], now())
    monkeypatch.undo()
    monkeypatch.setenv("INFINIREACH_VAR", str(certs.parent))
    (certs / "core.pem").write_bytes(pair.certificate)
    (certs / "core.key").write_bytes(pair.key)
    assert made() == ["core.pem"]


def test_an_authority_is_replaced_only_by_force(certs: Path) -> None:
    told("certs", "init")
    old = load(certs / "ca.pem")
    (certs / "ca.key").unlink()
    refused = infinireach("certs", "init")
    assert refused.status == 1
    assert "certs init --force" in refused.err
    assert load(certs / "ca.pem") == old
    assert made("--force") == ["ca.pem", "edge.pem", "core.pem", "client.pem"]
    assert load(certs / "ca.pem") != old


def test_a_drivers_certificate_stands_for_its_token(certs: Path) -> None:
    told("certs", "init")
    tenant = told("tenant", "create", "acme")["tenant"]
    made = told("certs", "driver", "office-modem", "--tenant", "acme")
    assert made["tenantId"] == tenant["id"]
    [listed] = told("driver-token", "list")["driverTokens"]
    assert (listed["id"], listed["name"]) == (made["tokenId"], "office-modem")
    peer = handshake(certs / "core.pem", Path(made["certFile"]), certs / "ca.pem", name="core")
    assert peer["subjectAltName"] == (("URI", f"urn:infinireach:driver-token:{made['tokenId']}"),)


def test_a_drivers_certificate_is_renewed_for_its_own_token_only(certs: Path) -> None:
    told("certs", "init")
    told("tenant", "create", "acme")
    first = told("certs", "driver", "office")
    other = told("driver-token", "create", "other")
    for arguments in ([], ["--token-id", other["id"]]):
        refused = infinireach("certs", "driver", "office", *arguments)
        assert refused.status == 1
        assert "--token-id" in refused.err
    before = load(certs / "office.pem")
    assert told("certs", "driver", "office", "--token-id", first["tokenId"])["tokenId"] == first["tokenId"]
    assert load(certs / "office.pem") != before
    assert told("certs", "driver", "attic", "--token-id", other["id"])["tokenId"] == other["id"]
    assert len(told("driver-token", "list")["driverTokens"]) == 2


@pytest.mark.parametrize("name", ["ca", "core", "../etc", "Office", "", ".hidden"])
def test_a_name_that_cannot_be_a_drivers_is_refused(name: str) -> None:
    told("certs", "init")
    told("tenant", "create", "acme")
    assert infinireach("certs", "driver", name).status == 1
    assert told("driver-token", "list")["driverTokens"] == []


def test_without_an_authority_and_for_a_revoked_token_there_is_no_certificate(certs: Path) -> None:
    told("tenant", "create", "acme")
    assert "infinireach certs init" in infinireach("certs", "driver", "office").err
    told("certs", "init")
    token = told("driver-token", "create")
    assert infinireach("driver-token", "revoke", token["id"]).status == 0
    assert "no live driver token" in infinireach("certs", "driver", "office", "--token-id", token["id"]).err
    assert not (certs / "office.pem").exists()


def test_show_lists_names_and_ends(certs: Path) -> None:
    assert "infinireach certs init" in infinireach("certs", "show").out
    told("certs", "init")
    shown = {Path(row["file"]).name: row for row in told("certs", "show")["certificates"]}
    assert set(shown) == {"ca.pem", "client.pem", "core.pem", "edge.pem"}
    assert shown["core.pem"]["names"] == ["localhost", "127.0.0.1", "::1", "core"]
    assert shown["core.pem"]["subject"] == "CN=infinireach-core"
    assert shown["core.pem"]["expiresAt"].endswith("Z")
    (certs / "odd.pem").write_text("nonsense")
    assert "odd.pem: holds no certificate" in infinireach("certs", "show").err


def test_doctor_warns_of_certificates_that_end_soon(certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told("certs", "init")

    def doctor() -> list[tuple[str, str]]:
        checks = json.loads(infinireach("doctor", "--json").out)["checks"]
        return [(row["state"], row["detail"]) for row in checks if row["check"] == "certificates"]

    assert doctor() == []
    monkeypatch.setenv("INFINIREACH_TLS_CERT_FILE", str(certs / "core.pem"))
    monkeypatch.setenv("INFINIREACH_TLS_KEY_FILE", str(certs / "core.key"))
    monkeypatch.setenv("INFINIREACH_CORE_CA_FILE", str(certs / "ca.pem"))
    [(state, _)] = doctor()
    assert state == "ok"
    authority = Authority.read(certs / "ca.pem", certs / "ca.key", now())
    for days, state in ((10, "warning"), (-1, "fault")):
        then = now() - (certificates.LEAF_DAYS - days) * DAY
        pair = authority.issue(SUBJECTS["core"], then)
        (certs / "core.pem").write_bytes(pair.certificate)
        (certs / "core.key").write_bytes(pair.key)
        [(found, detail)] = doctor()
        assert (found, "core.pem" in detail) == (state, True)
    monkeypatch.setenv("INFINIREACH_TLS_KEY_FILE", str(certs / "edge.key"))
    [(state, detail)] = doctor()
    assert (state, "is not the key" in detail) == ("fault", True)


def own(certs: Path, name: str) -> tuple[bytes, bytes]:
    """Put files of another authority in the place of a part's, and give their contents."""
    pair = Authority.new(now()).issue(SUBJECTS[name], now())
    (certs / f"{name}.pem").write_bytes(pair.certificate)
    (certs / f"{name}.key").write_bytes(pair.key)
    return pair.certificate, pair.key


@pytest.mark.parametrize("arguments", [[], ["--force"], ["--edge-name", "edge.example.com"]])
def test_what_another_authority_issued_is_never_replaced(certs: Path, arguments: list[str]) -> None:
    told("certs", "init")
    contents = own(certs, "edge")
    assert "edge.pem" not in made(*arguments)
    assert ((certs / "edge.pem").read_bytes(), (certs / "edge.key").read_bytes()) == contents
    finished = infinireach("certs", "init", *arguments)
    assert "edge.pem: was issued by another authority. Left as it is" in finished.out
    assert [Path(path).name for path in told("certs", "init", *arguments)["left"]] == ["edge.pem"]


@pytest.mark.parametrize("kept", ["edge.key", "edge.pem"])
def test_half_of_a_pair_that_is_not_its_own_is_never_replaced(certs: Path, kept: str) -> None:
    told("certs", "init")
    for name in ("edge.pem", "edge.key"):
        (certs / name).unlink()
    (certs / kept).write_text("what its owner wrote")
    assert made() == []
    assert (certs / kept).read_text() == "what its owner wrote"


def test_a_key_that_is_not_its_certificates_is_never_replaced(certs: Path) -> None:
    told("certs", "init")
    key = (certs / "core.key").read_bytes()
    (certs / "edge.key").write_bytes(key)
    assert made("--force") == ["ca.pem", "core.pem", "client.pem"]
    assert (certs / "edge.key").read_bytes() == key


def test_a_link_to_what_is_away_is_never_replaced(certs: Path) -> None:
    told("certs", "init")
    (certs / "edge.pem").unlink()
    (certs / "edge.pem").symlink_to(certs / "not-mounted.pem")
    assert made() == []
    assert (certs / "edge.pem").is_symlink()


def test_a_drivers_files_of_another_authority_are_never_replaced(
    certs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told("certs", "init")
    told("tenant", "create", "acme")
    token = told("certs", "driver", "office")["tokenId"]
    monkeypatch.setattr(certificates, "AUTHORITY_NAME", "A company's authority")
    names = (x509.UniformResourceIdentifier(driver_uri(token)),)
    pair = Authority.new(now()).issue(certificates.Subject("office", names, (certificates.CLIENT,)), now())
    (certs / "office.pem").write_bytes(pair.certificate)
    assert "another authority" in infinireach("certs", "driver", "office", "--token-id", token).err
    assert (certs / "office.pem").read_bytes() == pair.certificate
    (certs / "attic.key").write_text("what its owner wrote")
    assert "attic.key is there already" in infinireach("certs", "driver", "attic").err
    assert (certs / "attic.key").read_text() == "what its owner wrote"


def test_names_are_added_and_kept(certs: Path) -> None:
    assert "core.pem" in made("--core-name", "core-1", "--core-name", "10.0.0.7")
    assert made("--core-name", "core-1") == []
    assert made("--core-name", "Core-2") == ["core.pem"]
    assert made("--edge-name", "*.example.com") == ["edge.pem"]
    assert made("--force") == ["ca.pem", "edge.pem", "core.pem", "client.pem"]
    shown = {Path(row["file"]).name: row["names"] for row in told("certs", "show")["certificates"]}
    assert shown["core.pem"] == ["localhost", "127.0.0.1", "::1", "core", "core-1", "10.0.0.7", "core-2"]
    assert shown["edge.pem"] == ["localhost", "127.0.0.1", "::1", "*.example.com"]


@pytest.mark.parametrize(
    "name", ["", "https://core", "core:50052", "a b", "-core", "ä.example.com", "x" * 64]
)
def test_what_is_no_name_of_a_host_is_refused(certs: Path, name: str) -> None:
    refused = infinireach("certs", "init", "--core-name", name)
    assert (refused.status, "neither a host name nor an address" in refused.err) == (1, True)
    assert not certs.exists()


def test_the_example_of_the_documentation_works_as_it_is_written(certs: Path) -> None:
    page = (repository.ROOT / "docs/tls.md").read_text(encoding="utf-8")
    example = page.partition("## Make the certificates\n")[2].split("```\n")[1]
    told("tenant", "create", "acme")
    for line in example.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "infinireach"
        assert infinireach(*arguments).status == 0, line
    rows = [row.split("|")[2:4] for row in page.splitlines() if row.startswith("|") and row.count("|") == 4]
    values = {setting.strip(" `"): re.findall("`(.*?)`", value) for setting, value in rows}
    [cores], edge = values["INFINIREACH_CORE_ADDRESS"], values["INFINIREACH_DRIVER_CORE"][0]
    driver = certs / values["INFINIREACH_DRIVER_CERT_FILE`, `…_DRIVER_KEY_FILE"][0]
    for server, client, addresses in (("core", certs / "client.pem", cores), ("edge", driver, edge)):
        for address in addresses.split(","):
            name = address.partition(":")[0]
            assert handshake(certs / f"{server}.pem", client, certs / "ca.pem", name=name), address
