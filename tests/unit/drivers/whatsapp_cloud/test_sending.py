"""What goes out to Graph, and what is said of it: accepted, refused for certain, or unknown."""

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.whatsapp_cloud import graph, limits, number
from drivers.whatsapp_cloud.conditions import WINDOW
from drivers.whatsapp_cloud.fake_graph import Rules, Template
from infinireach.driver.v1.command_pb2 import MediaContent, TextContent
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    FAILURE_REASON_NETWORK_REJECTED,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
    FAILURE_REASON_TEMPLATE_REJECTED,
    FAILURE_REASON_WINDOW_CLOSED,
    MEDIA_TYPE_AUDIO,
    MEDIA_TYPE_DOCUMENT,
    MEDIA_TYPE_IMAGE,
    FailureReason,
    Media,
)
from infinireach.v1.message_pb2 import Template as ProtoTemplate
from tests.unit.drivers.whatsapp_cloud.office import (
    NUMBERS,
    SEALED,
    USER,
    Office,
    changes_of,
    office_with,
    start,
    status_of,
)

GROUP = "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD"
SENT = {"submitted", "delivered"}
"""The answer of Graph and the first status race."""
HIDDEN_USER = "US.13491208655302741918"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with office_with(tmp_path) as office:
        yield office


async def test_text_goes_out_once_and_is_delivered_and_read(office: Office) -> None:
    office.graph.pause_webhooks()
    await office.settled(office.offer("cmd-1"))
    office.graph.resume_webhooks()
    await office.until(lambda: "read" in office.outcomes("cmd-1"))
    (taken,) = office.graph.taken
    assert taken.body == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": USER,
        "type": "text",
        "text": {"preview_url": False, "body": "cmd-1"},
        "biz_opaque_callback_data": SEALED.write("cmd-1", NUMBERS[0].phone_number_id),
    }
    assert office.outcomes("cmd-1") == ["submitted", "delivered", "read"]
    submitted, delivered, read = office.of("cmd-1")
    assert list(submitted.submitted.segment_references) == [taken.id]
    assert delivered.delivered.network_time.seconds == read.delivered.network_time.seconds == int(taken.at)


async def test_template_goes_out_with_its_components(office: Office) -> None:
    office.graph.templates["order", "de"] = Template("order", "de", parameters=1)
    components = [{"type": "body", "parameters": [{"type": "text", "text": "42"}]}]
    template = ProtoTemplate(name="order", language="de", components_json=json.dumps(components))
    await office.settled(office.offer("cmd-1", template=template))
    (taken,) = office.graph.taken
    assert taken.body["template"] == {
        "name": "order",
        "language": {"code": "de"},
        "components": components,
    }


@pytest.mark.parametrize(
    ("media", "caption", "expected"),
    [
        (
            Media(type=MEDIA_TYPE_DOCUMENT, url="https://example.org/a.pdf", filename="a.pdf"),
            "see",
            {"document": {"link": "https://example.org/a.pdf", "caption": "see", "filename": "a.pdf"}},
        ),
        (
            Media(type=MEDIA_TYPE_IMAGE, url="https://example.org/a.png", filename="a.png"),
            "",
            {"image": {"link": "https://example.org/a.png"}},
        ),
        (
            Media(type=MEDIA_TYPE_AUDIO, url="https://example.org/a.ogg"),
            "not allowed here",
            {"audio": {"link": "https://example.org/a.ogg"}},
        ),
    ],
)
async def test_file_goes_out_as_a_link(
    office: Office, media: Media, caption: str, expected: dict[str, Any]
) -> None:
    report = await office.settled(office.offer("cmd-1", media=MediaContent(media=media, caption=caption)))
    assert report.WhichOneof("outcome") in SENT
    (taken,) = office.graph.taken
    assert {taken.type: taken.body[taken.type]} == expected


async def test_user_who_hides_the_number_is_a_recipient(office: Office) -> None:
    await office.settled(office.offer("cmd-1", to=HIDDEN_USER))
    (taken,) = office.graph.taken
    assert taken.body["recipient"] == HIDDEN_USER
    assert "to" not in taken.body


async def test_group_is_written_to_only_from_a_number_that_may(office: Office, tmp_path: Path) -> None:
    report = await office.settled(office.offer("cmd-1", to=f"{GROUP}@g.us"))
    assert report.failed.reason == FAILURE_REASON_CONTENT_UNSUPPORTED
    assert "groups" in report.failed.detail
    assert not office.graph.posted


async def test_group_goes_out_as_one(tmp_path: Path) -> None:
    async with office_with(tmp_path, more="groups = true\n") as office:
        report = await office.settled(office.offer("cmd-1", to=f"{GROUP}@g.us", device="second"))
        assert report.WhichOneof("outcome") in SENT
        (taken,) = office.graph.taken
        assert (taken.body["recipient_type"], taken.body["to"]) == ("group", GROUP)


