"""The setting of the simulated devices."""

import json

import pytest

from drivers.simulated.devices import DEFAULT_DEVICES, read_devices
from infinireach.v1.device_pb2 import DeviceFeatures
from infinireach.v1.message_pb2 import CHANNEL_SMS, CHANNEL_WHATSAPP, MediaType


def test_by_default_there_is_a_phone_and_a_whatsapp_account_with_one_number() -> None:
    phone, whatsapp = read_devices(DEFAULT_DEVICES)
    assert (phone.key, phone.name, phone.window) == ("phone", "Simulated phone", 100)
    assert (whatsapp.key, whatsapp.name) == ("whatsapp", "Simulated WhatsApp")
    assert (phone.addresses[0].channel, phone.addresses[0].slot) == (CHANNEL_SMS, 1)
    assert (whatsapp.addresses[0].channel, whatsapp.addresses[0].slot) == (CHANNEL_WHATSAPP, 0)
    assert phone.addresses[0].number == whatsapp.addresses[0].number == "+15559876543"


def test_a_whatsapp_account_can_everything_and_a_phone_can_text() -> None:
    phone, whatsapp = read_devices(DEFAULT_DEVICES)
    assert phone.HasField("features")
    assert phone.features == DeviceFeatures()
    can = whatsapp.features
    assert (can.templates, can.groups, can.read_reports, can.text_characters_max) == (True, True, True, 0)
    assert sorted(can.media) == MediaType.values()[1:]


def test_key_and_number_are_enough() -> None:
    (device,) = read_devices('[{"key": "a", "number": "+15550001111"}]')
    assert (device.name, device.window, device.addresses[0].ready) == ("a", 100, True)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("[", "JSON"),
        ({}, "list"),
        ([], "list"),
        ([{"key": "a"}], "key and a number"),
        (["a"], "key and a number"),
        ([{"key": "a", "number": "+1", "channel": "fax"}], "key and a number"),
        ([{"key": "a", "number": "+1", "window": 2000}], "windows from 0 to 1000"),
        ([{"key": "a", "number": "+1"}, {"key": "a", "number": "+2"}], "its own key"),
    ],
)
def test_wrong_list_is_refused_with_the_reason(value: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_devices(value if isinstance(value, str) else json.dumps(value))
