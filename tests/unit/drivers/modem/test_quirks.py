"""What is known of makers and models applies to them, and the owner's word goes before it."""

import pytest

from drivers.modem.at.commands import parse
from drivers.modem.setup.quirks import CASES, READERS, Quirks, quirks_for, read_overrides


def test_unknown_modem_is_expected_to_keep_to_the_standard() -> None:
    assert quirks_for("Infini Reach", "Emulated modem") == Quirks()


@pytest.mark.parametrize(
    ("maker", "model", "field", "value"),
    [
        ("huawei", "E173", "reset_at", "AT^RESET"),
        ("HUAWEI Technologies", "ME909s", "notification_modes", (1, 2, 0)),
        ("SIMCOM_Ltd", "SIMCOM_SIM800L", "submit_timeout_s", 70.0),
        ("SIMCOM INCORPORATED", "SIMCOM_SIM7600E-H", "iccid_command", "AT+CICCID"),
        ("", "SIM900", "report_routes", (1,)),
        ("Quectel", "EC25", "iccid_command", "AT+QCCID"),
        ("SIEMENS", "MC35i", "set_up", ("AT^SM20=0,0",)),
        ("Cinterion", "EHS6", "iccid_command", "AT^SCID"),
        ("Novatel Wireless Incorporated", "MC950D", "report_routes", (2,)),
        ("Option N.V.", "GlobeTrotter", "acknowledge_command", "AT+CNMA=0"),
        ("u-blox", "SARA-U201", "reset_at", "AT+CFUN=16"),
        ("Telit", "HE910", "reset_at", "AT#REBOOT"),
        ("ZTE INCORPORATED", "MF190", "reset_at", "AT+ZRST"),
        ("Sierra Wireless, Incorporated", "MC7455", "reset_at", "AT!RESET"),
    ],
)
def test_quirk_of_a_model_is_known(maker: str, model: str, field: str, value: object) -> None:
    assert getattr(quirks_for(maker, model), field) == value


def test_word_of_the_owner_goes_first() -> None:
    assert quirks_for("huawei", "E173", {"reset_at": "AT+CFUN=1,1"}).reset_at == "AT+CFUN=1,1"


def test_every_command_of_the_table_can_be_written() -> None:
    for case in CASES:
        quirks = quirks_for(case.maker.partition("|")[0], case.model, case.changes)
        for command in (quirks.acknowledge_command, quirks.reset_at, quirks.iccid_command, *quirks.set_up):
            assert not command or parse(command)


def test_every_field_can_be_overridden_and_wrong_values_are_named() -> None:
    assert set(READERS) == set(Quirks.__dataclass_fields__)
    wrong = {key: {"never": "right"} for key in READERS}
    overrides, problems = read_overrides(wrong)
    assert not overrides
    assert len(problems) == len(READERS)
    assert all(
        problem.startswith(f"quirks.{key} must be") for key, problem in zip(wrong, problems, strict=True)
    )


def test_right_values_are_taken() -> None:
    right = {
        "notification_modes": [1, 2],
        "report_routes": [1],
        "acknowledge_command": "AT+CNMA=0",
        "stores": ["SM"],
        "reset_at": "AT^RESET",
        "submit_timeout_s": 60,
        "pause_between_parts_s": 0.5,
        "reference_bits": 16,
        "iccid_command": "AT+CCID",
        "ussd_is_packed": True,
        "set_up": ["AT^CURC=0"],
    }
    overrides, problems = read_overrides(right)
    assert not problems
    assert quirks_for("", "", overrides).reference_bits == 16


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("set_up", ["AT^CURC=0", "AT+CPIN=1234"], "+CPIN"),
        ("set_up", ["AT+CMEE=1;+cpin=1234"], "+CPIN"),
        ("iccid_command", 'AT+CPIN="1234"', "+CPIN"),
        ("reset_at", 'AT+CLCK="SC",1,"1234"', "+CLCK"),
        ("reset_at", 'AT+CPWD="SC","1234","4321"', "+CPWD"),
        ("acknowledge_command", "AT+CMGS=20", "+CMGS"),
        ("set_up", ["ATE0 + cpin=1234"], "+CPIN"),
    ],
)
def test_no_override_enters_a_pin_or_sends(key: str, value: object, named: str) -> None:
    overrides, [problem] = read_overrides({key: value})
    assert not overrides
    assert problem.startswith(f"quirks.{key} must ")
    assert named in problem
    assert "1234" not in problem
