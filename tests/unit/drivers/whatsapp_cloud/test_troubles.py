"""Several troubles at once, what ends them, and what shows that they are over."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.whatsapp_cloud import graph, number
from drivers.whatsapp_cloud.conditions import UNPROVEN, WINDOW, WINDOW_UNPROVEN, Reason
from drivers.whatsapp_cloud.fake_graph import FakeGraph
from drivers.whatsapp_cloud.graph import Graph
from drivers.whatsapp_cloud.limits import Rate
from drivers.whatsapp_cloud.troubles import Timing
from infinireach.v1.message_pb2 import FAILURE_REASON_DEVICE_FAULT, FAILURE_REASON_RATE_LIMITED
from tests.unit.drivers.whatsapp_cloud.office import NUMBERS, USER, Office, office_with, start

HOUR_S = 3600.0
PATIENT = Timing(
    slowed_s=(HOUR_S, HOUR_S), away_s=(HOUR_S, HOUR_S), person_s=(HOUR_S, HOUR_S), token_look_s=0.01
)
"""Comes back only for a reason, not because time has passed."""
OTHER = "+15551230001"


@pytest.fixture
async def patient(tmp_path: Path) -> AsyncIterator[Office]:
    async with office_with(tmp_path, timing=PATIENT) as office:
        yield office


def reasons(office: Office) -> list[str]:
    """What the core was told of the first number, in order."""
    return [change.reason for change in office.changes if change.device_key == "main"]


class Gate:
    """Holds up answers of Graph: each is let through by its number, from 0, in the order of the requests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self._open = [asyncio.Event() for _ in range(10)]
        self._stirred = asyncio.Event()
        post = Graph.post_message

        async def held(sender: Graph, *arguments: object) -> graph.Result:
            place = self.asked
            self.asked += 1
            self._stirred.set()
            result = await post(sender, *arguments)  # pyright: ignore[reportArgumentType]
            await self._open[place].wait()
            return result

        monkeypatch.setattr(Graph, "post_message", held)

    def let(self, place: int) -> None:
        self._open[place].set()

    async def until_asked(self, count: int) -> None:
        async with asyncio.timeout(20):
            while self.asked < count:
                self._stirred.clear()
                await self._stirred.wait()


