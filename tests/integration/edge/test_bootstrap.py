"""The committed bootstrap: Envoy accepts it, and its values fit what stands behind it."""

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import FileDescriptor

from core import credentials
from core.config import Settings as CoreSettings
from infinireach.driver.v1 import driver_service_pb2
from infinireach.v1 import (
    accounts_service_pb2,
    devices_service_pb2,
    messages_service_pb2,
    webhooks_service_pb2,
)
from rest_facade.app import IDLE_S
from rest_facade.config import Settings as FacadeSettings
from rest_facade.errors import CODES
from tests.fakes.certificate_files import DRIVER_URI
from tools.engines import envoy_bootstrap as bootstrap
from tools.engines.envoy import validate

COMMITTED = bootstrap.committed()
PUBLIC = bootstrap.connection_manager(COMMITTED, "public")
DRIVER = "/infinireach.driver.v1.DriverService/Connect"
PUBLIC_FILES: tuple[FileDescriptor, ...] = (
    accounts_service_pb2.DESCRIPTOR,
    devices_service_pb2.DESCRIPTOR,
    messages_service_pb2.DESCRIPTOR,
    webhooks_service_pb2.DESCRIPTOR,
)
METHODS = [
    f"/{service.full_name}/{method.name}"
    for file in PUBLIC_FILES
    for service in file.services_by_name.values()
    for method in service.methods
]


def seconds(duration: str) -> float:
    """A duration of the bootstrap."""
    return float(duration.removesuffix("s"))


def route_of(path: str) -> str:
    """The name of the public route that a gRPC call to `path` takes."""
    for name, route in bootstrap.routes(COMMITTED, "public").items():
        match = route["match"]
        if match.get("path") == path or re.fullmatch(match.get("safe_regex", {}).get("regex", "$^"), path):
            return name
    return "none"


def test_envoy_accepts_the_committed_file(tmp_path: Path) -> None:
    text = bootstrap.COMMITTED.read_text(encoding="utf-8")
    file = tmp_path / "envoy.yaml"
    file.write_text(text.replace(bootstrap.SECRETS_PLACE, str(bootstrap.SECRETS)), encoding="utf-8")
    assert "Deprecated" not in validate(file)


def test_every_public_method_is_routed_but_the_one_for_services() -> None:
    routed = {method: route_of(method) for method in METHODS}
    assert "none" not in routed.values()
    refused = [method for method, route in routed.items() if route == "grpc_service_only"]
    assert refused == ["/infinireach.v1.AccountsService/ResolveApiKey"]


def test_only_methods_that_change_nothing_may_be_repeated_after_they_were_sent() -> None:
    changing = re.compile(r"Create|Update|Delete|Revoke|Enable|Test|Cancel|Redeliver|Resolve")
    repeated = [method for method in METHODS if route_of(method) == "grpc_read"]
    assert repeated
    assert not [method for method in repeated if changing.search(method.rpartition("/")[2])]


def test_what_is_the_drivers_alone_is_not_on_the_public_listener() -> None:
    [service] = driver_service_pb2.DESCRIPTOR.services_by_name.values()
    assert [f"/{service.full_name}/{method.name}" for method in service.methods] == [DRIVER]
    assert route_of(DRIVER) == "none"


def test_drivers_credentials_have_the_form_that_their_listeners_ask_for() -> None:
    token = credentials.new_credential(credentials.DRIVER_TOKEN_PREFIX)
    parsed = credentials.parse(token, credentials.DRIVER_TOKEN_PREFIX)
    assert parsed is not None
    [chain] = bootstrap.listener(COMMITTED, "driver")["filter_chains"]
    context = chain["transport_socket"]["typed_config"]["common_tls_context"]["combined_validation_context"]
    [name] = context["default_validation_context"]["match_typed_subject_alt_names"]
    assert re.fullmatch(name["matcher"]["safe_regex"]["regex"], f"{DRIVER_URI}{parsed.public_id}")
    match = bootstrap.routes(COMMITTED, "driver_token")["driver_stream_by_token"]["match"]
    [authorization] = [header for header in match["headers"] if header["name"] == "authorization"]
    assert re.fullmatch(authorization["string_match"]["safe_regex"]["regex"], f"Bearer {token}")


