"""modems.toml is read once, and everything that is wrong with it is said together."""

import os
from pathlib import Path

import pytest

from drivers.modem.config import ModemConfig, read_config
from drivers.runtime.config_file import ConfigInvalid

GOOD = """
[[modem]]
name = "alpha"
port = "/dev/serial/by-id/usb-Example-if00"
number = "+491701234567"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "modems.toml"


def read(path: Path, text: str, *, mode: int = 0o600) -> tuple[ModemConfig, ...]:
    path.write_text(text)
    path.chmod(mode)
    return read_config(path)


def problems(path: Path, text: str, *, mode: int = 0o600) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        read(path, text, mode=mode)
    return caught.value.problems


def test_three_keys_are_enough(path: Path) -> None:
    (modem,) = read(path, GOOD)
    assert modem == ModemConfig("alpha", "/dev/serial/by-id/usb-Example-if00", "+491701234567")
    assert modem.report
    assert not modem.parts_per_day


def test_every_key_is_read(path: Path) -> None:
    (modem,) = read(
        path,
        GOOD
        + """
imei = "490154203237518"
iccid = "89490200001234567890"
pin = "1234"
smsc = "+491710760000"
baud = 9600
parts_per_minute = 10
parts_per_day = 200
report = false
reset_command = ["uhubctl", "-a", "cycle"]
memory = "SM"
balance_ussd = "*100#"
[modem.quirks]
notification_modes = [1]
pause_between_parts_s = 0.5
""",
    )
    assert modem == ModemConfig(
        "alpha",
        "/dev/serial/by-id/usb-Example-if00",
        "+491701234567",
        imei="490154203237518",
        iccid="89490200001234567890",
        pin="1234",
        smsc="+491710760000",
        baud=9600,
        parts_per_minute=10,
        parts_per_day=200,
        report=False,
        reset_command=("uhubctl", "-a", "cycle"),
        memory="SM",
        quirks={"notification_modes": (1,), "pause_between_parts_s": 0.5},
        balance_ussd="*100#",
    )


def test_all_problems_are_said_together_with_modem_and_key(path: Path) -> None:
    found = problems(
        path,
        """
