"""Who signs for one number can neither speak for another nor keep the driver busy; what is refused comes again."""

import asyncio
import hashlib
import hmac
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from drivers.runtime import JournalUnwritable, hooks
from drivers.runtime.hooks import HookRequest
from drivers.whatsapp_cloud import driver, signatures
from drivers.whatsapp_cloud.callback_data import CallbackData
from drivers.whatsapp_cloud.config import NumberConfig
from drivers.whatsapp_cloud.number import Number
from drivers.whatsapp_cloud.secret_files import Secret
from drivers.whatsapp_cloud.signatures import Signatures
from tests.unit.drivers.modem.memory_host import MemoryHost
from tests.unit.drivers.whatsapp_cloud.office import (
    NUMBERS,
    OTHER_SECRET,
    SEALED,
    Office,
    changes_of,
    office_with,
    start,
    status_of,
)

SECOND = NUMBERS[1].phone_number_id
MESSAGE = {"from": "15551230000", "id": "wamid.in", "type": "text", "text": {"body": "hello"}}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with office_with(tmp_path) as office:
        yield office


async def sent(office: Office, *command_ids: str) -> None:
    """Have messages accepted of which no status comes by itself."""
    office.graph.faults.add("statuses_lost", count=None)
    for command_id in command_ids:
        await office.settled(office.offer(command_id))


async def of_second(office: Office, status: dict[str, Any]) -> int:
    """Post a status in the name of the second number, signed by its app."""
    return await office.post(changes_of({"statuses": [status]}, phone_number_id=SECOND), secret=OTHER_SECRET)


@pytest.mark.parametrize("told", [None, f"cmd-1:{SECOND}", SEALED.write("cmd-1", NUMBERS[0].phone_number_id)])
async def test_status_of_another_number_says_nothing_of_a_command(office: Office, told: str | None) -> None:
    await sent(office, "cmd-1")
    status = status_of("cmd-1", "failed", message_id=office.graph.taken[0].id, errors=[{"code": 131026}])
    del status["biz_opaque_callback_data"]
    if told is not None:
        status["biz_opaque_callback_data"] = told
    assert await of_second(office, status) == 200
    assert office.outcomes("cmd-1") == ["submitted"]
    assert office.status["unknown_command"] == 1


async def test_status_of_another_number_says_nothing_of_an_open_command(office: Office) -> None:
    office.graph.faults.add("statuses_lost", count=None)
    office.graph.faults.add("slow", delay_s=1.0)
    office.offer("cmd-1")
    await office.graph.until(lambda: len(office.graph.taken) == 1)
    forged = status_of("cmd-1", "failed", biz_opaque_callback_data=f"cmd-1:{SECOND}")
    assert await of_second(office, forged) == 200
    await office.settled("cmd-1")
    assert office.outcomes("cmd-1") == ["submitted"]


async def test_repeat_of_another_number_does_not_hide_a_status(office: Office) -> None:
    await sent(office, "cmd-1")
    await office.settled(office.offer("cmd-2", device="second"))
    taken = office.graph.taken[0].id
    other = status_of(
        "cmd-2", "delivered", message_id=taken, biz_opaque_callback_data=SEALED.write("cmd-2", SECOND)
    )
    assert await of_second(office, other) == 200
    status = status_of("cmd-1", "delivered", message_id=taken)
    assert await office.post(changes_of({"statuses": [status]})) == 200
    assert office.outcomes("cmd-1") == ["submitted", "delivered"]


async def test_reply_to_a_message_of_another_number_names_no_command(office: Office) -> None:
    await sent(office, "cmd-1")
    answer = MESSAGE | {"context": {"id": office.graph.taken[0].id}}
    await office.post(changes_of({"messages": [answer]}, phone_number_id=SECOND), secret=OTHER_SECRET)
    assert office.inbound[-1].reply_to_command_id == ""
    await office.post(changes_of({"messages": [answer]}))
    assert office.inbound[-1].reply_to_command_id == "cmd-1"


async def test_key_that_seals_stays_over_a_restart(office: Office, tmp_path: Path) -> None:
    await sent(office, "cmd-1")
    told = office.graph.taken[0].callback_data
    await office.close()
    again = await start(tmp_path, office.graph)
    try:
        status = status_of("cmd-1", "delivered", biz_opaque_callback_data=told)
        assert await again.post(changes_of({"statuses": [status]})) == 200
        assert again.outcomes("cmd-1")[-1] == "delivered"
    finally:
        await again.close()


async def test_message_that_two_numbers_of_a_group_get_comes_in_at_both(office: Office) -> None:
    message = MESSAGE | {"group_id": "Y2FwaV9ncm91cDox"}
    for _ in range(2):
        await office.post(changes_of({"messages": [message]}))
        await office.post(changes_of({"messages": [message]}, phone_number_id=SECOND), secret=OTHER_SECRET)
    assert [inbound.device_key for inbound in office.inbound] == ["main", "second"]


async def test_messages_whose_long_ids_differ_at_the_end_are_two(office: Office) -> None:
    for end in "aab":
        await office.post(changes_of({"messages": [MESSAGE | {"id": "w" * 300 + end}]}))
    assert len(office.inbound) == 2


