"""DevicesService: a tenant's devices and the tokens of its drivers.

Owns the walk of one call: validate, one use case, convert. The rules are in core.device_admin, core.accounts
and core.api.validate.
"""

# ruff: noqa: N802 - methods are named as in the proto

from collections.abc import Callable, Iterable

from core import accounts, device_admin
from core.api import convert_devices as convert
from core.api import validate
from core.api.guard import Caller, Identity, rpc
from core.clock import Clock
from core.messages import fail_waiting
from core.store.engine import Store
from infinireach.v1 import devices_service_pb2 as pb
from infinireach.v1 import devices_service_pb2_grpc as pb_grpc


class DevicesService(pb_grpc.DevicesServiceServicer):
    """See devices_service.proto.

    `hint_devices` is told of devices that may send now, `wake_relay` that events were recorded.
    """

    def __init__(
        self,
        identity: Identity,
        store: Store,
        clock: Clock,
        *,
        hint_devices: Callable[[Iterable[str]], None],
        wake_relay: Callable[[], None],
    ) -> None:
        self.identity = identity
        self._store = store
        self._clock = clock
        self._hint_devices = hint_devices
        self._wake_relay = wake_relay

    @rpc(scope="devices")
    async def ListDevices(self, request: pb.ListDevicesRequest, caller: Caller) -> pb.ListDevicesResponse:
        """The tenant's devices."""
        views = await self._store.read(device_admin.list_devices, caller.tenant_id)
        return pb.ListDevicesResponse(devices=map(convert.device, views))

    @rpc(scope="devices")
    async def GetDevice(self, request: pb.GetDeviceRequest, caller: Caller) -> pb.GetDeviceResponse:
        """One device."""
        device_id = validate.device_id(request.device_id)
        view = await self._store.read(device_admin.get_device, caller.tenant_id, device_id)
        return pb.GetDeviceResponse(device=convert.device(view))

    @rpc(scope="devices")
    async def UpdateDevice(self, request: pb.UpdateDeviceRequest, caller: Caller) -> pb.UpdateDeviceResponse:
        """Changes name or enabled."""
        change = validate.device_change(request)
        view = await self._store.run(device_admin.update_device, caller.tenant_id, change)
        if change.enabled:
            self._hint_devices([view.row.id])
        return pb.UpdateDeviceResponse(device=convert.device(view))

    @rpc(scope="devices")
    async def DeleteDevice(self, request: pb.DeleteDeviceRequest, caller: Caller) -> pb.DeleteDeviceResponse:
        """Removes a device; what waits for it fails."""
        device_id = validate.device_id(request.device_id)
        await self._store.run(device_admin.delete_device, caller.tenant_id, device_id, self._clock.now_ms())
        failed = 0
        while step := await self._store.run(fail_waiting, device_id, self._clock.now_ms()):
            failed += step
            self._wake_relay()
        caller.count(failed_messages=failed)
        return pb.DeleteDeviceResponse(failed_messages=failed)

    @rpc(scope="devices")
    async def CreateDriverToken(
        self, request: pb.CreateDriverTokenRequest, caller: Caller
    ) -> pb.CreateDriverTokenResponse:
        """Makes a driver token."""
        name = validate.token_name(request)
        row, token = await self._store.run(
            accounts.create_driver_token, caller.tenant_id, name, self._clock.now_ms()
        )
        return pb.CreateDriverTokenResponse(driver_token=convert.driver_token(row), token=token)

    @rpc(scope="devices")
    async def ListDriverTokens(
        self, request: pb.ListDriverTokensRequest, caller: Caller
    ) -> pb.ListDriverTokensResponse:
        """The tenant's driver tokens."""
        rows = await self._store.read(accounts.list_driver_tokens, caller.tenant_id)
        return pb.ListDriverTokensResponse(driver_tokens=map(convert.driver_token, rows))

    @rpc(scope="devices")
    async def DeleteDriverToken(
        self, request: pb.DeleteDriverTokenRequest, caller: Caller
    ) -> pb.DeleteDriverTokenResponse:
        """Revokes a driver token."""
        token_id = validate.credential_id("driver token", "driver_token_id", request.driver_token_id)
        await self._store.run(accounts.revoke_driver_token, caller.tenant_id, token_id, self._clock.now_ms())
        return pb.DeleteDriverTokenResponse()
