"""What neonize tells, as it builds it itself, is what the driver hears."""

from typing import Any

import pytest
from google.protobuf.message import Message
from neonize.events import EVENT_TO_INT
from neonize.proto import Neonize_pb2 as wire
from neonize.proto.waCommon.WACommon_pb2 import MessageKey
from neonize.proto.waE2E import WAWebProtobufsE2E_pb2 as e2e
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message as Content

from drivers.whatsapp_web.account import (
    Banned,
    Connected,
    Disconnected,
    Incoming,
    LoggedOut,
    MessageReceipt,
    Outdated,
    PairingFailed,
    ReceiptKind,
    Refused,
    Replaced,
)
from drivers.whatsapp_web.adapter.events import EVENTS, address, hidden_sender, person, read_event
from infinireach.v1.message_pb2 import (
    MEDIA_TYPE_AUDIO,
    MEDIA_TYPE_DOCUMENT,
    MEDIA_TYPE_IMAGE,
    MEDIA_TYPE_STICKER,
    MEDIA_TYPE_VIDEO,
    Media,
    MediaType,
)

GROUP = "120363041234567890"


def jid(user: str, server: str = "s.whatsapp.net", device: int = 0) -> wire.JID:
    return wire.JID(User=user, Server=server, Device=device, RawAgent=0, Integrator=0, IsEmpty=not user)


PEER = jid("15551112222", device=3)
HIDDEN = jid("4711", "lid", device=3)
NOBODY = jid("", "")


def source(
    chat: wire.JID = PEER, sender: wire.JID = PEER, *, alt: wire.JID = NOBODY, from_me: bool = False
) -> wire.MessageSource:
    return wire.MessageSource(
        Chat=chat,
        Sender=sender,
        SenderAlt=alt,
        RecipientAlt=NOBODY,
        BroadcastListOwner=NOBODY,
        IsFromMe=from_me,
        IsGroup=chat.Server == "g.us",
    )


def event(content: Content, of: wire.MessageSource | None = None) -> wire.Message:
    info = wire.MessageInfo(
        MessageSource=of or source(), ID="3EB0A1", Pushname="Ada", Timestamp=1_700_000_000_123, Type="text"
    )
    return wire.Message(Info=info, Message=content)


def heard(content: Content, of: wire.MessageSource | None = None, **kwargs: str) -> Incoming:
    found = read_event(event(content, of), **kwargs)
    assert isinstance(found, Incoming)
    return found


TEXT = Content(conversation="Grüße 👋")


def test_text_of_a_person_has_his_number_and_time() -> None:
    found = heard(TEXT)
    assert (found.message_id, found.sender, found.text) == ("3EB0A1", "+15551112222", "Grüße 👋")
    assert (found.group_id, found.sender_name) == ("", "Ada")
    assert found.time_s == 1_700_000_000.123
    assert found.media is None
    assert found.sender_ids == {"+15551112222"}


def test_text_in_a_group_is_from_its_participant() -> None:
    found = heard(TEXT, source(jid(GROUP, "g.us"), PEER))
    assert (found.sender, found.group_id) == ("+15551112222", f"{GROUP}@g.us")


def test_person_who_hides_the_number_is_known_by_it_if_whatsapp_tells_it() -> None:
    found = heard(TEXT, source(HIDDEN, HIDDEN, alt=PEER))
    assert found.sender == "+15551112222"
    assert found.sender_ids == {"+15551112222", "4711@lid"}
    assert hidden_sender(event(TEXT, source(HIDDEN, HIDDEN, alt=PEER))) is None


def test_person_who_hides_the_number_is_looked_up_without_his_device() -> None:
    hidden = hidden_sender(event(TEXT, source(HIDDEN, HIDDEN)))
    assert hidden is not None
    assert (hidden.User, hidden.Server, hidden.Device) == ("4711", "lid", 0)
    found = heard(TEXT, source(HIDDEN, HIDDEN), number="+15551112222")
    assert found.sender == "+15551112222"
    assert found.sender_ids == {"+15551112222", "4711@lid"}


def test_person_whose_number_nobody_knows_keeps_the_hidden_id() -> None:
    assert heard(TEXT, source(HIDDEN, HIDDEN)).sender == "4711@lid"


@pytest.mark.parametrize(
    "of",
    [
        source(from_me=True),
        source(jid("status", "broadcast")),
        source(jid("120363", "newsletter"), jid("120363", "newsletter")),
        source(jid("15551112222"), NOBODY),
    ],
    ids=["own", "status", "channel", "nobody"],
)
def test_what_is_not_from_a_person_to_the_account_is_not_heard(of: wire.MessageSource) -> None:
    assert read_event(event(TEXT, of)) is None


