"""Sealed secrets and the file with the master keys."""

import base64
import os
from dataclasses import replace
from pathlib import Path

import pytest

from core.vault import FORMAT, Place, Vault, VaultError, new_key_line

PLACE = Place(table="webhook", column="secret", tenant_id="a" * 24, row_id="b" * 24)
SECRET = b"whsec_secret-of-a-customer"
OLD = {"00000001": bytes(range(32))}
NEW = {"00000002": bytes(range(32, 64))}


def write_keys(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_what_was_sealed_is_opened_in_its_place() -> None:
    vault = Vault(OLD)
    assert vault.open(vault.seal(SECRET, PLACE), PLACE) == SECRET


def test_sealed_bytes_name_format_and_key_and_show_nothing_of_the_secret() -> None:
    sealed = Vault(OLD).seal(SECRET, PLACE)
    assert sealed[:5] == b"\x01\x00\x00\x00\x01"
    assert SECRET not in sealed
    assert len(sealed) == 5 + 12 + len(SECRET) + 16


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    vault = Vault(OLD)
    assert vault.seal(SECRET, PLACE) != vault.seal(SECRET, PLACE)


@pytest.mark.parametrize("part", ["table", "column", "tenant_id", "row_id"])
def test_what_was_sealed_for_one_place_opens_in_no_other(part: str) -> None:
    vault = Vault(OLD)
    with pytest.raises(VaultError, match="another place"):
        vault.open(vault.seal(SECRET, PLACE), replace(PLACE, **{part: "other"}))


def test_no_byte_of_what_was_sealed_can_be_changed() -> None:
    vault = Vault(OLD | NEW)
    sealed = vault.seal(SECRET, PLACE)
    for index in range(len(sealed)):
        changed = bytearray(sealed)
        changed[index] ^= 1
        with pytest.raises(VaultError):
            vault.open(bytes(changed), PLACE)


def test_a_sealed_secret_cannot_be_passed_off_as_sealed_with_another_key() -> None:
    same_bytes = Vault({"00000001": OLD["00000001"], "00000002": OLD["00000001"]})
    sealed = same_bytes.seal(SECRET, PLACE)
    renamed = FORMAT + bytes.fromhex("00000002") + sealed[5:]
    with pytest.raises(VaultError):
        same_bytes.open(renamed, PLACE)


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" * 32, b"\x02" * 64, SECRET * 3])
def test_what_is_no_sealed_secret_is_refused(sealed: bytes) -> None:
    with pytest.raises(VaultError, match="no sealed secret"):
        Vault(OLD).open(sealed, PLACE)


def test_the_first_key_seals_and_all_keys_open() -> None:
    old, both = Vault(OLD), Vault(NEW | OLD)
    sealed = old.seal(SECRET, PLACE)
    assert both.open(sealed, PLACE) == SECRET
    assert not both.is_current(sealed)
    again = both.seal(both.open(sealed, PLACE), PLACE)
    assert both.is_current(again)
    assert Vault(NEW).open(again, PLACE) == SECRET


def test_a_key_that_is_gone_is_named() -> None:
    with pytest.raises(VaultError, match="00000001"):
        Vault(NEW).open(Vault(OLD).seal(SECRET, PLACE), PLACE)


def test_a_missing_file_is_made_for_its_owner_only_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "var" / "master.key"
    sealed = Vault.load(path, create=True).seal(SECRET, PLACE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Vault.load(path, create=True).open(sealed, PLACE) == SECRET
    assert Vault.load(path, create=False).open(sealed, PLACE) == SECRET
    assert os.listdir(path.parent) == ["master.key"]


def test_a_missing_file_is_an_error_where_none_may_be_made(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    with pytest.raises(VaultError, match=r"master\.key: .* missing"):
        Vault.load(path, create=False)
    assert not path.exists()


def test_a_file_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VaultError, match="cannot be made"):
        Vault.load(tmp_path / "file" / "master.key", create=True)


def test_a_file_that_is_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="cannot be read"):
        Vault.load(tmp_path, create=True)


def test_a_file_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    path = write_keys(tmp_path / "master.key", new_key_line(), 0o644)
    with pytest.raises(VaultError, match="chmod 600"):
        Vault.load(path, create=False)


def test_comments_and_empty_lines_are_allowed(tmp_path: Path) -> None:
    line = f"00000001:{base64.b64encode(OLD['00000001']).decode()}"
    path = write_keys(tmp_path / "master.key", f"# since October\n\n{line}  # first\n{new_key_line()}")
    sealed = Vault(OLD).seal(SECRET, PLACE)
    vault = Vault.load(path, create=False)
    assert vault.open(sealed, PLACE) == SECRET
    assert vault.is_current(sealed)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no key"),
        ("# nothing\n", "holds no key"),
        ("just-a-password\n", "line 1"),
        ("\n00000001:tooshort=\n", "line 2"),
        (f"0000000g:{'A' * 43}=\n", "line 1"),
        (f"00000001:{'A' * 43}=\n00000001:{'B' * 42}A=\n", "line 2 repeats the key id 00000001"),
        ("ключ\n", "not a file with master keys"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line_and_without_its_content(
    tmp_path: Path, text: str, problem: str
) -> None:
    path = write_keys(tmp_path / "master.key", text)
    with pytest.raises(VaultError, match=problem) as refused:
        Vault.load(path, create=False)
    assert "password" not in str(refused.value)
    assert "AAAA" not in str(refused.value)


def test_a_vault_without_usable_keys_is_refused() -> None:
    with pytest.raises(VaultError, match="no key"):
        Vault({})
    with pytest.raises(VaultError, match="32 bytes"):
        Vault({"00000001": b"short"})
