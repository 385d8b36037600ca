"""Both listeners of a core on one machine that speaks no TLS."""

from pathlib import Path

import grpc

from core import accounts
from core.clock import SystemClock
from core.store.databases import open_store
from infinireach.driver.v1 import driver_service_pb2_grpc
from infinireach.v1 import devices_service_pb2, devices_service_pb2_grpc
from tests.e2e.played_driver import PlayedDriver, hello
from tests.fakes.core_process import core_process
from tests.fakes.rpc_outcome import refusal
from tests.integration.tls.channels import CALL_S_MAX, Metadata, as_service, forwarding


async def reason(target: str, metadata: Metadata) -> str:
    """For what a call is refused; empty if it is not."""
    async with grpc.aio.insecure_channel(target) as channel:
        stub = devices_service_pb2_grpc.DevicesServiceStub(channel)
        call = stub.ListDevices(
            devices_service_pb2.ListDevicesRequest(), metadata=metadata, timeout=CALL_S_MAX
        )
        try:
            await call
        except grpc.aio.AioRpcError:
            return (await refusal(call)).reason
    return ""


async def test_the_internal_listener_believes_its_neighbours_and_the_public_one_does_not(
    tmp_path: Path,
) -> None:
    with core_process(tmp_path / "var") as core:
        store, now_ms = open_store(f"sqlite:///{core.var}/infinireach.db"), SystemClock().now_ms()
        tenant = await store.run(accounts.create_tenant, "acme", 100, now_ms)
        token, _ = await store.run(accounts.create_driver_token, tenant.id, "driver", now_ms)
        store.close()
        assert await reason(core.internal, as_service(tenant.id)) == ""
        assert await reason(core.public, as_service(tenant.id)) == "SERVICE_CREDENTIAL_REFUSED"
        for target, is_believed in ((core.internal, True), (core.public, False)):
            async with grpc.aio.insecure_channel(target) as channel:
                stub = driver_service_pb2_grpc.DriverServiceStub(channel)
                stream = stub.Connect(metadata=forwarding(token.id), timeout=CALL_S_MAX)
                driver = PlayedDriver(stream)
                if is_believed:
                    await driver.send(hello())
                    await driver.frame("welcome")
                    stream.cancel()
                else:
                    assert (await driver.end()).reason == "UNAUTHENTICATED"
