"""The library's events as the driver's own: what neonize 0.5 tells, and what of it matters.

Owns the mapping and who somebody is. Does no I/O; whoever calls it looks up hidden numbers.
"""

from neonize.proto import Neonize_pb2 as wire
from neonize.proto.Neonize_pb2 import JID

from drivers.whatsapp_web.account import (
    Banned,
    Connected,
    Disconnected,
    Event,
    Incoming,
    LoggedOut,
    MessageReceipt,
    Outdated,
    PairingFailed,
    ReceiptKind,
    Refused,
    Replaced,
)
from drivers.whatsapp_web.adapter.content import read_content

USERS, HIDDEN_USERS, GROUPS = "s.whatsapp.net", "lid", "g.us"
CHATS = frozenset({USERS, HIDDEN_USERS, GROUPS})
"""Where people write to people; not statuses, channels and broadcasts."""
BAN_S = 86400.0
"""How long a ban is taken to last whose end the library does not tell."""
MILLISECONDS_FROM = 10**11
"""From here on a time is in milliseconds: neonize gave seconds until 0.3, and still does for receipts."""
EVENTS = (
    wire.PairStatus,
    wire.Connected,
    wire.KeepAliveTimeout,
    wire.KeepAliveRestored,
    wire.LoggedOut,
    wire.StreamReplaced,
    wire.TemporaryBan,
    wire.ClientOutdated,
    wire.ConnectFailure,
    wire.Disconnected,
    wire.Message,
    wire.Receipt,
)
"""What the library is asked to tell."""
RECEIPTS = {
    wire.Receipt.DELIVERED: ReceiptKind.DELIVERED,
    wire.Receipt.READ: ReceiptKind.READ,
    wire.Receipt.PLAYED: ReceiptKind.READ,
}
"""The others are about one's own devices, retries and history."""


def read_event(event: object, *, number: str = "") -> Event | None:
    """The event as the driver knows it; None if it does not matter.

    `number` is the sender's, E.164, if it was looked up.
    """
    match event:
        case wire.Message():
            return _message(event, number)
        case wire.Receipt():
            return _receipt(event)
        case wire.TemporaryBan():
            reason = wire.TemporaryBan.TempBanReason.Name(event.Code).lower()
            return Banned(float(event.Expire) if event.Expire > 0 else BAN_S, reason)
        case wire.PairStatus():
            return PairingFailed() if event.Status == wire.PairStatus.ERROR else None
        case _:
            return _connection(event)


def _connection(event: object) -> Event | None:
    match event:
        case wire.Connected() | wire.KeepAliveRestored():
            return Connected()
        case wire.Disconnected() | wire.KeepAliveTimeout():
            return Disconnected()
        case wire.LoggedOut():
            return LoggedOut()
        case wire.StreamReplaced():
            return Replaced()
        case wire.ClientOutdated():
            return Outdated()
        case wire.ConnectFailure():
            return Refused()
        case _:
            return None


def hidden_sender(event: object) -> JID | None:
    """The sender of a message whose number is not in it, to be looked up."""
    if not isinstance(event, wire.Message):
        return None
    source = event.Info.MessageSource
    if source.Sender.Server != HIDDEN_USERS or source.SenderAlt.Server == USERS:
        return None
    return bare(source.Sender)


def bare(jid: JID) -> JID:
    """The user without the device he wrote from."""
    return JID(User=jid.User, Server=jid.Server, RawAgent=0, Device=0, Integrator=0, IsEmpty=False)


def person(jid: JID) -> str:
    """E.164, or `<digits>@lid`; nothing if it is neither."""
    if jid.Server == USERS and jid.User.isdigit():
        return f"+{jid.User}"
    return f"{jid.User}@{HIDDEN_USERS}" if jid.Server == HIDDEN_USERS and jid.User else ""


def address(to: str) -> JID:
    """Where to send what goes to E.164, `<digits>@lid` or `…@g.us`."""
    user, at, server = to.removeprefix("+").partition("@")
    return bare(JID(User=user, Server=server if at else USERS))


def _message(event: wire.Message, number: str) -> Incoming | None:
    info, source = event.Info, event.Info.MessageSource
    if source.IsFromMe or source.Chat.Server not in CHATS:
        return None
    found = read_content(event.Message)
    names = [name for name in (number, person(source.SenderAlt), person(source.Sender)) if name]
    if found is None or not names:
        return None
    return Incoming(
        message_id=info.ID,
        sender=next((name for name in names if name.startswith("+")), names[0]),
        text=found.text,
        time_s=_seconds(info.Timestamp),
        group_id=f"{source.Chat.User}@{GROUPS}" if source.Chat.Server == GROUPS else "",
        sender_name=info.Pushname,
        media=found.media,
        answers=found.answers,
        sender_ids=frozenset(names),
    )


def _receipt(event: wire.Receipt) -> MessageReceipt | None:
    kind = RECEIPTS.get(event.Type)
    if kind is None or event.MessageSource.IsFromMe:
        return None
    return MessageReceipt(tuple(event.MessageIDs), kind, _seconds(event.Timestamp))


def _seconds(time: int) -> float:
    return time / 1000 if time >= MILLISECONDS_FROM else float(time)
