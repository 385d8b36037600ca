"""Answers of modems are read whatever their form, and say how the modem hears its network."""

import pytest

from drivers.modem.setup.answers import (
    groups,
    listed_numbers,
    listed_words,
    numbers,
    parameters,
    plain_value,
    value_of,
)
from drivers.modem.setup.reception import Reception, read_reception, signal_percent
from drivers.modem.timing import Timing
from tests.unit.drivers.modem.scripted_modem import Answer, ScriptedModem, refusal


async def reception(**changes: Answer) -> Reception:
    answers = {f"AT+{name}": answer for name, answer in changes.items()}
    table = {f"{name}?" if name != "AT+CSQ" else name: answer for name, answer in answers.items()}
    return await read_reception(ScriptedModem(table), Timing())


async def test_registered_modem_says_network_and_signal() -> None:
    assert await reception() == Reception(
        is_registered=True, is_denied=False, is_roaming=False, signal_percent=65, operator="26201"
    )


@pytest.mark.parametrize("stat", [1, 5, 6, 7])
async def test_home_roaming_and_messages_only_can_send(stat: int) -> None:
    assert (await reception(CREG=[f"+CREG: 2,{stat}"])).is_registered


@pytest.mark.parametrize("stat", [0, 2, 3, 4, 8])
async def test_everything_else_cannot(stat: int) -> None:
    found = await reception(CREG=[f"+CREG: 2,{stat}"], CEREG=refusal())
    assert not found.is_registered
    assert found.is_denied == (stat == 3)
    assert not found.operator


async def test_one_of_two_networks_is_enough() -> None:
    found = await reception(CREG=["+CREG: 2,3"], CEREG=['+CEREG: 2,5,"00C3","01A2B3C4",7'])
    assert (found.is_registered, found.is_denied, found.is_roaming) == (True, False, True)


async def test_modem_that_says_nothing_is_not_registered() -> None:
    found = await reception(CREG=refusal(), CEREG=refusal(), CSQ=refusal())
    assert (found.is_registered, found.signal_percent) == (False, -1)


@pytest.mark.parametrize(
    ("quality", "percent"),
    [
        ("0,0", 0),
        ("31,99", 100),
        ("20,99", 65),
        ("99,99", -1),
        ("199,99", -1),
        ("191,99", 100),
        ("", -1),
        ("x", -1),
    ],
)
def test_signal_is_a_percentage(quality: str, percent: int) -> None:
    assert signal_percent(quality) == percent


def test_value_is_that_of_the_first_line_with_the_prefix() -> None:
    assert value_of(["noise", "+csq : 3,1", "+CSQ: 4,1"], "+CSQ") == "3,1"
    assert value_of(["+CSQX: 1"], "+CSQ") is None


def test_plain_values_lose_prefix_and_quotes() -> None:
    assert plain_value(["", '+CGMM: "Model 1"'], "+CGMM") == "Model 1"
    assert plain_value([]) == ""


def test_commas_in_quotes_and_parentheses_separate_nothing() -> None:
    assert parameters('1,"a,b",(2,3),,4') == ["1", "a,b", "(2,3)", "", "4"]
    assert numbers("1, x,3") == [1, None, 3]
    assert parameters("") == []


def test_lists_of_numbers_and_words() -> None:
    assert [sorted(listed_numbers(group)) for group in groups("(0-2),(0,2,3),1,(5-5)")] == [
        [0, 1, 2],
        [0, 2, 3],
        [1],
        [5],
    ]
    assert listed_words('("SM","ME")') == ("SM", "ME")
