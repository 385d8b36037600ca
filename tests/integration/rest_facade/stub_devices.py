"""The stub core's devices and driver tokens."""

# ruff: noqa: N802 - methods are named as in the proto and do what it says

import grpc

from infinireach.v1 import device_pb2, devices_service_pb2, devices_service_pb2_grpc, message_pb2
from tests.integration.rest_facade.stub_world import NOW, Context, Guarded, refuse


class Devices(Guarded, devices_service_pb2_grpc.DevicesServiceServicer):
    """Devices."""

    async def ListDevices(
        self, request: devices_service_pb2.ListDevicesRequest, context: Context
    ) -> devices_service_pb2.ListDevicesResponse:
        tenant_id = await self.enter(context)
        own = [device for owner, device in self.world.devices.values() if owner == tenant_id]
        return devices_service_pb2.ListDevicesResponse(devices=own)

    async def GetDevice(
        self, request: devices_service_pb2.GetDeviceRequest, context: Context
    ) -> devices_service_pb2.GetDeviceResponse:
        return devices_service_pb2.GetDeviceResponse(device=await self._own(request.device_id, context))

    async def UpdateDevice(
        self, request: devices_service_pb2.UpdateDeviceRequest, context: Context
    ) -> devices_service_pb2.UpdateDeviceResponse:
        device = await self._own(request.device_id, context)
        for name in request.update_mask.paths:
            setattr(device, name, getattr(request, name))
        return devices_service_pb2.UpdateDeviceResponse(device=device)

    async def DeleteDevice(
        self, request: devices_service_pb2.DeleteDeviceRequest, context: Context
    ) -> devices_service_pb2.DeleteDeviceResponse:
        device = await self._own(request.device_id, context)
        waiting = [message for _, message in self.world.messages.values() if message.device_id == device.id]
        if any(message.state == message_pb2.MESSAGE_STATE_SENDING for message in waiting):
            await refuse(
                context,
                grpc.StatusCode.FAILED_PRECONDITION,
                "A message is with the device's driver; try again when it is settled.",
                reason="DEVICE_BUSY",
            )
        del self.world.devices[device.id]
        return devices_service_pb2.DeleteDeviceResponse(failed_messages=len(waiting))

    async def CreateDriverToken(
        self, request: devices_service_pb2.CreateDriverTokenRequest, context: Context
    ) -> devices_service_pb2.CreateDriverTokenResponse:
        tenant_id = await self.enter(context)
        token = device_pb2.DriverToken(id=self.world.new_id()[-8:], name=request.name, create_time=NOW)
        self.world.driver_tokens[token.id] = (tenant_id, token)
        return devices_service_pb2.CreateDriverTokenResponse(
            driver_token=token, token=f"ird_{token.id}_secret"
        )

    async def ListDriverTokens(
        self, request: devices_service_pb2.ListDriverTokensRequest, context: Context
    ) -> devices_service_pb2.ListDriverTokensResponse:
        tenant_id = await self.enter(context)
        own = [token for owner, token in self.world.driver_tokens.values() if owner == tenant_id]
        return devices_service_pb2.ListDriverTokensResponse(driver_tokens=own)

    async def DeleteDriverToken(
        self, request: devices_service_pb2.DeleteDriverTokenRequest, context: Context
    ) -> devices_service_pb2.DeleteDriverTokenResponse:
        tenant_id = await self.enter(context)
        owner, _ = self.world.driver_tokens.get(request.driver_token_id, ("", None))
        if owner != tenant_id:
            await self.not_found(context)
        del self.world.driver_tokens[request.driver_token_id]
        return devices_service_pb2.DeleteDriverTokenResponse()

    async def _own(self, device_id: str, context: Context) -> device_pb2.Device:
        tenant_id = await self.enter(context)
        owner, device = self.world.devices.get(device_id, ("", device_pb2.Device()))
        if owner != tenant_id:
            await self.not_found(context)
        return device
