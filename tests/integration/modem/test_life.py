"""A modem gets to work and back to work by itself, whatever happens to it, and people learn what only they can do."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.modem.config import ModemConfig
from drivers.modem.driver import ModemDriver
from drivers.modem.emulator import Emulator
from drivers.modem.emulator.sim import Sim
from drivers.modem.life.finder import Connection, OnUnsolicited, connect
from drivers.modem.link.port import open_port
from drivers.modem.timing import Timing
from infinireach.v1.device_pb2 import DEVICE_STATE_ATTENTION, DEVICE_STATE_ONLINE
from tests.fakes.core_stub import StubCore
from tests.integration.modem.at_work import NUMBER, SCALE, at_work, config, quick_emulator

OTHER = "+15559876544"
OTHER_ICCID = "89490200001234567808"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with quick_emulator() as emulator:
        yield emulator


def heard_by(emulator: Emulator) -> list[bytes]:
    """All that is written to the modem, whose port is opened afterwards."""
    heard: list[bytes] = []
    hear = emulator.modem.hear
    emulator.modem.hear = lambda data: (heard.append(data), hear(data))[1]
    return heard


def heals_when_reset(emulator: Emulator) -> None:
    """The modem, whose port is opened afterwards, answers again once AT+CFUN=1,1 was written to it."""
    heard = bytearray()
    hear = emulator.modem.hear

    def hear_reset(data: bytes) -> None:
        heard.extend(data)
        if b"AT+CFUN=1,1\r" in heard:
            emulator.faults.clear("wrong_port")
        hear(data)

    emulator.modem.hear = hear_reset


async def test_all_modems_are_announced_at_once_and_get_to_work(core: StubCore, folder: Path) -> None:
    async with quick_emulator() as first, quick_emulator(sim=Sim(OTHER, iccid=OTHER_ICCID)) as second:
        configs = (
            config(await first.open_pty()),
            config(await second.open_pty(), "beta", OTHER),
            config(folder / "none", "gamma", "+15559876545"),
        )
        async with at_work(core, folder, *configs) as scene:
            await core.until(lambda: core.is_connected)
            announced = {device.key: device.window for device in core.hellos[0].devices}
            assert set(announced) == {"alpha", "beta", "gamma"}
            online = await scene.told("")
            assert (online.state, online.window) == (DEVICE_STATE_ONLINE, 3)
            assert online.signal_percent > 0
            await scene.told("", "beta")
            missing = await scene.told("port_missing", "gamma")
            assert missing.window == 0
            assert "infinireach modem list" in missing.remedy
            await scene.goes_out(name="alpha")
            await scene.goes_out(name="beta")


async def test_modem_that_hangs_for_long_works_again_without_a_hand(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    async with at_work(core, folder, config(await emulator.open_pty())) as scene:
        await scene.goes_out()
        known = len(scene.changes())
        emulator.faults.add("hang")
        await scene.told_since("not_answering", known)
        # Before the reset: written to a modem that hangs, it is carried out when it hears again, perhaps in a message.
        emulator.faults.clear("hang")
        await scene.told("")
        await scene.goes_out()


async def test_modem_that_needs_a_reset_gets_one_only_after_gentler_measures(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    """Nothing is answered until AT+CFUN=1,1 came."""
    heals_when_reset(emulator)
    async with at_work(core, folder, config(await emulator.open_pty())) as scene:
        await scene.goes_out()
        known = len(scene.changes())
        emulator.faults.add("wrong_port")
        await scene.told_since("resetting", known)
        await scene.told_since("", known)
        reasons = [change.reason for change in scene.changes()[known:]]
        assert reasons.index("not_answering") < reasons.index("resetting")
        assert "stuck" not in reasons
        await scene.goes_out()


async def test_modem_that_hangs_is_reset_on_its_own_one_of_several_ports(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    async with quick_emulator() as silent:
        silent.faults.add("wrong_port")
        heard = heard_by(silent)
        heals_when_reset(emulator)
        await silent.open_pty(folder / "port0")
        await emulator.open_pty(folder / "port1")
        configured = config(folder / "port*", imei=emulator.modem.equipment.imei)
        async with at_work(core, folder, configured) as scene:
            await scene.goes_out()
            known = len(scene.changes())
            emulator.faults.add("wrong_port")
            await scene.told_since("resetting", known)
            await scene.told_since("", known)
            await scene.goes_out()
        assert b"CFUN" not in b"".join(heard)


async def test_command_of_the_owner_is_run_when_no_port_of_several_ever_answered(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    flag = folder / "flag"
    async with quick_emulator() as other:
        heard = heard_by(emulator), heard_by(other)
        for place, silent in enumerate((emulator, other)):
            silent.faults.add("wrong_port")
            await silent.open_pty(folder / f"port{place}")
        configured = config(folder / "port*", reset_command=("touch", str(flag)))
        async with at_work(core, folder, configured, scale=2 * SCALE) as scene:
            await scene.told("stuck")
        assert flag.exists()
        assert b"CFUN" not in b"".join(heard[0] + heard[1])


async def test_modem_that_answers_and_cannot_be_set_up_is_reset(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    async with at_work(core, folder, config(await emulator.open_pty()), scale=2 * SCALE) as scene:
        await scene.told("")
        known = len(scene.changes())
        emulator.faults.add("refuse", command="+CMGF=")
        emulator.faults.add("reboot")
        await scene.told_since("set_up_refused", known)
        await scene.told_since("resetting", known)
        emulator.faults.clear("refuse")
        await scene.goes_out()


async def test_command_of_the_owner_is_run_when_the_reset_did_not_help(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    flag = folder / "flag"
    hook = ("sh", "-c", f'test -z "$INFINIREACH_DRIVER_TOKEN" && echo run >> {flag}')
    configured = config(await emulator.open_pty(), reset_command=hook)
    async with at_work(core, folder, configured, scale=2 * SCALE) as scene:
        await scene.told("")
        emulator.faults.add("wrong_port")
        stuck = await scene.told("stuck")
        assert stuck.state == DEVICE_STATE_ATTENTION
        assert flag.read_text() == "run\n"
        emulator.faults.clear("wrong_port")
        await scene.told("")
        await scene.goes_out()


async def test_port_on_which_nobody_ever_answered_is_not_reset(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    heard = heard_by(emulator)
    emulator.faults.add("wrong_port")
    async with at_work(core, folder, config(await emulator.open_pty()), scale=100) as scene:
        await scene.told("not_answering")
        await core.until(lambda: len(scene.core.facts) > 0)
        await emulator.until(lambda: b"".join(heard).count(b"AT\r") > 12)
        assert b"CFUN" not in b"".join(heard)
        emulator.faults.clear("wrong_port")
        await scene.told("")


@pytest.mark.parametrize("moved", [False, True])
async def test_port_that_vanishes_and_comes_back_is_found_again(
    core: StubCore, folder: Path, emulator: Emulator, moved: bool
) -> None:
    port = await emulator.open_pty(folder / "ttyX")
    async with at_work(core, folder, config(f"{port}*")) as scene:
        await scene.goes_out()
        known = len(scene.changes())
        emulator.faults.add("vanish", away_s=0.5, moved=moved)
        await scene.told_since("port_missing", known)
        await scene.told("")
        await scene.goes_out()


@pytest.mark.parametrize("boot_s", [0.01, 2.0])
async def test_modem_that_restarts_is_set_up_again(
    core: StubCore, folder: Path, emulator: Emulator, boot_s: float
) -> None:
    emulator.modem.boot_s = boot_s
    async with at_work(core, folder, config(await emulator.open_pty())) as scene:
        await scene.goes_out()
        known = len(scene.changes())
        emulator.faults.add("reboot")
        await core.until(lambda: any(change.window == 0 for change in scene.changes()[known:]))
        await scene.told("")
        await scene.goes_out()


async def test_report_finds_its_message_though_the_sim_cannot_be_read_after_a_restart(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    emulator.network.report_after_s = 6.0
    async with at_work(core, folder, config(await emulator.open_pty())) as scene:
        await scene.told("")
        message = scene.offer()
        await scene.state(message, "submitted")
        for command in ("+CCID", "+ICCID", "+QCCID", "^ICCID", "+CRSM"):
            emulator.faults.add("refuse", command=command, code=13)
        emulator.faults.add("reboot")
        await scene.state(message, "delivered")


async def test_failure_of_one_modem_does_not_reach_the_others(core: StubCore, folder: Path) -> None:
    failures = iter([RuntimeError("alpha's own fault"), MemoryError()])

    async def connect_or_fail(
        url: str,
        config: ModemConfig,
        timing: Timing,
        *,
        on_unsolicited: OnUnsolicited,
        is_in_step: bool = False,
    ) -> Connection:
        if config.name == "alpha" and (failure := next(failures, None)):
            raise failure
        return await connect(url, config, timing, on_unsolicited=on_unsolicited, is_in_step=is_in_step)

    class Failing(ModemDriver):
        connect = staticmethod(connect_or_fail)

    async with quick_emulator() as first, quick_emulator(sim=Sim(OTHER, iccid=OTHER_ICCID)) as second:
        configs = config(await first.open_pty()), config(await second.open_pty(), "beta", OTHER)
        async with at_work(core, folder, *configs, driver_class=Failing, may_fail=True) as scene:
            await scene.told_since("fault", 0)
            await scene.goes_out(name="beta")
            await scene.goes_out(name="alpha")


async def test_port_of_another_program_is_a_matter_for_a_person_and_taken_once_it_is_free(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    port = await emulator.open_pty()
    other = await open_port(str(port))
    async with at_work(core, folder, config(port)) as scene:
        busy = await scene.told("port_busy")
        assert busy.state == DEVICE_STATE_ATTENTION
        assert str(port) in busy.remedy
        await other.close()
        await scene.goes_out()


async def test_driver_stops_in_time_while_its_modem_hangs(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    async with at_work(core, folder, config(await emulator.open_pty()), scale=1) as scene:
        await scene.told("")
        emulator.faults.add("hang")
        async with asyncio.timeout(10.0):
            await scene.driver.stop(3.0)


# The SIM.


async def test_sim_that_is_busy_at_first_is_waited_for(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    emulator.faults.add("sim_busy", seconds=1.0)
    async with at_work(core, folder, config(await emulator.open_pty())) as scene:
        await scene.goes_out()


async def test_missing_sim_is_a_matter_for_a_person_and_noticed_once_it_is_there(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    emulator.faults.add("no_sim")
    async with at_work(core, folder, config(await emulator.open_pty())) as scene:
        missing = await scene.told("sim_missing")
        assert missing.state == DEVICE_STATE_ATTENTION
        emulator.faults.clear("no_sim")
        await scene.goes_out()


async def test_pin_is_entered_and_the_modem_works(core: StubCore, folder: Path) -> None:
    async with quick_emulator(sim=Sim(NUMBER, pin="4321")) as emulator:
        configured = config(await emulator.open_pty(), pin="4321")
        async with at_work(core, folder, configured) as scene:
            await scene.goes_out()


async def test_wrong_pin_uses_up_one_try_whatever_restarts(core: StubCore, folder: Path) -> None:
    async with quick_emulator(sim=Sim(NUMBER, pin="4321")) as emulator:
        port = await emulator.open_pty()
        for _ in range(3):
            async with at_work(core, folder, config(port, pin="1111")) as scene:
                known = len(scene.changes())
                await scene.told_since("pin_refused", known)
            assert emulator.modem.sim.pin_tries == 2
        async with at_work(core, folder, config(port, pin="4321")) as scene:
            await scene.goes_out()


async def test_locked_sim_gets_no_puk(core: StubCore, folder: Path, emulator: Emulator) -> None:
    emulator.faults.add("puk")
    async with at_work(core, folder, config(await emulator.open_pty(), pin="4321")) as scene:
        locked = await scene.told("puk_required")
        assert locked.state == DEVICE_STATE_ATTENTION
    assert emulator.modem.sim.puk_tries == 10


async def test_another_sim_does_not_send_under_the_old_number(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    port = await emulator.open_pty()
    async with at_work(core, folder, config(port)) as scene:
        await scene.goes_out()
        emulator.faults.add("sim_swap", number="+15559876599")
        changed = await scene.told("sim_changed")
        assert (changed.state, changed.window) == (DEVICE_STATE_ATTENTION, 0)
    async with at_work(core, folder, config(port, number="+15559876599")) as scene:
        await scene.goes_out()
    assert [part.sender for part in emulator.network.parts] == [NUMBER, "+15559876599"]


# The network.


@pytest.mark.parametrize(
    ("fault", "reason"), [("no_signal", "no_network"), ("registration_denied", "registration_denied")]
)
async def test_modem_without_network_pauses_and_goes_on(
    core: StubCore, folder: Path, emulator: Emulator, fault: str, reason: str
) -> None:
    async with at_work(core, folder, config(await emulator.open_pty())) as scene:
        await scene.goes_out()
        emulator.faults.add(fault)
        paused = await scene.told(reason)
        assert paused.window == 0
        emulator.faults.clear(fault)
        await scene.told("")
        await scene.goes_out()


async def test_missing_message_centre_is_named_and_the_files_is_used(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    emulator.faults.add("no_smsc")
    port = await emulator.open_pty()
    async with at_work(core, folder, config(port)) as scene:
        await scene.told("smsc_missing")
    async with at_work(core, folder, config(port, smsc="+15550000001")) as scene:
        await scene.goes_out()


async def test_what_waits_for_a_modem_that_stays_away_is_given_back(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    core.ignores_windows = True
    emulator.faults.add("no_sim")
    async with at_work(core, folder, config(await emulator.open_pty())) as scene:
        await scene.told("sim_missing")
        commands = [scene.offer() for _ in range(3)]
        for command_id in commands:
            await scene.state(command_id, "failed")
            (report,) = core.commands[command_id].reports
            assert "sim_missing" in report.failed.detail
    assert not emulator.network.parts


async def test_day_limit_pauses_the_modem(core: StubCore, folder: Path, emulator: Emulator) -> None:
    configured = config(await emulator.open_pty(), parts_per_day=2)
    async with at_work(core, folder, configured) as scene:
        await scene.goes_out()
        await scene.goes_out()
        limited = await scene.told("daily_limit")
        assert limited.window == 0
    async with at_work(core, folder, configured) as scene:
        await scene.told("daily_limit")
    async with at_work(core, folder, replace(configured, parts_per_day=3)) as scene:
        await scene.goes_out()
    assert len(emulator.network.parts) == 3
