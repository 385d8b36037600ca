"""What a condition of a device means: how the core is to see the device, and what a person can do about it.

A driver has a table of these by the code of each condition. The codes are stable, as dashboards and alarms name them.
"""

from dataclasses import dataclass

from infinireach.v1.device_pb2 import (
    DEVICE_STATE_ATTENTION,
    DEVICE_STATE_DEGRADED,
    DEVICE_STATE_ONLINE,
    DeviceState,
)

ON = DEVICE_STATE_ONLINE
WAIT = DEVICE_STATE_DEGRADED
"""It may pass by itself."""
PERSON = DEVICE_STATE_ATTENTION
"""It stays until a person does something."""


@dataclass(slots=True, frozen=True)
class Row:
    """One condition of the table."""

    state: DeviceState
    remedy: str = ""
    """What a person can do. Empty: nothing needs to be done."""
    can_send: bool = False
    """Whether commands may be started."""

    @property
    def is_for_a_person(self) -> bool:
        """Whether it does not pass by itself."""
        return self.state == PERSON