@pytest.mark.parametrize("listener", ["driver", "driver_token"])
def test_a_driver_stream_ends_only_when_nothing_comes_for_longer_than_three_heartbeats(listener: str) -> None:
    *_, last = routes = [*bootstrap.routes(COMMITTED, listener).values()]
    [stream] = [route for route in routes if "route" in route]
    heartbeat_s = CoreSettings.model_fields["heartbeat_interval_s"].default
    assert stream["match"]["path"] == DRIVER
    assert stream["route"]["timeout"] == "0s"
    assert stream["route"]["max_stream_duration"] == {"max_stream_duration": "0s"}
    assert seconds(stream["route"]["idle_timeout"]) > 3 * heartbeat_s
    assert "retry_policy" not in stream["route"]
    manager = bootstrap.connection_manager(COMMITTED, listener)
    assert "request_timeout" not in manager
    assert "max_connection_duration" not in manager["common_http_protocol_options"]
    assert last == {"name": "none", "match": {"prefix": "/"}, "direct_response": {"status": 404}}


def test_bodies_are_gathered_only_if_they_are_small_and_may_then_be_as_large_as_the_facade_takes_them() -> (
    None
):
    small_bytes_max = FacadeSettings.model_fields["body_bytes_max"].default
    assert bootstrap.http_filter(COMMITTED, "public", "buffer")["max_request_bytes"] == small_bytes_max
    for name, route in bootstrap.routes(COMMITTED, "public").items():
        [buffer] = route.get("typed_per_filter_config", {"": {}}).values()
        is_gathered = not buffer.get("disabled", False)
        assert is_gathered is (name in {"rest_webhook_test", "rest_read", "rest_write", "document"})
        assert "buffer" not in buffer


def test_the_edge_drops_idle_connections_before_the_facade_does() -> None:
    [options] = bootstrap.cluster(COMMITTED, "rest_facade")["typed_extension_protocol_options"].values()
    assert seconds(options["common_http_protocol_options"]["idle_timeout"]) < IDLE_S


def test_the_edge_waits_longer_than_a_facade_that_does_nothing_twice() -> None:
    fields = FacadeSettings.model_fields
    call_s = fields["core_grace_s"].default + fields["core_timeout_s"].default
    queue_s = fields["core_timeout_s"].default
    key_s = call_s
    for name in ("rest_batch", "rest_read", "rest_write"):
        timeout = bootstrap.routes(COMMITTED, "public")[name]["route"]["timeout"]
        assert seconds(timeout) > key_s + queue_s + call_s


def test_the_edge_answers_with_codes_of_the_rest_api() -> None:
    mappers = PUBLIC["local_reply_config"]["mappers"]
    bodies = [
        (mapper, mapper["body_format_override"]["json_format"])
        for mapper in mappers
        if "json_format" in mapper["body_format_override"]
    ]
    assert len(bodies) == 8
    for mapper, body in bodies:
        status = (
            mapper.get("status_code")
            or (mapper["filter"]["status_code_filter"]["comparison"]["value"]["default_value"])
        )
        assert CODES[body["code"]].status == status
        assert body["success"] is False
        assert body["error"] == body["message"]


def test_the_admin_interface_is_on_loopback() -> None:
    assert COMMITTED["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


def test_every_listener_takes_nobody_at_his_word() -> None:
    for name in bootstrap.LISTENERS:
        manager = bootstrap.connection_manager(COMMITTED, name)
        assert manager["use_remote_address"] is True
        assert manager["xff_num_trusted_hops"] == 0
        assert manager["path_with_escaped_slashes_action"] == "REJECT_REQUEST"
        assert manager["common_http_protocol_options"]["headers_with_underscores_action"] == "REJECT_REQUEST"
        assert {"x-tenant-id", "x-api-key-id"} <= {*manager["route_config"]["request_headers_to_remove"]}
        [chain] = bootstrap.listener(COMMITTED, name)["filter_chains"]
        tls = chain["transport_socket"]["typed_config"]
        assert tls["common_tls_context"]["tls_params"]["tls_minimum_protocol_version"] == "TLSv1_2"
        assert tls.get("require_client_certificate", False) is (name == "driver")


@pytest.mark.parametrize("cluster", ["rest_facade", "core_public", "core_internal"])
def test_what_has_gone_away_is_noticed_within_seconds(cluster: str) -> None:
    [check] = bootstrap.cluster(COMMITTED, cluster)["health_checks"]
    assert seconds(check["interval"]) * check["unhealthy_threshold"] + seconds(check["timeout"]) <= 5
    assert check["no_traffic_interval"] == check["interval"]


@pytest.mark.parametrize("cluster", ["core_public", "core_internal"])
def test_a_connection_to_a_core_has_room_when_all_its_streams_are_unread(cluster: str) -> None:
    options = bootstrap.http2_options(COMMITTED, cluster)
    unread_bytes = options["max_concurrent_streams"] * options["initial_stream_window_size"]
    # The window is opened again only when half of it was read, so half of it must be there for those who read.
    assert options["initial_connection_window_size"] / 2 > unread_bytes
