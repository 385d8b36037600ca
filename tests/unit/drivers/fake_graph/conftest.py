"""A fake Graph whose windows are open, an application that it tells everything, and a caller."""

from collections.abc import AsyncGenerator

import pytest

from drivers.whatsapp_cloud.fake_graph import FakeGraph, Rules
from tests.unit.drivers.fake_graph.application import Application, Caller, application


@pytest.fixture
async def app() -> AsyncGenerator[Application]:
    async with application() as made:
        yield made


@pytest.fixture
async def graph(app: Application) -> AsyncGenerator[FakeGraph]:
    rules = Rules(is_window_open=True)
    async with FakeGraph(callback_url=app.url, rules=rules, retry_s=0.01) as made:
        yield made


@pytest.fixture
async def caller(graph: FakeGraph) -> AsyncGenerator[Caller]:
    async with Caller(graph) as made:
        yield made
