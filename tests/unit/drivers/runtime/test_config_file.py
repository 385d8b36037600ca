"""A driver's TOML file is read once, and what is wrong with it is told as a whole."""

import os
from pathlib import Path
from typing import Any

import pytest

from drivers.runtime.config_file import (
    FILE_BYTES_MAX,
    ConfigInvalid,
    Key,
    Reader,
    beside,
    device_name,
    file_path,
    matching,
    phone_number,
    read_table,
    read_tables,
    read_toml,
    setting_reader,
    whole_number,
    yes_or_no,
)

KEYS = (
    Key("name", device_name, "What it is called.", is_required=True),
    Key("address", matching("[a-z]+", "letters"), is_required=True),
    Key("port", whole_number(1, 9)),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "devices.toml"


def problem_of(path: Path) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        read_toml(path)
    [problem] = caught.value.problems
    return problem


def test_document_is_what_the_file_says(path: Path) -> None:
    path.write_text('[[radio]]\nname = "ä"\n', encoding="utf-8")
    assert read_toml(path) == {"radio": [{"name": "ä"}]}


def test_largest_file_is_read_and_a_larger_one_is_refused(path: Path) -> None:
    path.write_bytes(b"#" * FILE_BYTES_MAX)
    assert read_toml(path) == {}
    path.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    assert problem_of(path) == f"{path} must not be larger than {FILE_BYTES_MAX} bytes"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a =", "must be TOML: "),
        (b'a = "\xff"', "must be TOML: "),
        (b"a = " + b"[" * 9999, "must be TOML without deep nesting"),
    ],
)
def test_content_that_is_no_toml_is_refused(path: Path, content: bytes, sentence: str) -> None:
    path.write_bytes(content)
    assert problem_of(path).startswith(f"{path} {sentence}")


def test_what_is_no_file_is_refused_and_never_waited_for(path: Path) -> None:
    assert problem_of(path) == f"{path} must be a file that can be read: No such file or directory"
    os.mkfifo(path)
    for irregular in (path, path.parent, Path("/dev/zero")):
        assert problem_of(irregular) == f"{irregular} must be a file that can be read: It is no regular file"


def test_tables_are_called_by_their_name_or_their_place(path: Path) -> None:
    tables: list[Any] = [{"name": "alpha"}, {"name": 3}, 4]
    assert read_tables(path, {"radio": tables}, "radio", tables_max=3) == (
        [('radio "alpha"', tables[0]), ("radio 2", tables[1]), ("radio 3", 4)],
        [],
    )


@pytest.mark.parametrize("document", [{}, {"radio": []}, {"radio": {"name": "a"}}, {"radio": [{}, {}, {}]}])
def test_too_few_and_too_many_tables_are_one_problem(path: Path, document: dict[str, Any]) -> None:
    assert read_tables(path, document, "radio", tables_max=2) == (
        [],
        [f"{path} must have 1 to 2 [[radio]] tables"],
    )


def test_values_of_a_table_are_those_that_are_given() -> None:
    table = {"name": "alpha", "address": "here"}
    assert read_table("radio 1", table, KEYS) == (table, [])


def test_everything_that_is_wrong_with_a_table_is_told_and_the_rest_is_read() -> None:
    assert read_table("radio 1", {"port": 10, "address": "here", "colour": "red"}, KEYS) == (
        {"address": "here"},
        [
            "radio 1: colour is not known; known are address, name, port",
            "radio 1: name is missing: What it is called.",
            "radio 1: port must be a whole number from 1 to 9",
        ],
    )
    assert read_table("radio 1", {"name": "a"}, KEYS)[1] == ["radio 1: address is missing"]
    assert read_table("radio 1", [], KEYS) == ({}, ["radio 1: must be a table"])


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (matching("[a-z]+", "letters"), "abc"),
        (whole_number(1, 9), 1),
        (whole_number(1, 9), 9),
        (yes_or_no, False),
        (phone_number, "+4917012"),
        (phone_number, "+491701234567890"),
        (device_name, "sim-1.office_2"),
        (file_path, "~/a b"),
    ],
)
def test_value_that_is_right_is_taken_as_it_is(read: Reader, value: object) -> None:
    assert read(value) == value


@pytest.mark.parametrize(
    ("read", "value", "sentence"),
    [
        (matching("[a-z]+", "letters"), "abc1", "must be letters"),
        (matching("[a-z]+", "letters"), 1, "must be letters"),
        (whole_number(1, 9), 0, "must be a whole number from 1 to 9"),
        (whole_number(1, 9), 10, "must be a whole number from 1 to 9"),
        (whole_number(1, 9), True, "must be a whole number from 1 to 9"),
        (whole_number(1, 9), 2.0, "must be a whole number from 1 to 9"),
        (yes_or_no, 1, "must be true or false"),
        (phone_number, "+491701", "must be E.164: a plus sign and 7 to 15 digits"),
        (phone_number, "491701234567", "must be E.164: a plus sign and 7 to 15 digits"),
        (phone_number, "+4917012345678901", "must be E.164: a plus sign and 7 to 15 digits"),
        (device_name, "A", "must be 1 to 64 characters of a-z, 0-9, dot, dash and underscore"),
        (device_name, "a" * 65, "must be 1 to 64 characters of a-z, 0-9, dot, dash and underscore"),
        (file_path, "", "must be the path of a file"),
        (file_path, "a\0", "must be the path of a file"),
    ],
)
def test_value_that_is_wrong_is_told_without_being_quoted(read: Reader, value: object, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole sentence is compared
        read(value)
    assert str(caught.value) == sentence


def test_path_begins_at_the_folder_of_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of-nobody")
    assert beside(path, "keys/pin") == path.parent / "keys/pin"
    assert beside(path, "/run/pin") == Path("/run/pin")
    assert beside(path, "~/pin") == Path("/home/of-nobody/pin")
    with pytest.raises(ValueError, match=r"^must not begin in the home of a user whom there is not$"):
        beside(path, "~nobody-of-this-name/pin")


def test_setting_is_what_its_file_holds_or_tells_all_problems(path: Path) -> None:
    def read_config(path: Path) -> list[str]:
        document = read_toml(path)
        if "wrong" in document:
            raise ConfigInvalid(["one thing", "another"])
        return list(document)

    read = setting_reader(read_config)
    path.write_text("a = 1\nb = 2\n")
    assert read(str(path)) == ["a", "b"]
    path.write_text("wrong = true\n")
    with pytest.raises(ValueError, match=r"^must be mended:\n  one thing\n  another$"):
        read(str(path))
    with pytest.raises(ValueError, match=r"^must not begin in the home of a user whom there is not$"):
        read("~nobody-of-this-name/devices.toml")
