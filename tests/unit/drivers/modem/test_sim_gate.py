"""A SIM that cannot be used is named; another SIM does not go on under the old number."""

from dataclasses import replace

import pytest

from drivers.modem.at.results import Domain
from drivers.modem.conditions import Reason
from drivers.modem.setup.sim import Sim
from tests.unit.drivers.modem.memory_host import MemoryHost
from tests.unit.drivers.modem.scripted_modem import Answer, ScriptedModem, in_turn, refusal
from tests.unit.drivers.modem.sim_room import CONFIG, OTHER_SIM, READY, WANTS_PIN, admit, locked


@pytest.fixture
def host() -> MemoryHost:
    return MemoryHost()


async def test_sim_without_pin_is_admitted_with_its_serial_number(host: MemoryHost) -> None:
    modem = ScriptedModem()
    assert await admit(host, modem) == Sim("89490200001234567890", "89490200001234567890", "262010000000001")
    assert not modem.asked_with('AT+CPIN="')


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refusal(10), Reason.SIM_MISSING),
        (refusal(), Reason.SIM_MISSING),
        (refusal(13), Reason.SIM_FAILURE),
        (refusal(15), Reason.SIM_FAILURE),
        (refusal(310, Domain.CMS), Reason.SIM_MISSING),
        (["+CPIN: SIM PUK"], Reason.PUK_REQUIRED),
        (refusal(12), Reason.PUK_REQUIRED),
        (["+CPIN: PH-NET PIN"], Reason.SIM_LOCKED),
        (["+CPIN: PH-SIM PIN"], Reason.SIM_LOCKED),
    ],
)
async def test_sim_that_cannot_be_used_is_named_and_nothing_is_entered(
    host: MemoryHost, answer: Answer, reason: Reason
) -> None:
    modem = ScriptedModem({"AT+CPIN?": answer})
    assert await admit(host, modem) is reason
    assert not modem.asked_with('AT+CPIN="')


async def test_missing_pin_is_named(host: MemoryHost) -> None:
    modem = ScriptedModem({"AT+CPIN?": WANTS_PIN})
    assert await admit(host, modem, replace(CONFIG, pin="")) is Reason.PIN_MISSING


async def test_second_pin_does_not_matter(host: MemoryHost) -> None:
    assert isinstance(await admit(host, ScriptedModem({"AT+CPIN?": ["+CPIN: SIM PIN2"]})), Sim)


@pytest.mark.parametrize("busy", [refusal(14), refusal(314, Domain.CMS)])
async def test_busy_sim_is_waited_for(host: MemoryHost, busy: Exception) -> None:
    modem = ScriptedModem({"AT+CPIN?": in_turn(*[busy] * 20, READY)})
    assert isinstance(await admit(host, modem), Sim)


async def test_sim_that_stays_busy_is_named(host: MemoryHost) -> None:
    def busy() -> Exception:
        host.clock.now_s += 1
        return refusal(14)

    assert await admit(host, ScriptedModem({"AT+CPIN?": busy})) is Reason.SIM_BUSY


# Which SIM it is.


async def test_another_sim_under_the_same_number_is_not_used(host: MemoryHost) -> None:
    assert isinstance(await admit(host, ScriptedModem()), Sim)
    assert await admit(host, ScriptedModem({"AT+CCID": OTHER_SIM})) is Reason.SIM_CHANGED
    assert await admit(host, ScriptedModem({"AT+CCID": OTHER_SIM})) is Reason.SIM_CHANGED


async def test_first_sim_is_welcome_again(host: MemoryHost) -> None:
    assert isinstance(await admit(host, ScriptedModem()), Sim)
    assert await admit(host, ScriptedModem({"AT+CCID": OTHER_SIM})) is Reason.SIM_CHANGED
    assert isinstance(await admit(host, ScriptedModem()), Sim)


async def test_another_sim_does_not_get_the_pin_of_the_first(host: MemoryHost) -> None:
    assert isinstance(await admit(host, ScriptedModem()), Sim)
    modem = locked([])
    modem.answers["AT+CCID"] = OTHER_SIM
    assert await admit(host, modem) is Reason.SIM_CHANGED
    assert not modem.asked_with('AT+CPIN="')


async def test_another_sim_with_its_own_number_in_the_file_is_used(host: MemoryHost) -> None:
    assert isinstance(await admit(host, ScriptedModem()), Sim)
    config = replace(CONFIG, number="+491709999999")
    assert isinstance(await admit(host, ScriptedModem({"AT+CCID": OTHER_SIM}), config), Sim)
    assert await admit(host, ScriptedModem(), config) is Reason.SIM_CHANGED


