"""The radio and the network behind it: the ground truth of a simulated world.

Owns what was handed over, by whom and when, and what the network still has to tell: delivery reports and messages
that come in. It outlives every process, as a real network does, and keeps what it has to tell until a driver has
taken it. What it does with a message is in the message's script.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum, auto

from drivers.runtime import Delivered, Failed, Read, Report, Submitted
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.v1.message_pb2 import FAILURE_REASON_DESTINATION_UNREACHABLE
from tests.simulation.virtual_time import Process


class Fate(StrEnum):
    """What becomes of a message once it is handed over and not refused for a while."""

    TAKEN = auto()
    REFUSED = auto()
    """For good; nothing was sent."""
    ANSWER_LOST = auto()
    """Taken, and the driver cannot know."""
    SWALLOWED = auto()
    """Not taken, and the driver cannot know."""
    DRIVER_FAILS = auto()
    """Taken, and the driver's code raises an error."""


class Ending(StrEnum):
    """What the network says about a message that it took."""

    NOTHING = auto()
    DELIVERED = auto()
    READ = auto()
    """Delivered, and told to have been read; in whatever order these reports come."""
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Script:
    """What the network does with one message."""

    refusals: int = 0
    """How many attempts it refuses for the moment, before anything is sent."""
    fate: Fate = Fate.TAKEN
    ending: Ending = Ending.DELIVERED
    report_delays_s: tuple[float, ...] = (0.1,)
    """One for each segment, and then for reading; they begin anew if there are more reports."""
    is_doubled: bool = False
    """Every report comes twice, and the submission once more."""

    def is_taken(self) -> bool:
        """Whether the network has the message in the end."""
        return self.fate in (Fate.TAKEN, Fate.ANSWER_LOST, Fate.DRIVER_FAILS)


@dataclass(frozen=True, slots=True)
class HandOver:
    """One message handed to the radio."""

    at_s: float
    process: str
    command_id: str
    message_id: str
    is_taken: bool


@dataclass(slots=True, eq=False)
class News:
    """Something that the network tells a driver: a report on a command, or a message that came in."""

    command_id: str = ""
    report: Report | None = None
    device_key: str = ""
    number: str = ""
    text: str = ""
    """Names the message that came in; the network's own identity of it too."""
    holder: Process | None = None
    """Which process has been told and has not confirmed."""


Observe = Callable[[HandOver, SendCommand], None]


@dataclass(slots=True)
class _Mailbox:
    news: list[News] = field(default_factory=list[News])
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_held: bool = False


class Radio:
    """All radios of a world, and their network."""

    def __init__(
        self, script_of: Callable[[str], Script], on_hand_over: Observe, *, knows_command_ids: bool
    ) -> None:
        self.hand_overs: list[HandOver] = []
        self.refused: Counter[str] = Counter()
        """Hand-overs of each message that were refused for the moment."""
        self.owed = 0
        """Reports that are due later."""
        self._script_of = script_of
        self._on_hand_over = on_hand_over
        self._knows_command_ids = knows_command_ids
        self._mailboxes: dict[str, _Mailbox] = {}

    def hand_over(self, process: Process, driver: str, command: SendCommand) -> Fate | None:
        """A driver hands a message over; None: refused for the moment."""
        script = self._script_of(command.text.body)
        message_id = command.message_id
        if self._knows_command_ids and self.took_command(command.command_id):
            return script.fate
        is_refused = self.refused[message_id] < script.refusals
        taken = script.is_taken() and not is_refused
        now_s = asyncio.get_running_loop().time()
        hand_over = HandOver(now_s, process.name, command.command_id, message_id, taken)
        self._on_hand_over(hand_over, command)
        self.hand_overs.append(hand_over)
        if is_refused:
            self.refused[message_id] += 1
            return None
        if taken:
            self._plan_reports(driver, command, script)
        return script.fate

    def took(self, message_id: str) -> int:
        """How often the network took the message."""
        return sum(each.is_taken for each in self.hand_overs if each.message_id == message_id)

    def took_command(self, command_id: str) -> bool:
        """Whether the network has the message of this command."""
        return any(each.is_taken for each in self.hand_overs if each.command_id == command_id)

    def come_in(self, driver: str, news: News) -> None:
        """A message comes in for a device of this driver, or a report."""
        mailbox = self._mailbox(driver)
        mailbox.news.append(news)
        mailbox.changed.set()

    async def next_news(self, driver: str, process: Process) -> News:
        """What the network tells this process next; it is told to others too if the process dies first."""
        mailbox = self._mailbox(driver)
        while True:
            for news in mailbox.news:
                is_free = news.holder is None or not news.holder.is_alive
                if is_free and not mailbox.is_held:
                    news.holder = process
                    return news
            mailbox.changed.clear()
            await mailbox.changed.wait()

    def confirm(self, driver: str, news: News) -> None:
        """The driver has it; the network forgets it."""
        if news in self._mailbox(driver).news:
            self._mailbox(driver).news.remove(news)

    def hold_back(self, driver: str, *, is_held: bool) -> None:
        """Tell this driver nothing for now, or go on."""
        self._mailbox(driver).is_held = is_held
        self._mailbox(driver).changed.set()

    def process_ended(self, driver: str) -> None:
        """What it was told and did not confirm is told again."""
        self._mailbox(driver).changed.set()

    def has_news(self) -> bool:
        """Whether anything is left to tell."""
        return self.owed > 0 or any(mailbox.news for mailbox in self._mailboxes.values())

    def _mailbox(self, driver: str) -> _Mailbox:
        return self._mailboxes.setdefault(driver, _Mailbox())

    def _plan_reports(self, driver: str, command: SendCommand, script: Script) -> None:
        reports: list[Report] = []
        if script.ending is Ending.FAILED:
            reports.append(Failed(FAILURE_REASON_DESTINATION_UNREACHABLE, "70", "It cannot be delivered."))
        elif script.ending in (Ending.DELIVERED, Ending.READ):
            reports += [Delivered((segment,)) for segment in range(1, command.text.segments + 1)]
            reports += [Read()] if script.ending is Ending.READ else []
        if script.is_doubled and reports:
            reports += [*reports, Submitted()]
        loop = asyncio.get_running_loop()
        for n, report in enumerate(reports):
            delay_s = script.report_delays_s[n % len(script.report_delays_s)] + n * 1e-6
            self.owed += 1
            loop.call_later(delay_s, self._report, driver, News(command.command_id, report))

    def _report(self, driver: str, news: News) -> None:
        self.owed -= 1
        self.come_in(driver, news)
