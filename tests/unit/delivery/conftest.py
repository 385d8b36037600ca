"""Fixtures of the delivery tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from core.delivery.sender import WebhookSender
from tests.fakes.certificates import CertificateAuthority
from tests.fakes.name_lookup import ScriptedLookup
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.unit.delivery.attempts import new_sender


@pytest.fixture(scope="session")
def authority() -> CertificateAuthority:
    """One certificate authority for all tests."""
    return CertificateAuthority()


@pytest.fixture
def lookup() -> Iterator[ScriptedLookup]:
    """Names that the test decides on."""
    with ScriptedLookup() as scripted:
        yield scripted


@pytest.fixture
async def sender() -> AsyncIterator[WebhookSender]:
    """A sender for the development policy."""
    async with new_sender() as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    """A receiver that answers 200 until told otherwise."""
    async with WebhookReceiver() as opened:
        yield opened


@pytest.fixture
async def canary() -> AsyncIterator[WebhookReceiver]:
    """A listener on this machine that nobody may ever connect to."""
    async with WebhookReceiver() as opened:
        yield opened
        assert opened.connections_opened == 0, "something connected to the canary"
