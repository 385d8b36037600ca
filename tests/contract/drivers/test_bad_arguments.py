"""What a driver hands in and no journal can keep is its own error, and holds up nothing else."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from drivers.runtime import Context
from infinireach.driver.v1.fact_pb2 import InboundMessage
from tests.contract.drivers.running import command, running, settled
from tests.fakes.core_stub import StubCore

LONE_SURROGATE = "name-\udcff"
HELLO = InboundMessage(device_key="phone", text="hello")

WAIT_S = 20.0
"""How long an answer may take before the test is given up."""

Call = Callable[[Context], Coroutine[Any, Any, object]]


@pytest.mark.parametrize(
    "call",
    [
        lambda context: context.received(HELLO, identity=LONE_SURROGATE),
        lambda context: context.received(HELLO, identity=cast("str", b"name")),
        lambda context: context.segment_started(LONE_SURROGATE, 1),
        lambda context: context.segment_started("a", cast("int", "1st")),
        lambda context: context.segment_started("a", 2**64),
        lambda context: context.segment_taken("a", 1, reference=LONE_SURROGATE),
        lambda context: context.segment_taken("a", 1, reference=cast("str", ["7"])),
        lambda context: context.store.write({"good": b"1", LONE_SURROGATE: b"2"}),
        lambda context: context.store.write({LONE_SURROGATE: None}),
        lambda context: context.store.write({"good": b"1", "bad": cast("bytes", ["2"])}),
        lambda context: context.store.write({"good": b"1", "bad": cast("bytes", "2")}),
    ],
    ids=[
        "identity with a lone surrogate",
        "identity of bytes",
        "segment of a command with a lone surrogate",
        "segment that is no number",
        "segment that is too large",
        "reference with a lone surrogate",
        "reference that is no text",
        "key with a lone surrogate",
        "deleted key with a lone surrogate",
        "value that is a list",
        "value that is text",
    ],
)
async def test_what_the_journal_cannot_keep_is_refused_and_the_driver_goes_on(
    core: StubCore, tmp_path: Path, call: Call
) -> None:
    async with running(core, tmp_path) as it:
        with pytest.raises((TypeError, ValueError)):
            await asyncio.wait_for(call(it.context), WAIT_S)
        core.offer([command("after")])
        assert await settled(core) == {"after": "submitted"}
        assert await it.context.store.read("") == {}
        assert await it.context.segments("a") == []
        assert core.inbound == []
        assert not it.engine.journal_task.done()