async def test_serial_number_in_the_file_decides(host: MemoryHost) -> None:
    assert isinstance(await admit(host, ScriptedModem()), Sim)
    config = replace(CONFIG, iccid="89490200009999999999")
    assert isinstance(await admit(host, ScriptedModem({"AT+CCID": OTHER_SIM}), config), Sim)
    assert await admit(host, ScriptedModem(), config) is Reason.SIM_CHANGED


async def test_printed_serial_number_may_lack_the_check_digit_or_have_filler(host: MemoryHost) -> None:
    for printed in ("8949020000123456789", "89490200001234567890F"):
        assert isinstance(await admit(host, ScriptedModem(), replace(CONFIG, iccid=printed)), Sim)


async def test_sim_is_told_apart_by_its_subscriber_where_no_command_tells_its_serial_number(
    host: MemoryHost,
) -> None:
    silent = {"AT+CCID": refusal()}
    sim = await admit(host, ScriptedModem(silent))
    assert isinstance(sim, Sim)
    assert sim.key == "imsi-262010000000001"
    other = ScriptedModem({**silent, "AT+CIMI": ["262010000000002"]})
    assert await admit(host, other) is Reason.SIM_CHANGED


@pytest.mark.parametrize("not_yet", [refusal(14), refusal(13), refusal(313, Domain.CMS)])
async def test_serial_number_is_waited_for_while_the_sim_cannot_be_read_yet(
    host: MemoryHost, not_yet: Exception
) -> None:
    told = ["+CCID: 89490200001234567890"]
    sim = await admit(host, ScriptedModem({"AT+CCID": in_turn(*[not_yet] * 3, told)}))
    assert isinstance(sim, Sim)
    assert sim.key == "89490200001234567890"


async def test_sim_keeps_its_key_while_the_modem_tells_no_more_than_its_subscriber(host: MemoryHost) -> None:
    known = await admit(host, ScriptedModem())
    for _ in range(2):
        assert await admit(host, ScriptedModem({"AT+CCID": refusal()})) == known
    config = replace(CONFIG, iccid="89490200001234567890")
    assert await admit(host, ScriptedModem({"AT+CCID": refusal()}), config) == known


async def test_sim_that_tells_nothing_is_not_taken_for_the_known_one_which_is_not_forgotten(
    host: MemoryHost,
) -> None:
    silent = {"AT+CCID": refusal(), "AT+CIMI": refusal()}
    known = await admit(host, ScriptedModem())
    assert await admit(host, ScriptedModem(silent)) is Reason.SIM_BUSY
    assert await admit(host, ScriptedModem({"AT+CCID": OTHER_SIM})) is Reason.SIM_CHANGED
    assert await admit(host, ScriptedModem()) == known


async def test_sim_that_cannot_be_read_for_long_is_no_new_one(host: MemoryHost) -> None:
    def not_yet() -> Exception:
        host.clock.now_s += 1
        return refusal(13)

    assert isinstance(await admit(host, ScriptedModem()), Sim)
    assert await admit(host, ScriptedModem({"AT+CCID": not_yet, "AT+CIMI": not_yet})) is Reason.SIM_BUSY


async def test_serial_number_that_is_wanted_and_not_told_is_said(host: MemoryHost) -> None:
    config = replace(CONFIG, iccid="89490200009999999999")
    assert await admit(host, ScriptedModem({"AT+CCID": refusal()}), config) is Reason.SIM_FAILURE


async def test_serial_number_is_read_from_the_sims_file_where_no_own_command_is_known(
    host: MemoryHost,
) -> None:
    file = ['+CRSM: 144,0,"98942000002143658709"']
    sim = await admit(host, ScriptedModem({"AT+CCID": refusal(), "AT+CRSM=176,12258,0,0,10": file}))
    assert isinstance(sim, Sim)
    assert sim.iccid == "89490200001234567890"


@pytest.mark.parametrize(
    "told",
    [
        "+CCID: 89490200001234567890",
        '+CCID: "89490200001234567890"',
        "89490200001234567890F",
        "ICCID:89490200001234567890",
        "+ICCID: 98942000002143658709",
        '+CCID: "98942000002143658709FF"',
    ],
)
async def test_serial_number_is_understood_in_every_form(host: MemoryHost, told: str) -> None:
    sim = await admit(host, ScriptedModem({"AT+CCID": [told]}))
    assert isinstance(sim, Sim)
    assert sim.iccid == "89490200001234567890"