async def test_id_of_whatsapp_web_is_refused_and_graph_is_not_asked(office: Office) -> None:
    report = await office.settled(office.offer("cmd-1", to="1349120865530274@lid"))
    assert report.failed.reason == FAILURE_REASON_DESTINATION_INVALID
    assert not office.graph.posted


async def test_components_that_are_no_array_are_refused_and_graph_is_not_asked(office: Office) -> None:
    template = ProtoTemplate(name="hello_world", language="en_US", components_json='{"a": 1}')
    report = await office.settled(office.offer("cmd-1", template=template))
    assert report.failed.reason == FAILURE_REASON_TEMPLATE_REJECTED
    assert not office.graph.posted


@pytest.mark.parametrize("depth", [10, 300, 600, 900, 950, 980, 990, 4000])
async def test_components_of_any_depth_have_a_certain_outcome(office: Office, depth: int) -> None:
    components = "[" * depth + "]" * depth
    template = ProtoTemplate(name="hello_world", language="en_US", components_json=components)
    report = await office.settled(office.offer("cmd-1", template=template))
    assert report.WhichOneof("outcome") == "failed"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (131026, FAILURE_REASON_DESTINATION_UNREACHABLE),
        (131047, FAILURE_REASON_WINDOW_CLOSED),
        (131049, FAILURE_REASON_NETWORK_REJECTED),
        (132001, FAILURE_REASON_TEMPLATE_REJECTED),
        (132999, FAILURE_REASON_TEMPLATE_REJECTED),
        (131051, FAILURE_REASON_CONTENT_UNSUPPORTED),
        (100, FAILURE_REASON_CONTENT_UNSUPPORTED),
        (133004, FAILURE_REASON_NO_SERVICE),
        (999999, FAILURE_REASON_NETWORK_REJECTED),
    ],
)
async def test_error_object_fails_the_message_and_not_the_number(
    office: Office, code: int, reason: FailureReason
) -> None:
    office.graph.faults.add("error", code=code, details="About +1 555 123-0000 and one thing.")
    failure = (await office.settled(office.offer("cmd-1"))).failed
    assert (failure.reason, failure.network_code) == (reason, str(code))
    assert failure.detail.endswith("Meta: About … and one thing.")
    assert (await office.settled(office.offer("cmd-2"))).WhichOneof("outcome") in SENT
    assert len(office.changes) == len(NUMBERS)


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [
        ("disconnect", {"taken": False}),
        ("no_answer", {"taken": False, "hang_s": 3600.0}),
        ("server_error", {"object": False}),
        ("garbage", {"taken": False}),
        ("answer_without_id", {"taken": False}),
        ("huge_answer", {"taken": False}),
        ("redirect", {}),
    ],
)
async def test_answer_that_says_nothing_leaves_the_outcome_unknown(
    office: Office, fault: str, parameters: dict[str, Any]
) -> None:
    office.graph.faults.add(fault, **parameters)
    report = await office.settled(office.offer("cmd-1"))
    assert report.WhichOneof("outcome") == "outcome_unknown"
    assert len(office.graph.posted) == 1, "asked again"
    await office.until_ready()
    assert (await office.settled(office.offer("cmd-2"))).WhichOneof("outcome") in SENT


async def test_answer_is_read_up_to_a_limit(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "ANSWER_BYTES_MAX", 10)
    report = await office.settled(office.offer("cmd-1"))
    assert report.outcome_unknown.detail == "Graph's answer cannot be understood: HTTP 200."


async def test_failure_that_comes_before_the_answer_is_the_last_word(office: Office) -> None:
    office.graph.pause_webhooks()
    office.graph.faults.add("slow", delay_s=1.0)
    office.offer("cmd-1")
    await office.graph.until(lambda: len(office.graph.taken) == 1)
    await office.post(changes_of({"statuses": [status_of("cmd-1", "failed", errors=[{"code": 131026}])]}))
    await office.until(lambda: len(office.of("cmd-1")) == 2)
    assert office.outcomes("cmd-1") == ["failed", "failed"]


async def test_status_settles_what_had_no_answer(office: Office) -> None:
    office.graph.faults.add("disconnect", taken=True)
    await office.settled(office.offer("cmd-1"))
    await office.until(lambda: "read" in office.outcomes("cmd-1"))
    assert "failed" not in office.outcomes("cmd-1")


async def test_status_that_comes_before_the_answer_is_not_reported_twice(office: Office) -> None:
    office.graph.faults.add("status_before_answer")
    office.offer("cmd-1")
    await office.until(lambda: {"read", "submitted"} <= set(office.outcomes("cmd-1")))
    assert sorted(office.outcomes("cmd-1")) == ["delivered", "read", "submitted"]


