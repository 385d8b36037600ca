"""Settings from the environment."""

from pathlib import Path

import pytest

from rest_facade import config
from rest_facade.credential import ServiceCredential


def test_defaults_suit_a_gateway_on_one_machine() -> None:
    settings = config.load({})
    assert (settings.host, settings.port, settings.metrics_port) == ("127.0.0.1", 8080, 0)
    assert settings.core_targets == ("127.0.0.1:50051",)
    assert settings.credential_file == Path("var/service.credential")
    assert settings.cors_origins == ()


def test_core_is_found_by_address_or_by_its_port() -> None:
    assert config.load({"INFINIREACH_GRPC_PORT": "6000"}).core_targets == ("127.0.0.1:6000",)
    both = {"INFINIREACH_GRPC_PORT": "6000", "INFINIREACH_CORE_ADDRESS": "core:7000"}
    assert config.load(both).core_targets == ("core:7000",)


def test_empty_variable_counts_as_not_set_and_unknown_ones_are_ignored() -> None:
    assert config.load({"INFINIREACH_REST_PORT": "", "INFINIREACH_OTHER": "x", "PORT": "1"}).port == 8080


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(config.InvalidSettings) as invalid:
        config.load({
            "INFINIREACH_REST_PORT": "http",
            "INFINIREACH_REST_BODY_BYTES_MAX": "1",
            "INFINIREACH_REST_CORS_ORIGINS": "https://ok.example,*",
            "INFINIREACH_RATE_LIMIT_STORAGE": "memcached://x",
            "INFINIREACH_LOG_LEVEL": "loud",
        })
    named = {problem.partition(":")[0] for problem in invalid.value.problems}
    assert named == {
        "INFINIREACH_REST_PORT",
        "INFINIREACH_REST_BODY_BYTES_MAX",
        "INFINIREACH_REST_CORS_ORIGINS",
        "INFINIREACH_RATE_LIMIT_STORAGE",
        "INFINIREACH_LOG_LEVEL",
    }


def test_origins_are_separated_by_commas() -> None:
    settings = config.load({"INFINIREACH_REST_CORS_ORIGINS": "https://a.example, http://localhost:3000"})
    assert settings.cors_origins == ("https://a.example", "http://localhost:3000")


def test_shown_settings_hide_secrets() -> None:
    settings = config.load({
        "INFINIREACH_SERVICE_CREDENTIAL": "very-secret",
        "INFINIREACH_RATE_LIMIT_STORAGE": "redis://user:very-secret@cache:6379",
    })
    shown = settings.shown()
    assert "very-secret" not in str(shown)
    assert shown["INFINIREACH_RATE_LIMIT_STORAGE"] == "redis://***@cache:6379"


def test_every_setting_has_a_variable_and_a_help() -> None:
    for name, field in config.Settings.model_fields.items():
        assert str(field.validation_alias).startswith("INFINIREACH_"), name
        assert field.description, name


def test_credential_file_may_appear_and_change_later(tmp_path: Path) -> None:
    credential = ServiceCredential(config.Settings(var=tmp_path))
    assert credential.value == ""
    (tmp_path / "service.credential").write_text("first\n")
    assert credential.value == "first"
    (tmp_path / "service.credential").write_text("second")
    assert credential.value == "first"
    assert credential.refresh()
    assert credential.value == "second"
    assert not credential.refresh()


def test_of_two_credentials_during_a_change_the_first_is_shown(tmp_path: Path) -> None:
    (tmp_path / "service.credential").write_text("\nnew \nold\n")
    assert ServiceCredential(config.Settings(var=tmp_path)).value == "new"


def test_given_credential_needs_no_file(tmp_path: Path) -> None:
    credential = ServiceCredential(
        config.load({"INFINIREACH_SERVICE_CREDENTIAL": "given", "INFINIREACH_VAR": str(tmp_path)})
    )
    assert credential.value == "given"
    assert not credential.refresh()


def test_several_cores_are_separated_by_commas() -> None:
    settings = config.load({"INFINIREACH_CORE_ADDRESS": "core-1:1, [::1]:2,core-3:3,"})
    assert settings.core_targets == ("core-1:1", "[::1]:2", "core-3:3")


def test_cores_elsewhere_are_told_from_those_on_this_machine() -> None:
    here = {"INFINIREACH_CORE_ADDRESS": "127.0.0.1:1,localhost:2,[::1]:3"}
    assert config.load(here).are_cores_here
    assert not config.load({"INFINIREACH_CORE_ADDRESS": "127.0.0.1:1,core:2"}).are_cores_here


def test_tls_to_the_cores_is_told_as_a_whole_or_refused(tmp_path: Path) -> None:
    file = str(tmp_path / "file.pem")
    Path(file).touch()
    names = [f"INFINIREACH_CORE_{name}_FILE" for name in ("CA", "CERT", "KEY")]
    assert config.load(dict.fromkeys(names, file)).core_key_file == Path(file)
    assert config.load({names[0]: file}).core_ca_file == Path(file)
    for given, named in (
        ({names[1]: file, names[2]: file}, names[1]),
        ({names[0]: file, names[1]: file}, names[2]),
        ({names[0]: file, names[2]: file}, names[2]),
        ({names[0]: f"{file}.not"}, names[0]),
        ({"INFINIREACH_CORE_ADDRESS": "core-1:1,core-2"}, "INFINIREACH_CORE_ADDRESS"),
    ):
        with pytest.raises(config.InvalidSettings) as invalid:
            config.load(given)
        assert [problem.partition(":")[0] for problem in invalid.value.problems] == [named]