async def test_trouble_that_needs_a_person_takes_the_place_of_one_that_passes(
    patient: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    patient.graph.faults.add("error", recipient=USER, code=130429)
    patient.graph.faults.add("error", recipient=OTHER, code=131031)
    patient.offer("cmd-1")
    await gate.until_asked(1)
    patient.offer("cmd-2", to=OTHER)
    await gate.until_asked(2)
    gate.let(0)
    await patient.until(lambda: reasons(patient)[-1] == Reason.SLOWED_DOWN)
    gate.let(1)
    await patient.until(lambda: reasons(patient)[-1] == Reason.RESTRICTED)


async def test_trouble_that_passes_does_not_take_the_place_of_one_that_needs_a_person(
    patient: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    patient.graph.faults.add("error", recipient=USER, code=130429)
    patient.graph.faults.add("error", recipient=OTHER, code=131031)
    patient.offer("cmd-1")
    patient.offer("cmd-2")
    patient.offer("cmd-3", to=OTHER)
    await gate.until_asked(2)
    gate.let(1)
    await patient.settled("cmd-3")
    gate.let(0)
    await patient.settled("cmd-1")
    assert (await patient.settled("cmd-2")).failed.reason == FAILURE_REASON_DEVICE_FAULT
    assert reasons(patient)[1:] == [Reason.RESTRICTED]


async def test_worse_trouble_that_comes_during_the_look_up_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timing = Timing(away_s=(0.01, 0.01), person_s=(HOUR_S, HOUR_S), token_look_s=0.01)
    async with office_with(tmp_path, timing=timing) as office:
        gate = Gate(monkeypatch)
        looked, answer = asyncio.Event(), asyncio.Event()
        look_up = Graph.look_up

        async def held(sender: Graph, *arguments: object) -> graph.Result:
            looked.set()
            await answer.wait()
            return await look_up(sender, *arguments)  # pyright: ignore[reportArgumentType]

        monkeypatch.setattr(Graph, "look_up", held)
        office.graph.faults.add("disconnect", recipient=USER, taken=False)
        office.graph.faults.add("error", recipient=OTHER, code=131031)
        office.offer("cmd-1")
        await gate.until_asked(1)
        office.offer("cmd-2", to=OTHER)
        await gate.until_asked(2)
        gate.let(0)
        await looked.wait()
        gate.let(1)
        await office.settled("cmd-2")
        answer.set()
        await office.until(lambda: reasons(office)[-1] == Reason.RESTRICTED)
        assert office.windows["main"] == 0


async def test_message_that_waited_for_its_turn_is_not_sent_once_the_number_pauses(
    patient: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    patient.graph.faults.add("error", recipient=USER, code=131031)
    patient.offer("cmd-1")
    patient.offer("cmd-2")
    patient.offer("cmd-3", to=OTHER)
    await gate.until_asked(2)
    gate.let(0)
    assert (await patient.settled("cmd-2")).failed.reason == FAILURE_REASON_DEVICE_FAULT
    assert gate.asked == 2


async def test_message_that_waited_for_its_turn_is_not_sent_once_the_process_stops(
    patient: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    patient.graph.faults.add("statuses_lost", count=None)
    patient.offer("cmd-1")
    patient.offer("cmd-2")
    patient.offer("cmd-3", to=OTHER)
    await gate.until_asked(2)
    closing = asyncio.create_task(patient.engine.drain(5, stop_s=5))
    await asyncio.sleep(0)
    for place in range(3):
        gate.let(place)
    await closing
    await patient.settled("cmd-1")
    assert {taken.text for taken in patient.graph.taken} == {"cmd-1", "cmd-3"}
    assert patient.of("cmd-2") == []


@pytest.mark.parametrize(("first_s", "last_s"), [(3601, 7000), (7000, 3601)])
async def test_later_of_two_retry_afters_counts(
    patient: Office, monkeypatch: pytest.MonkeyPatch, first_s: int, last_s: int
) -> None:
    gate = Gate(monkeypatch)
    for recipient, seconds in ((USER, last_s), (OTHER, first_s)):
        patient.graph.faults.add("too_many_requests", recipient=recipient, retry_after_s=seconds)
    monkeypatch.setattr(graph, "RETRY_AFTER_MAX_S", 10_000.0)
    patient.offer("last")
    patient.offer("waits")
    patient.offer("first", to=OTHER)
    await gate.until_asked(2)
    gate.let(1)
    assert (await patient.settled("first")).retry_delay.seconds == first_s
    gate.let(0)
    assert (await patient.settled("last")).retry_delay.seconds == 7000
    waited = await patient.settled("waits")
    assert (waited.failed.reason, waited.retry_delay.seconds) == (FAILURE_REASON_RATE_LIMITED, 7000)


async def test_number_that_is_slowed_down_asks_nothing_until_the_pause_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office_with(tmp_path) as office:

        async def never(*_: object) -> graph.Result:
            raise AssertionError("asked")

        monkeypatch.setattr(Graph, "look_up", never)
        office.graph.faults.add("error", code=130429)
        await office.settled(office.offer("cmd-1"))
        await office.until(lambda: reasons(office)[1:] == [Reason.SLOWED_DOWN, Reason.READY])
        assert (await office.settled(office.offer("cmd-2"))).WhichOneof("outcome") != "failed"


async def test_token_that_is_replaced_before_the_old_one_is_refused_is_tried_at_once(
    patient: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    token = patient.graph.new_token()
    patient.offer("cmd-1")
    await gate.until_asked(1)
    replaced = tmp_path / "token.new"
    replaced.write_text(token)
    replaced.rename(tmp_path / "token")
    # Whoever looks at the file meanwhile must not hide that it is another.
    assert patient.driver._numbers["main"].config.token.text == token  # pyright: ignore[reportPrivateUsage]
    gate.let(0)
    await patient.until(lambda: reasons(patient)[1:] == [Reason.TOKEN_REFUSED, Reason.READY])


@pytest.mark.parametrize(
    ("code", "reason"),
    [(131048, Reason.SPAM_LIMIT), (368, Reason.RESTRICTED), (10, Reason.PERMISSION_MISSING)],
)
async def test_number_comes_back_for_one_message_until_meta_takes_one(
    tmp_path: Path, code: int, reason: Reason
) -> None:
    assert reason in UNPROVEN
    async with office_with(tmp_path) as office:
        for attempt in range(2):
            office.graph.faults.add("error", code=code, count=None)
            before = office.graph.requests
            for place in range(10):
                office.offer(f"cmd-{attempt}-{place}", to=f"+1555{attempt}{place:06d}")
            await office.until(
                lambda attempt=attempt: all(office.of(f"cmd-{attempt}-{place}") for place in range(10))
            )
            # What was under way at first ends; from then on one at a time finds out.
            assert attempt == 0 or office.graph.requests - before < 10
            await office.until_ready()
            assert office.windows == {"main": WINDOW_UNPROVEN, "second": WINDOW}
        office.graph.faults.clear()
        await office.settled(office.offer("taken"))
        await office.until(lambda: office.windows["main"] == WINDOW)


async def test_messages_go_one_at_a_time_until_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office_with(tmp_path) as office:
        office.graph.faults.add("error", code=131048)
        await office.settled(office.offer("cmd-0"))
        await office.until(lambda: Reason.SPAM_LIMIT in reasons(office))
        await office.until_ready()
        gate = Gate(monkeypatch)
        office.graph.faults.add("error", recipient="+15550000001", code=131026)
        for place in range(1, 6):
            office.offer(f"cmd-{place}", to=f"+1555000000{place}")
        await gate.until_asked(1)
        await office.engine.journal_idle()
        assert gate.asked == 1
        gate.let(0)  # refused for its own sake, which proves nothing
        await gate.until_asked(2)
        await office.settled("cmd-1")
        assert gate.asked == 2
        gate.let(1)  # taken
        await gate.until_asked(5)
        for place in range(2, 5):
            gate.let(place)
        await office.until(lambda: all(office.of(f"cmd-{place}") for place in range(1, 6)))


async def test_number_keeps_to_its_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[float] = []
    waited: list[float] = []
    take = Rate.take

    def noted(rate: Rate, now: float) -> float:
        taken.append(now)
        return take(rate, now) and 12345.0

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    async with office_with(tmp_path, more="messages_per_s = 1\n") as office:
        office.graph.faults.add("statuses_lost", count=None)
        monkeypatch.setattr(Rate, "take", noted)
        monkeypatch.setattr(number, "sleep", wait)
        for place in range(3):
            office.offer(f"cmd-{place}", device="second", to=f"+1555123000{place}")
        for place in range(3):
            await office.settled(f"cmd-{place}")
    assert waited == [0.0, 12345.0, 12345.0]


async def test_number_that_never_answered_is_ready_with_its_whole_window_at_once(tmp_path: Path) -> None:
    """A look-up that fails says nothing of messages."""
    async with FakeGraph(numbers=NUMBERS[:1]) as graph:
        office = await start(tmp_path, graph)
        try:
            await office.until(lambda: Reason.NUMBER_UNKNOWN in [change.reason for change in office.changes])
            graph.numbers[NUMBERS[1].phone_number_id] = NUMBERS[1]
            await office.until(lambda: office.windows["second"] == WINDOW)
        finally:
            await office.close()
