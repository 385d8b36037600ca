"""Single values: what is accepted, normalised and refused, and that the schemas say the same."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_facade import shapes
from rest_facade.field_tables import MESSAGE_FIELDS, TEMPLATE_FIELDS
from rest_facade.fields import object_of
from rest_facade.shapes import Shape, ShapeFault

MEDIA = next(field.shape for field in MESSAGE_FIELDS if field.name == "media")


def accepts(shape: Shape, value: Any) -> bool:
    """Whether the check lets a value pass."""
    try:
        shape.check(value)
    except ShapeFault:
        return False
    return True


@pytest.mark.parametrize("number", ["+1234567", "+1234567890", "+123456789012345"])
def test_number_of_7_to_15_digits_is_accepted_as_it_is(number: str) -> None:
    assert shapes.DESTINATION.check(number) == number


@pytest.mark.parametrize(
    "number",
    [
        "", "+", "1234567890", "+0123456789", "+123456", "+1234567890123456", "+1 234 567 890", "+1234567890\n",
        "++1234567890", "+12345678９0", "+١٢٣٤٥٦٧٨٩", "tel:+1234567890", "+123-4567890", "x@g.us.example", "@g.us",
    ],
)  # fmt: skip
def test_anything_else_is_no_recipient(number: str) -> None:
    with pytest.raises(ShapeFault):
        shapes.DESTINATION.check(number)


@pytest.mark.parametrize(
    "given_id",
    [
        "120363025246125486@g.us",
        "instance-1:120363025246125486@g.us",
        "group:instance-1:120363025246125486@g.us",
    ],
)
def test_group_id_is_normalised_to_what_follows_the_last_colon(given_id: str) -> None:
    assert shapes.DESTINATION.check(given_id) == "120363025246125486@g.us"


def test_group_id_of_number_and_time_is_accepted() -> None:
    assert shapes.DESTINATION.check("4915112345678-1415792385@g.us") == "4915112345678-1415792385@g.us"


@pytest.mark.parametrize(
    "hidden", ["US.13491208655302741918", "DE." + "a1B2" * 32, "134912086553027@lid", "9" * 32 + "@lid"]
)
def test_user_who_hides_the_number_is_a_recipient_on_whatsapp(hidden: str) -> None:
    assert shapes.WHATSAPP_DESTINATION.check(hidden) == hidden
    with pytest.raises(ShapeFault):
        shapes.DESTINATION.check(hidden)


@pytest.mark.parametrize(
    "hidden", ["US.", "us.134", "US.13 4", "US." + "1" * 129, "USA.134", "@lid", "a@lid", "1@LID"]
)
def test_what_whatsapp_does_not_write_so_is_no_hidden_user(hidden: str) -> None:
    with pytest.raises(ShapeFault):
        shapes.WHATSAPP_DESTINATION.check(hidden)


def test_groups_and_numbers_are_recipients_on_whatsapp_too() -> None:
    assert shapes.WHATSAPP_DESTINATION.check("group:i1:1203@g.us") == "1203@g.us"
    assert shapes.WHATSAPP_DESTINATION.check("+1234567890") == "+1234567890"


@pytest.mark.parametrize(
    "written",
    [
        "+15559876543", "15559876543", "+1 555 987 6543", "+1 (555) 987-6543", "1.555.987.6543", " 15559876543",
        "(1555) 9876543 ",
    ],
)  # fmt: skip
def test_sender_is_compared_by_its_digits(written: str) -> None:
    assert shapes.SENDER.check(written) == "+15559876543"


@pytest.mark.parametrize(
    "written", ["", "+", "0015559876543", "+1555987654a", "abc", "1" * 16, "1 " * 30, 15559876543]
)
def test_anything_else_is_no_sender(written: object) -> None:
    with pytest.raises(ShapeFault):
        shapes.SENDER.check(written)


@pytest.mark.parametrize("text", ["a", "x" * 1600, "😀" * 1600, "a\r\n\tb", "\u00a0x", "a\u0085b", "é"])
def test_message_of_1_to_1600_code_points_is_accepted(text: str) -> None:
    assert shapes.SMS.check(text) == text


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t", "\u00a0\u3000", "x" * 1601, "a\x00b", "\x1b[0m", "a\x7f", None, 5, ["a"]]
)
def test_anything_else_is_no_message(text: object) -> None:
    with pytest.raises(ShapeFault):
        shapes.SMS.check(text)


@pytest.mark.parametrize(("shape", "most"), [(shapes.WHATSAPP, 4096), (shapes.CAPTION, 1024)])
def test_whatsapp_takes_longer_texts_and_its_captions_shorter_ones(shape: Shape, most: int) -> None:
    assert shape.check("😀" * most) == "😀" * most
    with pytest.raises(ShapeFault, match=f"must be 1 to {most} characters"):
        shape.check("x" * (most + 1))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a", "https://", "https:///a", "https://user:pass@example.com/a", "https://exa mple.com",
        "HTTPS://example.com", "https://example.com/ä", "https://example.com/a\n", "ftp://example.com", "https://[::1]/",
        "https://example.com/" + "x" * 2048, "",
    ],
)  # fmt: skip
def test_file_is_fetched_from_an_https_url_and_no_other(url: str) -> None:
    with pytest.raises(ShapeFault, match="https"):
        shapes.MEDIA_URL.check(url)


@pytest.mark.parametrize(
    "url", ["https://example.com", "https://a.example:8443/x?y=%C3%A4&z=1#f", "https://h?x"]
)
def test_file_may_be_at_any_path_and_port(url: str) -> None:
    assert shapes.MEDIA_URL.check(url) == url


def test_components_are_passed_on_as_compact_json() -> None:
    given_value = [{"type": "body", "parameters": [{"n": 1.5, "big": 2**70, "text": "ä\x00"}]}, {}]
    encoded = shapes.json_objects(1000).check(given_value)
    assert json.loads(encoded) == given_value
    assert b": " not in encoded


@pytest.mark.parametrize(
    ("components", "issue"),
    [
        ({}, "must be a list"),
        ("[]", "must be a list"),
        ([{}, "x"], "must be a list of objects"),
        ([[]], "must be a list of objects"),
        ([{"text": "x" * 100}], "must be at most 100 bytes as JSON"),
    ],
)
def test_components_are_a_bounded_list_of_objects(components: object, issue: str) -> None:
    with pytest.raises(ShapeFault, match=issue):
        shapes.json_objects(100).check(components)


@pytest.mark.parametrize("levels", [17, 400])
def test_components_nest_16_deep_at_most(levels: int) -> None:
    def nested(depth: int) -> Any:
        value: Any = {}
        for _ in range(depth - 2):
            value = {"a": value}
        return [value]

    assert shapes.json_objects(10_000).check(nested(16))
    with pytest.raises(ShapeFault, match="deep"):
        shapes.json_objects(10_000).check(nested(levels))


@pytest.mark.parametrize("value", [True, "5", 1.5, 0, 31, None, float("inf")])
def test_whole_number_is_neither_flag_nor_text_nor_fraction(value: object) -> None:
    with pytest.raises(ShapeFault):
        shapes.whole_number(1, 30).check(value)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2024-10-25T10:30:00Z", "2024-10-25T10:30:00+00:00"),
        ("2024-10-25t10:30:00.5z", "2024-10-25T10:30:00.500000+00:00"),
        ("2024-10-25T12:30:00.123456789+02:00", "2024-10-25T10:30:00.123456+00:00"),
    ],
)
def test_time_is_read_as_utc(written: str, read: str) -> None:
    assert shapes.TIME.check(written).isoformat() == read


@pytest.mark.parametrize(
    "written",
    ["2024-10-25", "2024-13-01T00:00:00Z", "2024-10-25T10:30:00", "0001-01-01T00:00:00+10:00", "now"],
)
def test_what_is_no_moment_is_no_time(written: str) -> None:
    with pytest.raises(ShapeFault):
        shapes.TIME.check(written)


def test_list_names_nothing_twice() -> None:
    with pytest.raises(ShapeFault, match="twice"):
        shapes.list_of(shapes.one_of(("a", "b")), maximum=5).check(["a", "b", "a"])


CHECKED = {
    "destination": shapes.DESTINATION,
    "whatsapp destination": shapes.WHATSAPP_DESTINATION,
    "media url": shapes.MEDIA_URL,
    "components": shapes.json_objects(10_000),
    "template": object_of(TEMPLATE_FIELDS),
    "media": MEDIA,
    "sender": shapes.SENDER,
    "message": shapes.SMS,
    "name": shapes.NAME,
    "printable": shapes.printable(1, 255),
    "word": shapes.one_of(("sms", "whatsapp")),
    "whole number": shapes.whole_number(1, 30),
    "flag": shapes.FLAG,
    "list": shapes.list_of(shapes.one_of(("a", "b")), maximum=2),
}
ANY_VALUE = (
    st.none()
    | st.booleans()
    | st.integers(-5, 40)
    | st.floats(allow_nan=False, allow_infinity=False, min_value=-5, max_value=40)
    | st.text(max_size=20)
    | st.text(st.sampled_from("+0123456789 ().-:@g.us\x00\x1e\x85\u2028\u202e\u00a0é"), max_size=24)
    | st.from_regex(re.compile(shapes.NUMBER_PATTERN))
    | st.from_regex(re.compile(shapes.SPACED_NUMBER_PATTERN))
    | st.from_regex(re.compile(shapes.GROUP_PATTERN))
    | st.from_regex(re.compile(shapes.HIDDEN_USER_PATTERN))
    | st.from_regex(re.compile(shapes.MEDIA_URL_PATTERN))
    | st.lists(st.just({}) | st.just([]), max_size=2)
    | st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["order_shipped", "Order", "", 5, None]),
            "language": st.sampled_from(["en", "en_US", "e", "en_", "fil", "zh-Hans", None, ""]),
            "components": st.sampled_from([[], [{}], [{"type": "body"}], {}, None, [1]]),
            "type": st.sampled_from(["image", "document", "gif", None, 5]),
            "url": st.sampled_from(["https://example.com/a", "http://example.com/a", None]),
            "filename": st.sampled_from(["a.pdf", "", " ", "a\nb", None]),
        },
    )
    | st.sampled_from(["sms", "whatsapp"])
    | st.lists(st.sampled_from(["a", "b", "c"]), max_size=3)
)


@pytest.mark.parametrize("name", CHECKED)
def test_schema_accepts_exactly_what_the_check_accepts(name: str) -> None:
    shape = CHECKED[name]
    validator = jsonschema_rs.validator_for(dict(shape.schema))

    @given(ANY_VALUE)
    def agree(value: Any) -> None:
        assert validator.is_valid(value) == accepts(shape, value)

    agree()
