"""A PIN is entered once for each SIM and PIN; another SIM does not go on under the old number."""

from dataclasses import replace

import pytest

from drivers.modem.at.results import ChannelClosed, Domain
from drivers.modem.conditions import NotReady, Reason
from drivers.modem.config import ModemConfig
from drivers.modem.setup.sim import Sim, SimGate
from drivers.modem.timing import Timing
from tests.unit.drivers.modem.memory_host import MemoryHost, ProcessDied
from tests.unit.drivers.modem.scripted_modem import ScriptedModem, in_turn, no_answer, refusal

TIMING = replace(Timing(), busy_step_s=0.0)
CONFIG = ModemConfig("alpha", "/dev/ttyUSB0", "+491701234567", pin="1234")
PIN = 'AT+CPIN="1234"'
WANTS_PIN = ["+CPIN: SIM PIN"]
READY = ["+CPIN: READY"]
OTHER_SIM = ["+CCID: 89490200009999999999"]
IMEI = "490154203237518"


@pytest.fixture
def host() -> MemoryHost:
    return MemoryHost()


def gate(host: MemoryHost, config: ModemConfig = CONFIG) -> SimGate:
    """The gate of a process that has just started."""
    return SimGate(host.context(), config, TIMING)


async def admit(host: MemoryHost, modem: ScriptedModem, config: ModemConfig = CONFIG) -> Sim | Reason:
    """What a fresh process makes of the modem's SIM."""
    try:
        return await gate(host, config).admit(modem, iccid_command="", imei=IMEI)
    except NotReady as not_ready:
        return not_ready.condition.reason


def locked(answer: object, *, then: list[str] = READY) -> ScriptedModem:
    """A SIM that wants its PIN and does this with it."""
    return ScriptedModem({"AT+CPIN?": in_turn(WANTS_PIN, then), PIN: answer})  # pyright: ignore[reportArgumentType]


async def test_sim_without_pin_is_admitted_with_its_serial_number(host: MemoryHost) -> None:
    modem = ScriptedModem()
    assert await admit(host, modem) == Sim("89490200001234567890", "89490200001234567890", "262010000000001")
    assert not modem.asked_with('AT+CPIN="')


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
    for pin in ("1111", "2222"):
        modem = ScriptedModem({"AT+CPIN?": WANTS_PIN, f'AT+CPIN="{pin}"': refusal(16)})
        assert await admit(host, modem, replace(CONFIG, pin=pin)) is Reason.PIN_REFUSED
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
    assert await process.forgive()
    modem = locked([])
    assert isinstance(await process.admit(modem, iccid_command="", imei=IMEI), Sim)
    assert modem.asked_with('AT+CPIN="') == [PIN]


async def test_nothing_can_be_forgiven_before_a_sim_was_seen(host: MemoryHost) -> None:
    assert not await gate(host).forgive()


async def test_store_holds_no_pin(host: MemoryHost) -> None:
    await admit(host, locked([]))
    assert not [
        key for key, value in host.stored.items() if "1234" in key.rpartition("/")[2] or value == b"1234"
    ]


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
    host: MemoryHost, answer: object, reason: Reason
) -> None:
    modem = ScriptedModem({"AT+CPIN?": answer})  # pyright: ignore[reportArgumentType]
    assert await admit(host, modem) is reason
    assert not modem.asked_with('AT+CPIN="')


async def test_missing_pin_is_named(host: MemoryHost) -> None:
    modem = ScriptedModem({"AT+CPIN?": WANTS_PIN})
    assert await admit(host, modem, replace(CONFIG, pin="")) is Reason.PIN_MISSING


@pytest.mark.parametrize("answer", [refusal(11), refusal(311, Domain.CMS)])
async def test_modem_that_says_by_an_error_that_it_wants_the_pin_gets_it(
    host: MemoryHost, answer: Exception
) -> None:
    modem = ScriptedModem({"AT+CPIN?": in_turn(answer, READY), PIN: []})
    assert isinstance(await admit(host, modem), Sim)


async def test_pin_that_locks_the_sim_is_told_as_such(host: MemoryHost) -> None:
    assert await admit(host, locked(refusal(12))) is Reason.PUK_REQUIRED


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
