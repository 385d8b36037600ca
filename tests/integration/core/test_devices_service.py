"""DevicesService over gRPC: a tenant's devices, what happens to their queue, and the tokens of drivers."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.contents import Features, write_features
from core.devices import OfferedAddress, OfferedDevice
from core.driver_sessions import Hello
from core.ids import new_id
from core.store.rows import AddressRow, DeviceRow, EventRow, MessageRow
from infinireach.v1 import device_pb2, message_pb2
from infinireach.v1.devices_service_pb2 import (
    CreateDriverTokenRequest,
    DeleteDeviceRequest,
    DeleteDriverTokenRequest,
    GetDeviceRequest,
    ListDevicesRequest,
    ListDriverTokensRequest,
    UpdateDeviceRequest,
)
from tests.core_fixtures import open_session
from tests.fakes.core_apis import CoreApis, core_apis
from tests.fakes.database import TENANT_A
from tests.fakes.rpc_outcome import refusal
from tests.fakes.set_clock import START_MS

pytestmark = pytest.mark.usefixtures("database")

UNKNOWN_ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ADDRESSES = (
    OfferedAddress("sms", "+15559876543", 1, ready=True),
    OfferedAddress("whatsapp", "+15559876544", 0, ready=False),
)


@pytest.fixture
async def apis(tmp_path: Path) -> AsyncGenerator[CoreApis]:
    async with core_apis(tmp_path) as apis:
        yield apis


def enrol(session: Session, keys: list[str], addresses: tuple[OfferedAddress, ...], now_ms: int) -> list[str]:
    """Ids of devices that a driver of tenant A brings; the first one has the addresses."""
    offered = tuple(
        OfferedDevice(key, f"Device {key}", "online", 3, addresses if n == 0 else ())
        for n, key in enumerate(keys)
    )
    hello = Hello(
        tenant_id=TENANT_A,
        token_id="token-id",
        driver_name="office",
        driver_kind="simulated",
        driver_version="1",
        instance_id="instance",
        journal_id="journal",
        first_unacknowledged=1,
        last_sequence=0,
        devices=offered,
        open_commands=(),
    )
    opened = open_session(session, hello, now_ms, 30_000)
    return [device_id for key in keys for device_id, known in opened.keys.items() if known == key]


async def enrolled(apis: CoreApis, *keys: str) -> list[str]:
    return await apis.store.run(enrol, list(keys), ADDRESSES, apis.clock.now_ms())


def add_messages(session: Session, device_id: str, states: list[str]) -> list[str]:
    device = session.get_one(DeviceRow, device_id)
    ids: list[str] = []
    for state in states:
        row = MessageRow(
            id=new_id(START_MS),
            tenant_id=TENANT_A,
            direction="outbound",
            channel="sms",
            device_id=device_id,
            source="+15559876543",
            destination="+1234567890",
            body="Hello",
            state=state,
            driver_id=device.driver_id if state == "sending" else None,
            hold_until_ms=START_MS + 1000 if state == "scheduled" else None,
            encoding="gsm7",
            segments=1,
            not_after_ms=START_MS + 1_000_000,
            created_ms=START_MS,
        )
        session.add(row)
        ids.append(row.id)
    return ids


def message_states(session: Session, ids: list[str]) -> list[tuple[str, str | None]]:
    rows = [session.get_one(MessageRow, message_id) for message_id in ids]
    return [(row.state, row.failure_reason) for row in rows]


def event_types(session: Session) -> list[str]:
    return [row.type for row in session.execute(select(EventRow)).scalars()]


def addresses_of(session: Session, device_id: str) -> list[str]:
    rows = session.execute(select(AddressRow)).scalars()
    return [row.number for row in rows if row.device_id == device_id]


def set_signal(session: Session, device_id: str, percent: int) -> None:
    session.get_one(DeviceRow, device_id).signal_percent = percent


async def get(apis: CoreApis, device_id: str) -> device_pb2.Device:
    answer = await apis.call(
        "devices.GetDevice", GetDeviceRequest(device_id=device_id), apis.service(TENANT_A)
    )
    return answer.device


async def update(apis: CoreApis, device_id: str, *paths: str, **fields: Any) -> device_pb2.Device:
    request = UpdateDeviceRequest(device_id=device_id, update_mask=FieldMask(paths=paths), **fields)
    return (await apis.call("devices.UpdateDevice", request, apis.service(TENANT_A))).device


async def delete(apis: CoreApis, device_id: str) -> int:
    request = DeleteDeviceRequest(device_id=device_id)
    return (await apis.call("devices.DeleteDevice", request, apis.service(TENANT_A))).failed_messages


async def listed(apis: CoreApis) -> list[str]:
    answer = await apis.call("devices.ListDevices", ListDevicesRequest(), apis.service(TENANT_A))
    return [device.id for device in answer.devices]


# Devices


async def test_a_device_shows_what_it_can_if_its_driver_says(apis: CoreApis) -> None:
    (silent,) = await enrolled(apis, "modem")
    assert not (await get(apis, silent)).HasField("features")
    can = Features(templates=True, media=("image", "document"), text_characters_max=4096, read_reports=True)

    def say(session: Session) -> None:
        session.get_one(DeviceRow, silent).features = write_features(can)

    await apis.store.run(say)
    assert (await get(apis, silent)).features == device_pb2.DeviceFeatures(
        templates=True,
        media=[message_pb2.MEDIA_TYPE_IMAGE, message_pb2.MEDIA_TYPE_DOCUMENT],
        text_characters_max=4096,
        read_reports=True,
    )


async def test_a_device_is_shown_with_its_driver_numbers_and_state(apis: CoreApis) -> None:
    [device_id] = await enrolled(apis, "one")
    assert await get(apis, device_id.upper()) == device_pb2.Device(
        id=device_id,
        name="Device one",
        state=device_pb2.DEVICE_STATE_ONLINE,
        driver="simulated",
        driver_name="office",
        addresses=[
            device_pb2.DeviceAddress(
                channel=message_pb2.CHANNEL_WHATSAPP, number="+15559876544", slot=0, ready=False
            ),
            device_pb2.DeviceAddress(
                channel=message_pb2.CHANNEL_SMS, number="+15559876543", slot=1, ready=True
            ),
        ],
        enabled=True,
        last_seen_time={"seconds": START_MS // 1000},
        create_time={"seconds": START_MS // 1000},
    )


@pytest.mark.parametrize(("told", "shown"), [(0, 0), (64, 64), (100, 100), (-1, None), (101, None)])
async def test_a_device_shows_the_signal_that_its_driver_told_of(
    apis: CoreApis, told: int, shown: int | None
) -> None:
    [device_id] = await enrolled(apis, "one")
    await apis.store.run(set_signal, device_id, told)
    device = await get(apis, device_id)
    assert (device.signal_percent if device.HasField("signal_percent") else None) == shown
    assert not device.HasField("battery_percent")


async def test_devices_are_listed_oldest_first(apis: CoreApis) -> None:
    first = await enrolled(apis, "b")
    apis.clock.advance(1)
    second = await enrolled(apis, "b", "a")
    assert await listed(apis) == [first[0], second[1]]


async def test_the_queue_of_a_device_counts_what_waits_and_what_is_with_it(apis: CoreApis) -> None:
    one, two = await enrolled(apis, "one", "two")
    states = ["queued", "queued", "scheduled", "sending", "sent", "delivered", "failed", "unknown"]
    await apis.store.run(add_messages, one, states)
    await apis.store.run(add_messages, two, ["queued"])
    assert (await get(apis, one)).queued_messages == 4
    answer = await apis.call("devices.ListDevices", ListDevicesRequest(), apis.service(TENANT_A))
    assert {device.id: device.queued_messages for device in answer.devices} == {one: 4, two: 1}


async def test_a_device_can_be_renamed(apis: CoreApis) -> None:
    [device_id] = await enrolled(apis, "one")
    assert (await update(apis, device_id, "name", name="Büro 1")).name == "Büro 1"
    assert (await get(apis, device_id)).name == "Büro 1"
    assert apis.hinted == []


async def test_a_device_that_is_switched_on_is_looked_at_for_work(apis: CoreApis) -> None:
    [device_id] = await enrolled(apis, "one")
    assert not (await update(apis, device_id, "enabled", enabled=False)).enabled
    assert apis.hinted == []
    assert (await update(apis, device_id, "enabled", enabled=True)).enabled
    assert apis.hinted == [device_id]


async def test_a_removed_device_fails_what_waits_and_lets_its_numbers_go(apis: CoreApis) -> None:
    one, two = await enrolled(apis, "one", "two")
    ids = await apis.store.run(add_messages, one, ["queued", "scheduled", "sent"])
    elsewhere = await apis.store.run(add_messages, two, ["queued"])
    assert await delete(apis, one) == 2
    removed = ("failed", "device_removed")
    assert await apis.store.read(message_states, ids) == [removed, removed, ("sent", None)]
    assert await apis.store.read(message_states, elsewhere) == [("queued", None)]
    assert (await apis.store.read(event_types)).count("message.failed") == 2
    assert await apis.store.read(addresses_of, one) == []
    assert len(apis.relay_wakes) == 1
    assert await listed(apis) == [two]
    assert (await refusal(get(apis, one))).code == "NOT_FOUND"


async def test_a_device_with_a_message_under_way_is_not_removed_and_nothing_changes(apis: CoreApis) -> None:
    [device_id] = await enrolled(apis, "one")
    ids = await apis.store.run(add_messages, device_id, ["queued", "sending"])
    refused = await refusal(delete(apis, device_id))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "DEVICE_BUSY")
    assert await apis.store.read(message_states, ids) == [("queued", None), ("sending", None)]
    assert await apis.store.read(addresses_of, device_id) != []
    assert (await get(apis, device_id)).queued_messages == 2


async def test_a_removed_device_returns_with_an_empty_queue_when_its_driver_offers_it(apis: CoreApis) -> None:
    [device_id] = await enrolled(apis, "one")
    await apis.store.run(add_messages, device_id, ["queued"])
    await delete(apis, device_id)
    assert await enrolled(apis, "one") == [device_id]
    device = await get(apis, device_id)
    assert (device.queued_messages, len(device.addresses)) == (0, 2)


async def test_a_removed_device_can_be_neither_changed_nor_removed_again(apis: CoreApis) -> None:
    [device_id] = await enrolled(apis, "one")
    await delete(apis, device_id)
    assert (await refusal(update(apis, device_id, "name", name="x"))).code == "NOT_FOUND"
    assert (await refusal(delete(apis, device_id))).code == "NOT_FOUND"


@pytest.mark.parametrize("device_id", [UNKNOWN_ID, "x", "\0", "' OR 1=1", "0" * 10_000])
async def test_an_unknown_device_is_not_found(apis: CoreApis, device_id: str) -> None:
    for call in (get(apis, device_id), delete(apis, device_id), update(apis, device_id, "name", name="x")):
        refused = await refusal(call)
        assert (refused.code, refused.text) == ("NOT_FOUND", "There is no such device.")


async def test_the_device_must_be_named(apis: CoreApis) -> None:
    for call in (get(apis, ""), delete(apis, ""), update(apis, "", "name", name="x")):
        assert (await refusal(call)).fields == ["device_id"]


@pytest.mark.parametrize(
    ("paths", "name", "field"),
    [
        ([], "x", "update_mask"),
        (["state"], "x", "update_mask"),
        (["name"], "", "name"),
        (["name"], " ", "name"),
        (["name"], "x" * 101, "name"),
        (["name"], "a\x1bb", "name"),
    ],
)
async def test_a_faulty_change_is_refused_by_its_field(
    apis: CoreApis, paths: list[str], name: str, field: str
) -> None:
    [device_id] = await enrolled(apis, "one")
    refused = await refusal(update(apis, device_id, *paths, name=name))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", [field])
    assert (await get(apis, device_id)).name == "Device one"


# Driver tokens


async def create_token(apis: CoreApis, name: str) -> Any:
    request = CreateDriverTokenRequest(name=name)
    return await apis.call("devices.CreateDriverToken", request, apis.service(TENANT_A))


async def tokens(apis: CoreApis) -> list[device_pb2.DriverToken]:
    answer = await apis.call("devices.ListDriverTokens", ListDriverTokensRequest(), apis.service(TENANT_A))
    return list(answer.driver_tokens)


async def delete_token(apis: CoreApis, token_id: str) -> Any:
    request = DeleteDriverTokenRequest(driver_token_id=token_id)
    return await apis.call("devices.DeleteDriverToken", request, apis.service(TENANT_A))


async def test_a_driver_token_is_shown_once_and_listed_without_its_secret(apis: CoreApis) -> None:
    made = await create_token(apis, "office")
    assert made.token.startswith("ird_" + made.driver_token.id)
    [found] = await tokens(apis)
    assert found == made.driver_token
    assert (found.name, found.create_time.ToMilliseconds()) == ("office", START_MS)
    assert not found.HasField("last_use_time")


async def test_a_deleted_driver_token_is_gone(apis: CoreApis) -> None:
    made = await create_token(apis, "office")
    await delete_token(apis, made.driver_token.id)
    assert await tokens(apis) == []
    assert (await refusal(delete_token(apis, made.driver_token.id))).code == "NOT_FOUND"


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb"])
async def test_a_faulty_token_name_is_refused(apis: CoreApis, name: str) -> None:
    refused = await refusal(create_token(apis, name))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ["name"])


@pytest.mark.parametrize("token_id", ["nobodys1", "x", "\0", "0" * 10_000])
async def test_an_unknown_driver_token_is_not_found(apis: CoreApis, token_id: str) -> None:
    assert (await refusal(delete_token(apis, token_id))).code == "NOT_FOUND"
    assert (await refusal(delete_token(apis, ""))).fields == ["driver_token_id"]
