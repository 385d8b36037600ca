"""What an emulator can be told while it runs: one JSON object, one answer. Behind control socket and script.

{"inbound": {…}}  let a message come in       {"fault": {…}}    have a fault
{"pdus": {…}}     let PDUs come in as they are {"clear": {…}}    have none
{"network": {…}}  change the network           {"modem": {…}}    change a modem
{"state": {}}     what there is                {"taken": {…}}    what the network took

The answer is {"ok": true, …} or {"ok": false, "error": "A sentence."}. docs/modem-emulator.md has the fields.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from drivers.fake_kit.faults import Fault, FaultInvalid
from drivers.fake_kit.orders import (
    Fields,
    OrderInvalid,
    fault_values,
    nothing_else,
    pop,
    pop_last,
    taken_apart,
)
from drivers.modem.emulator.emulator import Emulator
from drivers.modem.emulator.fault_table import SECONDS_MAX
from drivers.modem.emulator.inbound import SENDER, Inbound, InboundInvalid, Kind
from drivers.modem.emulator.network import Network, TakenMessage
from drivers.modem.emulator.radio import SIGNAL_MAX

TAKEN_DEFAULT, TAKEN_MAX = 20, 1000
YEARS = range(1990, 2090)
"""What the two digits of a year in a PDU can stand for."""


class Orders:
    """Carries orders out on modems that share a network."""

    def __init__(self, network: Network, emulators: Sequence[Emulator]) -> None:
        self._network = network
        self._emulators = {emulator.name: emulator for emulator in emulators}
        self._orders: dict[str, Callable[[Fields], Fields]] = {
            "inbound": self._inbound,
            "pdus": self._pdus,
            "fault": self._fault,
            "clear": self._clear,
            "network": self._change_network,
            "modem": self._change_modem,
            "state": self._state,
            "taken": self._taken,
        }

    def carry_out(self, order: object) -> Fields:
        """The answer. Never raises for what it is told."""
        try:
            name, fields = taken_apart(order, self._orders)
            return {"ok": True, **self._orders[name](fields)}
        except (OrderInvalid, FaultInvalid, InboundInvalid) as refused:
            return {"ok": False, "error": str(refused)}

    async def answer(self, order: object) -> Fields:
        """The same, for a control socket."""
        return self.carry_out(order)

    def check(self, order: object) -> None:
        """Whether there is such an order; its fields are looked at when it is carried out. Raises OrderInvalid."""
        taken_apart(order, self._orders)

    def _emulator(self, fields: Fields) -> Emulator:
        """The modem that is meant: by its name or its number; the only one need not be named."""
        wanted = fields.pop("modem", None)
        if wanted is None and len(self._emulators) == 1:
            return next(iter(self._emulators.values()))
        for emulator in self._emulators.values():
            if wanted in (emulator.name, emulator.modem.number):
                return emulator
        raise OrderInvalid(f"modem must name one of {', '.join(self._emulators)}, or its number.")

    def _inbound(self, fields: Fields) -> Fields:
        if "to" in fields:
            fields["modem"] = fields.pop("to")
        emulator = self._emulator(fields)
        inbound = Inbound(
            text=pop(fields, "body", str, ""),
            sender=pop(fields, "from", str, SENDER),
            kind=_kind(fields.pop("kind", "text")),
            order=tuple(_numbers(fields.pop("parts", []))),
            reference=pop(fields, "reference", int, None),
            reference_bits=pop(fields, "reference_bits", int, 8),
            sent_at=_time(fields.pop("sent_at", None)),
        )
        if inbound.reference_bits not in {8, 16}:
            raise OrderInvalid("reference_bits must be 8 or 16.")
        nothing_else(fields)
        return {"pdus": emulator.modem.deliver(inbound)}

    def _pdus(self, fields: Fields) -> Fields:
        emulator = self._emulator(fields)
        pdus = fields.pop("pdus", None)
        nothing_else(fields)
        if not isinstance(pdus, list) or not all(isinstance(pdu, str) for pdu in pdus):
            raise OrderInvalid("pdus must be a list of texts in hexadecimal.")
        return {"pdus": self._network.deliver_pdus(pdus, to=emulator.modem.number)}

    def _fault(self, fields: Fields) -> Fields:
        emulator = self._emulator(fields)
        name = pop(fields, "name", str, "")
        count, skip = pop(fields, "count", int, None), pop(fields, "skip", int, 0)
        seconds = _seconds(fields, "seconds", None)
        emulator.faults.add(name, count=count, seconds=seconds, skip=skip, **fault_values(fields))
        return {}

    def _clear(self, fields: Fields) -> Fields:
        emulator = self._emulator(fields)
        name = pop(fields, "name", str, None)
        nothing_else(fields)
        return {"cleared": emulator.faults.clear(name)}

    def _change_network(self, fields: Fields) -> Fields:
        network = self._network
        network.radio_s = _seconds(fields, "radio_s", network.radio_s)
        network.report_after_s = _seconds(fields, "report_after_s", network.report_after_s)
        network.retry_s = _seconds(fields, "retry_s", network.retry_s)
        nothing_else(fields)
        return {}

    def _change_modem(self, fields: Fields) -> Fields:
        radio = self._emulator(fields).modem.radio
        signal = pop(fields, "signal", int, radio.signal)
        if not 0 <= signal <= SIGNAL_MAX:
            raise OrderInvalid(f"signal must be from 0 to {SIGNAL_MAX}.")
        radio.signal = signal
        nothing_else(fields)
        return {}

    def _state(self, fields: Fields) -> Fields:
        nothing_else(fields)
        network = self._network
        return {
            "network": {
                "radio_s": network.radio_s,
                "report_after_s": network.report_after_s,
                "parts": len(network.parts),
                "messages": len(network.messages),
            },
            "modems": [self._shown(emulator) for emulator in self._emulators.values()],
        }

    def _shown(self, emulator: Emulator) -> Fields:
        modem = emulator.modem
        return {
            "name": emulator.name,
            "number": modem.number,
            "imei": modem.equipment.imei,
            "iccid": modem.sim.iccid,
            "ports": [str(link) for link in emulator.links],
            "urls": [f"socket://127.0.0.1:{port}" for port in emulator.tcp_ports],
            "is_on": modem.is_on,
            "sim": str(modem.sim.state),
            "registration": modem.radio.registration.name.lower(),
            "signal": modem.radio.signal,
            "stored": {name: len(indexes) for name, indexes in modem.stored().items()},
            "waiting": self._network.waiting(modem.number),
            "faults": [_fault_shown(fault) for fault in emulator.faults.all()],
        }

    def _taken(self, fields: Fields) -> Fields:
        last = pop_last(fields, default=TAKEN_DEFAULT, most=TAKEN_MAX)
        messages = self._network.messages
        first = max(0, len(messages) - last)
        return {"messages": [_message_shown(messages[position]) for position in range(first, len(messages))]}


def _fault_shown(fault: Fault) -> Fields:
    left = {} if fault.left is None else {"left": fault.left, "skip": fault.skip}
    return {"name": fault.kind.name, **left, **fault.parameters}


def _message_shown(message: TakenMessage) -> Fields:
    return {
        "time": message.time.isoformat(),
        "from": message.sender,
        "to": message.destination,
        "body": message.text,
        "references": [part.reference for part in message.parts],
    }


def _seconds(fields: Fields, name: str, default: float | None) -> Any:
    value = fields.pop(name, None)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= SECONDS_MAX:
        raise OrderInvalid(f"{name} must be seconds, from 0 to {SECONDS_MAX:.0f}.")
    return float(value)


def _kind(value: object) -> Kind:
    try:
        return Kind(str(value))
    except ValueError:
        raise OrderInvalid(f"kind must be one of {', '.join(Kind)}.") from None


def _numbers(value: object) -> list[int]:
    if not isinstance(value, list) or not all(type(number) is int for number in value):
        raise OrderInvalid("parts must be a list of whole numbers.")
    return value


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None or time.year not in YEARS:
        raise OrderInvalid(
            "sent_at must be a time from 1990 to 2089 with its zone, such as 2026-01-02T03:04:05+00:00."
        )
    return time
