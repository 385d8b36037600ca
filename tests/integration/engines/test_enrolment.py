"""The certificates that `make run-full` has for its drivers: used again as long as somebody trusts them."""

from pathlib import Path

import pytest
from cryptography import x509

from core import certificates
from core.cli import certs
from core.cli.context import transact
from core.config import Settings, load
from core.store import migrate
from core.store.rows import TenantRow
from tests.fakes.command_line import infinireach
from tests.fakes.database import CREATED_MS, TENANT_A
from tools.full.enrolment import enrol

NAME = "driver-1"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A gateway with a tenant and certificates."""
    monkeypatch.setenv("INFINIREACH_VAR", str(tmp_path))
    settings = load()
    migrate.migrate(settings.database_url)
    tenant = TenantRow(id=TENANT_A, name="A", per_minute=1, created_ms=CREATED_MS)
    transact(settings, lambda session: session.add(tenant))
    certs.init()
    return settings


def enrolled(settings: Settings) -> tuple[x509.Certificate, str]:
    """The certificate after enrolling, and the token that it stands for."""
    enrol(settings, NAME, TENANT_A)
    file = settings.var / "certs" / f"{NAME}.pem"
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    authority = x509.load_pem_x509_certificate((settings.var / "certs" / "ca.pem").read_bytes())
    certificate.verify_directly_issued_by(authority)
    [uri] = certificates.alternative_names(certificate)
    return certificate, str(uri.value).rpartition(":")[2]


def test_one_that_is_there_is_used_again(settings: Settings) -> None:
    assert enrolled(settings) == enrolled(settings)


def test_one_of_an_authority_that_was_replaced_is_renewed_for_its_token(settings: Settings) -> None:
    before, token_id = enrolled(settings)
    certs.init(force=True)
    after = enrolled(settings)
    assert (after[0] != before, after[1]) == (True, token_id)


def test_one_that_ends_soon_is_renewed_for_its_token(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "LEAF_DAYS", certificates.RENEW_DAYS - 1)
    before, token_id = enrolled(settings)
    monkeypatch.setattr(certificates, "LEAF_DAYS", 397)
    after = enrolled(settings)
    assert (after[0] != before, after[1]) == (True, token_id)


def test_one_whose_token_was_revoked_gives_way_to_another_tokens(settings: Settings) -> None:
    _, token_id = enrolled(settings)
    assert infinireach("driver-token", "revoke", token_id).status == 0
    assert enrolled(settings)[1] != token_id


@pytest.mark.parametrize("file", [f"{NAME}.pem", f"{NAME}.key"])
def test_one_of_which_a_file_is_missing_or_broken_is_made_anew(settings: Settings, file: str) -> None:
    before, _ = enrolled(settings)
    (settings.var / "certs" / file).write_text("nonsense")
    assert enrolled(settings)[0] != before
    (settings.var / "certs" / file).unlink()
    assert certs.is_current(settings, NAME, enrolled(settings)[1])
