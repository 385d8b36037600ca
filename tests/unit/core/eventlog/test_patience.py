"""Waits of Kafka's client end in time, whatever it does with its own tasks."""

import asyncio
import contextlib

import pytest
from aiokafka.errors import KafkaConnectionError

from core.eventlog.kafka.patience import ends, within


async def answers() -> str:
    return "yes"


async def never() -> None:
    await asyncio.Event().wait()


async def swallows_its_cancellation(released: asyncio.Event) -> None:
    while not released.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await released.wait()


async def awaits_a_task_that_it_cancelled() -> None:
    task = asyncio.create_task(never())
    await asyncio.sleep(0)
    task.cancel()
    await task


async def fails() -> None:
    raise KafkaConnectionError("away")


async def test_what_it_answers_or_raises_is_passed_on() -> None:
    assert await within(60, answers) == "yes"
    with pytest.raises(KafkaConnectionError):
        await within(60, fails)


async def test_what_takes_too_long_is_given_up_even_if_it_cannot_be_cancelled() -> None:
    released = asyncio.Event()
    with pytest.raises(TimeoutError):
        await within(0.01, never)
    with pytest.raises(TimeoutError):
        await within(0.01, lambda: swallows_its_cancellation(released))
    released.set()


async def test_a_cancellation_from_within_is_an_error_and_not_ours() -> None:
    with pytest.raises(TimeoutError):
        await within(60, awaits_a_task_that_it_cancelled)
    assert not await ends(60, awaits_a_task_that_it_cancelled)


async def test_whoever_is_cancelled_is_cancelled_and_so_is_what_it_waits_for() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await never()
        finally:
            ended.set()

    task = asyncio.create_task(within(60, work))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    await ended.wait()


async def test_an_end_is_well_or_not() -> None:
    assert await ends(60, lambda: asyncio.sleep(0))
    assert not await ends(60, fails)
    assert not await ends(0.01, never)
