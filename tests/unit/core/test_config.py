"""The settings: what is read, what is refused, and that no secret is shown."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from core import config
from core.config import InvalidSettings, Settings, load, variable


def problems(environment: dict[str, str]) -> list[str]:
    """What `load` says is wrong with an environment."""
    with pytest.raises(InvalidSettings) as refused:
        load(environment)
    return refused.value.problems


def test_an_empty_environment_gives_the_laptop_defaults() -> None:
    settings = load({})
    assert settings.var == Path("var")
    assert settings.database_url == "sqlite:///var/infinireach.db"
    assert settings.service_credential_file == Path("var/service.credential")
    assert settings.master_key_file == Path("var/master.key")
    assert settings.profile == "development"
    assert settings.embedded


def test_files_follow_the_data_folder() -> None:
    settings = load({"INFINIREACH_VAR": "/srv/reach"})
    assert settings.database_url == "sqlite:////srv/reach/infinireach.db"
    assert settings.master_key_file == Path("/srv/reach/master.key")


def test_a_database_of_ones_own_means_production_unless_said_otherwise() -> None:
    own = {"INFINIREACH_DATABASE_URL": "postgresql://reach@db/reach"}
    assert load(own).profile == "production"
    assert not load(own).embedded
    assert load({**own, "INFINIREACH_PROFILE": "development"}).profile == "development"


def test_lists_are_separated_by_commas() -> None:
    settings = load({
        "INFINIREACH_EGRESS_ALLOWED_NETWORKS": "10.0.0.0/8, fd00::/8",
        "INFINIREACH_EGRESS_ALLOWED_PORTS": "443,",
    })
    assert settings.egress_allowed_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert settings.egress_allowed_ports == (443,)


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load({"INFINIREACH_GRPC_PORT": ""}) == load({})


def test_all_problems_are_told_at_once_and_by_variable() -> None:
    told = problems({
        "INFINIREACH_GRPC_PORT": "fast",
        "INFINIREACH_MESSAGE_TTL_S": "1",
        "INFINIREACH_LOG_LEVEL": "loud",
        "INFINIREACH_EGRESS_ALLOWED_NETWORKS": "10.0.0.1/8",
        "INFINIREACH_EGRESS_ALLOWED_PORTS": "443,99999",
    })
    assert [problem.partition(":")[0] for problem in told] == [
        "INFINIREACH_GRPC_PORT",
        "INFINIREACH_MESSAGE_TTL_S",
        "INFINIREACH_EGRESS_ALLOWED_NETWORKS",
        "INFINIREACH_EGRESS_ALLOWED_PORTS",
        "INFINIREACH_LOG_LEVEL",
    ]


def test_a_faulty_database_url_is_one_problem_and_shows_no_password() -> None:
    [problem] = problems({"INFINIREACH_DATABASE_URL": "mysql://reach:hunter2@db/reach"})
    assert problem.startswith("INFINIREACH_DATABASE_URL: must begin with sqlite:/// or postgresql://")
    assert "hunter2" not in problem


def test_a_lease_outlives_the_heartbeat_timeout() -> None:
    [problem] = problems({"INFINIREACH_LEASE_S": "25"})
    assert problem.startswith("INFINIREACH_LEASE_S: must be more than INFINIREACH_HEARTBEAT_TIMEOUT_S")


def test_a_heartbeat_timeout_spans_two_intervals() -> None:
    [problem] = problems({"INFINIREACH_HEARTBEAT_INTERVAL_S": "20"})
    assert problem.startswith("INFINIREACH_HEARTBEAT_TIMEOUT_S: must be at least twice")


def test_printed_settings_hide_secrets() -> None:
    settings = load({
        "INFINIREACH_SERVICE_CREDENTIAL": "hunter2hunter2",
        "INFINIREACH_DATABASE_URL": "postgresql://reach:hunter3@db/reach",
    })
    for text in (repr(settings), str(settings)):
        assert "hunter2" not in text
        assert "hunter3" not in text
        assert "postgresql://reach:***@db/reach" in text


def test_settings_do_not_change() -> None:
    settings = load({})
    with pytest.raises(ValidationError):
        settings.grpc_port = 1


def test_every_setting_has_help_and_every_number_a_range() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        if field.annotation is int or field.annotation is float:
            limits = {type(limit).__name__ for limit in field.metadata}
            assert {"Ge", "Le"} <= limits, f"{name} has no range"


def test_a_number_with_a_unit_says_it_in_its_name() -> None:
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        assert (extra["unit"] == "s") == name.endswith("_s"), name


def test_variables_are_named_after_the_fields() -> None:
    assert variable("grpc_port") == "INFINIREACH_GRPC_PORT"
    assert config.load({"INFINIREACH_GRPC_PORT": "1234"}).grpc_port == 1234


CERTIFICATE = {"INFINIREACH_TLS_CERT_FILE": "core.pem", "INFINIREACH_TLS_KEY_FILE": "core.key"}
INTERNAL = {"INFINIREACH_INTERNAL_PORT": "50052"}


def test_the_servers_speak_no_tls_and_there_is_no_internal_one_unless_set() -> None:
    settings = load({})
    assert (settings.tls_cert_file, settings.tls_key_file, settings.internal_port) == (None, None, 0)
    assert settings.is_credential_public


@pytest.mark.parametrize(
    ("environment", "is_public"),
    [
        ({"INFINIREACH_GRPC_HOST": "127.0.0.2"}, True),
        ({"INFINIREACH_GRPC_HOST": "::1"}, True),
        ({"INFINIREACH_GRPC_HOST": "localhost"}, True),
        ({"INFINIREACH_GRPC_HOST": "0.0.0.0"}, False),  # noqa: S104 - that nothing else than this is refused
        ({"INFINIREACH_GRPC_HOST": "::"}, False),
        ({"INFINIREACH_GRPC_HOST": "core.example"}, False),
        (INTERNAL, False),
    ],
)
def test_the_public_server_takes_the_service_credential_only_where_nobody_else_reaches_it(
    environment: dict[str, str], is_public: bool
) -> None:
    assert load(environment).is_credential_public is is_public


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"INFINIREACH_TLS_CERT_FILE": "core.pem"}, "INFINIREACH_TLS_KEY_FILE"),
        ({"INFINIREACH_TLS_KEY_FILE": "core.key"}, "INFINIREACH_TLS_KEY_FILE"),
        ({"INFINIREACH_TLS_CLIENT_CA_FILE": "ca.pem"}, "INFINIREACH_TLS_CLIENT_CA_FILE"),
        ({**INTERNAL, "INFINIREACH_INTERNAL_HOST": "10.0.0.1"}, "INFINIREACH_INTERNAL_PORT"),
        ({**INTERNAL, **CERTIFICATE, "INFINIREACH_INTERNAL_HOST": "core"}, "INFINIREACH_INTERNAL_PORT"),
    ],
)
def test_a_tls_setting_without_what_it_needs_is_refused(environment: dict[str, str], named: str) -> None:
    [told] = problems(environment)
    assert told.startswith(f"{named}: ")


def test_an_internal_server_that_others_reach_demands_certificates() -> None:
    whole = {**INTERNAL, **CERTIFICATE, "INFINIREACH_TLS_CLIENT_CA_FILE": "ca.pem"}
    assert load({**whole, "INFINIREACH_INTERNAL_HOST": "0.0.0.0"}).internal_port == 50052  # noqa: S104 - as above
    assert load(INTERNAL).internal_host == "127.0.0.1"


KAFKA = {
    "INFINIREACH_DATABASE_URL": "postgresql://reach@db/reach",
    "INFINIREACH_KAFKA_SERVERS": "kafka-1:9092, kafka-2:9092",
}


def test_kafka_servers_are_separated_by_commas() -> None:
    assert load(KAFKA).kafka_servers == ("kafka-1:9092", "kafka-2:9092")
    assert load({}).kafka_servers == ()


@pytest.mark.parametrize("servers", ["kafka-1", "kafka-1:port", "kafka://kafka-1:9092", "a b:1"])
def test_a_kafka_server_is_a_host_and_a_port(servers: str) -> None:
    (problem,) = problems({**KAFKA, "INFINIREACH_KAFKA_SERVERS": servers})
    assert problem.startswith("INFINIREACH_KAFKA_SERVERS: not host:port")


@pytest.mark.parametrize("role", ["RELAY", "DELIVER"])
def test_kafka_with_a_database_of_one_process_serves_that_process_only(role: str) -> None:
    servers = {"INFINIREACH_KAFKA_SERVERS": "kafka-1:9092"}
    assert load(servers).kafka_servers
    (problem,) = problems({**servers, f"INFINIREACH_{role}_EMBEDDED": "false"})
    assert problem.startswith("INFINIREACH_KAFKA_SERVERS: needs PostgreSQL")
    assert load({**KAFKA, f"INFINIREACH_{role}_EMBEDDED": "false"}).kafka_servers


def test_kafka_with_a_password_needs_both_name_and_password() -> None:
    sasl = {**KAFKA, "INFINIREACH_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}
    assert {problem.partition(":")[0] for problem in problems(sasl)} == {
        "INFINIREACH_KAFKA_USERNAME",
        "INFINIREACH_KAFKA_PASSWORD_FILE",
    }
    named = {**sasl, "INFINIREACH_KAFKA_USERNAME": "reach"}
    assert load({**named, "INFINIREACH_KAFKA_PASSWORD_FILE": "/run/secrets/kafka"}).kafka_username == "reach"
    settings = load({**named, "INFINIREACH_KAFKA_PASSWORD": "correct-horse"})
    assert "correct-horse" not in repr(settings)


def test_a_certificate_for_kafka_comes_with_its_key() -> None:
    for name in ("CERT", "KEY"):
        (problem,) = problems({**KAFKA, f"INFINIREACH_KAFKA_{name}_FILE": "/etc/reach.pem"})
        assert problem.startswith(
            "INFINIREACH_KAFKA_KEY_FILE: goes together with INFINIREACH_KAFKA_CERT_FILE"
        )
