"""Notifications are chosen among what a modem lists and accepts, and count only as they read back."""

from dataclasses import replace

import pytest

from drivers.modem.config import ModemConfig
from drivers.modem.setup.notification import Notification, NotificationSetUp, Reading
from drivers.modem.setup.quirks import Quirks, quirks_for
from drivers.modem.timing import Timing
from tests.unit.drivers.modem.scripted_modem import Answer, ScriptedModem, refusal

TIMING = replace(Timing(), busy_step_s=0.0)
CONFIG = ModemConfig("alpha", "/dev/ttyUSB0", "+491701234567")


class NotifyingModem(ScriptedModem):
    """Accepts these settings of AT+CNMI and keeps the last one; knows which service is in force."""

    def __init__(
        self, listed: str | None, accepts: set[str], *, changes: dict[str, Answer] | None = None
    ) -> None:
        super().__init__(changes)
        self._accepts = accepts
        self._setting = "0,0,0,0,0"
        self._service = "0"
        self.answers["AT+CNMI=?"] = refusal() if listed is None else [f"+CNMI: {listed}"]
        self.answers["AT+CNMI?"] = lambda: [f"+CNMI: {self._setting}"]
        self.answers["AT+CSMS?"] = lambda: [f"+CSMS: {self._service},1,1,1"]

    async def execute(self, command: str, **options: object) -> object:  # pyright: ignore[reportIncompatibleMethodOverride]
        if command.startswith("AT+CNMI=") and command != "AT+CNMI=?":
            setting = command.removeprefix("AT+CNMI=")
            self.answers[command] = [] if setting in self._accepts else refusal()
            if setting in self._accepts:
                self._setting = setting
        if command in ("AT+CSMS=0", "AT+CSMS=1") and not isinstance(self.answers[command], Exception):
            self._service = command[-1]
        return await super().execute(command, **options)  # pyright: ignore[reportArgumentType]


async def reading(
    modem: ScriptedModem, quirks: Quirks | None = None, config: ModemConfig = CONFIG
) -> Reading:
    return await NotificationSetUp(modem, config, quirks or Quirks(), TIMING).carry_out()


LISTS_ALL = "(0-3),(0-3),(0,2,3),(0-2),(0,1)"


async def test_stored_messages_and_stored_reports_are_preferred() -> None:
    found = await reading(NotifyingModem(LISTS_ALL, {"2,1,0,2,0", "2,2,0,1,0"}))
    assert found.notification == Notification(2, 1, 2)
    assert not found.acknowledges


async def test_mode_that_is_listed_and_refused_is_passed_over() -> None:
    found = await reading(NotifyingModem(LISTS_ALL, {"1,1,0,2,0"}))
    assert found.notification == Notification(1, 1, 2)


async def test_reports_that_cannot_be_stored_are_handed_over_and_acknowledged() -> None:
    found = await reading(NotifyingModem("(0-3),(0-3),(0,2),(0,1),(0,1)", {"2,1,0,1,0"}))
    assert found.notification == Notification(2, 1, 1)
    assert found.acknowledges


async def test_messages_that_cannot_be_announced_are_handed_over_and_acknowledged() -> None:
    found = await reading(NotifyingModem("(0-2),(0,2),(0,2),(0,2),(0,1)", {"2,2,0,2,0"}))
    assert found.notification == Notification(2, 2, 2)
    assert found.acknowledges


async def test_nothing_is_acknowledged_where_the_service_for_it_is_refused() -> None:
    modem = NotifyingModem("(0-3),(0-3),(0,2),(0,1),(0,1)", {"2,1,0,1,0"}, changes={"AT+CSMS=1": refusal()})
    assert not (await reading(modem)).acknowledges


async def test_announced_messages_matter_more_than_reports() -> None:
    found = await reading(NotifyingModem(LISTS_ALL, {"2,1,0,0,0", "2,2,0,2,0"}))
    assert found.notification == Notification(2, 1, 0)


async def test_setting_that_reads_back_otherwise_does_not_count() -> None:
    modem = NotifyingModem(LISTS_ALL, {"2,1,0,2,0", "3,1,0,2,0"})
    modem.answers["AT+CNMI?"] = ["+CNMI: 3,1,0,2,0"]
    assert (await reading(modem)).notification == Notification(3, 1, 2)