CONTEXT = e2e.ContextInfo(stanzaID="3EB0FF")
KEY = MessageKey(ID="3EB0FF")


def test_answer_names_the_message_that_it_quotes() -> None:
    found = heard(Content(extendedTextMessage=e2e.ExtendedTextMessage(text="yes", contextInfo=CONTEXT)))
    assert (found.text, found.answers) == ("yes", "3EB0FF")


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("imageMessage", MEDIA_TYPE_IMAGE),
        ("videoMessage", MEDIA_TYPE_VIDEO),
        ("ptvMessage", MEDIA_TYPE_VIDEO),
        ("audioMessage", MEDIA_TYPE_AUDIO),
        ("documentMessage", MEDIA_TYPE_DOCUMENT),
        ("stickerMessage", MEDIA_TYPE_STICKER),
    ],
)
def test_file_comes_with_its_kind(field: str, kind: MediaType) -> None:
    content = Content()
    file: Any = getattr(content, field)
    file.mimetype, file.directPath = "a/b", "/v/t62"
    file.contextInfo.CopyFrom(CONTEXT)
    found = heard(content)
    assert found.media == Media(type=kind, mime_type="a/b", network_id="/v/t62")
    assert (found.text, found.answers) == ("", "3EB0FF")


def test_caption_is_the_text_also_of_what_is_wrapped_twice() -> None:
    file = e2e.DocumentMessage(fileName="bill.pdf", mimetype="application/pdf", caption="the bill")
    inner = Content(documentWithCaptionMessage=e2e.FutureProofMessage(message=Content(documentMessage=file)))
    found = heard(Content(ephemeralMessage=e2e.FutureProofMessage(message=inner)))
    assert found.text == "the bill"
    assert found.media is not None
    assert found.media.filename == "bill.pdf"


def edited(text: str) -> Content:
    protocol = e2e.ProtocolMessage(
        type=e2e.ProtocolMessage.MESSAGE_EDIT, key=KEY, editedMessage=Content(conversation=text)
    )
    return Content(editedMessage=e2e.FutureProofMessage(message=Content(protocolMessage=protocol)))


@pytest.mark.parametrize(
    ("content", "text", "answers"),
    [
        (Content(reactionMessage=e2e.ReactionMessage(key=KEY, text="👍")), "[reacted 👍]", "3EB0FF"),
        (Content(reactionMessage=e2e.ReactionMessage(key=KEY)), "[took the reaction back]", "3EB0FF"),
        (
            Content(
                protocolMessage=e2e.ProtocolMessage(type=e2e.ProtocolMessage.REVOKE, key=KEY),
            ),
            "[deleted a message]",
            "3EB0FF",
        ),
        (edited("better"), "[edited] better", "3EB0FF"),
        (
            Content(
                locationMessage=e2e.LocationMessage(
                    degreesLatitude=52.5, degreesLongitude=13.4, name="Gate", address="Square 1"
                )
            ),
            "[location 52.500000,13.400000] Gate Square 1",
            "",
        ),
        (
            Content(liveLocationMessage=e2e.LiveLocationMessage(degreesLatitude=-1, degreesLongitude=2)),
            "[live location -1.000000,2.000000]",
            "",
        ),
        (
            Content(contactMessage=e2e.ContactMessage(displayName="Bob", vcard="BEGIN:VCARD")),
            "[contact] Bob\nBEGIN:VCARD",
            "",
        ),
        (
            Content(
                contactsArrayMessage=e2e.ContactsArrayMessage(
                    contacts=[e2e.ContactMessage(displayName="Bob", vcard="BEGIN:VCARD")]
                )
            ),
            "[contacts]\nBob\nBEGIN:VCARD",
            "",
        ),
        (
            Content(
                pollCreationMessageV3=e2e.PollCreationMessage(
                    name="When?",
                    options=[
                        e2e.PollCreationMessage.Option(optionName="now"),
                        e2e.PollCreationMessage.Option(optionName="later"),
                    ],
                )
            ),
            "[poll] When?: now, later",
            "",
        ),
        (
            Content(
                buttonsResponseMessage=e2e.ButtonsResponseMessage(
                    selectedDisplayText="Yes", contextInfo=CONTEXT
                )
            ),
            "Yes",
            "3EB0FF",
        ),
        (
            Content(
                templateButtonReplyMessage=e2e.TemplateButtonReplyMessage(
                    selectedDisplayText="No", contextInfo=CONTEXT
                )
            ),
            "No",
            "3EB0FF",
        ),
        (
            Content(listResponseMessage=e2e.ListResponseMessage(title="Two", contextInfo=CONTEXT)),
            "Two",
            "3EB0FF",
        ),
    ],
)
def test_what_is_neither_text_nor_file_reads_as_a_line(content: Content, text: str, answers: str) -> None:
    found = heard(content)
    assert (found.text, found.answers, found.media) == (text, answers, None)


