"""The walk from an open port to a line: its order, and what each refusal leads to."""

from dataclasses import replace

import pytest

from drivers.modem.at.results import CommandUnanswered
from drivers.modem.conditions import NotReady, Reason
from drivers.modem.config import ModemConfig
from drivers.modem.setup.notification import Notification
from drivers.modem.setup.sim import SimGate
from drivers.modem.setup.start_up import SetUp, StartUp
from drivers.modem.timing import Timing
from tests.unit.drivers.modem.memory_host import MemoryHost
from tests.unit.drivers.modem.scripted_modem import Answer, ScriptedModem, in_turn, no_answer, refusal

TIMING = replace(Timing(), busy_step_s=0.0)
CONFIG = ModemConfig("alpha", "/dev/ttyUSB0", "+491701234567")


@pytest.fixture
def host() -> MemoryHost:
    return MemoryHost()


async def set_up(host: MemoryHost, modem: ScriptedModem, config: ModemConfig = CONFIG) -> SetUp:
    context = host.context()
    return await StartUp(context, config, TIMING, SimGate(context, config, TIMING)).carry_out(modem)


async def reason_why_not(host: MemoryHost, modem: ScriptedModem, config: ModemConfig = CONFIG) -> Reason:
    with pytest.raises(NotReady) as caught:
        await set_up(host, modem, config)
    return caught.value.condition.reason


async def test_good_modem_gives_a_line_with_store_and_notify(host: MemoryHost) -> None:
    modem = ScriptedModem()
    found = await set_up(host, modem)
    line = found.line
    assert (line.device_key, line.number, line.imei, line.iccid) == (
        "alpha",
        "+491701234567",
        "490154203237518",
        "89490200001234567890",
    )
    assert found.notification == Notification(mode=2, messages=1, reports=2)
    assert line.stores == ("SM", "ME", "SR")
    assert not line.acknowledges
    assert not line.smsc
    assert found.knows_smsc
    assert not found.number_differs


async def test_steps_come_in_their_order(host: MemoryHost) -> None:
    modem = ScriptedModem()
    await set_up(host, modem)
    steps = [
        "AT",
        "AT+CMEE=1",
        "AT+CGSN",
        "AT+CFUN?",
        "AT+CPIN?",
        "AT+CIMI",
        "AT+CSCA?",
        "AT+CMGF=0",
        "AT+CNMI?",
    ]
    assert [command for command in modem.asked if command in steps] == steps


async def test_settings_of_the_owner_are_not_reset(host: MemoryHost) -> None:
    modem = ScriptedModem()
    await set_up(host, modem)
    assert not modem.asked_with("ATZ")
    assert not modem.asked_with("AT&F")


async def test_modem_that_refuses_all_it_may_refuse_is_set_up_all_the_same(host: MemoryHost) -> None:
    needed = ("AT+CPIN?", "AT+CMGF=0", "AT+CSCA?", "AT+CNMI=2,1,0,2", "AT+CNMI?")
    modem = ScriptedModem()
    modem.answers = {command: modem.answers.get(command, []) for command in needed}
    found = await set_up(host, modem)
    assert found.line.stores == ("SM", "ME")
    assert found.line.imei == ""
    assert found.line.iccid == "imei-"
    assert found.notification == Notification(2, 1, 2)


async def test_first_answers_may_be_lost(host: MemoryHost) -> None:
    silent = in_turn(no_answer(), [])
    modem = ScriptedModem({"AT": silent, "ATE0V1Q0": no_answer()})
    assert await set_up(host, modem)
    assert modem.asked[:3] == ["AT", "ATE0V1Q0", "AT"]


async def test_modem_that_never_answers_is_not_waited_for_for_ever(host: MemoryHost) -> None:
    def silence() -> Exception:
        host.clock.now_s += TIMING.wake_s
        return no_answer()

    modem = ScriptedModem({"AT": silence, "ATE0V1Q0": silence})
    with pytest.raises(CommandUnanswered):
        await set_up(host, modem)


async def test_modem_in_flight_mode_is_taken_out_of_it(host: MemoryHost) -> None:
    modem = ScriptedModem({"AT+CFUN?": ["+CFUN: 4,0"], "AT+CFUN=1": []})
    assert await set_up(host, modem)
    assert "AT+CFUN=1" in modem.asked


