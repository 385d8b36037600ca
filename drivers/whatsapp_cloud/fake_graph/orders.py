"""What a fake Graph can be told while it runs: one JSON object, one answer. Behind the control socket.

{"inbound": {…}}  have a user write             {"fault": {…}}    have a fault
{"status": {…}}   have any status go out        {"clear": {…}}    have none
{"token": {…}}    revoke the token, make one    {"rules": {…}}    change what is accepted
{"webhooks": {…}} pause, resume, another URL    {"clock": {…}}    let time pass
{"state": {}}     how it is                     {"taken": {…}}    what it accepted

Raises RequestRefused with a sentence for what cannot be. docs/fake-graph.md has the fields.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

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
from drivers.whatsapp_cloud.fake_graph.acceptance import Rules, Taken
from drivers.whatsapp_cloud.fake_graph.faults import Fault
from drivers.whatsapp_cloud.fake_graph.graph import FakeGraph
from drivers.whatsapp_cloud.fake_graph.notices import FILES, Inbound

TAKEN_DEFAULT, TAKEN_MAX = 20, 1000
TEXT_CHARACTERS_MAX = 20_000
SECONDS_MAX = 366 * 86_400.0
STATUSES = ("sent", "delivered", "read", "failed")
SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[A-Z]{2}\.[A-Za-z0-9]{1,128}")
"""E.164, or the id of a user who hides the number."""
KINDS = ("text", *FILES)


class Orders:
    """Carries orders out."""

    def __init__(self, graph: FakeGraph, *, token_changed: Callable[[str], None]) -> None:
        """`token_changed` is called with each new token."""
        self._graph = graph
        self._token_changed = token_changed
        self._orders: dict[str, Callable[[Fields], Fields]] = {
            "inbound": self._inbound,
            "status": self._status,
            "token": self._token,
            "webhooks": self._webhooks,
            "fault": self._fault,
            "clear": self._clear,
            "rules": self._rules,
            "clock": self._clock,
            "state": self._state,
            "taken": self._taken,
        }

    async def carry_out(self, order: Any) -> Fields:
        """The fields of the answer. Raises RequestRefused."""
        try:
            name, fields = taken_apart(order, self._orders)
            return self._orders[name](fields)
        except (OrderInvalid, FaultInvalid) as invalid:
            raise RequestRefused("invalid_request", str(invalid)) from None

    def _inbound(self, fields: Fields) -> Fields:
        sender = pop(fields, "from", str, "")
        if not SENDER.fullmatch(sender):
            raise OrderInvalid("from must be a number such as +15551230000, or an id such as US.1349.")
        text = pop(fields, "body", str, "")
        if len(text) > TEXT_CHARACTERS_MAX:
            raise OrderInvalid(f"body must be at most {TEXT_CHARACTERS_MAX} characters long.")
        told = Inbound(
            sender,
            type=pop(fields, "kind", str, "text"),
            content=pop(fields, "content", dict, None),
            text=text,
            name=pop(fields, "name", str, "A user"),
            reply_to=pop(fields, "reply_to", str, ""),
            group_id=pop(fields, "group_id", str, ""),
        )
        to = pop(fields, "to", str, "")
        nothing_else(fields)
        try:
            self._graph.number_of(to)
        except KeyError:
            known = ", ".join(each.number for each in self._graph.numbers.values())
            raise OrderInvalid(f"to must be one of {known}.") from None
        return {"id": self._graph.inbound(told, to=to)}

    def _status(self, fields: Fields) -> Fields:
        message_id, name = pop(fields, "id", str, ""), pop(fields, "status", str, "")
        if name not in STATUSES:
            raise OrderInvalid(f"status must be one of {', '.join(STATUSES)}.")
        code = pop(fields, "code", int, 0)
        callback_data = pop(fields, "callback_data", str, None)
        number = self._graph.number
        if phone_number_id := pop(fields, "phone_number_id", str, ""):
            number = dataclasses.replace(number, phone_number_id=phone_number_id)
        nothing_else(fields)
        self._graph.report(message_id, name, code=code, callback_data=callback_data, number=number)
        return {}

    def _token(self, fields: Fields) -> Fields:
        is_revoked = pop(fields, "revoke", bool, False)
        nothing_else(fields)
        if is_revoked:
            self._graph.revoke_token()
            return {}
        self._token_changed(self._graph.new_token())
        return {}

    def _webhooks(self, fields: Fields) -> Fields:
        url, is_paused = pop(fields, "url", str, None), pop(fields, "paused", bool, None)
        nothing_else(fields)
        if url is not None:
            self._graph.subscribe(url)
        if is_paused is True:
            self._graph.pause_webhooks()
        elif is_paused is False:
            self._graph.resume_webhooks()
        return {}

    def _fault(self, fields: Fields) -> Fields:
        name = pop(fields, "name", str, "")
        is_lasting = pop(fields, "lasting", bool, False)
        count, skip = pop(fields, "count", int, 1), pop(fields, "skip", int, 0)
        recipient = pop(fields, "to", str, "")
        self._graph.faults.add(
            name, count=None if is_lasting else count, skip=skip, recipient=recipient, **fault_values(fields)
        )
        return {}

    def _clear(self, fields: Fields) -> Fields:
        name = pop(fields, "name", str, "")
        nothing_else(fields)
        return {"cleared": self._graph.faults.clear(name or None)}

    def _rules(self, fields: Fields) -> Fields:
        for rule in dataclasses.fields(Rules):
            value = pop(fields, rule.name, float if rule.type is float else bool, None)
            if value is not None:
                setattr(self._graph.rules, rule.name, value)
        nothing_else(fields)
        return {}

    def _clock(self, fields: Fields) -> Fields:
        seconds = pop(fields, "advance_s", float, 0.0)
        if not 0 <= seconds <= SECONDS_MAX:
            raise OrderInvalid(f"advance_s must be from 0 to {SECONDS_MAX:.0f}.")
        nothing_else(fields)
        self._graph.clock.advance(seconds)
        return {}

    def _state(self, fields: Fields) -> Fields:
        nothing_else(fields)
        callback = self._graph.callback
        return {
            "url": self._graph.url,
            "numbers": [dataclasses.asdict(each) for each in self._graph.numbers.values()],
            "templates": [dataclasses.asdict(each) for each in self._graph.templates.values()],
            "is_token_valid": self._graph.is_token_valid,
            "taken": len(self._graph.taken),
            "requests": self._graph.requests,
            "rules": dataclasses.asdict(self._graph.rules),
            "webhooks": {
                "url": callback.url,
                "is_verified": callback.is_verified,
                "is_paused": callback.is_paused,
                "waiting": callback.waiting,
                "delivered": callback.delivered,
                "repeated": callback.repeated,
                "given_up": callback.given_up,
                "last_answer": callback.last_answer,
            },
            "faults": [_shown_fault(fault) for fault in self._graph.faults.all()],
        }

    def _taken(self, fields: Fields) -> Fields:
        last = pop_last(fields, default=TAKEN_DEFAULT, most=TAKEN_MAX)
        return {"messages": [_shown(each) for each in self._graph.taken[-last:]]}


def _shown(taken: Taken) -> Fields:
    return {
        "id": taken.id,
        "time": taken.at,
        "from": taken.number.number,
        "to": taken.recipient.id,
        "type": taken.type,
        "body": taken.text,
        "callback_data": taken.callback_data,
        "statuses": list(taken.told),
    }


def _shown_fault(fault: Fault) -> Fields:
    return {
        "name": fault.name,
        "count": fault.left,
        "skip": fault.skip,
        "to": fault.recipient,
        **fault.parameters,
    }
