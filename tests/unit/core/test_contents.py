"""What messages carry and what devices can: as it is stored, and which of it fits which."""

import json
from typing import Any

import pytest

from core import contents
from core.contents import UNSAID, Content, Features, Media, Template
from core.messages import NewMessage

TEMPLATE = Template("order_ready", "en_US", '[{"type": "body"}]')
MEDIA = Media("document", "https://example.com/a.pdf", "Grüße.pdf", "application/pdf", "17")
GROUP = "120363021234567890@g.us"


def message(text: str = "", to: str = "+15559999999", content: Content | None = None) -> NewMessage:
    return NewMessage("t", to, text, "+15550000001", "whatsapp", content=content)


def refused(new: NewMessage, can: Features | None) -> list[str]:
    return [each.field for each in contents.violations(new, contents.write_features(can))]


@pytest.mark.parametrize("content", [None, TEMPLATE, Template("a", "en"), MEDIA, Media("image"), Media("")])
def test_a_content_comes_back_as_it_was_stored(content: Content | None) -> None:
    assert contents.read(contents.write(content)) == content


@pytest.mark.parametrize(
    "features", [None, Features(), Features(True, contents.MEDIA_TYPES, True, 4096, True)]
)
def test_features_come_back_as_they_were_stored(features: Features | None) -> None:
    assert contents.read_features(contents.write_features(features)) == features


def test_what_a_later_version_stored_besides_is_passed_over() -> None:
    stored: dict[str, Any] = json.loads(contents.write(MEDIA) or "")
    stored["media"]["voice"] = True
    assert contents.read(json.dumps(stored)) == MEDIA
    features = json.loads(contents.write_features(UNSAID)) | {"reactions": True}
    assert contents.read_features(json.dumps(features)) == UNSAID


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (None, None, True),
        (None, TEMPLATE, False),
        (TEMPLATE, MEDIA, False),
        (TEMPLATE, Template("order_ready", "en_US", '[{"type":"body"}]'), True),
        (
            Template("a", "en", '[{"a": 1, "b": "\\u00e4"}]'),
            Template("a", "en", '[{"b": "ä", "a": 1}]'),
            True,
        ),
        (Template("a", "en", "[]"), Template("a", "en"), True),
        (TEMPLATE, Template("order_ready", "en_US", '[{"type": "header"}]'), False),
        (Template("a", "en", '[{"a": 1}]'), Template("a", "en", '[{"a": true}]'), False),
        (Template("a", "en", '[{"a": 1}]'), Template("a", "en", '[{"a": 1.0}]'), False),
        (TEMPLATE, Template("order_ready", "de", '[{"type": "body"}]'), False),
        (Media("image", "https://a.example/1"), Media("image", "https://a.example/2"), False),
        (Media("image", "https://a.example/1"), Media("video", "https://a.example/1"), False),
        (Media("image", "https://a.example/1"), Media("image", "https://a.example/1"), True),
    ],
)
def test_contents_are_the_same_if_they_say_the_same(
    one: Content | None, other: Content | None, *, same: bool
) -> None:
    assert contents.is_same(one, other) is same
    assert contents.is_same(other, one) is same


@pytest.mark.parametrize(
    ("new", "needs"),
    [
        (message("x" * 160), False),
        (message("x" * 161), True),
        (message("x", to=GROUP), True),
        (message("x", to="12345@lid"), False),
        (message(content=TEMPLATE), True),
        (message("x", content=MEDIA), True),
    ],
)
def test_only_what_not_every_device_can_takes_a_look_at_the_device(new: NewMessage, *, needs: bool) -> None:
    assert contents.needs_features(new) is needs


@pytest.mark.parametrize(
    ("new", "can", "fields"),
    [
        (message("x" * 1600), None, []),
        (message("x" * 1601), None, ["text"]),
        (message("x", to=GROUP), None, []),
        (message(content=TEMPLATE), None, ["template"]),
        (message(content=MEDIA), None, ["media"]),
        (message("x" * 4096), Features(), []),
        (message("x" * 1601), Features(text_characters_max=1600), ["text"]),
        (message("x" * 1600), Features(text_characters_max=1600), []),
        (message("x", to=GROUP), Features(), ["to"]),
        (message("x", to=GROUP), Features(groups=True), []),
        (message(content=TEMPLATE), Features(templates=True), []),
        (message(content=TEMPLATE), Features(media=contents.MEDIA_TYPES), ["template"]),
        (message(content=MEDIA), Features(media=("image", "document")), []),
        (message(content=MEDIA), Features(templates=True, media=("image",)), ["media"]),
        (message(to=GROUP, content=MEDIA), Features(templates=True), ["media", "to"]),
        (message("x" * 300, content=MEDIA), Features(media=("document",), text_characters_max=200), ["text"]),
    ],
)
def test_what_the_device_cannot_is_named_by_its_fields(
    new: NewMessage, can: Features | None, fields: list[str]
) -> None:
    assert refused(new, can) == fields


def test_a_refused_file_is_told_with_what_would_go() -> None:
    (violation,) = contents.violations(
        message(content=MEDIA), contents.write_features(Features(media=("image", "audio")))
    )
    assert violation.description == "the device cannot send files of this type; it can send image, audio"
