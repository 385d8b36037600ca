"""Where answer and status contradict each other, or the answer says nothing certain, nothing is sent a second time."""

import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from drivers.runtime import Failed, Submitted
from drivers.whatsapp_cloud import evidence, graph
from drivers.whatsapp_cloud.conditions import Reason
from drivers.whatsapp_cloud.config import GraphConfig, NumberConfig
from drivers.whatsapp_cloud.errors import RETRIED
from drivers.whatsapp_cloud.fake_graph import Rules
from drivers.whatsapp_cloud.graph import Answered, Graph, NotSent, Refused
from drivers.whatsapp_cloud.secret_files import Secret
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NETWORK_REJECTED,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
    FailureReason,
)
from tests.unit.drivers.whatsapp_cloud.office import (
    NUMBERS,
    USER,
    Office,
    changes_of,
    office_with,
    status_of,
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with office_with(tmp_path, rules=Rules(is_window_open=True, users_read=False)) as office:
        yield office


async def asked(office: Office, fault: str, **parameters: Any) -> str:
    """Have a message at Graph, which has taken it and will answer only in the way of that fault."""
    office.graph.faults.add("statuses_lost")
    office.graph.faults.add(fault, **parameters)
    command_id = office.offer("cmd-1")
    await office.graph.until(lambda: len(office.graph.taken) == 1)
    return command_id


def of_graph(office: Office, name: str, **more: Any) -> dict[str, Any]:
    """A webhook with a status of the message that Graph took."""
    return changes_of({"statuses": [status_of("cmd-1", name, message_id=office.graph.taken[0].id, **more)]})


def answers(monkeypatch: pytest.MonkeyPatch, status: int, body: str, retry_after: str = "") -> None:
    """Have Graph answer that, whatever it would have answered."""
    understood = graph._understood  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(graph, "_understood", lambda *_: understood(status, retry_after, body.encode()))


@pytest.mark.parametrize(
    ("status", "code"), [(500, 131000), (400, 131026), (429, 130429), (401, 190), (400, 100), (503, 1)]
)
async def test_message_of_which_a_status_told_before_an_error_came_is_sent(
    office: Office, status: int, code: int
) -> None:
    office.graph.faults.add("status_before_answer")
    office.graph.faults.add("error", code=code, status=status, taken=True)
    await office.settled(office.offer("cmd-1"))
    await office.until(lambda: {"submitted", "delivered"} <= set(office.outcomes("cmd-1")))
    assert sorted(office.outcomes("cmd-1")) == ["delivered", "submitted"]
    submitted = next(report for report in office.of("cmd-1") if report.HasField("submitted"))
    assert list(submitted.submitted.segment_references) == [office.graph.taken[0].id]


@pytest.mark.parametrize("fault", ["disconnect", "no_answer", "answer_without_id", "garbage"])
async def test_message_of_which_a_status_told_before_the_answer_was_lost_is_sent(
    office: Office, fault: str
) -> None:
    parameters: dict[str, Any] = {"hang_s": 0.5} if fault == "no_answer" else {}
    office.graph.faults.add("status_before_answer")
    office.graph.faults.add(fault, taken=True, **parameters)
    await office.settled(office.offer("cmd-1"))
    await office.until(lambda: {"submitted", "delivered"} <= set(office.outcomes("cmd-1")))
    assert sorted(office.outcomes("cmd-1")) == ["delivered", "submitted"]


@pytest.mark.parametrize("code", [1, 2, 131000, 131016])
async def test_fault_of_metas_with_a_server_error_is_unknown_until_a_status_tells(
    office: Office, code: int
) -> None:
    office.graph.faults.add("error", code=code, status=503)
    report = await office.settled(office.offer("cmd-1"))
    assert report.WhichOneof("outcome") == "outcome_unknown"
    assert f"Code {code}, HTTP 503" in report.outcome_unknown.detail
    await office.until(lambda: any(change.reason == Reason.GRAPH_FAILING for change in office.changes))
    assert await office.post(changes_of({"statuses": [status_of("cmd-1", "delivered")]})) == 200
    assert office.outcomes("cmd-1") == ["outcome_unknown", "delivered"]
    assert len(office.graph.posted) == 1


@pytest.mark.parametrize("code", [1, 2, 131000, 131016])
async def test_fault_of_metas_that_is_no_server_error_was_certainly_not_sent(
    office: Office, code: int
) -> None:
    office.graph.faults.add("error", code=code, status=400)
    report = await office.settled(office.offer("cmd-1"))
    assert report.failed.reason == FAILURE_REASON_NO_SERVICE


@pytest.mark.parametrize(
    ("code", "status", "reason", "condition"),
    [
        (102, 401, FAILURE_REASON_DEVICE_FAULT, Reason.TOKEN_REFUSED),
        (9999, 429, FAILURE_REASON_RATE_LIMITED, Reason.SLOWED_DOWN),
        (613, 400, FAILURE_REASON_RATE_LIMITED, Reason.SLOWED_DOWN),
        (80008, 400, FAILURE_REASON_RATE_LIMITED, Reason.SLOWED_DOWN),
        (17, 400, FAILURE_REASON_RATE_LIMITED, Reason.SLOWED_DOWN),
        (9999, 500, None, Reason.GRAPH_FAILING),
        (0x7FFFFFF, 503, None, Reason.GRAPH_FAILING),
        (9999, 403, FAILURE_REASON_NETWORK_REJECTED, None),
    ],
)
async def test_code_that_is_not_known_means_what_the_http_status_does(
    office: Office, code: int, status: int, reason: FailureReason | None, condition: Reason | None
) -> None:
    office.graph.faults.add("error", code=code, status=status)
    report = await office.settled(office.offer("cmd-1"))
    assert report.WhichOneof("outcome") == ("outcome_unknown" if reason is None else "failed")
    if reason is not None:
        assert report.failed.reason == reason
    if condition is not None:
        await office.until(lambda: any(change.reason == condition for change in office.changes))


@pytest.mark.parametrize("code", [131000, 131048, 130429, 131056, 190, 133004])
async def test_failed_status_before_the_answer_is_no_reason_to_send_it_again(
    office: Office, code: int
) -> None:
    command_id = await asked(office, "slow", delay_s=1.0)
    assert await office.post(of_graph(office, "failed", errors=[{"code": code}])) == 200
    await office.until(lambda: len(office.of(command_id)) == 2)
    assert {report.failed.reason for report in office.of(command_id)} == {FAILURE_REASON_NETWORK_REJECTED}
    assert {report.failed.network_code for report in office.of(command_id)} == {str(code)}
    assert FAILURE_REASON_NETWORK_REJECTED not in RETRIED


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ('{"error":{"code":131026,"message":"bad \\ud800 x"}}', "failed"),
        ('{"error":{"code":131026,"error_data":{"details":"nul \\u0000"}}}', "failed"),
        ('{"error":{"code":true}}', "outcome_unknown"),
        ('{"error":{"code":"190"}}', "outcome_unknown"),
        ('{"error":{"code":190.0}}', "outcome_unknown"),
        ('{"error":"x"}', "outcome_unknown"),
        ("[]", "outcome_unknown"),
        ('{"messages":[{"id":"wamid.\\ud800"}]}', "submitted"),
        ('{"messages":[{"id":"wamid.\\u0000"}]}', "submitted"),
        ('{"messages":[{"id":"' + "w" * 5000 + '"}]}', "submitted"),
    ],
)
async def test_answer_of_any_form_has_an_outcome_that_can_be_told(
    office: Office, monkeypatch: pytest.MonkeyPatch, body: str, outcome: str
) -> None:
    answers(monkeypatch, 200 if "messages" in body else 400, body)
    office.graph.faults.add("statuses_lost")
    report = await office.settled(office.offer("cmd-1"))
    assert report.WhichOneof("outcome") == outcome
    assert "driver failed" not in report.outcome_unknown.detail


