"""Facts in memory are bounded and always continue where the last frame ended."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.runtime.fact_window import READY_FACTS_MAX, FactWindow
from infinireach.driver.v1.fact_pb2 import Fact

MANY = 10**9


def facts(first: int, last: int) -> list[Fact]:
    return [Fact(sequence=sequence) for sequence in range(first, last + 1)]


def test_facts_beyond_the_memory_are_read_from_the_journal_when_it_is_their_turn() -> None:
    window = FactWindow(acknowledged=0, last=0)
    last = READY_FACTS_MAX + 500
    window.append(facts(1, READY_FACTS_MAX))
    window.append(facts(READY_FACTS_MAX + 1, last))
    taken = 0
    while batch := window.take(unacknowledged_max=MANY, bytes_max=MANY):
        assert [fact.sequence for fact in batch] == list(range(taken + 1, taken + 1 + len(batch)))
        taken += len(batch)
    assert window.wanted() == taken == READY_FACTS_MAX
    window.loaded(facts(taken + 1, last))
    assert len(window.take(unacknowledged_max=MANY, bytes_max=MANY)) == 500
    assert window.wanted() is None


def test_fact_that_is_larger_than_a_frame_still_goes_alone() -> None:
    window = FactWindow(acknowledged=0, last=0)
    window.append(facts(1, 2))
    assert len(window.take(unacknowledged_max=MANY, bytes_max=1)) == 1


def test_acknowledgement_beyond_the_last_fact_counts_up_to_it() -> None:
    window = FactWindow(acknowledged=0, last=0)
    window.append(facts(1, 3))
    assert window.acknowledge(99)
    assert window.acknowledged == 3
    assert not window.acknowledge(3)


@given(st.data())
def test_every_stream_sends_the_facts_after_its_resume_point_in_order_without_a_gap(
    data: st.DataObject,
) -> None:
    """However facts, frames, acknowledgements and streams follow one another."""
    window = FactWindow(acknowledged=0, last=0)
    journal: list[Fact] = []
    expected = 1
    for _ in range(data.draw(st.integers(1, 40))):
        match data.draw(st.sampled_from(("append", "take", "acknowledge", "stream", "load"))):
            case "append":
                new = facts(len(journal) + 1, len(journal) + data.draw(st.integers(1, 3)))
                journal += new
                window.append(new)
            case "take":
                room = data.draw(st.integers(1, 5))
                taken = window.take(unacknowledged_max=room, bytes_max=data.draw(st.integers(1, 200)))
                assert [fact.sequence for fact in taken] == list(range(expected, expected + len(taken)))
                expected += len(taken)
                assert expected - 1 - window.acknowledged <= max(
                    room, expected - 1 - len(taken) - window.acknowledged
                )
            case "acknowledge":
                window.acknowledge(data.draw(st.integers(0, len(journal))))
                expected = max(expected, window.acknowledged + 1)
            case "stream":
                window.resume_after(data.draw(st.integers(window.acknowledged, window.last)))
                expected = _resume_point(window) + 1
            case _:
                wanted = window.wanted()
                if wanted is not None:
                    assert wanted == expected - 1
                    window.loaded(journal[wanted : wanted + data.draw(st.integers(1, 3))])


def _resume_point(window: FactWindow) -> int:
    """Where the next frame begins: what is wanted from the journal, or what is in memory, follows it."""
    wanted = window.wanted()
    if wanted is not None:
        return wanted
    peeked = window.take(unacknowledged_max=MANY, bytes_max=MANY)
    if not peeked:
        return window.last
    window.resume_after(peeked[0].sequence - 1)
    return peeked[0].sequence - 1
