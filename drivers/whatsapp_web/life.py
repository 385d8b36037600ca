"""The account's connection for as long as the process runs: open, pair, keep, lose, wait, open again.

Owns when the library is started anew and when it must not be. What is heard goes to `hearing`, how it stands to
`standing`.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
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
BAN_S_MAX = 366 * 86400.0
"""A ban that is said to last longer is as good as for good; after this time the account is tried once more."""


@dataclass(slots=True, frozen=True)
class Waits:
    """Every wait of the connection, in seconds."""

    retry_s: float = 5.0
    """Before the library is started anew; doubled each time."""
    retry_max_s: float = 120.0
    pairing_silence_s: float = 90.0
    """After which no further code comes: the first of a round is good for 60 s, the others for 20 s."""
    question_s: float = 30.0
    """For the library to say whose session it is."""
    close_s: float = 0.8
    """For the library to end its connection once it was closed."""
    hang_s: float = 90.0
    """For the library to close; it may first have to wait for a connection that it is opening."""
    look_s: float = 20.0
    """Between two looks at whether a limit or a ban has begun or ended."""


@dataclass(slots=True, frozen=True)
class Identity:
    """Which account it is."""

    name: str
    number: str
    session: Path
    pairs_by_code: bool


class Connection:
    """The library, from being opened to being closed."""

    def __init__(self) -> None:
        self.account: Account
        self.is_over = asyncio.Event()
        """Set when it has no future."""
        self.is_own: bool | None = None
        """Whether the session belongs to the number that was set; None until the library has said so."""
        self.asking = asyncio.Lock()
        """Held while it is asked."""


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
        self._opened: Connection | None = None
        self._silence: asyncio.TimerHandle | None = None

    @property
    def account(self) -> Account | None:
        """The account while it is open; whether it is connected is `standing`'s to say."""
        return None if self._opened is None else self._opened.account

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
            await self._standing.connection_is(self._ban)
            await asyncio.sleep(min(left_s, self._waits.look_s))

    @property
    def _ban(self) -> Condition:
        end = datetime.fromtimestamp(self._banned_until_s, UTC)
        detail = f"WhatsApp has banned the account until {end:%Y-%m-%d %H:%M} UTC."
        return Condition(Reason.TEMPORARY_BAN, detail)

    async def _be_connected(self) -> None:
        """One connection, from opening the library to closing it."""
        connection = Connection()
        account = self._open(self._identity.session, partial(self._handle, connection))
        connection.account = account
        self._opened = connection
        running = asyncio.create_task(account.run(), name="account")
        over = asyncio.create_task(connection.is_over.wait(), name="account over")
        try:
            await asyncio.wait({running, over}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await self._library_ended(connection, running)
        finally:
            connection.is_over.set()
            self._opened = None
            self._hush()
            over.cancel()
            await self._close(account)
            await asyncio.wait({running, over}, timeout=self._waits.close_s)
            running.cancel()

    async def _close(self, account: Account) -> None:
        """Close the library. One that hangs still has the session: a second one beside it would spoil that."""
        closing = asyncio.create_task(account.close(), name="account closes")
        try:
            await asyncio.wait({closing}, timeout=self._waits.hang_s)
        finally:
            hangs = closing.cancel()
        if hangs:
            self._context.log.error("account.close_hangs")
            await self._standing.connection_is(Condition(Reason.LIBRARY_HANGS))
        elif (error := closing.exception()) is not None:
            self._context.log.error("account.close_failed", **describe(error))

    async def _library_ended(self, connection: Connection, running: "asyncio.Task[None]") -> None:
        error = running.exception()
        if connection.is_over.is_set():
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

    async def _handle(self, connection: Connection, event: Event) -> None:
        try:
            match event:
                case Incoming() | MessageReceipt():
                    # What waited at WhatsApp may come before the library says that it is connected.
                    if await self._is_own(connection):
                        await self._hear(event)
                case _ if not connection.is_over.is_set():
                    await self._connection_changed(connection, event)
                case _:
                    # What a connection says after its end, such as that it is lost, says nothing of the account.
                    pass
        except Exception as error:  # noqa: BLE001 - the top of a callback: nobody above could do anything
            self._context.log.error(
                "account.event_failed", event_type=type(event).__name__, **describe(error)
            )
            is_heard = isinstance(event, Incoming | MessageReceipt) and connection.is_own is not None
            if not is_heard and not connection.is_over.is_set():
                await self._end(connection, Condition(Reason.LIBRARY_FAILED))

    async def _hear(self, event: Incoming | MessageReceipt) -> None:
        if isinstance(event, Incoming):
            await self._hearing.message(event)
        else:
            await self._hearing.receipt(event)

    async def _is_own(self, connection: Connection) -> bool:
        """Whether the session belongs to the number that was set; nothing is taken from any other."""
        async with connection.asking:
            if connection.is_own is None:
                async with asyncio.timeout(self._waits.question_s):
                    number = await connection.account.own_number()
                connection.is_own = number == self._identity.number
                if not connection.is_own and not connection.is_over.is_set():
                    await self._end(connection, Condition(Reason.WRONG_ACCOUNT))
            return connection.is_own

    async def _connection_changed(self, connection: Connection, event: Event) -> None:
        match event:
            case PairingCode(payload):
                await self._pair(connection, payload)
            case Connected():
                await self._connected(connection)
            case Disconnected():
                await self._standing.connection_is(Condition(Reason.RECONNECTING))
            case Banned(lasts_s, reason):
                self._context.log.error("account.banned", lasts_s=lasts_s, ban=reason)
                self._banned_until_s = self._now_s() + min(lasts_s, BAN_S_MAX)
                await self._context.store.write({self._place: str(self._banned_until_s).encode()})
                await self._end(connection, self._ban)
            case LoggedOut():
                detail = "The session was ended, on the phone or by WhatsApp."
                await self._end(connection, Condition(Reason.NEEDS_PAIRING, detail))
            case PairingFailed():
                detail = "The last try to pair failed; a new code comes."
                await self._end(connection, Condition(Reason.NEEDS_PAIRING, detail))
            case Replaced():
                await self._end(connection, Condition(Reason.SESSION_IN_USE))
            case Refused():
                detail = "WhatsApp refused the connection."
                await self._end(connection, Condition(Reason.LIBRARY_FAILED, detail))
            case Outdated():
                await self._end(connection, Condition(Reason.LIBRARY_OUTDATED))
            case _:
                pass

    async def _end(self, connection: Connection, condition: Condition) -> None:
        # Told last: what is told may have to wait for the journal.
        connection.is_over.set()
        await self._standing.connection_is(condition)

    async def _connected(self, connection: Connection) -> None:
        self._hush()
        if not await self._is_own(connection) or connection.is_over.is_set():
            return
        self._rounds = 0
        self._delay_s = self._waits.retry_s
        await self._standing.connection_is(Condition(Reason.READY))

    async def _pair(self, connection: Connection, payload: str) -> None:
        is_first = self._silence is None
        self._hush()
        loop = asyncio.get_running_loop()
        self._silence = loop.call_later(self._waits.pairing_silence_s, connection.is_over.set)
        if is_first:
            self._rounds += 1
            self._delay_s = self._waits.retry_s
        if self._rounds > PAIRING_ROUNDS_MAX:
            await self._end(connection, Condition(Reason.PAIRING_GIVEN_UP))
        elif not self._identity.pairs_by_code:
            await self._standing.connection_is(Condition(Reason.NEEDS_PAIRING, pairing_payload=payload))
        elif is_first:
            try:
                code = await connection.account.code_for(self._identity.number)
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
