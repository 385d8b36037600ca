"""Until when a command may be handed to Meta."""

import math

from drivers.runtime import Failed
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.v1.message_pb2 import FAILURE_REASON_EXPIRED

EXPIRED = Failed(FAILURE_REASON_EXPIRED, detail="The deadline passed before Meta could be asked.")


def left_s(command: SendCommand, wall_ns: int) -> float:
    """Seconds until its deadline, by the wall clock; negative after it, infinite if it has none."""
    if not command.HasField("not_after"):
        return math.inf
    return (command.not_after.ToNanoseconds() - wall_ns) / 1e9
