"""What `infinireach up` will run, from settings alone."""

from pathlib import Path

import pytest

from core.cli.supervisor import plan
from core.cli.supervisor.demo import Demo
from core.cli.supervisor.phones import Choice, Phones
from core.config import InvalidSettings, load

DEMO = Demo("tenant", "irk_x", "ird_x")
SIMULATED = Choice(Phones.SIMULATED)


def test_a_port_of_zero_becomes_a_free_one() -> None:
    where = plan.addresses(
        load({"INFINIREACH_GRPC_PORT": "0", "INFINIREACH_METRICS_PORT": "0"}), {"INFINIREACH_REST_PORT": "0"}
    )
    ports = {where.rest_port, where.grpc_port, where.metrics_port}
    assert len(ports) == 3
    assert 0 not in ports


def test_addresses_are_shown_as_this_machine_reaches_them() -> None:
    where = plan.addresses(load({"INFINIREACH_GRPC_HOST": "::"}), {"INFINIREACH_REST_HOST": "0.0.0.0"})  # noqa: S104
    assert where.rest_url == "http://127.0.0.1:8080"
    assert where.grpc == "[::1]:50051"


@pytest.mark.parametrize(
    ("variable", "environment"),
    [
        ("INFINIREACH_REST_PORT", {"INFINIREACH_REST_PORT": "http"}),
        ("INFINIREACH_REST_HOST", {"INFINIREACH_REST_HOST": "no host", "INFINIREACH_REST_PORT": "0"}),
    ],
)
def test_an_address_that_nothing_can_listen_on_is_refused_by_its_setting(
    variable: str, environment: dict[str, str]
) -> None:
    with pytest.raises(InvalidSettings, match=variable):
        plan.addresses(load({}), environment)


def test_the_facade_stops_first_and_the_core_last_within_five_seconds(tmp_path: Path) -> None:
    settings = load({"INFINIREACH_VAR": str(tmp_path)})
    roles = plan.roles(settings, plan.addresses(settings, {}), DEMO, SIMULATED)
    assert [role.name for role in roles] == ["rest", "driver", "core"]
    assert sum(role.stop_s for role in roles) < 5
    assert [
        role.name for role in plan.roles(settings, plan.addresses(settings, {}), DEMO, Choice(Phones.NONE))
    ] == [
        "rest",
        "core",
    ]


def test_an_emulated_modem_ends_within_five_seconds_too_and_real_ones_may_finish_what_they_send(
    tmp_path: Path,
) -> None:
    settings = load({"INFINIREACH_VAR": str(tmp_path)})
    where = plan.addresses(settings, {})
    emulated = plan.roles(settings, where, DEMO, Choice(Phones.EMULATED, tmp_path / "modems.toml"))
    assert [role.name for role in emulated] == ["rest", "driver", "emulator", "core"]
    assert sum(role.stop_s for role in emulated) < 5
    [_, driver, _] = plan.roles(settings, where, DEMO, Choice(Phones.MODEMS, tmp_path / "modems.toml"))
    assert driver.environment["INFINIREACH_DRIVER_GRACE_S"] == "3"
    assert driver.stop_s > 3


def test_children_get_one_data_folder_and_the_same_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load({"INFINIREACH_GRPC_PORT": "1234"})
    [rest, driver, core] = plan.roles(settings, plan.addresses(settings, {}), DEMO, SIMULATED)
    assert rest.environment == driver.environment == core.environment
    assert core.environment["INFINIREACH_VAR"] == str(tmp_path / "var")
    assert core.environment["INFINIREACH_GRPC_PORT"] == "1234"
    assert core.environment["INFINIREACH_CORE_ADDRESS"] == "127.0.0.1:1234"
    assert driver.environment["INFINIREACH_DRIVER_CORE"] == "127.0.0.1:1234"
    assert "irk_x" not in repr(rest)


def test_an_operators_own_grace_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFINIREACH_DRAIN_GRACE_S", "1.5")
    settings = load({"INFINIREACH_VAR": str(tmp_path)})
    [*_, core] = plan.roles(settings, plan.addresses(settings, {}), DEMO, SIMULATED)
    assert "INFINIREACH_DRAIN_GRACE_S" not in core.environment
    assert core.environment["INFINIREACH_REST_DRAIN_S"] == "1"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104
def test_a_core_that_others_reach_has_a_listener_on_loopback_for_the_facade(
    tmp_path: Path, host: str
) -> None:
    settings = load({"INFINIREACH_VAR": str(tmp_path), "INFINIREACH_GRPC_HOST": host})
    where = plan.addresses(settings, {})
    [_, driver, core] = plan.roles(settings, where, DEMO, SIMULATED)
    assert where.internal_port
    assert core.environment["INFINIREACH_INTERNAL_HOST"] == "127.0.0.1"
    assert core.environment["INFINIREACH_INTERNAL_PORT"] == str(where.internal_port)
    assert core.environment["INFINIREACH_CORE_ADDRESS"] == f"127.0.0.1:{where.internal_port}"
    assert driver.environment["INFINIREACH_DRIVER_CORE"] == where.grpc
