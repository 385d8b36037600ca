"""What a driver says fits the contract, however long its words are."""

import pytest

from drivers.runtime.outcomes import Cancelled, Delivered, Failed, Read, Report, Submitted, Unknown, to_report
from infinireach.v1.message_pb2 import FAILURE_REASON_NETWORK_REJECTED, FAILURE_REASON_RATE_LIMITED


@pytest.mark.parametrize(
    ("report", "outcome"),
    [
        (Submitted(), "submitted"),
        (Delivered(), "delivered"),
        (Read(), "delivered"),
        (Failed(FAILURE_REASON_NETWORK_REJECTED), "failed"),
        (Unknown(), "outcome_unknown"),
        (Cancelled(), "cancelled"),
    ],
)
def test_each_outcome_has_its_report(report: Report, outcome: str) -> None:
    built = to_report("c1", report)
    assert built.command_id == "c1"
    assert built.WhichOneof("outcome") == outcome


def test_texts_that_are_too_long_are_cut() -> None:
    failed = to_report("c1", Failed(FAILURE_REASON_NETWORK_REJECTED, "x" * 1000, "y" * 1000)).failed
    assert (len(failed.network_code), len(failed.detail)) == (64, 500)
    assert len(to_report("c1", Unknown("z" * 1000)).outcome_unknown.detail) == 500
    assert len(to_report("c1", Submitted(["1"] * 1000)).submitted.segment_references) == 255


def test_what_was_read_is_reported_delivered_and_read() -> None:
    assert to_report("c1", Read()).delivered.is_read
    assert not to_report("c1", Delivered()).delivered.is_read


def test_how_long_the_network_wants_to_be_left_alone_is_told() -> None:
    asked = to_report("c1", Failed(FAILURE_REASON_RATE_LIMITED, retry_after_s=4.5))
    assert asked.retry_delay.ToTimedelta().total_seconds() == 4.5
    assert not to_report("c1", Failed(FAILURE_REASON_RATE_LIMITED)).HasField("retry_delay")


@pytest.mark.parametrize("seconds", [0, -0.5, float("nan"), float("inf"), -float("inf"), 86_400.5, 1e20])
def test_a_wait_that_is_none_or_longer_than_a_day_is_left_to_the_core(seconds: float) -> None:
    built = to_report("c1", Failed(FAILURE_REASON_RATE_LIMITED, retry_after_s=seconds))
    assert built.failed.reason == FAILURE_REASON_RATE_LIMITED
    assert not built.HasField("retry_delay")


def test_the_longest_wait_is_a_day() -> None:
    built = to_report("c1", Failed(FAILURE_REASON_RATE_LIMITED, retry_after_s=86_400))
    assert built.retry_delay.ToTimedelta().total_seconds() == 86_400