async def test_success_that_comes_with_a_server_error_is_not_believed(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, 500, '{"messages": [{"id": "wamid.1"}]}')
    office.graph.faults.add("statuses_lost")
    assert (await office.settled(office.offer("cmd-1"))).WhichOneof("outcome") == "outcome_unknown"


async def test_connection_that_is_not_made_in_time_is_certain() -> None:
    number = NumberConfig("main", "+15559876543", "1001", Secret("token"), Secret("secret"))
    with ExitStack() as sockets:
        full = sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # nobody accepts them, so the next one is not answered
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        asked = Graph(GraphConfig(url=f"http://127.0.0.1:{full.getsockname()[1]}", timeout_s=1))
        await asked.open()
        result = await asked.post_message(number, b"{}")
        await asked.close()
    assert isinstance(result, NotSent)
    assert "Timeout" in result.detail


def test_word_of_a_command_that_is_asked_about_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "EVIDENCE_MAX", 1)
    said = evidence.Evidence()
    with said.asking("cmd-1"):
        assert said.is_asked("cmd-1")
        said.add("cmd-1", Submitted(["wamid.1"]))
        said.add("cmd-2", Failed(FAILURE_REASON_DESTINATION_UNREACHABLE))
        assert said.of("cmd-1") == Submitted(["wamid.1"])
    assert (said.of("cmd-1"), said.is_asked("cmd-1")) == (None, False)


async def test_reply_to_a_message_whose_answer_was_lost_names_it(office: Office) -> None:
    """The mapping comes from its status then."""
    command_id = await asked(office, "disconnect", taken=True)
    await office.settled(command_id)
    assert await office.post(of_graph(office, "delivered")) == 200
    stored = await office.engine.read("reply/")
    assert list(stored) == [f"reply/{NUMBERS[0].phone_number_id}/{office.graph.taken[0].id}"]
    message = {"from": USER[1:], "id": "wamid.in", "type": "text", "text": {"body": "yes"}}
    message["context"] = {"id": office.graph.taken[0].id}
    await office.post(changes_of({"messages": [message]}))
    assert office.inbound[-1].reply_to_command_id == command_id


def test_refusal_and_answer_are_told_apart_by_the_error_alone() -> None:
    understood = graph._understood  # pyright: ignore[reportPrivateUsage]
    assert isinstance(understood(200, "", b'{"error": {"code": 1}}'), Refused)
    assert isinstance(understood(200, "", b'{"messages": []}'), Answered)
