"""The memories of a modem: what it is asked where it does not take the usual command."""

import pytest

from drivers.modem.at.results import CommandRefused, Domain
from drivers.modem.messages.storage import Room, Slot, Storage
from drivers.modem.timing import Timing
from tests.unit.drivers.modem.scripted_modem import ScriptedModem, refusal

WITH_ALL_THREE = 'AT+CPMS="SM","SM","SM"'


async def test_modem_that_wants_all_three_memories_named_is_told_them_once() -> None:
    modem = ScriptedModem({"AT+CMGR=4": ["+CMGR: 1,,24", "00AB"]})
    storage = Storage(modem, Timing())
    assert await storage.read(Slot("SM", 4)) == "00AB"
    assert await storage.read(Slot("SM", 4)) == "00AB"
    assert modem.asked == ['AT+CPMS="SM"', WITH_ALL_THREE, "AT+CMGR=4", "AT+CMGR=4"]


async def test_room_is_read_from_either_answer() -> None:
    modem = ScriptedModem({WITH_ALL_THREE: ["+CPMS: 3,20,3,20,3,20"]})
    assert await Storage(modem, Timing()).room("SM") == Room(3, 20)


async def test_memory_that_there_is_not_is_refused() -> None:
    with pytest.raises(CommandRefused):
        await Storage(ScriptedModem(), Timing()).room("XX")


async def test_empty_memory_that_is_answered_with_an_error_is_empty() -> None:
    modem = ScriptedModem({WITH_ALL_THREE: [], "AT+CMGL=4": refusal(321, Domain.CMS)})
    assert await Storage(modem, Timing()).list_received("SM") == []
