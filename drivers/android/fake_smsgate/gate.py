"""A phone with the app on it, for tests and for the command line."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timezone
from pathlib import Path
from typing import Any, Self

from drivers.android.fake_smsgate.app import App, Identity
from drivers.android.fake_smsgate.clock import PhoneClock
from drivers.android.fake_smsgate.fault_table import FAULTS, SIMS_MAX
from drivers.android.fake_smsgate.radio import Conditions, Job, Radio, Result
from drivers.android.fake_smsgate.radio_log import RadioLog
from drivers.android.fake_smsgate.server import Listener, Server
from drivers.android.fake_smsgate.values import AppKind, Heard, Message, Received, SentPart, Sim
from drivers.fake_kit.faults import Fault, Faults

NUMBER = "+15559876543"
USER, PASSWORD, SIGNING_KEY = "sms", "fake-password", "fake-signing-key"
DEVICE_ID = "fakephone00000000000a"
SENDER = "+15551112222"
REQUESTS_KEPT = 10_000
RECEIVED_MAX = 100_000
"""Messages that came in which Android keeps; the oldest goes."""
BATTERY = 80


class FakeSmsGate:
    """One phone. `async with FakeSmsGate() as phone:` starts and ends it; `phone.url` is where the app answers."""

    def __init__(  # noqa: PLR0913 - one option each
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        user: str = USER,
        password: str = PASSWORD,
        signing_key: str = SIGNING_KEY,
        sims: Sequence[Sim] = (Sim(1, NUMBER),),
        kind: AppKind = AppKind.NEW,
        conditions: Conditions | None = None,
        speed: float = 1.0,
        zone: timezone = UTC,
        radio_log: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """To be made in the event loop. `speed`: how much faster than ours its days pass. `tls`: whom it trusts."""
        if not 1 <= len(sims) <= SIMS_MAX:
            raise ValueError(f"A phone has 1 to {SIMS_MAX} SIMs.")
        self.clock = PhoneClock(speed=speed, zone=zone)
        self.faults = Faults(FAULTS, later=self.clock.later, struck=self._struck)
        self.provider: list[Received] = []
        self.requests: deque[Heard] = deque(maxlen=REQUESTS_KEPT)
        """The last requests."""
        self.on_event: Callable[[], None] = lambda: None
        """Called at once whenever something happens: a request comes, a state changes, a webhook was tried."""
        self._sims = list(sims)
        self._log = RadioLog(radio_log) if radio_log is not None else None
        self._changes = asyncio.Event()
        self._ended = asyncio.Event()
        self._untold: list[Result] = []
        self._keeps_results = True
        self._restarts = 0
        self._is_closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.radio = Radio(
            self.clock, self.faults, conditions or Conditions(), taken=self._taken, result=self._result
        )
        identity = Identity(user, password, signing_key, DEVICE_ID, kind)
        self.app = App(identity, self.clock, self.faults, self, tls=tls, changed=self._changed)
        self._host = host
        self._listener = Listener(Server(self.app, self, self.clock, self.faults), host, port)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Switch the phone on. Raises OSError if its port is taken."""
        self._begin(self.radio.run(), "fake phone radio")
        self.app.start()
        await self._listen()

    async def close(self) -> None:
        """Switch it off for good."""
        self._is_closed = True
        await self._listen()
        await self.app.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._log is not None:
            self._log.close()

    @property
    def url(self) -> str:
        """Where the app's local server is."""
        return f"http://{self._host}:{self._listener.port}"

    @property
    def is_reachable(self) -> bool:
        """Whether the app's local server can be reached."""
        return self._listener.is_open

    @property
    def sent(self) -> list[SentPart]:
        """All SMS that the network took, in order."""
        return self.radio.sent

    @property
    def messages(self) -> dict[str, Message]:
        """What the app was given, by id."""
        return self.app.outbox.messages

    @property
    def battery(self) -> int:
        """Percent."""
        fault = self.faults.active("battery")
        return BATTERY if fault is None else int(fault.number("percent"))

    def sims(self) -> list[Sim]:
        """The SIMs that are there."""
        gone = {int(fault.number("sim")) for fault in self.faults.active_all("no_sim")}
        return [sim for sim in self._sims if sim.number not in gone]

    def sent_times(self) -> dict[tuple[str, str, int], int]:
        """How often the network took each part: by id of the message, recipient and part."""
        times: dict[tuple[str, str, int], int] = {}
        for part in self.sent:
            key = (part.message_id, part.to, part.part)
            times[key] = times.get(key, 0) + 1
        return times

    def deliver_inbound(
        self, text: str, *, sender: str = SENDER, sim: int = 1, at: datetime | None = None
    ) -> Received:
        """Have a message come in. An app that is not there does not notice; Android keeps the message for it.

        `at` is the service centre's time and not the phone's; None: now.
        """
        there = next(each for each in self._sims if each.number == sim)
        message = Received(sender, text, there, (at or datetime.now(UTC)).replace(microsecond=0))
        self.provider.append(message)
        del self.provider[:-RECEIVED_MAX]
        if self.app.is_running:
            self.app.receive(message)
        self._changed()
        return message

    async def restart(
        self, *, away_s: float = 0.0, memory_kept: bool = True, results_kept: bool = True
    ) -> None:
        """Kill the app and start it again after seconds of the phone. Its Android goes on meanwhile."""
        self._keeps_results = results_kept
        self._restarts += 1
        mine = self._restarts
        await self.app.stop()
        await self._listen()
        if not memory_kept:
            self.app.forget()
        await self.clock.sleep(away_s)
        if self._is_closed or mine != self._restarts:  # it was killed again meanwhile
            return
        self.app.start()
        untold, self._untold = self._untold, []
        for result in untold:
            self.app.hear(result)
        await self._listen()
        self._changed()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds. It is asked whenever something happened at the phone."""
        while not condition():
            self._changes.clear()
            await self._changes.wait()

    async def until_fault_ends(self, name: str) -> None:
        """Wait until no fault of this name is in force."""
        while self.faults.active(name) is not None:
            self._ended.clear()
            await self._ended.wait()

    def heard(self, request: Heard) -> None:
        """A request has come."""
        self.requests.append(request)
        self._changed()

    def send(self, job: Job) -> None:
        """The app gives a message to Android."""
        self.radio.send(job)

    def config(self, name: str = "fake") -> str:
        """What to write into phones.toml."""
        numbers = ", ".join(f'{{ number = "{sim.phone_number}", sim = {sim.number} }}' for sim in self._sims)
        return "\n".join([
            "[[phone]]",
            f'name = "{name}"',
            f'url = "{self.url}"',
            f'user = "{self.app.identity.user}"',
            f'password = "{self.app.identity.password}"',
            f'signing_key = "{self.app.identity.signing_key}"',
            f"numbers = [{numbers}]",
        ])

    def change(self, **conditions: Any) -> None:
        """Change how radio and network are: the fields of `Conditions`."""
        self.radio.conditions = replace(self.radio.conditions, **conditions)

    async def _listen(self) -> None:
        await self._listener.set_open(
            lambda: not self._is_closed and self.app.is_running and self.faults.active("away") is None
        )
        self._changed()

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _struck(self, fault: Fault) -> None:
        match fault.kind.name:
            case "away":
                self._begin(self._listen(), "fake phone network")
            case "app_killed":
                restart = self.restart(
                    away_s=fault.number("away_s"),
                    memory_kept=fault.text("memory") == "kept",
                    results_kept=fault.text("results") == "kept",
                )
                self._begin(restart, "fake phone restart")
            case "clock_off":
                wrong = self.faults.active("clock_off")
                self.clock.ahead_s = 0.0 if wrong is None else wrong.number("ahead_s")
            case _:
                pass
        self._ended.set()
        self._changed()

    def _taken(self, part: SentPart) -> None:
        if self._log is not None:
            self._log(part)

    def _result(self, result: Result) -> None:
        if self.app.is_running:
            self.app.hear(result)
        elif self._keeps_results:
            self._untold.append(result)
        self._changed()

    def _changed(self) -> None:
        self.on_event()
        self._changes.set()
