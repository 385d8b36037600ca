"""What a fake phone can be told while it runs: one JSON object, one answer. Behind the control socket.

{"inbound": {…}}  let a message come in       {"fault": {…}}    have a fault
{"restart": {…}}  kill and start the app       {"clear": {…}}    have no fault
{"state": {}}     how the phone is             {"sent": {…}}     what its network took

The answer is {"ok": true, …} or {"ok": false, "code": "invalid", "error": "A sentence."}. docs/fake-smsgate.md has the
fields.
"""

from collections import Counter
from collections.abc import Awaitable, Callable

from drivers.android.fake_smsgate.gate import SENDER, FakeSmsGate
from drivers.android.fake_smsgate.radio_log import shown
from drivers.fake_kit.faults import FaultInvalid
from drivers.fake_kit.orders import (
    Fields,
    OrderInvalid,
    fault_values,
    nothing_else,
    pop,
    pop_last,
    taken_apart,
)
from drivers.runtime.control_socket import RequestRefused

SENT_DEFAULT, SENT_MAX = 20, 1000
TEXT_CHARACTERS_MAX = 10_000


class Orders:
    """Carries orders out on a phone."""

    def __init__(self, phone: FakeSmsGate) -> None:
        self._phone = phone
        self._orders: dict[str, Callable[[Fields], Awaitable[Fields]]] = {
            "inbound": self._inbound,
            "fault": self._fault,
            "clear": self._clear,
            "restart": self._restart,
            "state": self._state,
            "sent": self._sent,
        }

    async def answer(self, order: object) -> Fields:
        """The answer, for a control socket. Raises RequestRefused."""
        try:
            name, fields = taken_apart(order, self._orders)
            return await self._orders[name](fields)
        except (OrderInvalid, FaultInvalid) as invalid:
            raise RequestRefused("invalid", str(invalid)) from None

    async def _inbound(self, fields: Fields) -> Fields:
        text, sender = pop(fields, "body", str, ""), pop(fields, "from", str, SENDER)
        sim = pop(fields, "sim", int, 1)
        nothing_else(fields)
        if not 1 <= len(text) <= TEXT_CHARACTERS_MAX:
            raise OrderInvalid(f"body must be a text of 1 to {TEXT_CHARACTERS_MAX} characters.")
        if not sender:
            raise OrderInvalid("from must be a number or a name.")
        if sim not in {each.number for each in self._phone.sims()}:
            raise OrderInvalid("sim must be the slot of a SIM that is there.")
        return {"id": self._phone.deliver_inbound(text, sender=sender, sim=sim).event_id}

    async def _fault(self, fields: Fields) -> Fields:
        name, seconds = pop(fields, "name", str, ""), pop(fields, "seconds", float, None)
        count, skip = pop(fields, "count", int, None), pop(fields, "skip", int, 0)
        if not name:
            raise OrderInvalid("name must be the name of a fault.")
        fault = self._phone.faults.add(name, count=count, skip=skip, seconds=seconds, **fault_values(fields))
        return {"fault": fault.kind.name}

    async def _clear(self, fields: Fields) -> Fields:
        name = pop(fields, "name", str, None)
        nothing_else(fields)
        return {"cleared": self._phone.faults.clear(name)}

    async def _restart(self, fields: Fields) -> Fields:
        is_memory_kept = pop(fields, "memory_kept", bool, True)
        nothing_else(fields)
        await self._phone.restart(memory_kept=is_memory_kept)
        return {}

    async def _state(self, fields: Fields) -> Fields:
        nothing_else(fields)
        phone = self._phone
        return {
            "url": phone.url,
            "running": phone.app.is_running,
            "battery": phone.battery,
            "sims": [{"sim": sim.number, "number": sim.phone_number} for sim in phone.sims()],
            "messages": dict(Counter(str(message.state) for message in phone.messages.values())),
            "webhooks": len(phone.app.webhooks.registered),
            "events_waiting": phone.app.webhooks.waiting,
            "faults": [fault.kind.name for fault in phone.faults.all()],
        }

    async def _sent(self, fields: Fields) -> Fields:
        last = pop_last(fields, default=SENT_DEFAULT, most=SENT_MAX)
        return {"parts": [shown(part) for part in self._phone.sent[-last:]]}
