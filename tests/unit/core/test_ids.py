"""Identifiers: their form, their order, and that nobody can guess or forge one."""

import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import IdSource, command_id, is_id, new_id, new_uuid, parse_command_id
from tests.fakes.set_clock import START_MS

message_ids = st.text("0123456789abcdef", min_size=24, max_size=24)


@given(st.integers(0, 2**44))
def test_an_id_is_24_lower_case_hex_digits(now_ms: int) -> None:
    assert is_id(IdSource().new(now_ms))


def test_an_id_begins_with_its_time() -> None:
    assert int(IdSource().new(START_MS)[:12], 16) == START_MS


@given(st.lists(st.integers(START_MS - 5, START_MS + 5), min_size=2, max_size=200))
def test_ids_rise_whatever_the_clock_does(times: list[int]) -> None:
    source = IdSource()
    made = [source.new(now_ms) for now_ms in times]
    assert all(earlier < later for earlier, later in itertools.pairwise(made))


def test_ids_of_one_millisecond_keep_their_time() -> None:
    source = IdSource()
    made = [source.new(START_MS) for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {int(each[:12], 16) for each in made} <= {START_MS, START_MS + 1}


def test_ids_of_one_millisecond_do_not_follow_each_other() -> None:
    source = IdSource()
    made = [int(source.new(START_MS), 16) for _ in range(1000)]
    steps = {later - earlier for earlier, later in itertools.pairwise(made)}
    assert len(steps) > 900


def test_ids_from_many_threads_are_all_different() -> None:
    source, made = IdSource(), list[str]()

    def make() -> None:
        made.extend([source.new(START_MS) for _ in range(2000)])

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 16_000


def test_the_processs_own_source_makes_ids() -> None:
    assert is_id(new_id(START_MS))
    assert new_id(START_MS) < new_id(START_MS)


@pytest.mark.parametrize(
    "text", ["", "a" * 23, "a" * 25, "A" * 24, "g" * 24, "a" * 24 + "\n", " " + "a" * 23, "٣" * 24]
)
def test_other_forms_are_no_ids(text: str) -> None:
    assert not is_id(text)


@given(message_ids, st.integers(1, 999_999))
def test_a_command_id_names_its_message_and_attempt(message_id: str, attempt: int) -> None:
    text = command_id(message_id, attempt)
    assert parse_command_id(text) == (message_id, attempt)
    assert len(text) <= 40  # the protocol's limit


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 24,
        "a" * 24 + "-",
        "a" * 24 + "-0",
        "a" * 24 + "-01",
        "a" * 24 + "--1",
        "a" * 24 + "-+1",
        "a" * 24 + "-1\n",
        "a" * 24 + "-1234567",
        "a" * 24 + "-٣",
        "A" * 24 + "-1",
        "a" * 23 + "-1",
    ],
)
def test_other_forms_are_no_command_ids(text: str) -> None:
    assert parse_command_id(text) is None


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    parsed = parse_command_id(text)
    assert parsed is None or command_id(*parsed) == text


def test_uuids_have_their_usual_form_and_differ() -> None:
    made = {new_uuid() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(each) == 36 and each[14] == "4" for each in made)
