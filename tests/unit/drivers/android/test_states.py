"""What the app's and Android's words mean for a command, and how many parts may go."""

import pytest
from android_sms_gateway import domain
from hypothesis import given
from hypothesis import strategies as st

from drivers.android.pace import PERIOD_S, Pace
from drivers.android.phone_api import Outgoing, form_of, received
from drivers.android.states import MessageState, failure
from infinireach.v1 import message_pb2

WALL_S = 1.7e9


@pytest.mark.parametrize(
    ("state", "error", "reason"),
    [
        ("Failed", "Send result: RESULT_ERROR_NO_SERVICE (Failed because …)", "NO_SERVICE"),
        ("Failed", "Send result: RESULT_ERROR_RADIO_OFF (…)", "NO_SERVICE"),
        ("Failed", "Send result: RESULT_ERROR_LIMIT_EXCEEDED (…)", "RATE_LIMITED"),
        ("Failed", "Send result: RESULT_ERROR_GENERIC_FAILURE (…)", "NETWORK_REJECTED"),
        ("Failed", "Send result: RESULT_RIL_MODEM_ERR (…)", "NETWORK_REJECTED"),
        ("Failed", "Send result: RESULT_OF_A_LATER_ANDROID", "NETWORK_REJECTED"),
        ("Failed", "Delivery result from SC +4917012345: 70", "DESTINATION_UNREACHABLE"),
        ("Failed", "Delivery result: 1", "DESTINATION_UNREACHABLE"),
        ("Failed", "TTL expired", "EXPIRED"),
        ("Failed", "Can't send message: SIM 2 not found", "DEVICE_FAULT"),
        ("Failed", "Can't send message: No SIMs found", "DEVICE_FAULT"),
        ("Failed", "", "DEVICE_FAULT"),
        ("Cancelled", "", "CANCELLED"),
    ],
)
def test_failure_has_its_reason(state: str, error: str, reason: str) -> None:
    failed = failure(MessageState(state, error), parts=1)
    assert message_pb2.FailureReason.Name(failed.reason) == f"FAILURE_REASON_{reason}"


def test_failure_never_repeats_the_apps_words() -> None:
    failed = failure(MessageState("Failed", "sendSMS: Invalid phone number +491701234567"), parts=1)
    assert "+49" not in failed.detail + failed.network_code


def test_long_text_that_the_radio_refused_is_partly_sent_and_what_was_not_handed_over_is_not() -> None:
    refused = failure(MessageState("Failed", "Send result: RESULT_ERROR_NO_SERVICE (…)"), parts=3)
    waited = failure(MessageState("Failed", "TTL expired"), parts=3)
    assert refused.reason == message_pb2.FAILURE_REASON_PARTLY_SENT
    assert waited.reason == message_pb2.FAILURE_REASON_EXPIRED


def test_message_that_the_network_could_not_deliver_was_sent() -> None:
    assert MessageState("Failed", "Delivery result from SC +4917012345: 70").was_sent
    assert not MessageState("Failed", "Send result: RESULT_ERROR_NO_SERVICE").was_sent


def test_message_has_the_form_of_the_apps_own_client() -> None:
    ours = form_of(Outgoing("cmd-1", "Hi", "+15551230000", 2, wants_report=True, ttl_s=60))
    theirs = domain.Message(
        id="cmd-1",
        text_message=domain.TextMessage("Hi"),
        phone_numbers=["+15551230000"],
        sim_number=2,
        with_delivery_report=True,
        ttl=60,
    ).asdict()
    assert ours.items() <= theirs.items()
    # What is missing has these values if it is not given.
    assert {key: theirs[key] for key in theirs.keys() - ours.keys()} == {"isEncrypted": False, "priority": 0}


@pytest.mark.parametrize("zone", ["Z", "+00:00", "+05:30", "-03:00"])
def test_times_of_the_list_are_read_as_the_apps_own_client_does(zone: str) -> None:
    item = {
        "id": "text:1",
        "type": "SMS",
        "sender": "+1",
        "contentPreview": "m",
        "createdAt": f"2026-01-02T03:04:05.000{zone}",
    }
    theirs = domain.IncomingMessage.from_dict(item)
    ours = received(item, "contentPreview", "createdAt")
    assert ours is not None
    assert (ours.source, ours.text, ours.at_s) == (theirs.sender, "m", int(theirs.created_at.timestamp()))


@given(
    limit=st.integers(1, 30),
    messages=st.lists(st.tuples(st.floats(0, 600), st.integers(1, 10)), max_size=60),
)
def test_no_half_hour_has_more_parts_than_the_limit(limit: int, messages: list[tuple[float, int]]) -> None:
    pace = Pace(limit, None, now=0.0, wall_s=WALL_S)
    now, sent = 1e6, []
    for pause_s, parts in messages:
        now += pause_s
        while (wait_s := pace.wait_s(parts, now=now)) > 0:
            # The next process knows what this one counted, and its monotonic clock begins elsewhere.
            written = pace.written(now=now, wall_s=WALL_S + now)
            pace = Pace(limit, written, now=now + wait_s, wall_s=WALL_S + now + wait_s)
            now += wait_s
        pace.take(parts, now=now)
        sent.append((now, parts))
    for end, parts in sent:
        # A millisecond is what writing and reading may cost.
        window = sum(count for at, count in sent if end - PERIOD_S + 1e-3 < at <= end)
        assert window <= max(limit, parts)


def test_limit_lets_pass_at_once_what_it_has_room_for() -> None:
    pace = Pace(3, None, now=0.0, wall_s=WALL_S)
    pace.take(2, now=100.0)
    assert pace.wait_s(1, now=100.0) == 0
    assert pace.wait_s(2, now=100.0) == PERIOD_S
    assert pace.wait_s(9, now=100.0 + PERIOD_S) == 0


def test_what_was_given_back_counts_no_longer() -> None:
    pace = Pace(3, None, now=0.0, wall_s=WALL_S)
    pace.take(2, now=100.0, key="a")
    pace.take(1, now=100.0, key="b")
    pace.give_back("a")
    assert pace.wait_s(2, now=100.0) == 0
    assert pace.wait_s(3, now=100.0) == PERIOD_S


def test_count_outlives_the_process_whatever_its_monotonic_clock_says() -> None:
    pace = Pace(1, None, now=5000.0, wall_s=WALL_S)
    pace.take(1, now=5000.0, key="a")
    later = Pace(1, pace.written(now=5100.0, wall_s=WALL_S + 100), now=7.0, wall_s=WALL_S + 400)
    assert later.wait_s(1, now=7.0) == PERIOD_S - 400
    later.give_back("a")
    assert later.wait_s(1, now=7.0) == 0


def test_count_of_a_clock_that_was_set_back_is_as_of_now() -> None:
    pace = Pace(1, None, now=5000.0, wall_s=WALL_S)
    pace.take(1, now=5000.0)
    later = Pace(1, pace.written(now=5000.0, wall_s=WALL_S), now=7.0, wall_s=WALL_S - 86400)
    assert later.wait_s(1, now=7.0) == PERIOD_S
