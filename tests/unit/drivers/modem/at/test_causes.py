"""The table of errors: what a code means for a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modem.at.causes import TABLES, Action, cause_of
from drivers.modem.at.finals import CODES_OF_WORDS, Final, final_of
from drivers.modem.at.results import Domain
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_OUTCOME_UNKNOWN,
    FAILURE_REASON_RATE_LIMITED,
)

RETRIED_BY_THE_CORE = {FAILURE_REASON_NO_SERVICE, FAILURE_REASON_DEVICE_FAULT, FAILURE_REASON_RATE_LIMITED}
CODES = st.tuples(st.sampled_from(Domain), st.none() | st.integers(0, 10_000))

EXPECTED = {
    Action.PERMANENT: [
        1,
        8,
        10,
        21,
        28,
        29,
        30,
        50,
        69,
        *range(95, 100),
        111,
        128,
        144,
        193,
        195,
        196,
        304,
        305,
    ],
    Action.ACCEPTED: [197],
    Action.WITHOUT_FEATURE: [145, 198, 199],
    Action.RETRY: [27, 38, 41, 42, 47, 192, 194, 301, 314, 331, 515],
    Action.AMBIGUOUS: [332, 500, 127, 255, 512, 2000],
    Action.DEVICE: [310, 311, 316, 313, 315, 300, 302, 330],
    Action.STORAGE: [320, 322, 208, 211],
}
EXPECTED_OF_EQUIPMENT = {
    Action.RETRY: [14],
    Action.DEVICE: [10, 11, 12, 13, 15, 30, 32],
    Action.STORAGE: [20],
    Action.AMBIGUOUS: [31, 100, 600],
}


@pytest.mark.parametrize(
    ("action", "code"), [(action, code) for action in EXPECTED for code in EXPECTED[action]]
)
def test_each_code_of_the_message_service_has_its_action(action: Action, code: int) -> None:
    assert cause_of(Domain.CMS, code).action is action


@pytest.mark.parametrize(
    ("action", "code"),
    [(action, code) for action in EXPECTED_OF_EQUIPMENT for code in EXPECTED_OF_EQUIPMENT[action]],
)
def test_each_code_of_the_equipment_has_its_action(action: Action, code: int) -> None:
    assert cause_of(Domain.CME, code).action is action


@given(CODES)
def test_what_may_have_been_taken_is_never_sent_again_by_the_core(error: tuple[Domain, int | None]) -> None:
    cause = cause_of(*error)
    if cause.action is Action.AMBIGUOUS:
        assert cause.reason == FAILURE_REASON_OUTCOME_UNKNOWN
    if cause.action in {Action.AMBIGUOUS, Action.ACCEPTED, Action.PERMANENT}:
        assert cause.reason not in RETRIED_BY_THE_CORE
        assert cause.retries_max == 0


@given(CODES)
def test_every_code_has_a_sentence(error: tuple[Domain, int | None]) -> None:
    sentence = cause_of(*error).sentence
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert len(sentence) < 120


def test_an_error_that_gives_no_reason_says_nothing_about_the_message() -> None:
    assert cause_of(Domain.NONE, None).action is Action.AMBIGUOUS
    assert cause_of(Domain.CMS, None).action is Action.AMBIGUOUS


@pytest.mark.parametrize(
    ("code", "action"), [(99, Action.PERMANENT), (60, Action.RETRY), (0, Action.AMBIGUOUS)]
)
def test_an_unknown_cause_of_the_network_counts_as_a_temporary_failure(code: int, action: Action) -> None:
    assert cause_of(Domain.CMS, code).action is action


@pytest.mark.parametrize(
    ("code", "action"),
    [(133, Action.PERMANENT), (150, Action.PERMANENT), (230, Action.AMBIGUOUS), (256, Action.AMBIGUOUS)],
)
def test_an_unknown_cause_of_the_message_centre_counts_by_its_group(code: int, action: Action) -> None:
    assert cause_of(Domain.CMS, code).action is action


def test_a_number_that_the_network_calls_out_of_order_is_tried_once_more_only() -> None:
    assert cause_of(Domain.CMS, 38).retries_max == 1


@pytest.mark.parametrize(
    ("line", "domain", "code"),
    [
        ("+CMS ERROR: 38", Domain.CMS, 38),
        ("+CMS ERROR:500", Domain.CMS, 500),
        ("+CMS ERROR 310", Domain.CMS, 310),
        ("CMS ERROR: 42", Domain.CMS, 42),
        ("+CME ERROR: 14", Domain.CME, 14),
        ("+CME ERROR: SIM not inserted", Domain.CME, 10),
        ("+CME ERROR: SIM busy", Domain.CME, 14),
        ("+cms error: (U)SIM PIN required", Domain.CMS, 311),
        ("+CMS ERROR: network  timeout", Domain.CMS, 332),
        ("+CMS ERROR: something new", Domain.CMS, None),
        ("+CMS ERROR", Domain.CMS, None),
        ("+CMS ERROR: -1", Domain.CMS, None),
        ("ERROR", Domain.NONE, None),
        ("COMMAND NOT SUPPORT", Domain.NONE, None),
        ("TOO MANY PARAMETERS", Domain.NONE, None),
    ],
)
def test_an_error_is_understood_in_digits_and_in_words(line: str, domain: Domain, code: int | None) -> None:
    assert final_of(line) == Final(line, domain=domain, code=code)


def test_ok_is_an_answer_and_other_lines_are_none() -> None:
    assert final_of("OK") == Final("OK", is_ok=True)
    assert [final_of(line) for line in ("OKAY", "+CMGS: 1", "", "NO CARRIER", "ERRORS")] == [None] * 5


@pytest.mark.parametrize("domain", [Domain.CMS, Domain.CME])
def test_what_the_words_of_an_error_stand_for_is_in_the_table(domain: Domain) -> None:
    assert set(CODES_OF_WORDS[domain].values()) <= set(TABLES[domain]) | {2, 6, 7}
