"""What a fake phone is told through its control socket, and what it does not take."""

from typing import Any

import pytest

from drivers.android.fake_smsgate.orders import Orders
from drivers.runtime.control_socket import RequestRefused
from tests.unit.drivers.fake_smsgate.room import room, states


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ([], "An order is an object with one key of inbound, fault,"),
        ({}, "An order is an object with one key of inbound, fault,"),
        ({"dance": {}}, "one key of inbound, fault,"),
        ({"inbound": []}, "What is told of inbound must be an object."),
        ({"inbound": {}}, "body must be a text"),
        ({"inbound": {"body": "x" * 10_001}}, "body must be a text of 1 to 10000 characters."),
        ({"inbound": {"body": "x", "from": ""}}, "from must be"),
        ({"inbound": {"body": "x", "sim": 2}}, "sim must be the slot of a SIM that is there."),
        ({"inbound": {"body": "x", "sim": True}}, "sim must be"),
        ({"inbound": {"body": "x", "colour": 1}}, "Not known: colour."),
        ({"fault": {}}, "name must be the name of a fault."),
        ({"fault": {"name": "dance"}}, "There is no fault named dance."),
        ({"fault": {"name": "error", "count": "1"}}, "count must be a whole number."),
        ({"fault": {"name": "error", "seconds": "1"}}, "seconds must be a number."),
        ({"fault": {"name": "error", "status": []}}, "is a text, a number, true or false."),
        ({"clear": {"name": []}}, "name must be a text."),
        ({"restart": {"memory_kept": 1}}, "memory_kept must be true or false."),
        ({"fault": {"name": "error", "colour": 1}}, "error does not take colour; it takes status."),
        ({"state": {"all": True}}, "Not known: all."),
        ({"sent": {"last": 0}}, "last must be from 1 to 1000."),
    ],
)
async def test_what_is_no_order_is_refused_with_a_sentence(order: Any, sentence: str) -> None:
    async with room() as (phone, _):
        with pytest.raises(RequestRefused) as refused:
            await Orders(phone).answer(order)
        assert sentence in str(refused.value)
        assert (phone.provider, phone.faults.all()) == ([], [])


async def test_the_state_and_what_was_sent_are_told() -> None:
    async with room() as (phone, caller):
        orders = Orders(phone)
        await orders.answer({"fault": {"name": "battery", "percent": 20}})
        await caller.send("first")
        await states(phone, "first", "Delivered")
        state = await orders.answer({"state": {}})
        assert (state["url"], state["battery"], state["messages"]) == (phone.url, 20, {"Delivered": 1})
        assert state["faults"] == ["battery"]
        [part] = (await orders.answer({"sent": {}}))["parts"]
        assert (part["message_id"], part["part"], part["parts"], part["text"]) == ("first", 1, 1, "Hello")
        assert await orders.answer({"clear": {}}) == {"cleared": 1}


async def test_a_restart_can_lose_what_the_app_knew() -> None:
    async with room() as (phone, caller):
        await caller.send("first")
        await Orders(phone).answer({"restart": {}})
        assert "first" in phone.messages
        await Orders(phone).answer({"restart": {"memory_kept": False}})
        assert phone.messages == {}
