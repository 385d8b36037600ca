"""whatsapp.toml is read as a whole, and everything that is wrong with it is told together."""

import os
from pathlib import Path

import pytest

from drivers.runtime.config_file import ConfigInvalid
from drivers.whatsapp_cloud.config import read_config
from drivers.whatsapp_cloud.driver import CONFIG
from drivers.whatsapp_cloud.secret_files import Secret

NUMBER = """
[[number]]
name = "main"
number = "+15559876543"
phone_number_id = "1001"
token = "EAAtoken"
app_secret = "secret"
"""
WEBHOOK = '[webhook]\nverify_token = "verify"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "whatsapp.toml"
    path.touch(mode=0o600)
    return path


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ConfigInvalid) as caught:
        read_config(path)
    return caught.value.problems


def test_shortest_file_has_the_defaults(path: Path) -> None:
    path.write_text(WEBHOOK + NUMBER)
    config = read_config(path)
    assert (config.graph.url, config.graph.version) == ("https://graph.facebook.com", "v25.0")
    assert (config.webhook.host, config.webhook.port, config.webhook.path) == ("127.0.0.1", 8087, "/whatsapp")
    (number,) = config.numbers
    assert (number.name, number.number, number.phone_number_id) == ("main", "+15559876543", "1001")
    assert (number.token.text, number.app_secret.text) == ("EAAtoken", "secret")
    assert (number.messages_per_s, number.groups) == (80, False)
    assert config.exposed == ()


def test_secrets_come_from_files_beside_it(path: Path) -> None:
    for name in ("verify", "token", "secret"):
        file = path.parent / name
        file.write_text(f"{name}-words\n")
        file.chmod(0o600)
    path.write_text(
        '[webhook]\nverify_token_file = "verify"\n'
        + NUMBER.replace('token = "EAAtoken"', 'token_file = "token"').replace(
            'app_secret = "secret"', 'app_secret_file = "secret"'
        )
    )
    config = read_config(path)
    assert config.webhook.verify_token.text == "verify-words"
    assert config.numbers[0].token.text == "token-words"
    assert config.numbers[0].app_secret.text == "secret-words"


def test_files_may_begin_at_home_and_not_in_that_of_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(path.parent))
    (path.parent / "token").write_text("words")
    number = NUMBER.replace('token = "EAAtoken"', 'token_file = "~/token"')
    pair = 'cert_file = "~/cert"\nkey_file = "~/key"\n'
    path.write_text(WEBHOOK + pair + number)
    config = read_config(path)
    assert config.numbers[0].token.text == "words"
    assert config.webhook.cert_file == path.parent / "cert"
    assert problems(path, (WEBHOOK + pair + number).replace("~/", "~nobody-of-this-name/")) == [
        f"{key} must not begin in the home of a user whom there is not"
        for key in ("[webhook]: cert_file", "[webhook]: key_file", 'number "main": token_file')
    ]


def test_file_that_never_ends_is_refused(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ConfigInvalid, match="no regular file"):
        read_config(path)


def test_every_problem_is_told_with_its_table_and_key(path: Path) -> None:
    told = problems(
        path,
        'colour = 1\n[graph]\nurl = "http://example.org"\nversion = 25\ntimeout_s = 0\n'
        '[webhook]\nport = 70000\npath = "whatsapp"\ncert_file = "a"\n'
        '[[number]]\nname = "Main"\nnumber = "0123"\ntoken = "a"\ntoken_file = "b"\napp_secret = ""\n'
        'messages_per_s = true\ngroups = "no"\nspeed = 1\n'
        '[[number]]\nname = "b"\nnumber = "+15559876543"\nphone_number_id = "1"\ntoken_file = "nowhere"\n'
        'app_secret = "a b"\n',
    )
    for start in (
        "colour is not known",
        "[graph]: url must be an https URL",
        "[graph]: version must be",
        "[graph]: timeout_s must be",
        "[webhook]: port must be",
        "[webhook]: path must be",
        "[webhook]: one of verify_token and verify_token_file",
        "[webhook]: cert_file and key_file",
        'number "Main": name must be',
        'number "Main": number must be',
        'number "Main": phone_number_id is missing',
        'number "Main": one of token and token_file',
        'number "Main": app_secret must',
        'number "Main": messages_per_s must be',
        'number "Main": groups must be',
        'number "Main": speed is not known',
        'number "b": token_file must be a file that can be read',
        'number "b": app_secret must hold',
    ):
        assert any(problem.startswith(start) for problem in told), start
    assert not any("a b" in problem for problem in told)


