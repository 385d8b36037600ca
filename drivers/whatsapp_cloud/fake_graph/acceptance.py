"""What Graph accepts, and what becomes of it: the window of 24 hours, the limits, and the statuses that follow."""

import asyncio
import base64
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from drivers.whatsapp_cloud.fake_graph.callback import Callback
from drivers.whatsapp_cloud.fake_graph.changes import Changes
from drivers.whatsapp_cloud.fake_graph.checking import Posted
from drivers.whatsapp_cloud.fake_graph.clock import Clock
from drivers.whatsapp_cloud.fake_graph.fault_table import Occasion
from drivers.whatsapp_cloud.fake_graph.faults import Fault, Faults
from drivers.whatsapp_cloud.fake_graph.limits import MESSAGES_PER_S, PAIR_BURST, Limits
from drivers.whatsapp_cloud.fake_graph.notices import Number, Recipient, status, statuses
from drivers.whatsapp_cloud.fake_graph.refusals import Refused, Trouble

WINDOW_S = 24 * 3600.0
TAKEN_MAX = 100_000
"""Messages that are remembered; one more and the oldest is forgotten."""
USERS_MAX = 100_000
BEFORE_ANSWER_S = 5.0
"""For which an answer waits for the status that is to come before it."""
_CLOSED = "Message failed to send because more than 24 hours have passed since the customer last replied."


@dataclass(slots=True)
class Rules:
    """How this Graph is set."""

    is_window_open: bool = False
    """Whether users count as having written just now."""
    is_window_refused_at_once: bool = False
    """Whether a message outside the window is refused in the answer; else a status says so later, as Meta does."""
    users_read: bool = True
    """Whether `read` follows `delivered`."""
    status_after_s: float = 0.0
    """Seconds from the answer to the first status, and from each to the next."""
    messages_per_s: float = MESSAGES_PER_S
    """Of each number."""
    pair_burst: float = PAIR_BURST
    """Messages of a number to one user, before it is one in six seconds."""


@dataclass(slots=True, frozen=True, eq=False)
class Taken:
    """A message that was accepted."""

    id: str
    """`wamid.…`"""
    number: Number
    """Which of our numbers sent it."""
    recipient: Recipient
    type: str
    body: dict[str, Any]
    """As it was posted."""
    callback_data: str | None
    at: float
    """Seconds since 1970, by the clock of the fake."""
    fault: Fault | None
    """What happens to its statuses."""
    names: tuple[str, ...]
    """The statuses that follow, as they should."""
    trouble: Trouble | None
    """Of a status `failed`."""
    told: list[str] = field(default_factory=list[str])
    """The statuses that were handed to the webhooks."""

    @property
    def text(self) -> str:
        """The text of a text, the caption of a file, the name of a template."""
        content = self.body[self.type]
        return str(content.get("body") or content.get("caption") or content.get("name") or "")


