"""The whole gateway behind the edge: callers, drivers with a token, and what neither may do."""

import ssl
import struct
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path

import grpc
import pytest

from infinireach.v1 import (
    accounts_service_pb2,
    accounts_service_pb2_grpc,
    devices_service_pb2,
    devices_service_pb2_grpc,
    message_pb2,
    messages_service_pb2,
    messages_service_pb2_grpc,
)
from tests.e2e.gateway import Client, Gateway, Tenant, eventually, message
from tests.e2e.idle_streams import driver_by_token
from tests.e2e.played_driver import new_number
from tests.fakes.certificate_files import CertificateFiles
from tests.fakes.edge import CALL_TIMEOUT_S, channel, http1, serving
from tools.engines import envoy_bootstrap as bootstrap
from tools.engines.envoy import Envoy
from tools.engines.envoy_bootstrap import Bootstrap, Upstreams

GET_MESSAGE = "/infinireach.v1.MessagesService/GetMessage"
QUICK_HEARTBEATS = {
    "INFINIREACH_HEARTBEAT_INTERVAL_S": "0.2",
    "INFINIREACH_HEARTBEAT_TIMEOUT_S": "2",
    "INFINIREACH_LEASE_S": "3",
}
IDLE_S = 2.0
"""More than three heartbeats, as in production."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def edge(running: Gateway, certificates: CertificateFiles, tmp_path: Path) -> AsyncGenerator[Envoy]:
    """An edge in front of the gateway that the tests share."""
    upstreams = Upstreams(
        facades=[f"127.0.0.1:{running.ports['REST']}"],
        cores=[f"127.0.0.1:{running.ports['GRPC']}"],
        is_tls_to_cores=False,
    )
    async with serving(tmp_path / "edge", certificates, upstreams) as envoy:
        yield envoy


def client_at(edge: Envoy, certificates: CertificateFiles, key: str) -> Client:
    """A REST client on the other side of the edge."""
    context = ssl.create_default_context(cafile=str(certificates.authority))
    return Client(f"https://localhost:{edge.place.ports.public}", key, tls=context)


async def test_a_message_goes_out_and_is_read_back_over_each_protocol(
    running: Gateway, edge: Envoy, certificates: CertificateFiles
) -> None:
    key = running.run["apiKey"]
    async with client_at(edge, certificates, key) as client:
        by_rest = await client.send(message="By REST")
        await client.message_in(by_rest, "delivered")
        documents = await client.request("GET", "/docs")
        assert documents.status == 200
    async with channel(edge.place.ports.public, certificates) as opened:
        stub = messages_service_pb2_grpc.MessagesServiceStub(opened)
        request = messages_service_pb2.GetMessageRequest(message_id=by_rest)
        answer = await stub.GetMessage(request, metadata=(("x-api-key", key),), timeout=CALL_TIMEOUT_S)
    assert answer.message.state == message_pb2.MESSAGE_STATE_DELIVERED
    by_web = await get_by_web(edge, certificates, key, by_rest)
    assert by_web == answer


async def get_by_web(
    edge: Envoy, certificates: CertificateFiles, key: str, message_id: str
) -> messages_service_pb2.GetMessageResponse:
    """The same by gRPC-Web, framed by hand: a flag and a length before each part, the trailers last."""
    request = messages_service_pb2.GetMessageRequest(message_id=message_id).SerializeToString()
    headers = {"content-type": "application/grpc-web+proto", "x-api-key": key}
    async with http1(edge.place.ports.public, certificates) as caller:
        answer = await caller.request(
            "POST", GET_MESSAGE, headers=headers, body=struct.pack(">BI", 0, len(request)) + request
        )
    flags, length = struct.unpack(">BI", answer.body[:5])
    assert (answer.status, flags) == (200, 0)
    assert b"grpc-status:0" in answer.body[5 + length :]
    return messages_service_pb2.GetMessageResponse.FromString(answer.body[5 : 5 + length])


async def test_the_service_credential_and_a_tenants_id_open_nothing_from_outside(
    running: Gateway, other_tenant: Tenant, edge: Envoy, certificates: CertificateFiles
) -> None:
    credential = (running.var / "service.credential").read_text(encoding="ascii").strip()
    as_service = (("authorization", f"Bearer {credential}"), ("x-tenant-id", other_tenant.id))
    request = devices_service_pb2.ListDevicesRequest()
    async with grpc.aio.insecure_channel(running.run["grpc"]) as inside:
        await devices_service_pb2_grpc.DevicesServiceStub(inside).ListDevices(
            request, metadata=as_service, timeout=CALL_TIMEOUT_S
        )
    async with channel(edge.place.ports.public, certificates) as outside:
        devices = devices_service_pb2_grpc.DevicesServiceStub(outside)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await devices.ListDevices(request, metadata=as_service, timeout=CALL_TIMEOUT_S)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert refused.value.details() == "The call carries no credential."
        own = await devices.ListDevices(
            request, metadata=(*as_service, ("x-api-key", running.run["apiKey"])), timeout=CALL_TIMEOUT_S
        )
        assert own.devices, "the key's tenant, and not the one that was named"
        accounts = accounts_service_pb2_grpc.AccountsServiceStub(outside)
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await accounts.ResolveApiKey(
                accounts_service_pb2.ResolveApiKeyRequest(key=other_tenant.key),
                metadata=as_service,
                timeout=CALL_TIMEOUT_S,
            )
        assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_the_facades_own_answers_come_through_unchanged(
    running: Gateway, edge: Envoy, certificates: CertificateFiles
) -> None:
    for key, method, path, status, code in (
        ("", "GET", "/api/v1/devices", 401, "unauthorized"),
        (running.run["apiKey"], "GET", "/api/v1/nothing", 404, "not_found"),
        (running.run["apiKey"], "DELETE", "/api/v1/messages", 405, "method_not_allowed"),
        (running.run["apiKey"], "POST", "/api/v1/messages", 400, "invalid_request"),
    ):
        async with client_at(edge, certificates, key) as client:
            body = {} if method == "POST" else None
            answer = await client.request(method, path, body, headers={"X-Request-Id": "mine"})
        assert (answer.status, answer.json["code"]) == (status, code)
        assert (answer.json["requestId"], answer.headers["X-Request-Id"]) == ("mine", "mine")


async def device_that_was_seen_for(client: Client, duration_s: float) -> None:
    """Wait until a driver's device was online at two times that lie so far apart."""
    first: list[datetime] = []

    async def look() -> bool:
        devices = (await client.get("/api/v1/devices"))["devices"]
        online = [device for device in devices if device["status"] == "online"]
        first.extend(datetime.fromisoformat(device["lastSeenAt"]) for device in online)
        return bool(first) and (first[-1] - first[0]).total_seconds() >= duration_s

    await eventually(look, "the device is seen again and again", within_s=40)


