"""The rate of a number, and what one recipient may get."""

import pytest

from drivers.whatsapp_cloud import limits
from drivers.whatsapp_cloud.limits import PAIR_BURST, PAIR_EVERY_S, Rate, Recipients, rate_of_number
from tests.unit.drivers.whatsapp_cloud.office import USER

OTHER = "+15551230001"


@pytest.mark.parametrize("per_s", [1, 20, 80, 1000])
def test_no_second_has_more_than_the_number_may_send_and_its_burst(per_s: int) -> None:
    rate = rate_of_number(per_s)
    at = [rate.take(0.0) for _ in range(5 * per_s)]
    assert at == sorted(at)
    burst = max(1, per_s * limits.BURST_SHARE)
    for start in at:
        assert sum(start <= time < start + 1 for time in at) <= per_s + burst
    assert at[-1] <= 5


def test_rate_that_rested_gives_no_more_than_its_burst() -> None:
    rate = Rate(10, 5)
    rate.take(0.0)
    assert [rate.take(1000.0) for _ in range(6)] == pytest.approx([0, 0, 0, 0, 0, 0.1])


def test_recipient_gets_the_burst_and_then_one_at_a_time() -> None:
    recipients = Recipients()
    for _ in range(PAIR_BURST):
        assert recipients.wait_s(USER, 0.0) == 0
        recipients.sent(USER, 0.0)
    assert recipients.wait_s(USER, 0.0) == pytest.approx(PAIR_EVERY_S)
    assert recipients.wait_s(OTHER, 0.0) == 0
    assert recipients.wait_s(USER, PAIR_EVERY_S) == pytest.approx(0)


def test_refusals_in_a_row_keep_longer_and_a_message_that_is_taken_ends_the_row() -> None:
    recipients = Recipients()
    assert [recipients.refused(USER, 0.0) for _ in range(8)] == [4, 16, 64, 256, 1024, 4096, 4096, 4096]
    assert recipients.wait_s(USER, 96.0) == 4000
    assert recipients.wait_s(OTHER, 96.0) == 0
    recipients.accepted(USER)
    assert recipients.refused(USER, 5000.0) == 4


def test_recipients_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RECIPIENTS_MAX", 2)
    recipients = Recipients()
    recipients.refused(USER, 0.0)
    recipients.refused(OTHER, 0.0)
    recipients.sent(USER, 0.0)
    recipients.refused("+15551230002", 0.0)
    assert recipients.wait_s(USER, 0.0) > 0
    assert recipients.wait_s(OTHER, 0.0) == 0
