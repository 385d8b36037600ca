"""Devices: look at, rename, switch, remove.

Owns the handlers under /api/v1/devices and what documents them.
"""

from infinireach.v1 import devices_service_pb2
from rest_facade import parse, render, rpcs
from rest_facade.answers import json_answer
from rest_facade.call import Call
from rest_facade.route import Body, Route, Success
from rest_facade.wire import Answer


async def show_list(call: Call) -> Answer:
    """All devices of the account, oldest first."""
    answer = await call.core.call(rpcs.LIST_DEVICES, devices_service_pb2.ListDevicesRequest(), call)
    return json_answer(
        200, {"success": True, "devices": [render.device(device) for device in answer.devices]}
    )


async def show(call: Call) -> Answer:
    """One device."""
    request = devices_service_pb2.GetDeviceRequest(device_id=parse.device_id(call.path["deviceId"]))
    answer = await call.core.call(rpcs.GET_DEVICE, request, call)
    return json_answer(200, {"success": True, "device": render.device(answer.device)})


async def change(call: Call) -> Answer:
    """Change name or enabled."""
    request = parse.device_update(parse.device_id(call.path["deviceId"]), call.body)
    answer = await call.core.call(rpcs.UPDATE_DEVICE, request, call)
    return json_answer(200, {"success": True, "device": render.device(answer.device)})


async def remove(call: Call) -> Answer:
    """Remove a device; says how many waiting messages failed because of it."""
    request = devices_service_pb2.DeleteDeviceRequest(device_id=parse.device_id(call.path["deviceId"]))
    answer = await call.core.call(rpcs.DELETE_DEVICE, request, call)
    return json_answer(200, {"success": True, "failedMessages": answer.failed_messages})


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/devices",
        handler=show_list,
        operation="listDevices",
        tag="Devices",
        summary="List devices",
        description="Every number in `simSlots` or `numbers` may stand in a message's `from`.",
        scope="devices",
        success={200: Success("The devices, oldest first.", "DeviceList")},
    ),
    Route(
        method="GET",
        path="/api/v1/devices/{deviceId}",
        handler=show,
        operation="getDevice",
        tag="Devices",
        summary="Look at a device",
        scope="devices",
        success={200: Success("The device.", "DeviceAnswer")},
        errors=("not_found",),
    ),
    Route(
        method="PATCH",
        path="/api/v1/devices/{deviceId}",
        handler=change,
        operation="updateDevice",
        tag="Devices",
        summary="Rename a device, or switch it on or off",
        description="Messages for a device that is switched off wait in its queue.",
        scope="devices",
        body=Body("DeviceChange", {"name": "Front desk"}),
        success={200: Success("The device as it is now.", "DeviceAnswer")},
        errors=("invalid_request", "not_found", "outcome_unknown"),
    ),
    Route(
        method="DELETE",
        path="/api/v1/devices/{deviceId}",
        handler=remove,
        operation="deleteDevice",
        tag="Devices",
        summary="Remove a device",
        description="Messages that wait for it fail with the reason `device_removed`. It returns, with an empty "
        "queue, if its driver offers it again.",
        scope="devices",
        success={200: Success("It is gone.", "DeviceRemoved")},
        errors=("not_found", "device_busy", "outcome_unknown"),
    ),
)
