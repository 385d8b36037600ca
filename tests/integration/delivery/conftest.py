"""Fixtures of the tests of whole deliverers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.database import file_store
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.integration.delivery.stage import Stage
from tests.unit.delivery.attempts import new_sender


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    """A receiver that answers 200 until told otherwise."""
    async with WebhookReceiver() as opened:
        yield opened


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An SQLite file and the real sender."""
    with file_store(tmp_path) as store:
        async with new_sender() as sender:
            yield Stage(store, sender)