colour = "red"
[[modem]]
name = "alpha"
number = "0170 1234567"
speed = 3
[[modem]]
name = "Beta!"
port = "/dev/ttyUSB1"
number = "+491701234568"
parts_per_day = true
reset_command = "reboot"
[modem.quirks]
colour = "blue"
stores = ["XX"]
""",
    )
    text = "\n".join(found)
    for said in (
        "colour is not known; modems are [[modem]] tables",
        'modem "alpha": speed is not known',
        'modem "alpha": port is missing',
        'modem "alpha": number must be E.164',
        'modem "Beta!": name must be 1 to 64 characters',
        'modem "Beta!": parts_per_day must be a whole number',
        'modem "Beta!": reset_command must be a list',
        'modem "Beta!": quirks.colour is not known',
        'modem "Beta!": quirks.stores must be a list of',
    ):
        assert said in text


@pytest.mark.parametrize(
    ("key", "value", "other"),
    [
        ("name", "alpha", {"port": "/dev/b", "number": "+491701234568"}),
        ("number", "+491701234567", {"name": "beta", "port": "/dev/b"}),
    ],
)
def test_what_must_be_unique_is(path: Path, key: str, value: str, other: dict[str, str]) -> None:
    second = "\n".join(f'{name} = "{text}"' for name, text in {**other, key: value}.items())
    assert any(
        problem.startswith(f"{key} must differ") for problem in problems(path, f"{GOOD}\n[[modem]]\n{second}")
    )


def test_same_port_twice_is_refused(path: Path) -> None:
    second = GOOD.replace("alpha", "beta").replace("4567", "4568")
    assert any("port is that of another modem" in problem for problem in problems(path, GOOD + second))


def test_modems_may_share_a_pattern_if_each_says_its_imei(path: Path) -> None:
    first = GOOD.replace("-if00", "*")
    second = first.replace("alpha", "beta").replace("4567", "4568")
    assert len(problems(path, first + second)) == 2
    modems = read(path, f'{first}\nimei = "490154203237518"{second}\nimei = "490154203237526"')
    assert [modem.is_pattern for modem in modems] == [True, True]


def test_two_patterns_may_fit_the_same_stick_so_each_modem_says_its_imei(path: Path) -> None:
    first = GOOD.replace("-if00", "*")
    second = GOOD.replace("-if00", "[0-9]").replace("alpha", "beta").replace("4567", "4568")
    assert problems(path, first + second) == [
        f'modem "{name}": port is a pattern, so with several modems imei must say which one is meant'
        for name in ("alpha", "beta")
    ]
    assert read(path, first)


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("imei", "861234567890123", "86123456789012"),
        ("imei", "861234567890123", "8612345678901299"),
        ("iccid", "8949020000123456789", "89490200001234567890"),
        ("iccid", "8949020000123456789F", "8949020000123456789"),
    ],
)
def test_what_is_the_same_in_another_form_is_the_same(path: Path, key: str, one: str, other: str) -> None:
    second = GOOD.replace("-if00", "-if01").replace("alpha", "beta").replace("4567", "4568")
    assert problems(path, f'{GOOD}\n{key} = "{one}"\n{second}\n{key} = "{other}"') == [
        f'{key} must differ between modems; it is the same in "alpha", "beta"'
    ]


def test_port_under_two_names_is_one_port(path: Path) -> None:
    path.with_name("stick").symlink_to("/dev/serial/by-id/usb-Example-if00")
    for name in (path.with_name("stick"), "/dev/serial/../serial/by-id/usb-Example-if00"):
        second = GOOD.replace("alpha", "beta").replace("4567", "4568")
        second = second.replace("/dev/serial/by-id/usb-Example-if00", str(name))
        assert len(problems(path, GOOD + second)) == 2


def test_url_with_a_question_mark_is_no_pattern(path: Path) -> None:
    (modem,) = read(path, GOOD.replace("/dev/serial/by-id/usb-Example-if00", "spy:///dev/ttyUSB0?file=trace"))
    assert not modem.is_pattern


def test_pin_that_others_can_read_is_refused_with_a_remedy(path: Path) -> None:
    (problem,) = problems(path, f'{GOOD}\npin = "1234"', mode=0o644)
    assert "others can read it" in problem
    assert f"chmod o-rwx {path}" in problem
    assert "1234" not in problem.replace("+491701234567", "")


def test_file_without_a_pin_may_be_read_by_others(path: Path) -> None:
    assert read(path, GOOD, mode=0o644)


def test_pin_comes_from_a_file_beside_this_one(path: Path) -> None:
    file = path.with_name("pin")
    file.write_text("1234\n")
    file.chmod(0o600)
    (modem,) = read(path, f'{GOOD}\npin_file = "pin"', mode=0o644)
    assert modem.pin == "1234"
    file.chmod(0o604)
    assert "others can read it" in problems(path, f'{GOOD}\npin_file = "pin"')[0]


@pytest.mark.parametrize("content", ["", "12", "letters", "1234 5678"])
def test_pin_file_that_holds_no_pin_is_refused_without_being_quoted(path: Path, content: str) -> None:
    file = path.with_name("pin")
    file.write_text(content)
    file.chmod(0o600)
    (problem,) = problems(path, f'{GOOD}\npin_file = "pin"')
    assert problem == 'modem "alpha": pin_file must hold 4 to 8 digits'


def test_missing_pin_file_is_said(path: Path) -> None:
    assert "pin_file must be a file that can be read" in problems(path, f'{GOOD}\npin_file = "none"')[0]


def test_pin_and_pin_file_exclude_each_other(path: Path) -> None:
    assert "must not both be given" in problems(path, f'{GOOD}\npin = "1234"\npin_file = "pin"')[0]


@pytest.mark.parametrize(
    "text", ["", "modem = 3", "[modem]\nname = 'x'", "not toml ==", "modem = [3]", "x = " + "[" * 9999]
)
def test_file_without_modems_is_refused(path: Path, text: str) -> None:
    assert problems(path, text)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("pipe", "pin_file must be a file that can be read: It is no regular file"),
        ("~nobody-of-this-name/pin", "pin_file must not begin in the home of a user whom there is not"),
    ],
)
def test_pin_file_that_is_no_file_is_said(path: Path, file: str, sentence: str) -> None:
    os.mkfifo(path.with_name("pipe"))
    assert problems(path, f'{GOOD}\npin_file = "{file}"') == [f'modem "alpha": {sentence}']


def test_file_that_never_ends_is_refused(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(ConfigInvalid, match="no regular file"):
        read_config(path)


def test_missing_file_is_said(path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="must be a file that can be read"):
        read_config(path)


def test_neither_pin_nor_numbers_are_shown_by_accident(path: Path) -> None:
    shown = repr(read(path, f'{GOOD}\npin = "1234"\nsmsc = "+491710760000"'))
    assert "1234'" not in shown
    assert "+49" not in shown
