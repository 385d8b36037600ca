"""Whether the processes of a gateway answer: the core's gRPC health, the facade's /readyz, a device online.

Each check asks once, in a worker thread, and says no where it gets no answer. Knows no process.
"""

import asyncio
import http.client
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from core.cli.output import CommandFailed
from core.cli.rest_client import RestClient

ANSWER_S = 2.0
CHANNEL_OPTIONS = (("grpc.enable_http_proxy", 0),)
"""A proxy of the environment is for the way out, not for our own processes."""
Check = Callable[[], Awaitable[bool]]


async def core_serves(target: str, *, ca: Path | None = None) -> bool:
    """Whether the core at host:port says that it serves; `ca`: over TLS, with this file of certificates to trust."""
    return await asyncio.to_thread(grpc_health, target, ca) == "SERVING"


def grpc_health(target: str, ca: Path | None = None) -> str:
    """What the health service at host:port says: SERVING, NOT_SERVING, …; the status of the call if it fails."""
    import grpc  # noqa: PLC0415 - slow to import, and no other command needs it
    from grpc_health.v1 import health_pb2  # noqa: PLC0415

    if ca is None:
        opened = grpc.insecure_channel(target, CHANNEL_OPTIONS)
    else:
        credentials = grpc.ssl_channel_credentials(ca.read_bytes())
        opened = grpc.secure_channel(target, credentials, CHANNEL_OPTIONS)
    with opened as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(), timeout=ANSWER_S)
        except grpc.RpcError as error:
            return str(error.code().name)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


async def facade_is_ready(host: str, port: int) -> bool:
    """Whether the REST facade reaches the core."""
    return await asyncio.to_thread(readyz, host, port) == http.client.OK


def readyz(host: str, port: int) -> int:
    """The status of GET /readyz; 0 if there is no answer."""
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


async def device_is_online(api: RestClient) -> bool:
    """Whether any device of the key's tenant is online."""
    return any(device["status"] == "online" for device in await asyncio.to_thread(devices, api))


async def driver_is_there(api: RestClient, kind: str) -> bool:
    """Whether a driver of this kind is connected, whatever its devices need."""
    found = await asyncio.to_thread(devices, api)
    return any(device["driver"] == kind and device["status"] != "offline" for device in found)


async def number_is_online(api: RestClient, number: str) -> bool:
    """Whether a device with this number is online."""
    found = await asyncio.to_thread(devices, api)
    return any(
        device["status"] == "online" and number in [address["number"] for address in device["numbers"]]
        for device in found
    )


def devices(api: RestClient) -> list[dict[str, Any]]:
    """The devices of the key's tenant; none if there is no answer."""
    try:
        return list(api.get("/api/v1/devices")["devices"])
    except CommandFailed:
        return []


def numbers(api: RestClient) -> list[dict[str, Any]]:
    """The devices in short: id, name, status, channels, and the first number; with a remedy where one is needed."""
    return [
        {
            "id": device["id"],
            "name": device["name"],
            "status": device["status"],
            "channels": device["channels"],
            "number": next((number["number"] for number in device["numbers"]), None),
            **({"remedy": device["remedy"]} if device["remedy"] else {}),
        }
        for device in devices(api)
    ]
