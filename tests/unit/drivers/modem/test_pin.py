"""A PIN is entered once for each SIM and PIN that is not known to be right, whatever happens meanwhile."""

from dataclasses import replace

import pytest

from drivers.modem.at.results import ChannelClosed, Domain
from drivers.modem.conditions import NotReady, Reason
from drivers.modem.config import ModemConfig
from drivers.modem.setup.sim import Sim
from tests.unit.drivers.modem.memory_host import MemoryHost, ProcessDied
from tests.unit.drivers.modem.scripted_modem import ScriptedModem, in_turn, no_answer, refusal
from tests.unit.drivers.modem.sim_room import (
    CONFIG,
    IMEI,
    OTHER_SIM,
    PIN,
    READY,
    WANTS_PIN,
    admit,
    gate,
    locked,
)


@pytest.fixture
def host() -> MemoryHost:
    return MemoryHost()


async def test_right_pin_is_entered_at_every_start_that_wants_it(host: MemoryHost) -> None:
    for _ in range(3):
        modem = locked([])
        assert isinstance(await admit(host, modem), Sim)
        assert modem.asked_with('AT+CPIN="') == [PIN]


async def test_refused_pin_is_never_entered_again_by_any_later_process(host: MemoryHost) -> None:
    assert await admit(host, locked(refusal(16))) is Reason.PIN_REFUSED
    for _ in range(3):
        modem = locked([], then=WANTS_PIN)
        assert await admit(host, modem) is Reason.PIN_REFUSED
        assert not modem.asked_with('AT+CPIN="')


async def test_process_that_dies_while_the_sim_checks_the_pin_uses_up_no_second_try(host: MemoryHost) -> None:
    def die() -> list[str]:
        raise ProcessDied

    with pytest.raises(ProcessDied):
        await admit(host, locked(die))
    modem = locked([], then=WANTS_PIN)
    assert await admit(host, modem) is Reason.PIN_UNCERTAIN
    assert not modem.asked_with('AT+CPIN="')


async def test_lost_answer_to_the_pin_uses_up_no_second_try(host: MemoryHost) -> None:
    with pytest.raises(type(no_answer())):
        await admit(host, locked(no_answer(), then=WANTS_PIN))
    modem = locked([], then=WANTS_PIN)
    assert await admit(host, modem) is Reason.PIN_UNCERTAIN
    assert not modem.asked_with('AT+CPIN="')


async def test_pin_whose_answer_was_lost_counts_as_right_if_the_sim_is_open_afterwards(
    host: MemoryHost,
) -> None:
    with pytest.raises(ChannelClosed):
        await admit(host, locked(ChannelClosed("gone")))
    assert isinstance(await admit(host, ScriptedModem()), Sim)
    assert isinstance(await admit(host, locked([])), Sim)


async def test_pin_is_not_entered_before_the_store_has_it(host: MemoryHost) -> None:
    modem = locked([])

    async def full_disk(changes: dict[str, bytes | None]) -> None:
        raise OSError("no space left on device")

    host.write = full_disk
    with pytest.raises(OSError, match="no space left"):
        await admit(host, modem)
    assert not modem.asked_with('AT+CPIN="')


async def test_another_pin_in_the_file_is_tried_after_one_was_refused(host: MemoryHost) -> None:
    assert await admit(host, locked(refusal(16))) is Reason.PIN_REFUSED
    modem = ScriptedModem({"AT+CPIN?": in_turn(WANTS_PIN, READY), 'AT+CPIN="5678"': []})
    assert isinstance(await admit(host, modem, replace(CONFIG, pin="5678")), Sim)


async def test_third_pin_is_not_tried_since_it_would_lock_the_sim(host: MemoryHost) -> None:
    for pin, reason in (("1111", Reason.PIN_REFUSED), ("2222", Reason.PIN_LAST_TRY)):
        modem = ScriptedModem({"AT+CPIN?": WANTS_PIN, f'AT+CPIN="{pin}"': refusal(16)})
        assert await admit(host, modem, replace(CONFIG, pin=pin)) is reason
    modem = ScriptedModem({"AT+CPIN?": WANTS_PIN})
    assert await admit(host, modem) is Reason.PIN_LAST_TRY
    assert not modem.asked_with('AT+CPIN="')


async def test_same_pin_is_tried_at_another_sim(host: MemoryHost) -> None:
    assert await admit(host, locked(refusal(16))) is Reason.PIN_REFUSED
    modem = locked([])
    modem.answers["AT+CCID"] = OTHER_SIM
    assert isinstance(await admit(host, modem), Sim)


