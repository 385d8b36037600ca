"""Two cores on one PostgreSQL: what one accepts, a driver that is connected to the other sends."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from infinireach.v1 import (
    message_pb2,
    messages_service_pb2,
    messages_service_pb2_grpc,
    webhooks_service_pb2,
    webhooks_service_pb2_grpc,
)
from tests.e2e.gateway import NUMBER, Client, Gateway, eventually, on_postgresql
from tests.e2e.hooks import hook
from tests.fakes.postgresql import Cluster
from tests.fakes.webhook_receiver import Reply
from tools.engines.ports import free_port

ALONE = {
    "INFINIREACH_CLAIM_POLL_S": "60",  # what is sent before was told of
    "INFINIREACH_RELAY_EMBEDDED": "false",
    "INFINIREACH_DELIVER_EMBEDDED": "false",
}


@pytest.fixture
def cluster() -> Generator[Cluster]:
    cluster = Cluster(is_durable=True)
    yield cluster
    cluster.remove()


@pytest.fixture
def gateway(cluster: Cluster, tmp_path: Path) -> Generator[Gateway]:
    """A whole gateway, its database on PostgreSQL."""
    var = tmp_path / "var"
    settings = on_postgresql(var, cluster.create_database("reach"))
    gateway = Gateway(
        var, {**settings, "INFINIREACH_CLAIM_POLL_S": "60", "INFINIREACH_DELIVERY_POLL_S": "60"}
    )
    gateway.start()
    yield gateway
    gateway.stop()


@contextmanager
def second_core(gateway: Gateway) -> Generator[tuple[subprocess.Popen[bytes], str]]:
    """Another core on the same database; its process and address."""
    port = free_port()
    ports = {"INFINIREACH_GRPC_PORT": str(port), "INFINIREACH_METRICS_PORT": str(free_port())}
    environment = {**os.environ, **gateway.settings, **ALONE, **ports, "INFINIREACH_VAR": str(gateway.var)}
    line = [sys.executable, "-P", "-m", "core.cli.main", "core"]
    with (gateway.var / "second.log").open("ab") as log:
        process = subprocess.Popen(line, env=environment, stdout=log, stderr=log)
    try:
        yield process, f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def accept_at(address: str, key: str, text: str) -> str:
    """Have a core accept a message; its id."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = messages_service_pb2_grpc.MessagesServiceStub(channel)
        sender: dict[str, Any] = {"from": NUMBER}
        new = messages_service_pb2.NewMessage(
            to="+15551230000", text=text, channel=message_pb2.CHANNEL_SMS, **sender
        )
        request = messages_service_pb2.CreateMessageRequest(message=new)
        answer = await stub.CreateMessage(
            request, metadata=(("x-api-key", key),), wait_for_ready=True, timeout=30
        )
        return answer.message_id


async def test_a_message_reaches_a_driver_that_is_connected_to_another_core(gateway: Gateway) -> None:
    with second_core(gateway) as (process, address):
        async with gateway.client() as client:
            accepted = [await accept_at(address, gateway.run["apiKey"], f"Hello {n}") for n in range(20)]
            for message_id in accepted:
                await client.message_in(message_id, "delivered")
            last = await accept_at(address, gateway.run["apiKey"], "Last words")
            process.kill()
            assert (await client.get(f"/api/v1/messages/{last}"))["id"] == last
    sent = [entry["message_id"] for entry in gateway.radio()]
    assert sorted(set(sent) & set(accepted)) == sorted(accepted)
    assert len(sent) == len(set(sent))


async def test_a_redelivery_asked_of_one_core_is_made_at_once_by_another(gateway: Gateway) -> None:
    with second_core(gateway) as (_, address):
        async with gateway.client() as client, hook(client, ["message.sent"]) as hooked:
            hooked.receiver.respond_with(Reply(503, headers=(("Retry-After", "86400"),)), Reply(200))
            message_id = await accept_at(address, gateway.run["apiKey"], "Hello")
            first = await hooked.wait_for(message_id, "message.sent")
            delivery_id = first.header("x-infini-reach-delivery") or ""
            await is_settled(client, delivery_id)
            await redeliver_at(address, gateway.run["apiKey"], delivery_id)
            _, second = await hooked.receiver.wait_for(2)
    assert second.header("x-infini-reach-delivery") == delivery_id


async def is_settled(client: Client, delivery_id: str) -> None:
    """Return when the first attempt of a delivery is on record."""

    async def look() -> bool:
        return bool((await client.get(f"/api/v1/deliveries/{delivery_id}"))["attempts"])

    await eventually(look, "the first attempt is on record")


async def redeliver_at(address: str, key: str, delivery_id: str) -> None:
    """Ask a core to have a delivery made again."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = webhooks_service_pb2_grpc.WebhooksServiceStub(channel)
        request = webhooks_service_pb2.RedeliverDeliveryRequest(delivery_id=delivery_id)
        await stub.RedeliverDelivery(request, metadata=(("x-api-key", key),), wait_for_ready=True, timeout=30)
