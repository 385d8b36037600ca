"""phones.toml is read once, and everything that is wrong with it is told together."""

from pathlib import Path

import pytest

from drivers.android.config import SimNumber, read_config, read_url
from drivers.android.driver import CONFIG
from drivers.runtime.config_file import ConfigInvalid

PHONE = """
[[phone]]
name = "office"
url = "http://192.168.1.20:8080/"
user = "sms"
password = "secret"
numbers = [{number = "+491701234567"}]
"""


def written(folder: Path, text: str, *, mode: int = 0o600) -> Path:
    file = folder / "phones.toml"
    file.write_text(text)
    file.chmod(mode)
    return file


def problems_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        read_config(written(folder, text))
    return caught.value.problems


def test_short_entry_has_the_defaults(tmp_path: Path) -> None:
    [phone] = read_config(written(tmp_path, PHONE)).phones
    assert (phone.name, phone.url, phone.user, phone.password) == (
        "office",
        "http://192.168.1.20:8080",
        "sms",
        "secret",
    )
    assert phone.numbers == (SimNumber("+491701234567", 1),)
    assert (phone.poll_s, phone.parts_per_30_min, phone.signing_key) == (3.0, 25, "")


def test_full_file_is_read_with_its_secrets_from_files(tmp_path: Path) -> None:
    for name in ("password", "key", "cert.pem", "key.pem"):
        written(tmp_path, "").rename(tmp_path / name)
    (tmp_path / "password").write_text("hidden\n")
    (tmp_path / "key").write_text("signs\n")
    text = PHONE.replace('password = "secret"', 'password_file = "password"\nsigning_key_file = "key"')
    text += '[webhook]\nurl = "https://gw.example/phones"\nhost = "0.0.0.0"\nport = 9876\n'
    text += 'cert_file = "cert.pem"\nkey_file = "key.pem"\n'
    config = read_config(written(tmp_path, text))
    [phone] = config.phones
    assert (phone.password, phone.signing_key) == ("hidden", "signs")
    assert config.webhook is not None
    assert config.webhook.url_of("office") == "https://gw.example/phones/office"
    assert config.webhook.cert_file == tmp_path / "cert.pem"


def test_all_problems_are_told_together(tmp_path: Path) -> None:
    text = """
        surprise = 1
        [[phone]]
        name = "Office"
        url = "192.168.1.20:8080"
        user = "a:b"
        password = ""
        numbers = [{number = "0170", sim = 1}]
        poll_s = 0
        parts_per_30_min = "many"
        colour = "red"
        [[phone]]
        name = "second"
    """
    problems = problems_of(tmp_path, text)
    for word in (
        "surprise",
        "name",
        "url",
        "user",
        "password",
        "numbers",
        "poll_s",
        "parts_per_30_min",
        "colour",
    ):
        assert any(word in problem for problem in problems), word
    for word in ("url", "user", "password", "numbers"):
        assert f'phone "second": {word} is missing' in problems
    assert not any("0170" in problem for problem in problems)


@pytest.mark.parametrize(
    "numbers",
    [
        "[]",
        '"+491701234567"',
        '["+491701234567"]',
        '[{number = "+491701234567", sim = 4}]',
        '[{number = "+491701234567", sim = true}]',
        '[{number = "+491701234567", slot = 1}]',
        '[{number = "+491701234567"}, {number = "+491701234568"}]',
    ],
)
def test_numbers_that_cannot_be_are_refused(tmp_path: Path, numbers: str) -> None:
    text = PHONE.replace('[{number = "+491701234567"}]', numbers)
    [problem] = problems_of(tmp_path, text)
    assert 'phone "office": numbers must' in problem


def test_two_phones_share_no_name_address_or_number(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, PHONE + PHONE)
    assert [problem.split()[1] for problem in problems] == ["name", "url", "number"]


def test_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"chmod o-rwx"):
        read_config(written(tmp_path, PHONE, mode=0o644))


def test_password_is_given_once(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, PHONE + 'password_file = "password"\n')
    assert problems == ['phone "office": password and password_file must not both be given']


@pytest.mark.parametrize("content", [None, "", "two\nlines", "x" * 2000])
def test_password_file_that_cannot_be_used_is_told(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        written(tmp_path, content).rename(tmp_path / "password")
    text = PHONE.replace('password = "secret"', 'password_file = "password"')
    [problem] = problems_of(tmp_path, text)
    assert "password_file must" in problem


@pytest.mark.parametrize("url", ["http://192.168.1.2:9876", "http://localhost:9876"])
def test_webhook_that_the_app_would_not_call_is_refused(tmp_path: Path, url: str) -> None:
    text = PHONE + f'signing_key = "k"\n[webhook]\nurl = "{url}"\nport = 9876\n'
    [problem] = problems_of(tmp_path, text)
    assert problem.startswith("webhook: url must begin with https://")


def test_webhook_needs_the_key_of_every_phone(tmp_path: Path) -> None:
    text = PHONE + '[webhook]\nurl = "http://127.0.0.1:9876"\nport = 9876\nkey_file = "none"\n'
    problems = problems_of(tmp_path, text)
    assert len(problems) == 3
    assert any("signing_key is missing" in problem for problem in problems)
    assert any("key_file must be a file" in problem for problem in problems)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("x" * 300, "must be a file that can be read: File name too long"),
        ("~nobody-of-this-name/cert.pem", "must not begin in the home of a user whom there is not"),
    ],
)
def test_certificate_that_can_be_no_file_is_told(tmp_path: Path, name: str, sentence: str) -> None:
    text = PHONE + 'signing_key = "k"\n[webhook]\nurl = "https://gw.example"\nport = 9876\n'
    assert problems_of(tmp_path, f'{text}cert_file = "{name}"\n') == [f"webhook: cert_file {sentence}"]


@pytest.mark.parametrize("text", ["", "phone = 1", "[phone]", "phone = [1]", "not toml", "a = [[[[", "\0"])
def test_file_without_phones_is_refused(tmp_path: Path, text: str) -> None:
    assert problems_of(tmp_path, text)


def test_file_that_is_not_there_is_a_problem_of_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be mended"):
        CONFIG.read(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    "url", ["", "ftp://phone", "http://", "http://u:p@phone", "http://phone?x", "http://[", "http://phone:0"]
)
def test_url_that_is_no_phones_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be a URL"):
        read_url(url)


def test_secrets_and_numbers_are_not_shown(tmp_path: Path) -> None:
    shown = repr(read_config(written(tmp_path, PHONE)))
    assert "secret" not in shown
    assert "+49170" not in shown
