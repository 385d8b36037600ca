"""Lines and prompts, however the bytes come."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modem.at.tokens import LINE_OCTETS_MAX, Mark, Token, Tokenizer


def tokens(data: bytes, *, wants_prompt: bool = False) -> list[Token]:
    tokenizer = Tokenizer()
    tokenizer.wants_prompt = wants_prompt
    return list(tokenizer.feed(data))


@pytest.mark.parametrize(
    "data",
    [b"\r\nOK\r\n", b"OK\r", b"OK\n", b"\r\r\nOK\r\r\n", b"\n\rOK\n\r", b"\x00OK\x00\r\n", b" OK \r\n"],
)
def test_any_line_end_ends_a_line(data: bytes) -> None:
    assert tokens(data) == ["OK"]


@pytest.mark.parametrize(
    "data", [b"\r\n> ", b"\r\n>", b">", b"\r\n \t>", b"AT+CMGS=23\r\r\n> ", b"\xff\xfe> "]
)
def test_a_prompt_needs_neither_blank_nor_line_end(data: bytes) -> None:
    assert tokens(data, wants_prompt=True)[-1] is Mark.PROMPT


@pytest.mark.parametrize("data", [b"a> b\r", b"+CUSD: 1 > 2\r"])
def test_what_stands_within_a_line_is_no_prompt(data: bytes) -> None:
    assert Mark.PROMPT not in tokens(data, wants_prompt=True)


def test_without_a_wish_for_one_there_is_no_prompt() -> None:
    assert tokens(b"\r\n> text\r\n") == ["> text"]


def test_a_line_end_after_the_prompt_is_no_line() -> None:
    assert tokens(b"\r\n> \r\n+CMGS: 1\r\n", wants_prompt=True) == [Mark.PROMPT, "+CMGS: 1"]


def test_a_line_that_is_too_long_is_dropped_whole_and_the_next_one_is_not() -> None:
    assert tokens(b"x" * (LINE_OCTETS_MAX + 1) + b"\r\nOK\r\n") == ["OK"]
    assert tokens(b"x" * LINE_OCTETS_MAX + b"\r\n") == ["x" * LINE_OCTETS_MAX]


def test_octets_beyond_ascii_are_utf8_or_else_kept_one_by_one() -> None:
    assert tokens('+COPS: 0,0,"Orange Romania é"\r\n'.encode()) == ['+COPS: 0,0,"Orange Romania é"']
    assert tokens(b"\xe9\r\n") == ["é"]


@given(
    data=st.lists(
        st.sampled_from([b"\r", b"\n", b">", b" ", b"OK", b"+CMT: ,24", b"\x00", b"\xff", b"\x1a"])
    ).map(b"".join),
    cuts=st.lists(st.integers(0, 200)),
    wants_prompt=st.booleans(),
)
def test_how_bytes_are_spread_over_reads_changes_nothing(
    data: bytes, cuts: list[int], wants_prompt: bool
) -> None:
    tokenizer = Tokenizer()
    tokenizer.wants_prompt = wants_prompt
    ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[start:end] for start, end in itertools.pairwise(ends)]
    assert [token for piece in pieces for token in tokenizer.feed(piece)] == tokens(
        data, wants_prompt=wants_prompt
    )


@given(data=st.binary(max_size=400), wants_prompt=st.booleans())
def test_no_bytes_are_an_error(data: bytes, wants_prompt: bool) -> None:
    for token in tokens(data, wants_prompt=wants_prompt):
        assert token is Mark.PROMPT or token