async def test_person_who_says_that_the_pin_is_right_gives_it_one_more_try(host: MemoryHost) -> None:
    assert await admit(host, locked(refusal(16))) is Reason.PIN_REFUSED
    process = gate(host)
    with pytest.raises(NotReady):
        await process.admit(locked([]), iccid_command="", imei=IMEI)
    assert await process.allow_pin() is False
    modem = locked([])
    assert isinstance(await process.admit(modem, iccid_command="", imei=IMEI), Sim)
    assert modem.asked_with('AT+CPIN="') == [PIN]


async def unlocked(host: MemoryHost, modem: ScriptedModem, config: ModemConfig = CONFIG) -> Sim | Reason:
    """What comes of the try that a person allows at a SIM that gets no PIN by itself."""
    process = gate(host, config)
    with pytest.raises(NotReady):
        await process.admit(locked([], then=WANTS_PIN), iccid_command="", imei=IMEI)
    assert await process.allow_pin() is not None
    return await admit(host, modem, config)


async def test_try_that_a_person_allowed_counts_so_that_no_third_is_made(host: MemoryHost) -> None:
    assert await admit(host, locked(refusal(16))) is Reason.PIN_REFUSED
    assert await unlocked(host, locked(refusal(16))) is Reason.PIN_LAST_TRY
    other = ScriptedModem({"AT+CPIN?": WANTS_PIN})
    for config in (CONFIG, replace(CONFIG, pin="5678")):
        assert await admit(host, other, config) is Reason.PIN_LAST_TRY
    assert not other.asked_with('AT+CPIN="')


async def test_person_hears_that_a_try_is_the_last_and_gets_it_once(host: MemoryHost) -> None:
    await admit(host, locked(refusal(16)))
    await unlocked(host, locked(refusal(16)))
    process = gate(host)
    modem = locked(refusal(16), then=WANTS_PIN)
    with pytest.raises(NotReady):
        await process.admit(modem, iccid_command="", imei=IMEI)
    assert await process.allow_pin() is True
    assert await admit(host, modem) is Reason.PIN_LAST_TRY
    assert await admit(host, modem) is Reason.PIN_LAST_TRY
    assert modem.asked_with('AT+CPIN="') == [PIN]


@pytest.mark.parametrize("opened", [locked([]), ScriptedModem()])
async def test_tries_are_counted_anew_after_the_sim_was_open(host: MemoryHost, opened: ScriptedModem) -> None:
    other = replace(CONFIG, pin="5678")
    await admit(host, ScriptedModem({"AT+CPIN?": WANTS_PIN, 'AT+CPIN="5678"': refusal(16)}), other)
    assert isinstance(await admit(host, opened), Sim)
    third = replace(CONFIG, pin="9999")
    modem = ScriptedModem({"AT+CPIN?": WANTS_PIN, 'AT+CPIN="9999"': refusal(16)})
    assert await admit(host, modem, third) is Reason.PIN_REFUSED
    assert await admit(host, locked([], then=WANTS_PIN), other) is Reason.PIN_REFUSED


async def test_permission_is_used_up_under_every_name_of_the_sim(host: MemoryHost) -> None:
    nameless = locked(refusal(16), then=WANTS_PIN)
    nameless.answers["AT+CCID"] = refusal()
    assert await admit(host, nameless) is Reason.PIN_REFUSED
    assert await unlocked(host, locked(refusal(16))) is Reason.PIN_LAST_TRY
    modem = locked([], then=WANTS_PIN)
    modem.answers["AT+CCID"] = OTHER_SIM
    assert await admit(host, modem) is Reason.PIN_REFUSED
    assert not modem.asked_with('AT+CPIN="')


async def test_nothing_can_be_allowed_before_a_sim_was_seen(host: MemoryHost) -> None:
    assert await gate(host).allow_pin() is None


async def test_store_holds_no_pin(host: MemoryHost) -> None:
    await admit(host, locked([]))
    assert not [
        key for key, value in host.stored.items() if "1234" in key.rpartition("/")[2] or value == b"1234"
    ]


@pytest.mark.parametrize("answer", [refusal(11), refusal(311, Domain.CMS)])
async def test_modem_that_says_by_an_error_that_it_wants_the_pin_gets_it(
    host: MemoryHost, answer: Exception
) -> None:
    modem = ScriptedModem({"AT+CPIN?": in_turn(answer, READY), PIN: []})
    assert isinstance(await admit(host, modem), Sim)


async def test_pin_that_locks_the_sim_is_told_as_such(host: MemoryHost) -> None:
    assert await admit(host, locked(refusal(12))) is Reason.PUK_REQUIRED