def test_kind_that_is_not_known_here_is_said_to_have_come() -> None:
    found = heard(Content(orderMessage=e2e.OrderMessage(orderTitle="books")))
    assert found.text == "[order]"
    assert found.media == Media()


@pytest.mark.parametrize(
    "content",
    [
        Content(),
        Content(senderKeyDistributionMessage=e2e.SenderKeyDistributionMessage(groupID="g")),
        Content(protocolMessage=e2e.ProtocolMessage(type=e2e.ProtocolMessage.HISTORY_SYNC_NOTIFICATION)),
        Content(protocolMessage=e2e.ProtocolMessage()),
    ],
)
def test_talk_between_programs_is_not_heard(content: Content) -> None:
    assert read_event(event(content)) is None


def test_group_text_that_brings_a_key_along_is_heard() -> None:
    key = e2e.SenderKeyDistributionMessage(groupID="g")
    assert heard(Content(conversation="hi", senderKeyDistributionMessage=key)).text == "hi"


def test_message_that_is_wrapped_without_end_ends() -> None:
    content = TEXT
    for _ in range(50):
        content = Content(viewOnceMessage=e2e.FutureProofMessage(message=content))
    assert heard(content).text == "[viewOnce]"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("DELIVERED", ReceiptKind.DELIVERED),
        ("READ", ReceiptKind.READ),
        ("PLAYED", ReceiptKind.READ),
        ("SENDER", None),
        ("RETRY", None),
        ("READ_SELF", None),
        ("SERVER_ERROR", None),
        ("PEER_MSG", None),
    ],
)
def test_receipts_say_delivered_or_read(kind: str, expected: ReceiptKind | None) -> None:
    receipt = wire.Receipt(
        MessageSource=source(),
        MessageIDs=["A", "B"],
        Timestamp=1_700_000_000,
        Type=wire.Receipt.ReceiptType.Value(kind),
    )
    found = read_event(receipt)
    assert found == (None if expected is None else MessageReceipt(("A", "B"), expected, 1_700_000_000.0))


def test_receipts_of_ones_own_devices_say_nothing() -> None:
    receipt = wire.Receipt(MessageSource=source(from_me=True), MessageIDs=["A"], Type=wire.Receipt.DELIVERED)
    assert read_event(receipt) is None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (wire.Connected(status=True), Connected()),
        (wire.KeepAliveRestored(), Connected()),
        (wire.Disconnected(status=True), Disconnected()),
        (wire.KeepAliveTimeout(ErrorCount=1, LastSuccess=1), Disconnected()),
        (wire.LoggedOut(OnConnect=True, Reason=wire.LOGGED_OUT), LoggedOut()),
        (wire.StreamReplaced(), Replaced()),
        (wire.ClientOutdated(), Outdated()),
        (wire.ConnectFailure(Reason=wire.EXPERIMENTAL, Message="no"), Refused()),
        (wire.PairStatus(Status=wire.PairStatus.ERROR, Error="no"), PairingFailed()),
        (wire.PairStatus(Status=wire.PairStatus.SUCCESS), None),
        (
            wire.TemporaryBan(Code=wire.TemporaryBan.SEND_TO_TOO_MANY_PEOPLE, Expire=3600),
            Banned(3600.0, "send_to_too_many_people"),
        ),
        (
            # WhatsApp named no end.
            wire.TemporaryBan(Code=wire.TemporaryBan.BLOCKED_BY_USERS, Expire=0),
            Banned(86_400.0, "blocked_by_users"),
        ),
        (wire.Presence(), None),
    ],
)
def test_connection_is_told_in_the_drivers_words(told: Message, expected: object) -> None:
    assert read_event(told) == expected


def test_every_event_that_is_asked_for_is_one_that_the_library_tells() -> None:
    assert set(EVENTS) <= EVENT_TO_INT.keys()


@pytest.mark.parametrize(
    ("to", "user", "server"),
    [
        ("+15551112222", "15551112222", "s.whatsapp.net"),
        ("4711@lid", "4711", "lid"),
        (f"{GROUP}@g.us", GROUP, "g.us"),
    ],
)
def test_recipients_have_the_librarys_form(to: str, user: str, server: str) -> None:
    found = address(to)
    assert (found.User, found.Server) == (user, server)
    # The library refuses what lacks one of its fields.
    assert found.SerializeToString()


@pytest.mark.parametrize("of", [jid("abc"), jid("", "lid"), jid(GROUP, "g.us"), NOBODY])
def test_who_is_no_person_has_no_name(of: wire.JID) -> None:
    assert not person(of)
