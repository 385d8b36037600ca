"""What the control socket shows of the running driver, and what the log tells of what was dropped."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from structlog.testing import capture_logs

from drivers.runtime.control_socket import ask
from drivers.whatsapp_cloud.control import SOCKET_NAME
from drivers.whatsapp_cloud.counts import LOG_EVERY_S, Counts
from tests.unit.drivers.modem.memory_host import MemoryHost
from tests.unit.drivers.whatsapp_cloud.office import NUMBERS, Office, changes_of, office_with


@pytest.fixture
async def folder() -> AsyncIterator[Path]:
    # A socket's path is short, pytest's own folders may be deep.
    with TemporaryDirectory(prefix="ir") as folder:
        yield Path(folder)


@pytest.fixture
async def office(folder: Path) -> AsyncIterator[Office]:
    async with office_with(folder) as office:
        yield office


async def test_status_shows_numbers_and_counts_and_no_phone_number(office: Office, folder: Path) -> None:
    await office.post(changes_of({"messages": [{}]}))
    await office.post(b"{}", secret="wrong")
    answer = await asyncio.to_thread(ask, folder / SOCKET_NAME, {"status": {}}, timeout_s=10)
    assert answer["ok"]
    assert answer["webhook_port"] == office.driver.webhook_port
    assert answer["counts"] == {"malformed": 1, "wrongly_signed": 1}
    assert [(number["name"], number["window"]) for number in answer["numbers"]] == [
        ("main", 50),
        ("second", 50),
    ]
    assert not any(number["display_number_differs"] for number in answer["numbers"])
    assert not any(number.number.lstrip("+") in str(answer) for number in NUMBERS)


async def test_other_requests_are_refused_in_a_sentence(office: Office, folder: Path) -> None:
    answer = await asyncio.to_thread(ask, folder / SOCKET_NAME, {"send": {}}, timeout_s=10)
    assert (answer["ok"], answer["code"]) == (False, "invalid_request")


def test_what_is_dropped_is_logged_once_in_a_while_for_each_kind() -> None:
    with capture_logs() as lines:
        host = MemoryHost()
        counts = Counts(host.context())
        for _ in range(3):
            counts.dropped("malformed")
        counts.dropped("unknown_number", 2)
        counts.dropped("unknown_command", 0)
        counts.applied("repeated")
        host.clock.now_s += LOG_EVERY_S
        counts.dropped("malformed")
    assert [(line["kind"], line["total"]) for line in lines] == [
        ("malformed", 1),
        ("unknown_number", 2),
        ("malformed", 4),
    ]
    assert counts.as_dict() == {"malformed": 4, "unknown_number": 2, "repeated": 1}
