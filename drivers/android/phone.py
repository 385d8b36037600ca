"""One phone for as long as the process runs: examined, asked, told of, through every absence and without a hand.

Owns the life of a phone and what the core is told of it. What it sends and what comes in lies in `sending`, `following`
and `inbox`. Whatever happens to one phone stays with it.
"""

import asyncio
from datetime import UTC, datetime

from drivers.android.conditions import WINDOW, Condition, Reason
from drivers.android.config import PhoneConfig, WebhookConfig
from drivers.android.following import Following
from drivers.android.inbox import Inbox
from drivers.android.phone_api import NotTheApp, PhoneApi, PhoneAway, PhoneRefused, Sim
from drivers.android.phone_time import PhoneTime
from drivers.android.sending import Sender
from drivers.android.timing import Timing
from drivers.runtime import Context, JournalUnwritable, Outcome, SendAgain
from drivers.runtime.failures import describe
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.fact_pb2 import DeviceChanged
from infinireach.driver.v1.session_pb2 import DeviceDescription
from infinireach.v1.device_pb2 import DeviceAddress, DeviceFeatures
from infinireach.v1.message_pb2 import CHANNEL_SMS, FAILURE_REASON_NO_SERVICE

EVENTS = ("sms:received", "sms:sent", "sms:delivered", "sms:failed", "app:started", "system:ping")
"""What the app is asked to call for; each is a webhook of its own."""
OPTIONAL_EVENTS = frozenset({"app:started"})
"""Those that an older version does not know."""
CLOCK_S_MAX = 240.0
"""A minute less than the age of a signature that is believed."""
BATTERY_LOW_PERCENT = 15
BATTERY_STEP_PERCENT = 10
"""A change of the battery that is told by itself."""
REASONS_OF_STATUS = {401: Reason.WRONG_PASSWORD, 403: Reason.WRONG_PASSWORD, 429: Reason.WRONG_PASSWORD}
"""After ten wrong passwords in five minutes the app lets nobody in for five (its LoginThrottle)."""