@pytest.mark.parametrize("key", ["name", "number", "phone_number_id"])
def test_numbers_differ_in_what_tells_them_apart(path: Path, key: str) -> None:
    other = {"name": "main", "number": "+15559876543", "phone_number_id": "1001"}
    changed = {name: value for name, value in other.items() if name == key}
    second = {"name": "second", "number": "+15559876544", "phone_number_id": "1002"} | changed
    text = "".join(f'{name} = "{value}"\n' for name, value in second.items())
    told = problems(path, WEBHOOK + NUMBER + f'[[number]]\n{text}token = "a"\napp_secret = "b"\n')
    assert told == [f"{key} must differ between numbers"]


@pytest.mark.parametrize("text", ["", "number = 1", "number = []", "[[number", "\x00", "number = [1]"])
def test_file_without_numbers_cannot_be_used(path: Path, text: str) -> None:
    assert problems(path, text)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:2", "https://graph.example.org/base/"],
)
def test_url_is_https_or_of_this_machine(path: Path, url: str) -> None:
    path.write_text(f'[graph]\nurl = "{url}"\n{WEBHOOK}{NUMBER}')
    assert read_config(path).graph.url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "https://u:p@example.org",
        "https://a?b=c",
        "ftp://a",
        "https://a:99999",
        "https://",
    ],
)
def test_other_urls_are_refused(path: Path, url: str) -> None:
    assert any(
        "url must be" in problem for problem in problems(path, f'[graph]\nurl = "{url}"\n{WEBHOOK}{NUMBER}')
    )


def test_secrets_that_others_can_read_are_named(path: Path) -> None:
    file = path.parent / "token"
    file.write_text("words")
    file.chmod(0o644)
    path.write_text(WEBHOOK + NUMBER.replace('token = "EAAtoken"', 'token_file = "token"'))
    assert read_config(path).exposed == (str(file),)
    path.chmod(0o644)
    assert set(read_config(path).exposed) == {str(path), str(file)}


def test_secret_shows_its_words_to_nobody_who_prints_it(path: Path) -> None:
    path.write_text(WEBHOOK + NUMBER)
    assert "EAAtoken" not in repr(read_config(path))


def test_setting_tells_all_problems_in_one_text(path: Path) -> None:
    path.write_text("[graph]\ntimeout_s = 0\n")
    with pytest.raises(ValueError, match=r"must be mended:\n  .*timeout_s(.|\n)*verify_token"):
        CONFIG.read(str(path))
    with pytest.raises(ValueError, match=r"must be mended:\n.*must be a file that can be read"):
        CONFIG.read(str(path.parent / "nowhere.toml"))


def test_secret_is_read_anew_when_its_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    secret = Secret.from_file(file)
    assert not secret.renew()
    replaced = tmp_path / "token.new"
    replaced.write_text("second\n")
    os.replace(replaced, file)
    assert secret.renew()
    assert secret.text == "second"


@pytest.mark.parametrize("text", ["", "   \n", "two words", "x" * 5000])
def test_secret_stays_while_its_file_cannot_be_used(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    secret = Secret.from_file(file)
    file.write_text(text)
    assert secret.text == "first"
    file.unlink()
    assert secret.text == "first"
    file.write_text("third")
    assert secret.text == "third"


def test_secret_is_no_folder_and_no_device(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="regular file"):
        Secret.from_file(tmp_path)
    with pytest.raises(ValueError, match="regular file"):
        Secret.from_file(Path("/dev/zero"))


@pytest.mark.parametrize(
    "url",
    [
        "https://graph..example.org",
        "https://.example.org",
        f"https://{'a' * 64}.example.org",
        "https://..",
        "https://",
    ],
)
def test_url_whose_name_cannot_be_looked_up_is_a_fault_of_the_file(path: Path, url: str) -> None:
    (told,) = problems(path, f'[graph]\nurl = "{url}"\n' + WEBHOOK + NUMBER)
    assert told.startswith("[graph]: url must be an https URL")


@pytest.mark.parametrize(
    "url", ["https://graph.example.org.", f"https://{'a' * 63}.example.org", "http://[::1]:80"]
)
def test_url_whose_name_can_be_looked_up_is_taken(path: Path, url: str) -> None:
    path.write_text(f'[graph]\nurl = "{url}"\n' + WEBHOOK + NUMBER)
    assert read_config(path).graph.url == url