class Acceptance:
    """Accepts messages of all numbers."""

    def __init__(
        self, clock: Clock, faults: Faults, callback: Callback, *, changes: Changes, rules: Rules
    ) -> None:
        self._clock = clock
        self._faults = faults
        self._callback = callback
        self._changes = changes
        self.rules = rules
        self.taken: deque[Taken] = deque(maxlen=TAKEN_MAX)
        self._limits: dict[str, tuple[tuple[float, float], Limits]] = {}
        """By phone number id, with the rules that they were made for."""
        self._written: OrderedDict[str, float] = OrderedDict()
        self._salt = secrets.token_bytes(9)
        self._ids = 0
        self._timers: set[asyncio.TimerHandle] = set()

    def close(self) -> None:
        """Let nothing follow any more."""
        for timer in self._timers:
            timer.cancel()

    def new_id(self) -> str:
        """The id of a message, as long as Meta's are."""
        self._ids += 1
        return "wamid." + base64.b64encode(self._salt + self._ids.to_bytes(24)).decode()

    def open_window(self, user: str) -> None:
        """A user has written now."""
        self._written.pop(user, None)
        self._written[user] = self._clock.monotonic()
        if len(self._written) > USERS_MAX:
            self._written.popitem(last=False)

    def accept(self, number: Number, posted: Posted) -> Taken:
        """Take a message. Raises Refused."""
        self._limits_of(number).take(posted.recipient)
        fault = self._faults.at(Occasion.MESSAGE, posted.recipient)
        trouble = None
        if fault is not None and fault.name == "status_failed":
            trouble = Trouble(fault.integer("code"), fault.text("details"))
        elif posted.type != "template" and not self._is_open(posted):
            trouble = Trouble(131047, _CLOSED)
            if self.rules.is_window_refused_at_once:
                raise Refused(131047, _CLOSED)
        names = ("sent", "delivered", "read") if self.rules.users_read else ("sent", "delivered")
        taken = Taken(
            id=self.new_id(),
            number=number,
            recipient=Recipient(posted.recipient, posted.is_group, posted.is_user_id),
            type=posted.type,
            body=posted.body,
            callback_data=posted.callback_data,
            at=self._clock.now(),
            fault=fault,
            names=("failed",) if trouble else names,
            trouble=trouble,
        )
        self.taken.append(taken)
        self._changes.happened()
        return taken

    def _limits_of(self, number: Number) -> Limits:
        """Its limits, which begin anew when the rules are changed."""
        rules = (self.rules.messages_per_s, self.rules.pair_burst)
        known = self._limits.get(number.phone_number_id)
        if known is None or known[0] != rules:
            made = Limits(self._clock, messages_per_s=rules[0], pair_burst=rules[1])
            known = self._limits[number.phone_number_id] = (rules, made)
        return known[1]

    def _is_open(self, posted: Posted) -> bool:
        if self.rules.is_window_open or posted.is_group:
            return True
        written = self._written.get(posted.recipient)
        return written is not None and self._clock.monotonic() - written < WINDOW_S

    async def before_answer(self, taken: Taken) -> None:
        """What has to happen before a message is answered: with that fault, that its first status is delivered."""
        if taken.fault is None or taken.fault.name != "status_before_answer":
            return
        self._tell(taken, taken.names[:1])
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changes.until(lambda: not self._callback.waiting), BEFORE_ANSWER_S)

    def follow(self, taken: Taken) -> None:
        """Let the statuses follow that were not told yet."""
        names = taken.names[len(taken.told) :]
        delay_s = self.rules.status_after_s
        fault = taken.fault.name if taken.fault else ""
        if fault == "statuses_lost":
            return
        if fault == "statuses_together":
            self._later(delay_s, lambda: self._tell(taken, names[::-1]))
            return
        if fault == "statuses_reordered":
            names = names[::-1]
        elif fault == "statuses_doubled":
            names = tuple(name for name in names for _ in range(2))
        elif fault == "statuses_late":
            assert taken.fault is not None
            delay_s = taken.fault.number("delay_s")
        self._later(delay_s, lambda: self._tell_each(taken, names))

    def _tell_each(self, taken: Taken, names: Sequence[str]) -> None:
        """Have statuses go out one after the other."""
        rest = list(names)
        while rest:
            self._tell(taken, (rest.pop(0),))
            if self.rules.status_after_s:
                break
        if rest:
            self._later(self.rules.status_after_s, lambda: self._tell_each(taken, rest))

    def report(
        self,
        message_id: str,
        name: str,
        *,
        trouble: Trouble | None,
        callback_data: str | None,
        number: Number,
    ) -> None:
        """Have any status go out; of a message that was taken with the rest of it."""
        taken = next((each for each in self.taken if each.id == message_id), None)
        said = status(
            message_id,
            name,
            recipient=taken.recipient if taken else Recipient("15550000000"),
            at=self._clock.now(),
            callback_data=callback_data if callback_data is not None or not taken else taken.callback_data,
            trouble=trouble,
        )
        self._callback.send(statuses(number, [said]))

    def _tell(self, taken: Taken, names: Sequence[str]) -> None:
        """Have statuses of a message go out in one webhook."""
        is_bare = taken.fault is not None and taken.fault.name == "statuses_without_callback_data"
        said = [
            status(
                taken.id,
                name,
                recipient=taken.recipient,
                at=self._clock.now(),
                callback_data=None if is_bare else taken.callback_data,
                trouble=taken.trouble,
            )
            for name in names
        ]
        taken.told.extend(names)
        self._callback.send(statuses(taken.number, said))
        self._changes.happened()

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        def act() -> None:
            self._timers.discard(timer)
            action()

        timer = asyncio.get_running_loop().call_later(delay_s, act)
        self._timers.add(timer)