async def test_radio_that_does_not_start_is_named(host: MemoryHost) -> None:
    assert await reason_why_not(host, ScriptedModem({"AT+CFUN?": ["+CFUN: 0"]})) is Reason.RADIO_OFF


@pytest.mark.parametrize("unreadable", ["+CFUN:", "+CFUN: ", "+CFUN: ,0", "+CFUN: on"])
async def test_radio_of_which_nothing_readable_is_said_counts_as_on(
    host: MemoryHost, unreadable: str
) -> None:
    modem = ScriptedModem({"AT+CFUN?": [unreadable]})
    assert await set_up(host, modem)
    assert "AT+CFUN=1" not in modem.asked


async def test_modem_without_pdu_mode_cannot_be_used(host: MemoryHost) -> None:
    modem = ScriptedModem({"AT+CMGF=0": refusal()})
    assert await reason_why_not(host, modem) is Reason.SET_UP_REFUSED
    assert len(modem.asked_with("AT+CMGF=0")) == 10


async def test_pdu_mode_is_insisted_on_while_the_modem_is_busy(host: MemoryHost) -> None:
    assert await set_up(host, ScriptedModem({"AT+CMGF=0": in_turn(*[refusal(14)] * 5, [])}))


# The message centre.


async def test_smsc_is_waited_for_while_the_sim_is_busy(host: MemoryHost) -> None:
    known: Answer = ['+CSCA: "+491710760000",145']
    found = await set_up(host, ScriptedModem({"AT+CSCA?": in_turn(*[refusal(14)] * 8, known)}))
    assert found.knows_smsc


@pytest.mark.parametrize("empty", [['+CSCA: "",129'], ["+CSCA: "], ["+CSCA:"]])
async def test_missing_smsc_is_told(host: MemoryHost, empty: Answer) -> None:
    found = await set_up(host, ScriptedModem({"AT+CSCA?": empty}))
    assert not found.knows_smsc


async def test_smsc_of_the_file_takes_the_place_of_another_one(host: MemoryHost) -> None:
    config = replace(CONFIG, smsc="+491722270333")
    for answer in ['+CSCA: "",129'], ['+CSCA: "+491710760000",145']:
        found = await set_up(host, ScriptedModem({"AT+CSCA?": answer}), config)
        assert (found.line.smsc, found.knows_smsc) == ("+491722270333", True)


async def test_smsc_that_the_sim_has_anyway_is_left_out_of_pdus(host: MemoryHost) -> None:
    found = await set_up(host, ScriptedModem(), replace(CONFIG, smsc="+491710760000"))
    assert (found.line.smsc, found.knows_smsc) == ("", True)


# Makers and models.


async def test_quirks_of_the_model_and_of_the_file_reach_the_line(host: MemoryHost) -> None:
    modem = ScriptedModem({
        "AT+CGMI": ["huawei"],
        "AT+CGMM": ["E173"],
        "AT^ICCID?": ["^ICCID: 98940200002143658709F0"],
    })
    modem.answers |= {"AT+CNMI=1,1,0,2,0": [], "AT+CNMI?": ["+CNMI: 1,1,0,2,0"]}
    found = await set_up(host, modem, replace(CONFIG, quirks={"pause_between_parts_s": 1.5}))
    assert found.notification == Notification(1, 1, 2)
    assert found.line.acknowledge_command == "AT+CNMA=0"
    assert found.line.pause_between_parts_s == 1.5
    assert found.quirks.reset_at == "AT^RESET"
    assert "AT^CURC=0" in modem.asked


@pytest.mark.parametrize(
    ("told", "differs"),
    [
        ([], False),
        (['+CNUM: "","",129'], False),
        (['+CNUM: "own","+491701234567",145'], False),
        (['+CNUM: ,"01701234567",129'], False),
        (['+CNUM: ,"+491709999999",145'], True),
    ],
)
async def test_number_that_the_sim_tells_is_compared_and_blocks_nothing(
    host: MemoryHost, told: Answer, differs: bool
) -> None:
    found = await set_up(host, ScriptedModem({"AT+CNUM": told}))
    assert found.number_differs is differs