async def full_disk(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the journal cannot be written, as on a full disk."""

    def full(*_: object, **__: object) -> None:
        raise JournalUnwritable("disk full")

    await office.engine.journal_idle()
    monkeypatch.setattr(office.engine._journal, "commit", full)  # pyright: ignore[reportPrivateUsage]


async def test_statuses_on_a_full_disk_are_refused_and_none_of_them_is_kept(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sent(office, "cmd-1")
    await office.engine.write({f"reply/{NUMBERS[0].phone_number_id}/{office.graph.taken[0].id}": None})
    body = changes_of({"statuses": [status_of("cmd-1", "delivered", message_id="wamid.1")]})
    with monkeypatch.context() as patch:
        await full_disk(office, patch)
        answers = await asyncio.gather(*(office.post(body) for _ in range(40)))
        assert set(answers) == {503}
        assert not office.engine.protocol._pending.facts  # pyright: ignore[reportPrivateUsage]
    assert await office.post(changes_of({"messages": [MESSAGE]})) == 200
    assert office.outcomes("cmd-1") == ["submitted"]
    assert await office.post(body) == 200
    assert office.outcomes("cmd-1") == ["submitted", "delivered"]
    assert f"reply/{NUMBERS[0].phone_number_id}/wamid.1" in await office.engine.read("reply/")


async def test_sent_on_a_full_disk_is_refused_while_the_answer_is_awaited(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.graph.faults.add("statuses_lost")
    office.graph.faults.add("no_answer", taken=True, hang_s=3600.0)
    office.offer("cmd-1")
    await office.graph.until(lambda: len(office.graph.taken) == 1)
    status = status_of("cmd-1", "sent", message_id=office.graph.taken[0].id)
    with monkeypatch.context() as patch:
        await full_disk(office, patch)
        assert await office.post(changes_of({"statuses": [status]})) == 503
    assert await office.post(changes_of({"statuses": [status]})) == 200
    (mark,) = await office.engine.segments("cmd-1")
    assert (mark.taken, mark.reference) == (True, office.graph.taken[0].id)
    report = await office.settled("cmd-1")
    assert list(report.submitted.segment_references) == [mark.reference]


async def test_webhooks_have_their_own_limits(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    message = MESSAGE | {"padding": "x" * (driver.HOOK_BYTES_MAX - 2000)}
    assert await office.post(changes_of({"messages": [message]})) == 200
    assert await office.post(b" " * (driver.HOOK_BYTES_MAX + 1)) == 413
    held = asyncio.Event()
    under_way: list[HookRequest] = []
    all_there = asyncio.Event()

    async def hold(_: Signatures, request: HookRequest) -> set[str]:
        under_way.append(request)
        if len(under_way) == driver.HOOKS_AT_ONCE:
            all_there.set()
        await held.wait()
        return set()

    monkeypatch.setattr(Signatures, "signers", hold)
    # The client has a limit of its own.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:

        async def post() -> int:
            async with client.post(office.url, data=b"{}") as response:
                return response.status

        waiting = [asyncio.create_task(post()) for _ in range(driver.HOOKS_AT_ONCE)]
        await all_there.wait()
        assert await post() == 503
        held.set()
        assert set(await asyncio.gather(*waiting)) == {401}


def numbers_of(count: int) -> Mapping[str, Number]:
    """So many numbers, each of an app of its own."""

    class Stub:
        def __init__(self, place: int) -> None:
            secrets = (Secret("token"), Secret(f"secret-{place}"))
            self.config = NumberConfig(f"n{place}", f"+1555000{place:04d}", str(1000 + place), *secrets)

    return {str(1000 + place): cast(Number, Stub(place)) for place in range(count)}


def request(body: bytes, *, place: int = 0) -> HookRequest:
    digest = hmac.new(f"secret-{place}".encode(), body, hashlib.sha256).hexdigest()
    return HookRequest("POST", "/", {}, {"X-Hub-Signature-256": f"sha256={digest}"}, body)


async def test_only_the_secrets_of_numbers_that_the_body_names_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[bytes] = []
    threads: set[threading.Thread] = set()

    def counted(body: bytes, secret: bytes, signature: str) -> bool:
        tried.append(secret)
        threads.add(threading.current_thread())
        return hooks.is_signed(body, secret, signature)

    monkeypatch.setattr(signatures, "is_signed", counted)
    signed = Signatures(numbers_of(100))
    body = b'{"phone_number_id" : "1007"}'
    assert await signed.signers(request(body, place=7)) == {"secret-7"}
    assert tried == [b"secret-7"]
    assert await signed.signers(request(body, place=8)) == set()
    assert threads == {threading.main_thread()}
    # Beside the event loop, which goes on meanwhile.
    long = body + b" " * (4 * 1024 * 1024)
    assert await signed.signers(request(long, place=7)) == {"secret-7"}
    assert len(threads) == 2
    tried.clear()
    # Names none: one of ours may have signed it all the same, as long as finding that out is cheap.
    assert await signed.signers(request(b"{}", place=99)) == {"secret-99"}
    assert len(tried) == 100
    tried.clear()
    assert await signed.signers(request(b" " * (4 * 1024 * 1024), place=99)) == set()
    assert tried == []


async def test_driver_without_a_key_makes_one_and_keeps_it() -> None:
    host = MemoryHost()
    first, second, other = CallbackData(), CallbackData(), CallbackData()
    await first.load(host.context())
    await second.load(host.context())
    await other.load(MemoryHost().context())
    told = first.write("cmd-1", "1001")
    assert second.read(told, "1001") == "cmd-1"
    assert (second.read(told, "1002"), other.read(told, "1001")) == ("", "")