@pytest.mark.parametrize("tells_first", [True, False])
async def test_wrong_pins_are_tried_twice_whenever_the_sim_tells_its_serial_number(
    host: MemoryHost, tells_first: bool
) -> None:
    tries = 0
    for pin in ("1111", "2222", "3333", "4444"):
        for tells in (tells_first, not tells_first) * 2:
            modem = ScriptedModem({"AT+CPIN?": WANTS_PIN, f'AT+CPIN="{pin}"': refusal(16)})
            if not tells:
                modem.answers["AT+CCID"] = refusal()
            await admit(host, modem, replace(CONFIG, pin=pin))
            tries += len(modem.asked_with('AT+CPIN="'))
    assert tries == 2


async def test_wrong_pin_of_a_sim_is_not_tried_again_in_another_modem(host: MemoryHost) -> None:
    assert await admit(host, locked(refusal(16))) is Reason.PIN_REFUSED
    assert await admit(host, locked([]), replace(CONFIG, name="beta")) is Reason.PIN_REFUSED


@pytest.mark.parametrize("code", [16, 11])
async def test_pin_that_the_sim_calls_wrong_is_refused(host: MemoryHost, code: int) -> None:
    assert await admit(host, locked(refusal(code), then=WANTS_PIN)) is Reason.PIN_REFUSED


@pytest.mark.parametrize("busy", [refusal(14), refusal(314, Domain.CMS)])
async def test_pin_for_which_the_sim_was_too_busy_is_entered_once_more(
    host: MemoryHost, busy: Exception
) -> None:
    assert await admit(host, locked(busy, then=WANTS_PIN)) is Reason.SIM_BUSY
    assert isinstance(await admit(host, locked([])), Sim)


async def test_sim_that_is_busy_for_every_pin_does_not_use_up_all_tries(host: MemoryHost) -> None:
    modems = [locked(refusal(14), then=WANTS_PIN) for _ in range(5)]
    reasons = [await admit(host, modem) for modem in modems]
    assert [len(modem.asked_with('AT+CPIN="')) for modem in modems] == [1, 1, 0, 0, 0]
    assert reasons[-1] is Reason.PIN_UNCERTAIN


@pytest.mark.parametrize("answer", [refusal(), refusal(3), refusal(100), refusal(13)])
async def test_refusal_that_says_nothing_of_the_pin_leaves_it_uncertain(
    host: MemoryHost, answer: Exception
) -> None:
    assert await admit(host, locked(answer, then=WANTS_PIN)) is Reason.PIN_UNCERTAIN
    modem = locked([])
    assert await admit(host, modem) is Reason.PIN_UNCERTAIN
    assert not modem.asked_with('AT+CPIN="')


async def test_sim_that_is_open_after_a_refusal_had_the_right_pin(host: MemoryHost) -> None:
    assert isinstance(await admit(host, locked(refusal(3))), Sim)
    assert isinstance(await admit(host, locked([])), Sim)


async def test_refusal_after_which_the_sim_wants_its_puk_was_a_refusal_of_the_pin(host: MemoryHost) -> None:
    assert await admit(host, locked(refusal(), then=["+CPIN: SIM PUK"])) is Reason.PUK_REQUIRED
    assert await admit(host, locked([])) is Reason.PIN_REFUSED


@pytest.mark.parametrize("loss", [ChannelClosed("gone"), no_answer()])
async def test_pin_that_was_right_is_entered_once_more_after_its_answer_was_lost(
    host: MemoryHost, loss: Exception
) -> None:
    for _ in range(3):
        assert isinstance(await admit(host, locked([])), Sim)
        with pytest.raises(type(loss)):
            await admit(host, locked(loss))
    with pytest.raises(type(loss)):
        await admit(host, locked(loss))
    modem = locked([], then=WANTS_PIN)
    assert await admit(host, modem) is Reason.PIN_LAST_TRY
    assert not modem.asked_with('AT+CPIN="')


async def test_pin_whose_answer_was_lost_counts_as_a_try(host: MemoryHost) -> None:
    for pin in ("1111", "2222"):
        modem = ScriptedModem({"AT+CPIN?": WANTS_PIN, f'AT+CPIN="{pin}"': no_answer()})
        with pytest.raises(type(no_answer())):
            await admit(host, modem, replace(CONFIG, pin=pin))
    modem = locked([])
    assert await admit(host, modem) is Reason.PIN_LAST_TRY
    assert not modem.asked_with('AT+CPIN="')
