"""One authority for all tests of the edge."""

import pytest

from tests.fakes.certificate_files import CertificateFiles


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """Certificates of an authority that nothing else trusts."""
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))
