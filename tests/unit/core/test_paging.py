"""Pages: their size, and the tokens between them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.api import paging
from core.errors import InvalidArgument

ID = "0123456789abcdef01234567"


def faulty_field(token: str, field: str = "page_token") -> str:
    with pytest.raises(InvalidArgument) as refused:
        paging.decode(token, field=field)
    [violation] = refused.value.violations
    return violation.field


@pytest.mark.parametrize(("requested", "size"), [(0, 50), (1, 1), (200, 200)])
def test_a_page_has_the_size_asked_for_or_the_usual_one(requested: int, size: int) -> None:
    assert paging.page_size(requested) == size


@pytest.mark.parametrize("requested", [-1, 201, 2**31 - 1])
def test_a_page_size_out_of_range_is_refused(requested: int) -> None:
    with pytest.raises(InvalidArgument) as refused:
        paging.page_size(requested)
    assert [violation.field for violation in refused.value.violations] == ["page_size"]


@given(st.from_regex("[0-9a-f]{24}", fullmatch=True))
def test_a_token_gives_back_its_position_and_can_stand_in_a_url(position: str) -> None:
    token = paging.encode(position)
    assert paging.decode(token) == position
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert position not in token


def test_no_token_is_the_first_page() -> None:
    assert paging.decode("") == ""
    assert paging.decode_cursor("", field="after") == 0


def plain(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        ID,
        "x",
        "not a token",
        "ключ",
        "\0",
        plain(ID.encode()),
        plain(b"2:" + ID.encode()),
        plain(b"1:"),
        plain(b"1:" + ID.upper().encode()),
        plain(b"1:' OR 1=1 --"),
        plain(b"1:\xff\xfe"),
        paging.encode(ID) + "=",
        paging.encode(ID) + "A",
        paging.encode(ID)[:-1],
        paging.encode("12"),
        "A" * 100_000,
    ],
)
def test_what_is_no_token_is_refused_by_its_field(token: str) -> None:
    assert faulty_field(token) == "page_token"
    assert faulty_field(token, "after") == "after"


def test_each_position_has_one_token() -> None:
    token = paging.encode(
        "00000000000000000000000"
    )  # 23 digits: base64 leaves unused bits in the last character
    other = token[:-1] + chr(ord(token[-1]) + 1)
    assert base64.urlsafe_b64decode(other + "==") == base64.urlsafe_b64decode(token + "==")
    with pytest.raises(InvalidArgument):
        paging.decode(other, is_valid=lambda _: True)


@given(st.integers(0, 10**18 - 1))
def test_a_cursor_gives_back_its_position(position: int) -> None:
    assert paging.decode_cursor(paging.encode_cursor(position), field="after") == position


@pytest.mark.parametrize("position", ["-1", "01", "1e3", "", "1" * 19, "٣", ID])
def test_a_cursor_that_holds_no_number_is_refused(position: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        paging.decode_cursor(plain(b"1:" + position.encode()), field="after")
    assert [violation.field for violation in refused.value.violations] == ["after"]