async def test_without_a_connection_it_certainly_was_not_sent(tmp_path: Path) -> None:
    async with office_with(tmp_path) as office:
        await office.graph.close()
        failure = (await office.settled(office.offer("cmd-1"))).failed
        assert failure.reason == FAILURE_REASON_NO_SERVICE
        await office.until(lambda: office.changes[-1].reason == "unreachable")
        assert office.changes[-1].window == 0
        assert not office.graph.posted


async def test_messages_to_one_person_go_out_in_their_order(office: Office) -> None:
    office.graph.faults.add("slow", delay_s=0.05)
    for place in range(20):
        office.offer(f"cmd-{place}")
    await office.until(lambda: len(office.graph.taken) == 20)
    assert [taken.text for taken in office.graph.taken] == [f"cmd-{place}" for place in range(20)]


async def test_others_do_not_wait_for_one_person(office: Office) -> None:
    office.graph.faults.add("no_answer", recipient=USER, taken=False, hang_s=3600.0)
    office.offer("cmd-1")
    report = await office.settled(office.offer("cmd-2", to="+15551230001"))
    assert report.WhichOneof("outcome") in SENT
    assert office.of("cmd-1") == []


async def test_more_than_the_pair_allows_is_put_off_one_after_the_other_and_graph_is_not_asked(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PAIR_BURST", 2)
    for place in range(5):
        office.offer(f"cmd-{place}")
    delays: list[float] = []
    for place in range(2, 5):
        report = await office.settled(f"cmd-{place}")
        assert report.failed.reason == FAILURE_REASON_RATE_LIMITED
        delays.append(report.retry_delay.ToMilliseconds() / 1000 / limits.PAIR_EVERY_S)
    assert [math.ceil(delay) for delay in delays] == [1, 2, 3]
    assert len(office.graph.posted) == 2


async def test_messages_that_wait_for_one_person_leave_room_for_the_others(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.graph.faults.add("no_answer", recipient=USER, taken=False, hang_s=3600.0)
    for place in range(WINDOW):
        office.offer(f"cmd-{place}")
    for place in range(1 + number.WAITING_MAX, WINDOW):
        report = await office.settled(f"cmd-{place}")
        assert report.failed.reason == FAILURE_REASON_RATE_LIMITED
        assert report.retry_delay.seconds == (place - number.WAITING_MAX) * limits.TURN_S
    report = await office.settled(office.offer("other", to="+15551230001"))
    assert report.WhichOneof("outcome") in SENT
    assert office.of(f"cmd-{number.WAITING_MAX}") == []


async def test_refusal_for_the_pair_keeps_from_this_recipient_only(tmp_path: Path) -> None:
    async with office_with(tmp_path, rules=Rules(is_window_open=True)) as office:
        office.graph.faults.add("error", recipient=USER, code=131056)
        first = await office.settled(office.offer("cmd-1"))
        assert first.failed.reason == FAILURE_REASON_RATE_LIMITED
        assert first.retry_delay.seconds == limits.PAIR_PENALTY_BASE
        second = await office.settled(office.offer("cmd-2"))
        assert second.failed.reason == FAILURE_REASON_RATE_LIMITED
        assert second.failed.network_code == ""
        other = await office.settled(office.offer("cmd-3", to="+15551230001"))
        assert other.WhichOneof("outcome") in SENT
        assert len(office.graph.posted) == 2
        assert len(office.changes) == len(NUMBERS), "the number paused"


async def test_device_says_what_it_can(office: Office) -> None:
    main, second = office.engine.protocol.devices
    assert (main.key, second.key) == ("main", "second")
    assert main.features.templates
    assert main.features.read_reports
    assert main.features.text_characters_max == 4096
    assert len(main.features.media) == 5
    assert not main.features.groups


async def test_command_of_a_number_that_is_no_longer_there_fails(office: Office) -> None:
    report = await office.settled(office.offer("cmd-1", device="gone"))
    assert "whatsapp.toml" in report.failed.detail


async def test_longest_text_goes_out_whole(office: Office) -> None:
    text = "ä" * 4096
    await office.settled(office.offer("cmd-1", text=TextContent(body=text, segments=1)))
    assert office.graph.taken[0].text == text


async def test_process_that_stops_begins_no_further_request_and_the_next_one_sends_it(tmp_path: Path) -> None:
    async with office_with(tmp_path) as office:
        office.graph.faults.add("no_answer", taken=False, hang_s=3600.0)
        office.offer("cmd-1")
        office.offer("cmd-2")
        await office.graph.until(lambda: len(office.graph.posted) == 1)
        await office.close()
        assert len(office.graph.posted) == 1
        again = await start(tmp_path, office.graph, recover_s=0.1)
        try:
            report = await again.settled("cmd-2")
            assert report.WhichOneof("outcome") != "failed"
            assert (await again.settled("cmd-1")).WhichOneof("outcome") == "outcome_unknown"
            assert [taken.text for taken in office.graph.taken] == ["cmd-2"]
        finally:
            await again.close()
