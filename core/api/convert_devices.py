"""Devices and driver tokens: rows to proto. Owns that one conversion; no rules."""

from core import contents
from core.api import convert_contents
from core.api.convert_messages import CHANNELS, timestamp
from core.device_admin import DeviceView
from core.store.rows import DriverTokenRow
from infinireach.v1 import device_pb2

_CHANNELS = {word: number for number, word in CHANNELS.items()}
_STATES = {
    "online": device_pb2.DEVICE_STATE_ONLINE,
    "offline": device_pb2.DEVICE_STATE_OFFLINE,
    "degraded": device_pb2.DEVICE_STATE_DEGRADED,
    "attention": device_pb2.DEVICE_STATE_ATTENTION,
}


def device(view: DeviceView) -> device_pb2.Device:
    """A device as its owner sees it; it was last heard of when its driver was."""
    row = view.row
    addresses = [
        device_pb2.DeviceAddress(
            channel=_CHANNELS[address.channel], number=address.number, slot=address.slot, ready=address.ready
        )
        for address in view.addresses
    ]
    return device_pb2.Device(
        id=row.id,
        name=row.name,
        state=_STATES[row.state],
        driver=view.driver.kind,
        driver_name=view.driver.name,
        addresses=addresses,
        enabled=row.enabled,
        state_reason=row.state_reason,
        remedy=row.remedy,
        last_seen_time=timestamp(max(row.seen_ms, view.driver.seen_ms)),
        create_time=timestamp(row.created_ms),
        queued_messages=view.queued,
        signal_percent=_percent(row.signal_percent),
        battery_percent=_percent(row.battery_percent),
        features=convert_contents.features(contents.read_features(row.features)),
    )


def _percent(value: int) -> int | None:
    """None for what a driver does not know, and for what is no percentage."""
    return value if 0 <= value <= 100 else None


def driver_token(row: DriverTokenRow) -> device_pb2.DriverToken:
    """A driver token without its secret."""
    return device_pb2.DriverToken(
        id=row.id,
        name=row.name,
        create_time=timestamp(row.created_ms),
        last_use_time=timestamp(row.last_used_ms),
    )
