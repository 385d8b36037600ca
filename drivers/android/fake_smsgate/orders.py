"""What a fake phone can be told while it runs: one JSON object, one answer. Behind the control socket.

{"inbound": {…}}  let a message come in       {"fault": {…}}    have a fault
{"restart": {…}}  kill and start the app       {"clear": {…}}    have no fault
{"state": {}}     how the phone is             {"sent": {…}}     what its network took

The answer is {"ok": true, …} or {"ok": false, "code": "invalid", "error": "A sentence."}. docs/fake-smsgate.md has the
fields.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from drivers.android.fake_smsgate.faults import FaultInvalid
from drivers.android.fake_smsgate.gate import SENDER, FakeSmsGate
from drivers.android.fake_smsgate.radio_log import shown
from drivers.runtime.control_socket import RequestRefused

SENT_DEFAULT, SENT_MAX = 20, 1000
TEXT_CHARACTERS_MAX = 10_000
Fields = dict[str, Any]


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
        if not isinstance(order, dict) or len(order) != 1:
            raise _refused("An order is an object with one key.")
        [(name, fields)] = order.items()
        if name not in self._orders or not isinstance(fields, dict):
            raise _refused(f"There is no order {name}. There are: {', '.join(self._orders)}.")
        try:
            return await self._orders[name](fields)
        except FaultInvalid as invalid:
            raise _refused(str(invalid)) from None

    async def _inbound(self, fields: Fields) -> Fields:
        _only(fields, "body", "from", "sim")
        text, sender, sim = fields.get("body"), fields.get("from", SENDER), fields.get("sim", 1)
        if not isinstance(text, str) or not 1 <= len(text) <= TEXT_CHARACTERS_MAX:
            raise _refused(f"body must be a text of 1 to {TEXT_CHARACTERS_MAX} characters.")
        if not isinstance(sender, str) or not sender:
            raise _refused("from must be a number or a name.")
        if sim not in {each.number for each in self._phone.sims()} or isinstance(sim, bool):
            raise _refused("sim must be the slot of a SIM that is there.")
        return {"id": self._phone.deliver_inbound(text, sender=sender, sim=sim).event_id}

    async def _fault(self, fields: Fields) -> Fields:
        given = dict(fields)
        name, count, skip = given.pop("name", None), given.pop("count", None), given.pop("skip", 0)
        seconds = given.pop("seconds", None)
        if not isinstance(name, str):
            raise _refused("name must be the name of a fault.")
        for field, value in (("count", count), ("skip", skip)):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
                raise _refused(f"{field} must be a whole number.")
        if seconds is not None and (not isinstance(seconds, (int, float)) or isinstance(seconds, bool)):
            raise _refused("seconds must be a number.")
        fault = self._phone.faults.add(name, count=count, skip=skip, seconds=seconds, **given)
        return {"fault": fault.kind.name}

    async def _clear(self, fields: Fields) -> Fields:
        _only(fields, "name")
        return {"cleared": self._phone.faults.clear(fields.get("name"))}

    async def _restart(self, fields: Fields) -> Fields:
        _only(fields, "memory_kept")
        await self._phone.restart(memory_kept=fields.get("memory_kept", True) is not False)
        return {}

    async def _state(self, fields: Fields) -> Fields:
        _only(fields)
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
        _only(fields, "last")
        last = fields.get("last", SENT_DEFAULT)
        if not isinstance(last, int) or isinstance(last, bool) or not 1 <= last <= SENT_MAX:
            raise _refused(f"last must be from 1 to {SENT_MAX}.")
        return {"parts": [shown(part) for part in self._phone.sent[-last:]]}


def _only(fields: Fields, *known: str) -> None:
    for name in fields:
        if name not in known:
            raise _refused(f"{name} is not known here; there is {', '.join(known) or 'nothing'}.")


def _refused(sentence: str) -> RequestRefused:
    return RequestRefused("invalid", sentence)
