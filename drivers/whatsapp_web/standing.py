"""How the account stands: its connection and its limits, put together into the one condition that the core is told.

Owns that the core hears of changes only, and what becomes of commands that wait while nothing can be sent.
"""

import asyncio

from drivers.runtime import Context, Failed
from drivers.whatsapp_web.conditions import WINDOW, Condition, Reason
from drivers.whatsapp_web.pacing import Pacer
from infinireach.driver.v1.fact_pb2 import DeviceChanged
from infinireach.v1.device_pb2 import DeviceState
from infinireach.v1.message_pb2 import FAILURE_REASON_RATE_LIMITED

REMEDY_CHARACTERS_MAX = 500
NOT_KNOWN = -1


class Standing:
    """The condition of one account."""

    def __init__(self, context: Context, account: str, pacer: Pacer) -> None:
        self._context = context
        self._account = account
        self._pacer = pacer
        self._connection = Condition(Reason.STARTING)
        self._told = self._connection
        self._telling = asyncio.Lock()
        self.is_clear = asyncio.Event()
        """Set unless the condition is one that is likely over soon."""

    @property
    def connection(self) -> Condition:
        """How the connection is, whatever the limits."""
        return self._connection

    @property
    def condition(self) -> Condition:
        """What comes first: the connection, then the limits."""
        limit = self._pacer.limit
        if self._connection.row.can_send and limit is not None:
            return Condition(limit)
        return self._connection

    @property
    def refusal(self) -> Failed | None:
        """What to say of a command that cannot be started now; None if it can."""
        condition = self.condition
        if condition.row.can_send:
            return None
        is_limit = condition.row.failure == FAILURE_REASON_RATE_LIMITED
        after_s = self._pacer.limited_for_s if is_limit else 0.0
        return Failed(condition.row.failure, detail=self._sentence, retry_after_s=after_s or None)

    @property
    def _sentence(self) -> str:
        condition = self.condition
        return f"The account cannot send now ({condition.reason}). {condition.remedy}".strip()

    async def connection_is(self, condition: Condition) -> None:
        """The connection is so now."""
        self._connection = condition
        await self.tell()

    async def tell(self) -> None:
        """Tell the core, if it is not as it was told last."""
        async with self._telling:
            condition = self.condition
            told, self._told = self._told, condition
            if condition == told:
                return
            row = condition.row
            (self.is_clear.clear if row.is_brief else self.is_clear.set)()
            if condition.reason is not told.reason:
                self._context.log.info(
                    "account.changed",
                    device=self._account,
                    state=DeviceState.Name(row.state),
                    reason=condition.reason.value,
                    before=told.reason.value,
                )
            await self._context.device_changed(
                DeviceChanged(
                    device_key=self._account,
                    state=row.state,
                    reason=condition.reason.value,
                    remedy=condition.remedy[:REMEDY_CHARACTERS_MAX],
                    window=WINDOW if row.can_send else 0,
                    signal_percent=NOT_KNOWN,
                    battery_percent=NOT_KNOWN,
                    pairing_payload=condition.pairing_payload,
                )
            )
            if not row.can_send and not row.is_brief:
                self._context.give_back(self._account, row.failure, detail=self._sentence)