async def test_modem_that_lists_nothing_is_tried_all_the_same() -> None:
    found = await reading(NotifyingModem(None, {"1,1,0,1"}))
    assert found.notification == Notification(1, 1, 1)


async def test_modem_that_accepts_nothing_is_swept_only() -> None:
    found = await reading(NotifyingModem(LISTS_ALL, set()))
    assert found.notification is None
    assert found.stores


async def test_only_flushing_of_waiting_codes_that_is_listed_is_asked_for() -> None:
    modem = NotifyingModem("(2),(1),(0),(2),(1)", {"2,1,0,2,1"})
    assert (await reading(modem)).notification == Notification(2, 1, 2)
    assert modem.asked_with("AT+CNMI=2") == ["AT+CNMI=2,1,0,2,1"]


async def test_reports_that_nobody_wants_are_not_asked_for() -> None:
    found = await reading(NotifyingModem(LISTS_ALL, {"2,1,0,0,0"}), config=replace(CONFIG, report=False))
    assert found.notification == Notification(2, 1, 0)


@pytest.mark.parametrize(
    ("maker", "accepted", "expected"),
    [
        ("huawei", "1,1,0,2,0", Notification(1, 1, 2)),
        ("Novatel Wireless", "1,1,0,2,0", Notification(1, 1, 2)),
        ("QUALCOMM INCORPORATED", "1,1,0,2,0", Notification(1, 1, 2)),
        ("ZTE INCORPORATED", "1,1,0,2,0", Notification(1, 1, 2)),
        ("SIMCOM_Ltd", "2,1,0,2,0", Notification(2, 1, 2)),
    ],
)
async def test_makers_known_to_refuse_a_mode_are_not_asked_for_it(
    maker: str, accepted: str, expected: Notification
) -> None:
    modem = NotifyingModem(LISTS_ALL, {accepted})
    assert (await reading(modem, quirks_for(maker, "X"))).notification == expected
    assert modem.asked_with("AT+CNMI=")[1:] == [f"AT+CNMI={accepted}"]


async def test_novatel_is_never_made_to_hand_reports_over() -> None:
    modem = NotifyingModem("(0-3),(0-3),(0,2,3),(0-1),(0,1)", {"1,1,0,1,0", "1,1,0,0,0"})
    assert (await reading(modem, quirks_for("Novatel Wireless", "MC950D"))).notification == Notification(
        1, 1, 0
    )


async def test_stray_number_before_the_service_is_no_service() -> None:
    modem = NotifyingModem("(0-3),(0-3),(0,2),(0,1),(0,1)", {"2,1,0,1,0"})
    modem.answers["AT+CSMS?"] = ["+CSMS: 0,1,1,1,1"]
    assert (await reading(modem)).acknowledges


# Storage.


async def test_larger_store_is_preferred_and_every_store_is_swept() -> None:
    modem = ScriptedModem()
    assert (await reading(modem)).stores == ("SM", "ME", "SR")
    assert modem.asked_with('AT+CPMS="') == ['AT+CPMS="ME","ME","ME"']


async def test_store_that_is_listed_and_has_no_room_is_passed_over() -> None:
    modem = ScriptedModem({"AT+CPMS?": ['+CPMS: "ME",0,0,"ME",0,0,"ME",0,0']})
    await reading(modem)
    assert modem.asked_with('AT+CPMS="')[-1] == 'AT+CPMS="SM","SM","SM"'


async def test_store_of_the_file_is_used() -> None:
    modem = ScriptedModem()
    await reading(modem, config=replace(CONFIG, memory="SM"))
    assert modem.asked_with('AT+CPMS="') == ['AT+CPMS="SM","SM","SM"']


async def test_store_that_is_not_listed_everywhere_is_not_asked_for() -> None:
    modem = ScriptedModem({"AT+CPMS=?": ['+CPMS: ("SM","BM","SR"),("SM"),("SM")']})
    assert (await reading(modem)).stores == ("SM", "SR")
    assert modem.asked_with('AT+CPMS="') == ['AT+CPMS="SM","SM","SM"']
