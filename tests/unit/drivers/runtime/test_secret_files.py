"""A secret comes from the configuration or a file of its own, and from nowhere that others can read."""

import os
from pathlib import Path

import pytest

from drivers.runtime.secret_files import (
    SECRET_BYTES_MAX,
    is_readable_by_others,
    read_secret,
    settle_secret,
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write(tmp_path / "devices.toml", b"")


def write(path: Path, content: bytes, *, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def settle(values: dict[str, str], config: Path) -> list[str]:
    return settle_secret(values, "pin", config=config, pattern="[0-9]{4}", content="4 digits")


def test_secret_of_the_configuration_stays_where_it_is(config: Path) -> None:
    values = {"pin": "1234", "name": "a"}
    assert settle(values, config) == []
    assert values == {"pin": "1234", "name": "a"}


def test_secret_of_a_file_takes_the_place_of_the_files_name(config: Path) -> None:
    write(config.with_name("secret"), b" 1234\n")
    values = {"pin_file": "secret", "name": "a"}
    assert settle(values, config) == []
    assert values == {"pin": "1234", "name": "a"}


def test_no_secret_is_no_problem_even_in_a_file_for_everybody(config: Path) -> None:
    config.chmod(0o644)
    values = {"name": "a"}
    assert settle(values, config) == []
    assert values == {"name": "a"}


def test_secret_is_given_once(config: Path) -> None:
    assert settle({"pin": "1234", "pin_file": "secret"}, config) == [
        "pin and pin_file must not both be given"
    ]


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_secret_that_others_can_read_is_refused_with_the_remedy(config: Path, mode: int) -> None:
    file = write(config.with_name("secret"), b"1234", mode=mode)
    assert settle({"pin_file": "secret"}, config) == [
        f"pin_file: {file} holds a secret and others can read it; chmod o-rwx {file}"
    ]
    config.chmod(mode)
    assert settle({"pin": "1234"}, config) == [
        f"pin: {config} holds a secret and others can read it; chmod o-rwx {config}"
    ]


def test_group_may_read_a_secret(config: Path) -> None:
    config.chmod(0o640)
    assert not is_readable_by_others(config)
    assert settle({"pin": "1234"}, config) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "must hold 4 digits"),
        (b"12345", "must hold 4 digits"),
        (b"12 34", "must hold 4 digits"),
        (b"\xff\xfe", "must hold text in UTF-8"),
        (b"1" * (SECRET_BYTES_MAX + 1), f"must not be larger than {SECRET_BYTES_MAX} bytes"),
    ],
)
def test_file_that_holds_no_such_secret_is_refused_unquoted(
    config: Path, content: bytes, sentence: str
) -> None:
    write(config.with_name("secret"), content)
    values = {"pin_file": "secret"}
    assert settle(values, config) == [f"pin_file {sentence}"]
    assert values == {}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere", "must be a file that can be read: No such file or directory"),
        ("pipe", "must be a file that can be read: It is no regular file"),
        (".", "must be a file that can be read: It is no regular file"),
        ("/dev/zero", "must be a file that can be read: It is no regular file"),
        ("x" * 300, "must be a file that can be read: File name too long"),
        ("~nobody-of-this-name/pin", "must not begin in the home of a user whom there is not"),
    ],
)
def test_what_is_no_file_is_refused_and_never_waited_for(config: Path, name: str, sentence: str) -> None:
    os.mkfifo(config.with_name("pipe"))
    assert settle({"pin_file": name}, config) == [f"pin_file {sentence}"]


def test_longest_secret_is_read(tmp_path: Path) -> None:
    assert read_secret(write(tmp_path / "secret", b"x" * SECRET_BYTES_MAX)) == "x" * SECRET_BYTES_MAX
