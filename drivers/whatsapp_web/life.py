"""The account's connection for as long as the process runs: open, pair, keep, lose, wait, open again.

Owns when the library is started anew and when it must not be. What is heard goes to `hearing`, how it stands to
`standing`.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from drivers.runtime import Context
from drivers.runtime.failures import describe
from drivers.whatsapp_web.account import (
    Account,
    AccountFailed,
    Banned,
    Connected,
    Disconnected,
    Event,
    Incoming,
    LoggedOut,
    MessageReceipt,
    Open,
    Outdated,
    PairingCode,
    PairingFailed,
    Refused,
    Replaced,
)
from drivers.whatsapp_web.conditions import Condition, Reason
from drivers.whatsapp_web.incoming import Hearing
from drivers.whatsapp_web.standing import Standing

PAIRING_ROUNDS_MAX = 20
"""A round of codes lasts less than three minutes: nobody has come for an hour."""


@dataclass(slots=True, frozen=True)
class Waits:
    """Every wait of the connection, in seconds."""

    retry_s: float = 5.0
    """Before the library is started anew; doubled each time."""
    retry_max_s: float = 120.0
    pairing_silence_s: float = 90.0
    """After which no further code comes: the first of a round is good for 60 s, the others for 20 s."""
    close_s: float = 0.8
    """For the library to end its connection."""
    look_s: float = 20.0
    """Between two looks at whether a limit or a ban has begun or ended."""


@dataclass(slots=True, frozen=True)
class Identity:
    """Which account it is."""

    name: str
    number: str
    session: Path
    pairs_by_code: bool


class Life:
    """One account, from the start of the process to its end."""

    def __init__(
        self,
        context: Context,
        identity: Identity,
        *,
        open_account: Open,
        standing: Standing,
        hearing: Hearing,
        waits: Waits,
    ) -> None:
        self._context = context
        self._identity = identity
        self._open = open_account
        self._standing = standing
        self._hearing = hearing
        self._waits = waits
        self._place = f"whatsapp-web/{identity.name}/ban"
        self._banned_until_s = 0.0
        """By the wall clock."""
        self._rounds = 0
        self._delay_s = waits.retry_s
        self._over = asyncio.Event()
        """Set when this connection has no future."""
        self._silence: asyncio.TimerHandle | None = None
        self.account: Account | None = None
        """The account while it is connected."""

    async def load(self) -> None:
        """Take up a ban that an earlier process was told of."""
        stored = await self._context.store.read(self._place)
        self._banned_until_s = float(stored.get(self._place, b"0"))

    async def run(self) -> None:
        """Keep the account connected. Ends only where nothing helps but a person and a new start."""
        while True:
            await self._sit_out_ban()
            try:
                await self._be_connected()
            except Exception as error:  # noqa: BLE001 - the top of the account: it is opened again
                await self._failed(error)
            if self._standing.connection.row.is_final:
                return
            if self._banned_until_s <= self._now_s():
                await asyncio.sleep(self._delay_s)
                self._delay_s = min(2 * self._delay_s, self._waits.retry_max_s)

    async def keep_telling(self) -> None:
        """Tell the core when a limit begins or ends, which nothing else announces."""
        while True:
            await asyncio.sleep(self._waits.look_s)
            await self._standing.tell()

    async def _sit_out_ban(self) -> None:
        while (left_s := self._banned_until_s - self._now_s()) > 0:
            end = datetime.fromtimestamp(self._banned_until_s, UTC)
            detail = f"WhatsApp has banned the account until {end:%Y-%m-%d %H:%M} UTC."
            await self._standing.connection_is(Condition(Reason.TEMPORARY_BAN, detail))
            await asyncio.sleep(min(left_s, self._waits.look_s))

    async def _be_connected(self) -> None:
        """One connection, from opening the library to closing it."""
        self._over.clear()
        account = self._open(self._identity.session, self._handle)
        self._opened = account
        running = asyncio.create_task(account.run(), name="account")
        over = asyncio.create_task(self._over.wait(), name="account over")
        try:
            await asyncio.wait({running, over}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await self._library_ended(running)
        finally:
            self.account = None
            self._hush()
            await account.close()
            over.cancel()
            await asyncio.wait({running, over}, timeout=self._waits.close_s)
            running.cancel()

    async def _library_ended(self, running: "asyncio.Task[None]") -> None:
        error = running.exception()
        if self._over.is_set():
            return
        if error is None:
            await self._standing.connection_is(Condition(Reason.LIBRARY_FAILED))
        else:
            await self._failed(error)

    async def _failed(self, error: BaseException) -> None:
        """Tell of a failure; only the words of AccountFailed are for people."""
        detail = str(error) if isinstance(error, AccountFailed) else ""
        self._context.log.error("account.failed", detail=detail, **describe(error))
        await self._standing.connection_is(Condition(Reason.LIBRARY_FAILED, detail))

    # What the library tells.

    async def _handle(self, event: Event) -> None:
        try:
            match event:
                case Incoming():
                    await self._hearing.message(event)
                case MessageReceipt():
                    await self._hearing.receipt(event)
                case _ if not self._over.is_set():
                    await self._connection_changed(event)
                case _:
                    # What a connection says after its end, such as that it is lost, says nothing of the account.
                    pass
        except Exception as error:  # noqa: BLE001 - the top of a callback: nobody above could do anything
            self._context.log.error(
                "account.event_failed", event_type=type(event).__name__, **describe(error)
            )
            if not isinstance(event, Incoming | MessageReceipt):
                self._over.set()

    async def _connection_changed(self, event: Event) -> None:
        match event:
            case PairingCode(payload):
                await self._pair(payload)
            case Connected():
                await self._connected()
            case Disconnected():
                self.account = None
                await self._standing.connection_is(Condition(Reason.RECONNECTING))
            case Banned(lasts_s, reason):
                self._context.log.error("account.banned", lasts_s=lasts_s, ban=reason)
                self._banned_until_s = self._now_s() + lasts_s
                await self._context.store.write({self._place: str(self._banned_until_s).encode()})
                self._over.set()
            case LoggedOut():
                detail = "The session was ended, on the phone or by WhatsApp."
                await self._end(Condition(Reason.NEEDS_PAIRING, detail))
            case PairingFailed():
                await self._end(
                    Condition(Reason.NEEDS_PAIRING, "The last try to pair failed; a new code comes.")
                )
            case Replaced():
                await self._end(Condition(Reason.SESSION_IN_USE))
            case Refused():
                await self._end(Condition(Reason.LIBRARY_FAILED, "WhatsApp refused the connection."))
            case Outdated():
                await self._end(Condition(Reason.LIBRARY_OUTDATED))
            case _:
                pass

    async def _end(self, condition: Condition) -> None:
        self.account = None
        await self._standing.connection_is(condition)
        self._over.set()

    async def _connected(self) -> None:
        self._hush()
        if await self._opened.own_number() != self._identity.number:
            await self._end(Condition(Reason.WRONG_ACCOUNT))
            return
        self._rounds = 0
        self._delay_s = self._waits.retry_s
        self.account = self._opened
        await self._standing.connection_is(Condition(Reason.READY))

    async def _pair(self, payload: str) -> None:
        is_first = self._silence is None
        self._hush()
        self._silence = asyncio.get_running_loop().call_later(self._waits.pairing_silence_s, self._over.set)
        if is_first:
            self._rounds += 1
            self._delay_s = self._waits.retry_s
        if self._rounds > PAIRING_ROUNDS_MAX:
            await self._end(Condition(Reason.PAIRING_GIVEN_UP))
        elif not self._identity.pairs_by_code:
            await self._standing.connection_is(Condition(Reason.NEEDS_PAIRING, pairing_payload=payload))
        elif is_first:
            try:
                code = await self._opened.code_for(self._identity.number)
                detail = f"Choose “Link with phone number instead” and type {code[:4]}-{code[-4:]}."
            except AccountFailed as error:
                detail = f"No code came: {error}. INFINIREACH_WHATSAPP_WEB_PAIRING=qr is the other way."
            await self._standing.connection_is(Condition(Reason.NEEDS_PAIRING, detail))

    def _hush(self) -> None:
        """No further code is waited for."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _now_s(self) -> float:
        return self._context.clock.wall_ns() / 1e9