class Phone:
    """One phone of phones.toml."""

    def __init__(
        self,
        context: Context,
        config: PhoneConfig,
        webhook: WebhookConfig | None,
        timing: Timing,
    ) -> None:
        """`webhook` is where it is to call; None: it is only asked. Needs a running event loop."""
        self.config = config
        self._context = context
        self._webhook = webhook
        self._timing = timing
        self._api = PhoneApi(config)
        self.following = Following(context, config.name, self._api, poll_s=config.poll_s)
        self._time = PhoneTime(context.clock)
        self.inbox = Inbox(context, config, self._api, self._time)
        self._sender = Sender(
            context, config, self._api, timing, following=self.following, look_now=self.look_now
        )
        self._wake = asyncio.Event()
        self._away: Condition | None = Condition(Reason.STARTING)
        """Why it cannot be asked; None: it can."""
        self._has_failed = False
        """Whether the last look failed."""
        self._found: list[Condition] = []
        """What the last examination found besides."""
        self._told: tuple[Condition, int] = (Condition(Reason.STARTING), -1)
        self._battery_percent = -1
        self._examine_at = self._sweep_at = self._catch_up_at = self._receive_at = 0.0
        self._down_at: float | None = None
        self._is_called = False
        """The app takes the webhook."""
        self._can_receive = True
        self._has_inbox_failed = False
        self._inbox_trouble: Condition | None = None
        self._was_away = True
        """Since it was last told to look for what its app missed."""

    async def load(self) -> None:
        """Take up what an earlier process left."""
        await self.following.load()
        await self.inbox.load()
        await self._sender.load()

    def describe(self) -> DeviceDescription:
        """The phone as it stands at the start."""
        addresses = [
            DeviceAddress(channel=CHANNEL_SMS, number=each.number, slot=each.sim, ready=True)
            for each in self.config.numbers
        ]
        return DeviceDescription(
            key=self.config.name,
            name=self.config.name,
            addresses=addresses,
            window=0,
            state=self._told[0].state,
            features=DeviceFeatures(),
        )

    async def run(self) -> None:
        """Live until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._round()
                self._away, self._has_failed = None, False
            except PhoneAway as away:
                reason = Reason.APP_STOPPED if away.is_refused else Reason.UNREACHABLE
                self._lose(Condition(reason), is_sure=away.is_late)
            except PhoneRefused as refused:
                reason = REASONS_OF_STATUS.get(refused.status, Reason.FAULT)
                # A password that was refused is not tried at once again.
                condition = Condition(reason, f"The app answers with status {refused.status}.")
                self._lose(condition, is_sure=reason is Reason.WRONG_PASSWORD)
            except NotTheApp:
                self._lose(Condition(Reason.WRONG_SERVER))
            except JournalUnwritable:
                pass  # The runtime has logged it; what was not written is found again.
            except Exception as error:  # noqa: BLE001 - a phone's life goes on
                self._context.log.error("phone.failed", device=self.config.name, **describe(error))
                self._lose(Condition(Reason.FAULT))
            await self._tell()
            await self._rest()

    def look_now(self) -> None:
        """Something happened: do not wait for the next look."""
        self._wake.set()

    def examine_now(self) -> None:
        """The app was started anew: examine it, and have it look for what it missed."""
        self._examine_at = self._catch_up_at = self._receive_at = 0.0
        self._was_away = True
        self._wake.set()

    def stopping(self) -> None:
        """The process is about to stop."""
        self._sender.stopping()

    async def close(self) -> None:
        """Close what is open."""
        await self._api.close()

    async def send(self, command: SendCommand) -> Outcome:
        """Send a message."""
        return await self._sender.send(command)

    async def recover(self, command: SendCommand) -> Outcome | SendAgain:
        """Find out what became of a message of an earlier process."""
        return await self._sender.recover(command) or SendAgain()

    # One look.

    async def _round(self) -> None:
        now = self._context.clock.monotonic()
        if self._away is not None or now >= self._examine_at:
            await self._examine()
            self._examine_at = now + self._timing.examine_s
        await self.following.look(phone_s=self._time.phone_s())
        if now >= self._receive_at:
            trouble = await self._receive(now)
            if trouble is not None and self._has_inbox_failed:
                # Once is nothing; after that it waits, so that sending does not wait behind it.
                self._inbox_trouble, self._receive_at = trouble, now + self._timing.sweep_s
            elif trouble is None:
                self._inbox_trouble = None
            self._has_inbox_failed = trouble is not None

    async def _receive(self, now: float) -> Condition | None:
        """Hand in what came in; what is wrong if that did not go, and sending goes on all the same."""
        try:
            if now >= self._catch_up_at:
                self._can_receive = await self.inbox.catch_up(
                    has_webhook=self._is_called, was_away=self._was_away
                )
                self._was_away = False
                self._catch_up_at = now + self._timing.catch_up_s
            if not self._can_receive:
                return None
            if now >= self._sweep_at:
                await self.inbox.sweep()
                self._sweep_at = now + self._timing.sweep_s
            else:
                await self.inbox.look()
        except (PhoneAway, NotTheApp):
            # What is wrong with it altogether, the next examination tells.
            self._examine_at = 0.0
        except PhoneRefused as refused:
            if refused.status in REASONS_OF_STATUS:
                raise
            return Condition(Reason.INBOX_FAILED, f"It answers with status {refused.status}.")
        except JournalUnwritable:
            raise
        except Exception as error:  # noqa: BLE001 - sending goes on
            self._context.log.error("phone.inbox_failed", device=self.config.name, **describe(error))
        else:
            return None
        self._sweep_at = 0.0
        return Condition(Reason.INBOX_FAILED)

    async def _examine(self) -> None:
        wall_s = self._time.wall_s()
        health = await self._api.health(wall_s=wall_s)
        self._time.told(wall_s + health.clock_ahead_s, wall_s=wall_s)
        self._battery_percent = health.battery_percent
        found: list[Condition] = []
        if 0 <= health.battery_percent < BATTERY_LOW_PERCENT and not health.is_charging:
            found.append(Condition(Reason.BATTERY_LOW, f"It is at {health.battery_percent} %."))
        if self._webhook is not None and abs(health.clock_ahead_s) > CLOCK_S_MAX:
            found.append(Condition(Reason.CLOCK_OFF))
        found += self._missing(await self._api.sims())
        is_called = self._webhook is not None and await self._register(self._webhook)
        if is_called is not self._is_called:
            self._is_called, self._catch_up_at = is_called, 0.0
        if self._webhook is not None and not self._is_called:
            found.append(Condition(Reason.WEBHOOK_REFUSED))
        self._found = found

    def _missing(self, sims: list[Sim] | None) -> list[Condition]:
        wanted = {each.sim for each in self.config.numbers}
        missing = wanted - {sim.slot for sim in sims or ()}
        if sims is None or not missing:
            return []
        reason = Reason.SIM_MISSING if missing == wanted else Reason.ONE_SIM_MISSING
        named = " and ".join(f"SIM {slot}" for slot in sorted(missing))
        return [Condition(reason, f"{named} cannot be seen.")]

    async def _register(self, webhook: WebhookConfig) -> bool:
        """Have the app call for every event; under ids of ours, so that it never calls twice for one."""
        url = webhook.url_of(self.config.name)
        known = {each["id"]: each for each in await self._api.webhooks()}
        for event in EVENTS:
            webhook_id = f"infinireach-{event.replace(':', '-')}"
            if known.get(webhook_id, {}).get("url") == url:
                continue
            try:
                await self._api.register(webhook_id=webhook_id, url=url, event=event)
            except PhoneRefused:
                if event not in OPTIONAL_EVENTS:
                    return False
        return True

    # What the core is told.

    def _lose(self, condition: Condition, *, is_sure: bool = False) -> None:
        """The phone could not be asked. Once is nothing, unless that is sure."""
        if is_sure or self._has_failed or self._away is not None:
            self._away = condition
        self._has_failed = True
        self._examine_at = 0.0
        # What came in meanwhile is looked for when it is back.
        self._catch_up_at = self._sweep_at = self._receive_at = 0.0
        self._was_away = True

    def condition(self) -> Condition:
        """How the phone is now."""
        conditions = [*self._found, Condition(Reason.READY)]
        if self._away is not None:
            conditions.append(self._away)
        if self._inbox_trouble is not None:
            conditions.append(self._inbox_trouble)
        if not self._can_receive:
            detail = "" if self._webhook is None else "The app does not take the webhook either."
            conditions.append(Condition(Reason.NO_INBOUND, detail))
        if self.following.oldest_waiting_s() > self._timing.stuck_s:
            conditions.append(Condition(Reason.NOT_SENDING))
        held_back_s = self._sender.held_back_s()
        if held_back_s > 0:
            until = datetime.fromtimestamp(self._time.wall_s() + held_back_s, UTC)
            conditions.append(Condition(Reason.RATE_LIMITED, f"It goes on at {until:%H:%M} UTC."))
        order = list(Reason)
        return min(conditions, key=lambda condition: order.index(condition.reason))

    async def _tell(self) -> None:
        condition = self.condition()
        await self._give_back(condition)
        told, battery = self._told
        has_battery_moved = abs(battery - self._battery_percent) >= BATTERY_STEP_PERCENT
        if condition == told and not has_battery_moved:
            return
        self._told = (condition, self._battery_percent)
        change = DeviceChanged(
            device_key=self.config.name,
            state=condition.state,
            reason=condition.reason.value,
            remedy=condition.remedy,
            window=WINDOW if condition.can_send else 0,
            signal_percent=-1,
            battery_percent=self._battery_percent,
        )
        await self._context.device_changed(change)
        self._context.log.info("phone.changed", device=self.config.name, reason=condition.reason.value)

    async def _give_back(self, condition: Condition) -> None:
        """A phone that stays away gives back what waits for it; one that keeps to its limit does not."""
        now = self._context.clock.monotonic()
        if condition.can_send or condition.reason is Reason.RATE_LIMITED:
            self._down_at = None
        elif self._down_at is None:
            self._down_at = now
        elif now - self._down_at > self._timing.down_s:
            self._context.give_back(self.config.name, FAILURE_REASON_NO_SERVICE, detail=condition.remedy)

    async def _rest(self) -> None:
        is_locked = self._away is not None and self._away.reason is Reason.WRONG_PASSWORD
        if is_locked:
            await asyncio.sleep(self._timing.locked_s)
            return
        try:
            await asyncio.wait_for(self._wake.wait(), self.config.poll_s)
        except TimeoutError:
            return
