"""What Graph accepts, what it refuses, and what it says then."""

from typing import Any

import pytest

from drivers.whatsapp_cloud.fake_graph import FakeGraph, Rules, Template
from tests.unit.drivers.fake_graph.application import USER, Caller, text_to

DAY_S = 24 * 3600
MEDIA = {"link": "https://example.com/a.jpg"}


async def test_a_text_is_accepted_with_an_id_of_its_own(graph: FakeGraph, caller: Caller) -> None:
    first, second = await caller.text(), await caller.text()
    assert (first.status, first.body["messaging_product"]) == (200, "whatsapp")
    assert first.body["contacts"] == [{"input": USER, "wa_id": USER[1:]}]
    assert first.id.startswith("wamid.")
    assert [each.id for each in graph.taken] == [first.id, second.id]
    assert first.id != second.id
    taken = graph.taken[0]
    assert (taken.text, taken.callback_data, taken.recipient.id) == ("Hello", "command-1", USER[1:])


@pytest.mark.parametrize("kind", ["image", "video", "audio", "document", "sticker"])
async def test_each_kind_of_file_is_accepted_by_its_link(graph: FakeGraph, caller: Caller, kind: str) -> None:
    assert (await caller.post(text_to(type=kind, text=None) | {kind: MEDIA})).status == 200
    assert graph.taken[0].type == kind


async def test_groups_and_users_who_hide_their_number_are_written_to(
    graph: FakeGraph, caller: Caller
) -> None:
    assert (await caller.text("group-1", recipient_type="group")).status == 200
    hidden = await caller.text(to=None, recipient="US.13491208655302741918")
    assert hidden.body["contacts"] == [
        {"input": "US.13491208655302741918", "user_id": "US.13491208655302741918"}
    ]
    assert [(each.recipient.is_group, each.recipient.is_user_id) for each in graph.taken] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"messaging_product": "sms"}, 100),
        ({"messaging_product": None}, 100),
        ({"type": "poll"}, 100),
        ({"surprise": 1}, 100),
        ({"text": None}, 131008),
        ({"text": {"body": ""}}, 131008),
        ({"text": {"body": "x", "surprise": 1}}, 100),
        ({"text": {"body": "x" * 4097}}, 100),
        ({"text": {"body": "x", "preview_url": "no"}}, 100),
        ({"to": None}, 100),
        ({"to": "Bank"}, 131009),
        ({"to": "+15559870001"}, 131021),
        ({"to": None, "recipient": "someone"}, 131009),
        ({"recipient_type": "crowd"}, 100),
        ({"recipient_type": "group", "to": "120363040@g.us"}, 131009),
        ({"biz_opaque_callback_data": "x" * 513}, 100),
        ({"type": "image", "image": {}}, 100),
        ({"type": "image", "image": {"link": "ftp://a"}}, 100),
        ({"type": "image", "image": {**MEDIA, "id": "1"}}, 100),
        ({"type": "image", "image": {**MEDIA, "caption": "x" * 1025}}, 100),
        ({"type": "audio", "audio": {**MEDIA, "caption": "x"}}, 100),
        ({"type": "template", "template": {"name": "hello_world"}}, 131008),
        ({"type": "template", "template": {"name": "other", "language": {"code": "en_US"}}}, 132001),
        ({"type": "template", "template": {"name": "hello_world", "language": {"code": "de"}}}, 132001),
    ],
)
async def test_a_body_that_is_wrong_is_refused_with_its_code(
    graph: FakeGraph, caller: Caller, changes: dict[str, Any], code: int
) -> None:
    answer = await caller.post(text_to(**changes))
    assert answer.code == code
    assert answer.status >= 400
    assert answer.body["error"]["error_data"]["details"]
    assert graph.taken == []


async def test_a_template_takes_as_many_parameters_as_it_has() -> None:
    order = Template("order", "de", parameters=2)
    parameter = {"type": "text", "text": "x"}

    def body(count: int) -> dict[str, Any]:
        components = [{"type": "body", "parameters": [parameter] * count}]
        content = {"name": "order", "language": {"code": "de"}, "components": components}
        return text_to(type="template", text=None, template=content)

    async with FakeGraph(templates=[order]) as graph, Caller(graph) as caller:
        assert (await caller.post(body(1))).code == 132000
        assert (await caller.post(body(2))).status == 200


async def test_only_the_newest_token_is_valid(graph: FakeGraph, caller: Caller) -> None:
    old = caller.token
    graph.revoke_token()
    refused = await caller.text()
    assert (refused.status, refused.code) == (401, 190)
    caller.token = graph.new_token()
    assert (await caller.text()).status == 200
    caller.token = old
    assert (await caller.text()).code == 190
    assert len(graph.taken) == 1


async def test_a_number_is_shown_to_whom_has_a_token(graph: FakeGraph, caller: Caller) -> None:
    path = f"/v25.0/{graph.number.phone_number_id}"
    shown = await caller.get(path)
    assert shown.body["id"] == graph.number.phone_number_id
    assert shown.body["quality_rating"] == "GREEN"
    assert set((await caller.get(path + "?fields=quality_rating")).body) == {"quality_rating", "id"}
    unknown = await caller.get("/v25.0/999")
    assert (unknown.code, unknown.body["error"]["error_subcode"]) == (100, 33)
    caller.token = "other"
    assert (await caller.get(path)).code == 190


async def test_more_than_the_throughput_is_refused_until_time_has_passed() -> None:
    rules = Rules(is_window_open=True, messages_per_s=1)
    async with FakeGraph(rules=rules) as graph, Caller(graph) as caller:
        answers = [await caller.text(f"+1555123000{count}") for count in range(9)]
        refused = [answer for answer in answers if answer.status != 200]
        assert refused
        assert all((answer.status, answer.code) == (429, 130429) for answer in refused)
        graph.clock.advance(1)
        assert (await caller.text()).status == 200


async def test_one_user_gets_a_burst_and_then_one_in_six_seconds_while_others_are_free() -> None:
    rules = Rules(is_window_open=True, pair_burst=2)
    async with FakeGraph(rules=rules) as graph, Caller(graph) as caller:
        answers = [await caller.text() for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[2].code == 131056
        assert (await caller.text("+15551230001")).status == 200
        graph.clock.advance(6)
        assert [(await caller.text()).status for _ in range(2)] == [200, 429]


async def test_limits_that_are_changed_hold_at_once(graph: FakeGraph, caller: Caller) -> None:
    assert (await caller.text()).status == 200
    graph.rules.pair_burst = 1
    assert [(await caller.text()).status for _ in range(2)] == [200, 429]


async def test_who_wrote_can_be_answered_for_a_day() -> None:
    async with FakeGraph(rules=Rules(is_window_refused_at_once=True)) as graph, Caller(graph) as caller:
        assert (await caller.text()).code == 131047
        graph.inbound(USER, text="Hello?")
        graph.clock.advance(DAY_S - 60)
        assert (await caller.text()).status == 200
        graph.clock.advance(61)
        assert (await caller.text()).code == 131047
        template = {"name": "hello_world", "language": {"code": "en_US"}}
        assert (await caller.text(type="template", text=None, template=template)).status == 200
