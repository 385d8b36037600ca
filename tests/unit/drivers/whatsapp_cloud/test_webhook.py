"""What comes in through the webhook is believed only if it is signed, and answered with 200 once it is on disk."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import aiohttp
import pytest
from structlog.testing import capture_logs

from drivers.runtime import Context, JournalUnwritable, StartRefused
from drivers.runtime.clock import SystemClock
from drivers.runtime.context import DriverHost
from drivers.whatsapp_cloud import statuses
from drivers.whatsapp_cloud.callback_data import CHARACTERS_MAX, CallbackData
from drivers.whatsapp_cloud.config import read_config
from drivers.whatsapp_cloud.driver import CONFIG, RECOVER_S, WhatsAppCloudDriver
from drivers.whatsapp_cloud.fake_graph import APP_SECRET, VERIFY_TOKEN, FakeGraph
from tests.fakes.certificates import CertificateAuthority
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
    write_config,
)

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


async def test_handshake_gives_the_challenge_to_whom_knows_the_token(office: Office) -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": VERIFY_TOKEN}
    assert await office.get(query) == (200, b"1158201444")
    assert await office.get(query | {"hub.verify_token": "wrong"}) == (403, b"")
    assert await office.get(query | {"hub.mode": "unsubscribe"}) == (403, b"")
    assert await office.get({}) == (403, b"")
    assert await office.get(query | {"hub.challenge": "1" * 1000}) == (403, b"")
    assert await office.get(query, path="/else") == (404, b"")


async def test_other_methods_are_refused(office: Office) -> None:
    async with aiohttp.ClientSession() as client, client.put(office.url) as response:
        assert response.status == 405


@pytest.mark.parametrize("secret", [None, "wrong", OTHER_SECRET])
async def test_what_its_number_did_not_sign_changes_nothing(office: Office, secret: str | None) -> None:
    status = await office.post(changes_of({"messages": [MESSAGE]}), secret=secret)
    assert status == 401
    assert office.inbound == []
    assert office.status["wrongly_signed"] == 1


async def test_number_of_another_app_is_served_by_its_own_secret(office: Office) -> None:
    body = changes_of({"messages": [MESSAGE]}, phone_number_id=NUMBERS[1].phone_number_id)
    assert await office.post(body, secret=APP_SECRET) == 401
    assert office.inbound == []
    assert await office.post(body, secret=OTHER_SECRET) == 200
    assert [inbound.destination for inbound in office.inbound] == [NUMBERS[1].number]


async def test_number_that_is_not_ours_is_dropped_and_counted(office: Office) -> None:
    body = changes_of({"messages": [MESSAGE]}, phone_number_id="999")
    assert await office.post(body) == 200
    assert office.inbound == []
    assert office.status["unknown_number"] == 1


async def test_all_entries_and_changes_are_read(office: Office) -> None:
    await sent(office, "cmd-1", "cmd-2")
    body = changes_of(
        {"messages": [MESSAGE, MESSAGE | {"id": "wamid.2"}]},
        {"statuses": [status_of("cmd-1", "delivered"), status_of("cmd-2", "read")]},
    )
    more = changes_of({"messages": [MESSAGE | {"id": "wamid.3"}]})
    body["entry"] += more["entry"]
    body["entry"].append({"id": "1", "changes": [{"field": "account_update", "value": {}}]})
    assert await office.post(body) == 200
    assert len(office.inbound) == 3
    assert office.outcomes("cmd-1")[-1] == "delivered"
    assert office.outcomes("cmd-2")[-1] == "read"
    assert office.status["ignored"] == 1


async def test_message_that_comes_again_is_reported_once(office: Office) -> None:
    for _ in range(2):
        assert await office.post(changes_of({"messages": [MESSAGE]})) == 200
    await office.post(changes_of({"messages": [MESSAGE | {"id": "wamid.2"}]}))
    assert len(office.inbound) == 2


async def test_status_that_comes_again_is_reported_once(office: Office) -> None:
    await sent(office, "cmd-1")
    body = changes_of({"statuses": [status_of("cmd-1", "delivered")]})
    for _ in range(3):
        assert await office.post(body) == 200
    assert office.outcomes("cmd-1") == ["submitted", "delivered"]
    assert office.status["repeated"] == 2


async def test_repeats_that_are_remembered_are_bounded(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statuses, "REPEATS_MAX", 1)
    await sent(office, "cmd-1")
    for name in ("delivered", "read", "delivered"):
        await office.post(changes_of({"statuses": [status_of("cmd-1", name)]}))
    assert office.outcomes("cmd-1") == ["submitted", "delivered", "read", "delivered"]


async def test_failed_status_says_why(office: Office) -> None:
    await sent(office, "cmd-1")
    error = {
        "code": 131026,
        "title": "Undeliverable",
        "error_data": {"details": "Call +15551230000 instead."},
    }
    await office.post(changes_of({"statuses": [status_of("cmd-1", "failed", errors=[error])]}))
    failure = office.of("cmd-1")[-1].failed
    assert failure.network_code == "131026"
    assert failure.detail.endswith("Meta: Call … instead.")


async def test_failed_status_without_an_error_is_a_failure_all_the_same(office: Office) -> None:
    await sent(office, "cmd-1")
    await office.post(changes_of({"statuses": [status_of("cmd-1", "failed")]}))
    assert office.outcomes("cmd-1") == ["submitted", "failed"]


@pytest.mark.parametrize(
    "told",
    [
        SEALED.write("cmd-404", NUMBERS[0].phone_number_id),
        SEALED.write("cmd-1", NUMBERS[1].phone_number_id),
        CallbackData(b"another key").write("cmd-1", NUMBERS[0].phone_number_id),
        f"cmd-1:{NUMBERS[0].phone_number_id}",
        "cmd-1",
        "of another prögram",
        "",
    ],
)
async def test_status_of_a_command_that_is_not_ours_is_dropped_and_the_stream_stays(
    office: Office, told: str
) -> None:
    await sent(office, "cmd-1")
    status = status_of("cmd-1", "delivered", biz_opaque_callback_data=told)
    assert await office.post(changes_of({"statuses": [status]})) == 200
    assert office.outcomes("cmd-1") == ["submitted"]
    assert office.status["unknown_command"] == 1


async def test_status_without_our_data_is_known_by_its_message(office: Office) -> None:
    await sent(office, "cmd-1")
    status = status_of("cmd-1", "delivered", message_id=office.graph.taken[0].id)
    del status["biz_opaque_callback_data"]
    assert await office.post(changes_of({"statuses": [status]})) == 200
    assert office.outcomes("cmd-1") == ["submitted", "delivered"]


@pytest.mark.parametrize("at", ["", "soon", "-5", "99999999999999", "9" * 50])
async def test_status_whose_time_cannot_be_read_counts_without_it(office: Office, at: str) -> None:
    await sent(office, "cmd-1")
    assert await office.post(changes_of({"statuses": [status_of("cmd-1", "delivered", at=at)]})) == 200
    assert not office.of("cmd-1")[-1].delivered.HasField("network_time")


async def test_status_of_a_kind_that_is_not_known_is_ignored(office: Office) -> None:
    await sent(office, "cmd-1")
    assert await office.post(changes_of({"statuses": [status_of("cmd-1", "deleted")]})) == 200
    assert office.outcomes("cmd-1") == ["submitted"]
    assert office.status["ignored"] == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe"])
async def test_what_is_no_json_is_a_400(office: Office, body: bytes) -> None:
    assert await office.post(body) == 400
    assert office.status["malformed"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b'{"entry": 5}',
        b'{"entry": [5, {"changes": {}}, {"changes": [5, {}, {"field": "messages"}]}]}',
        b'{"entry": [{"changes": [{"field": "messages", "value": {"metadata": []}}]}]}',
    ],
)
async def test_json_of_another_form_is_taken_and_changes_nothing(office: Office, body: bytes) -> None:
    assert await office.post(body) == 200
    assert (office.inbound, office.reports) == ([], [])


@pytest.mark.parametrize(
    "value",
    [
        {"messages": [{}]},
        {"messages": [{"id": "wamid.1"}]},
        {"messages": [{"from": "15551230000", "type": "text"}]},
        {"messages": [{"id": {"a": 1}, "from": ["x"], "type": 7}]},
        {"statuses": [{"id": 5.5}, {}]},
    ],
)
async def test_entries_that_lack_what_they_need_are_counted(office: Office, value: dict[str, object]) -> None:
    good = {"messages": [MESSAGE]}
    assert await office.post(changes_of(value, good)) == 200
    assert len(office.inbound) == 1
    assert office.status["malformed"] >= 1


async def test_journal_that_cannot_be_written_makes_meta_send_it_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = office.engine._journal  # pyright: ignore[reportPrivateUsage]
    commit = journal.commit

    def full(*_: object, **__: object) -> None:
        monkeypatch.setattr(journal, "commit", commit)
        raise JournalUnwritable("disk full")

    monkeypatch.setattr(journal, "commit", full)
    assert await office.post(changes_of({"messages": [MESSAGE]})) == 503
    assert office.inbound == []
    assert await office.post(changes_of({"messages": [MESSAGE]})) == 200
    assert len(office.inbound) == 1


@pytest.mark.parametrize("at_once", [1, 8])
async def test_everything_that_comes_from_meta_reaches_the_core_whatever_its_order(
    office: Office, at_once: int
) -> None:
    office.graph.callback.at_once = at_once
    for fault in (
        "statuses_reordered",
        "statuses_doubled",
        "statuses_together",
        "statuses_without_callback_data",
    ):
        office.graph.faults.add(fault)
    office.graph.faults.add("wrong_signature", count=2)
    office.graph.faults.add("malformed", count=2)
    office.graph.faults.add("webhook_doubled", count=2)
    for place in range(5):
        office.offer(f"cmd-{place}", to=f"+1555123000{place}")
    for place in range(5):
        await office.until(lambda place=place: "read" in office.outcomes(f"cmd-{place}"))
    assert len(office.graph.posted) == 5


def test_callback_data_fits_what_meta_allows() -> None:
    assert len(SEALED.write("c" * 64, "1" * 32)) <= CHARACTERS_MAX == 512


async def test_certificate_in_the_file_makes_it_https(tmp_path: Path) -> None:
    authority = CertificateAuthority()
    (tmp_path / "server.pem").write_bytes(authority.identity("127.0.0.1"))
    async with FakeGraph(numbers=NUMBERS) as graph:
        path = write_config(tmp_path, graph.url, graph.token)
        files = 'cert_file = "server.pem"\nkey_file = "server.pem"\n'
        path.write_text(path.read_text().replace("port = 0\n", f"port = 0\n{files}"))
        office = await start(tmp_path, graph, config=read_config(path))
        try:
            url = office.url.replace("http:", "https:")
            query = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": VERIFY_TOKEN}
            async with (
                aiohttp.ClientSession() as client,
                client.get(url, params=query, ssl=authority.client_context()) as response,
            ):
                assert (response.status, await response.read()) == (200, b"1")
        finally:
            await office.close()


async def test_port_that_is_taken_ends_the_start_and_the_log_says_what_to_mend(
    office: Office, tmp_path: Path
) -> None:
    folder = tmp_path / "another"
    folder.mkdir()
    path = write_config(folder, office.graph.url, office.graph.token)
    path.write_text(path.read_text().replace("port = 0", f"port = {office.driver.webhook_port}"))
    settings = {CONFIG.name: read_config(path), RECOVER_S.name: 0}
    context = Context(
        cast(DriverHost, MemoryHost()), settings=settings, var_folder=folder, clock=SystemClock()
    )
    with capture_logs() as lines, pytest.raises(StartRefused):
        await WhatsAppCloudDriver().start(context)
    assert [line["event"] for line in lines] == ["webhook.not_open"]
    assert "address already in use" in lines[0]["error"]
