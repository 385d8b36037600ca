"""What a message may carry: a text, a template or a file, each by its rules, and never two of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.api import validate
from core.contents import Media, Template
from core.errors import InvalidArgument
from core.messages import NewMessage
from infinireach.v1 import message_pb2
from infinireach.v1.messages_service_pb2 import NewMessage as GivenMessage

SMS, WHATSAPP = message_pb2.CHANNEL_SMS, message_pb2.CHANNEL_WHATSAPP
IMAGE, AUDIO = message_pb2.MEDIA_TYPE_IMAGE, message_pb2.MEDIA_TYPE_AUDIO
DOCUMENT, STICKER = message_pb2.MEDIA_TYPE_DOCUMENT, message_pb2.MEDIA_TYPE_STICKER
URL = "https://example.com/a.pdf"


def template(**changes: Any) -> message_pb2.Template:
    return message_pb2.Template(**{"name": "order_ready", "language": "en_US"} | changes)


def media(**changes: Any) -> message_pb2.Media:
    return message_pb2.Media(**{"type": IMAGE, "url": URL} | changes)


def read(channel: Any = WHATSAPP, **changes: Any) -> NewMessage:
    fields: dict[str, Any] = {"to": "+1234567890", "from": "+15559876543", "channel": channel}
    return validate.new_message(GivenMessage(**fields | changes), "a" * 24)


def faults_of(channel: Any = WHATSAPP, **changes: Any) -> list[str]:
    with pytest.raises(InvalidArgument) as refused:
        read(channel, **changes)
    assert all(violation.description for violation in refused.value.violations)
    return sorted(violation.field for violation in refused.value.violations)


# Which of them


def test_a_message_carries_one_thing() -> None:
    assert read(text="Hello").content is None
    assert read(template=template()).content == Template("order_ready", "en_US")
    new = read(text="See here", media=media())
    assert (new.text, new.content) == ("See here", Media("image", URL))
    assert faults_of() == ["text"]
    assert faults_of(template=template(), text="Hello") == ["template"]
    assert faults_of(template=template(), media=media()) == ["template"]


def test_sms_carries_text_only() -> None:
    assert faults_of(SMS, template=template()) == ["template"]
    assert faults_of(SMS, media=media(), text="See here") == ["media"]


def test_all_faults_are_told_at_once() -> None:
    faulty = message_pb2.Media(type=AUDIO, url="ftp://x", filename="a", mime_type="b", network_id="c")
    assert faults_of(0, media=faulty, text="x") == [
        "channel",
        "media.filename",
        "media.mime_type",
        "media.network_id",
        "media.url",
        "text",
    ]
    assert faults_of(template=message_pb2.Template(components_json="{}"), to="") == [
        "template.components_json",
        "template.language",
        "template.name",
        "to",
    ]


def test_a_description_never_quotes_the_input() -> None:
    with pytest.raises(InvalidArgument) as refused:
        read(
            template=message_pb2.Template(name="Canary", language="canary!", components_json='"canary"'),
            media=media(url="canary", filename="canary"),
        )
    assert len(refused.value.violations) == 6
    assert "canary" not in str(refused.value).lower()


# Text


@pytest.mark.parametrize("text", ["x" * 4096, "🦤" * 4096])
def test_a_whatsapp_text_has_up_to_4096_code_points(text: str) -> None:
    assert read(text=text).text == text
    assert faults_of(text=text + "x") == ["text"]
    assert faults_of(SMS, text=text) == ["text"]


@pytest.mark.parametrize("text", ["", "x", "x" * 1024])
def test_a_caption_has_up_to_1024_code_points_or_none(text: str) -> None:
    assert read(media=media(), text=text).text == text


@pytest.mark.parametrize("text", ["x" * 1025, " \n", "a\0b"])
def test_a_caption_that_is_too_long_blank_or_has_a_nul_is_refused(text: str) -> None:
    assert faults_of(media=media(), text=text) == ["text"]


@pytest.mark.parametrize("kind", [AUDIO, STICKER])
def test_sound_and_stickers_have_no_caption(kind: Any) -> None:
    assert read(media=media(type=kind)).text == ""
    assert faults_of(media=media(type=kind), text="x") == ["text"]


# Files


@pytest.mark.parametrize(
    ("kind", "word"),
    [(number, name.removeprefix("MEDIA_TYPE_").lower()) for name, number in message_pb2.MediaType.items()][
        1:
    ],
)
def test_every_type_of_file_is_taken(kind: Any, word: str) -> None:
    assert read(media=media(type=kind)).content == Media(word, URL)


@pytest.mark.parametrize("kind", [0, 6, -1])
def test_a_type_that_is_missing_or_unknown_is_refused(kind: Any) -> None:
    assert faults_of(media=media(type=kind)) == ["media.type"]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "HTTPS://Example.com:8443/a%20b?c=d#e",
        "https://xn--bcher-kva.example/x",
        "https://192.0.2.1/x",
        "https://example.com?q=1",
        "https://example.com/" + "x" * 2028,
    ],
)
def test_a_url_of_https_is_taken_as_it_is(url: str) -> None:
    assert read(media=media(url=url)).content == Media("image", url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://example.com/a",
        "//example.com/a",
        "https://",
        "https:///a",
        "https://user:password@example.com/a",
        "https://example.com/a b",
        "https://example.com/a\n",
        "https://example.com/ä",
        "https://example.com\\a",
        "https://example.com/\0",
        "https://example.com/" + "x" * 2029,
        "data:image/png;base64,AAAA",
        "javascript:https://example.com/",
    ],
)
def test_a_url_in_another_form_is_refused(url: str) -> None:
    assert faults_of(media=media(url=url)) == ["media.url"]


def test_only_a_document_has_a_filename() -> None:
    named = read(media=media(type=DOCUMENT, filename="Grüße 2024.pdf"))
    assert named.content == Media("document", URL, "Grüße 2024.pdf")
    assert read(media=media(type=DOCUMENT, filename="x" * 240)).content
    assert faults_of(media=media(type=DOCUMENT, filename="x" * 241)) == ["media.filename"]
    assert faults_of(media=media(type=DOCUMENT, filename="a\nb")) == ["media.filename"]
    assert faults_of(media=media(filename="a.png")) == ["media.filename"]


# Templates


@pytest.mark.parametrize("name", ["", "Order", "order-ready", "a b", "ä", "x" * 513, "a\n"])
def test_a_template_has_a_name_of_the_operators_form(name: str) -> None:
    assert faults_of(template=template(name=name)) == ["template.name"]
    assert read(template=template(name="x" * 512)).content


@pytest.mark.parametrize("language", ["en", "en_US", "pt_BR", "fil", "zh_CN", "en-GB", "x" * 16])
def test_a_language_is_taken_as_the_operator_writes_it(language: str) -> None:
    assert read(template=template(language=language)).content == Template("order_ready", language)


@pytest.mark.parametrize("language", ["", "e", "en US", "x" * 17, "_en", "en\n", "日本"])
def test_a_language_in_another_form_is_refused(language: str) -> None:
    assert faults_of(template=template(language=language)) == ["template.language"]


@pytest.mark.parametrize(
    "components",
    [
        "[]",
        '[{"type": "body", "parameters": [{"type": "text", "text": "Grüße 👋"}]}]',
        ' [ {"a": 1.50} , {} ] ',
        '[{"a": "\\ud83d\\udc4b"}]',
        json.dumps([{"text": "x" * (16_384 - 14)}]),
        '[{"a":' + "[" * 14 + "]" * 14 + "}]",
    ],
)
def test_components_are_taken_as_they_were_written(components: str) -> None:
    new = read(template=template(components_json=components))
    assert new.content == Template("order_ready", "en_US", components)


@pytest.mark.parametrize(
    "components",
    [
        "{}",
        "[1]",
        "[[]]",
        "null",
        "[{}",
        "[{},]",
        " ",
        '[{"a": NaN}]',
        '[{"a": Infinity}]',
        '[{"a": 1e999}]',
        '[{"a": ' + "1" * 5000 + "}]",
        '[{"a": "\\ud83d"}]',
        '[{"a":' + "[" * 15 + "]" * 15 + "}]",
        "[" * 10_000,
        "[" * 8_000 + "]" * 8_000,
        json.dumps([{"text": "x" * (16_384 - 13)}]),
        json.dumps([{"text": "ä" * 8_190}], ensure_ascii=False),
    ],
)
def test_components_that_are_no_list_of_objects_are_refused(components: str) -> None:
    assert faults_of(template=template(components_json=components)) == ["template.components_json"]


@given(st.text())
def test_whatever_stands_for_components_is_taken_or_refused_by_its_field(components: str) -> None:
    if components.strip(" \n\r\t") in ("", "[]"):
        return
    assert faults_of(template=template(components_json=components)) == ["template.components_json"]


# Recipients who hide their number


@pytest.mark.parametrize(
    "to", ["US.13491208655302741918", "DE.a", "BR." + "Z9" * 64, "1@lid", "12345678901234567890@lid"]
)
def test_whatsapps_id_of_a_user_is_a_recipient_there(to: str) -> None:
    assert read(text="Hello", to=to).to == to
    assert faults_of(SMS, text="Hello", to=to) == ["to"]


@pytest.mark.parametrize(
    "to",
    [
        "US.",
        "us.1",
        "USA.1",
        "US.1-2",
        "US." + "1" * 129,
        "@lid",
        "a@lid",
        "1@lid\n",
        "+1@lid",
        "1" * 33 + "@lid",
    ],
)
def test_an_id_in_another_form_is_refused(to: str) -> None:
    assert faults_of(text="Hello", to=to) == ["to"]
