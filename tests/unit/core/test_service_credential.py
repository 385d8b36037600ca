"""Where the core's service credentials come from."""

from pathlib import Path

import pytest

from core import service_credential
from core.service_credential import CredentialError

OLD, NEW = "old-" + "o" * 20, "new-" + "n" * 20


def test_the_setting_comes_before_the_file_and_may_hold_two(tmp_path: Path) -> None:
    path = tmp_path / "service.credential"
    path.write_text(OLD)
    assert service_credential.load(NEW, path, create=False) == [NEW]
    assert service_credential.load(f"{NEW}\n{OLD}", path, create=False) == [NEW, OLD]


def test_the_file_holds_one_credential_or_during_a_change_two(tmp_path: Path) -> None:
    path = tmp_path / "service.credential"
    path.write_text(f"{OLD}\n")
    assert service_credential.load("", path, create=False) == [OLD]
    path.write_text(f"{NEW}\n\n {OLD} \n")
    assert service_credential.load("", path, create=False) == [NEW, OLD]


@pytest.mark.parametrize(
    "text", ["", "\n", "short", f"{NEW}\nshort", f"{NEW}\n{OLD}\n{NEW}", "schl\u00fcssel" * 3]
)
def test_a_file_that_holds_anything_else_is_refused_by_its_name_and_not_quoted(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "service.credential"
    path.write_text(text)
    with pytest.raises(CredentialError, match=r"service\.credential") as refused:
        service_credential.load("", path, create=False)
    assert NEW not in str(refused.value)


def test_a_missing_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "service.credential"
    with pytest.raises(CredentialError):
        service_credential.load("", path, create=False)
    made = service_credential.load("", path, create=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert service_credential.load("", path, create=True) == made