async def test_an_idle_driver_stays_connected_through_the_edge_and_sends(
    certificates: CertificateFiles, tmp_path: Path
) -> None:
    def short_idle(changed: Bootstrap) -> None:
        route = bootstrap.routes(changed, "driver_token")["driver_stream_by_token"]["route"]
        route["idle_timeout"] = f"{IDLE_S}s"

    gateway = Gateway(tmp_path / "var", QUICK_HEARTBEATS)
    gateway.start()
    try:
        tenant = gateway.new_tenant("edge")
        upstreams = Upstreams(
            facades=[f"127.0.0.1:{gateway.ports['REST']}"],
            cores=[f"127.0.0.1:{gateway.ports['GRPC']}"],
            is_tls_to_cores=False,
        )
        async with (
            serving(tmp_path / "edge", certificates, upstreams, change=short_idle) as envoy,
            client_at(envoy, certificates, tenant.key) as client,
        ):
            made = await client.post("/api/v1/driver-tokens", {"name": "edge"})
            number, port = new_number(), envoy.place.ports.driver_token
            token = made["driverToken"]["token"]
            with driver_by_token(port, token, number, tmp_path / "driver", certificates.authority):
                await device_that_was_seen_for(client, 2 * IDLE_S)
                sent = await client.post("/api/v1/messages", message(**{"from": number}))
                await client.message_in(sent["messageId"], "delivered")
            log = (tmp_path / "driver" / "driver.log").read_text(encoding="utf-8")
        assert log.count('"stream.opened"') == 1, log
    finally:
        gateway.stop()
