"""What an emulator can be told while it runs, and scripts of that."""

import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from drivers.modem.codec import submit_pdus
from drivers.modem.emulator import Emulator, Network, Sim
from drivers.modem.emulator.orders import Orders
from drivers.modem.emulator.radio_log import RadioLog
from drivers.modem.emulator.script import LINES_MAX, ScriptInvalid, ScriptRun, read_script
from tests.unit.drivers.modem.emulator.manual_clock import ManualClock

FIRST, SECOND = "+15559876543", "+15559876544"


class Bank:
    """Two modems in one network, in a time that is moved by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.network = Network(self.clock, radio_s=0.0)
        self.first = Emulator(name="first", network=self.network, clock=self.clock)
        self.second = Emulator(name="second", network=self.network, clock=self.clock, sim=Sim(SECOND))
        self.orders = Orders(self.network, [self.first, self.second])

    def told(self, name: str, /, **fields: object) -> dict[str, Any]:
        """The answer to an order."""
        return self.orders.carry_out({name: fields})

    def send(self, text: str, part: int = 0) -> None:
        """Have the first modem send a part."""
        pdu = submit_pdus(text, destination="+15551230000", reference=3, wants_report=True)[part]
        self.first.modem.hear(f"AT+CMGS={pdu.tpdu_octets}\r{pdu.hex}\x1a".encode())
        self.clock.advance(0)


@pytest.fixture
async def bank() -> AsyncGenerator[Bank]:
    """Two modems."""
    made = Bank()
    async with made.first, made.second:
        yield made


async def test_a_message_comes_in_to_the_modem_that_is_named(bank: Bank) -> None:
    assert bank.told("inbound", modem="second", body="Hello") == {"ok": True, "pdus": 1}
    assert bank.told("inbound", to=SECOND, body="x" * 400, parts=[3, 1], reference=7) == {
        "ok": True,
        "pdus": 2,
    }
    bank.clock.advance(0)
    assert bank.second.modem.stored()["SM"] == [1, 2, 3]
    assert bank.first.modem.stored()["SM"] == []


async def test_pdus_come_in_as_they_are(bank: Bank) -> None:
    assert bank.told("pdus", modem="first", pdus=["00FF", "not a PDU"]) == {"ok": True, "pdus": 2}
    bank.clock.advance(0)
    assert bank.first.modem.stored()["SM"] == [1, 2]


async def test_faults_come_and_go(bank: Bank) -> None:
    assert bank.told("fault", modem="first", name="cms_error", count=2, skip=1, code=38)["ok"]
    assert bank.told("fault", modem="first", name="no_signal", seconds=60)["ok"]
    [modem, _] = bank.told("state")["modems"]
    assert modem["faults"] == [
        {"name": "cms_error", "left": 2, "skip": 1, "code": 38, "taken": False},
        {"name": "no_signal"},
    ]
    assert modem["registration"] == "none"
    assert bank.told("clear", modem="first", name="cms_error") == {"ok": True, "cleared": 1}
    assert bank.told("clear", modem="first") == {"ok": True, "cleared": 1}


async def test_the_network_and_the_signal_change(bank: Bank) -> None:
    assert bank.told("network", radio_s=3, report_after_s=0.5, retry_s=1)["ok"]
    assert (bank.network.radio_s, bank.network.report_after_s, bank.network.retry_s) == (3.0, 0.5, 1.0)
    assert bank.told("modem", modem="second", signal=5)["ok"]
    assert bank.told("state")["modems"][1]["signal"] == 5


async def test_the_last_messages_that_were_taken_are_shown(bank: Bank) -> None:
    bank.send("One")
    bank.send("Two")
    [message] = bank.told("taken", last=1)["messages"]
    assert (message["from"], message["to"], message["body"], message["references"]) == (
        FIRST,
        "+15551230000",
        "Two",
        [1],
    )


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ([], "one key of inbound"),
        ({"nothing": {}}, "one key of inbound"),
        ({"state": {}, "taken": {}}, "one key of inbound"),
        ({"inbound": "Hello"}, "must be an object"),
        ({"inbound": {"body": "Hello"}}, "modem must name one of first, second"),
        ({"inbound": {"modem": []}}, "modem must name one of first, second"),
        ({"fault": {"modem": {}, "name": "hang"}}, "modem must name one of first, second"),
        (
            {"inbound": {"modem": "first", "sent_at": "0001-01-01T00:00:00+23:59"}},
            "from 1990 to 2089 with its zone",
        ),
        ({"inbound": {"modem": "third"}}, "modem must name one of first, second"),
        ({"inbound": {"modem": "first", "body": 5}}, "body must be a text"),
        ({"inbound": {"modem": "first", "body": "\ud800"}}, "valid Unicode"),
        ({"inbound": {"modem": "first", "from": "no number at all"}}, "from must be E.164"),
        ({"inbound": {"modem": "first", "kind": "letter"}}, "kind must be one of text, flash"),
        ({"inbound": {"modem": "first", "parts": [0]}}, "name them from 1"),
        ({"inbound": {"modem": "first", "parts": "1"}}, "list of whole numbers"),
        ({"inbound": {"modem": "first", "reference_bits": 7}}, "8 or 16"),
        ({"inbound": {"modem": "first", "sent_at": "now"}}, "with its zone"),
        ({"inbound": {"modem": "first", "kind": "silent", "body": "x" * 400}}, "too long"),
        ({"inbound": {"modem": "first", "text": "Hello"}}, "Not known: text"),
        ({"pdus": {"modem": "first", "pdus": [1]}}, "list of texts"),
        ({"fault": {"modem": "first", "name": "nothing"}}, "no fault named nothing"),
        ({"fault": {"modem": "first", "name": "hang", "self": []}}, "text, a number, true or false"),
        ({"fault": {"modem": "first", "name": "hang", "self": 1}}, "does not take self"),
        ({"network": {"radio_s": -1}}, "from 0 to 86400"),
        ({"network": {"speed": 1}}, "Not known: speed"),
        ({"modem": {"modem": "first", "signal": 99}}, "from 0 to 31"),
        ({"taken": {"last": 0}}, "from 1 to 1000"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(bank: Bank, order: object, problem: str) -> None:
    answer = bank.orders.carry_out(order)
    assert answer["ok"] is False
    assert problem in answer["error"]


async def test_a_script_is_carried_out_after_seconds_and_after_messages(bank: Bank) -> None:
    lines = [
        "# What happens in this demonstration",
        "",
        '{"after_s": 5, "inbound": {"modem": "second", "body": "Five seconds"}}',
        '{"after_messages": 2, "fault": {"modem": "first", "name": "cms_error"}}',
        '{"after_messages": 1, "after_s": 10, "inbound": {"modem": "second", "body": "Ten after the first"}}',
    ]
    failures: list[str] = []
    steps = read_script("\n".join(lines), bank.orders)
    ScriptRun(steps, bank.orders, bank.network, bank.clock, failed=failures.append)
    bank.clock.advance(5)
    assert bank.second.modem.stored()["SM"] == [1]
    bank.send("One")
    assert bank.first.faults.all() == []
    bank.send("Two")
    assert [fault.kind.name for fault in bank.first.faults.all()] == ["cms_error"]
    bank.clock.advance(10)
    assert bank.second.modem.stored()["SM"] == [1, 2]
    assert failures == []


async def test_a_script_tells_which_line_failed(bank: Bank) -> None:
    failures: list[str] = []
    steps = read_script('{"inbound": {"body": "To whom?"}}', bank.orders)
    ScriptRun(steps, bank.orders, bank.network, bank.clock, failed=failures.append)
    bank.clock.advance(0)
    [failure] = failures
    assert failure.startswith("Line 1 of the script: modem must name one of")


async def test_a_script_with_faults_names_all_of_them(bank: Bank) -> None:
    lines = [
        "nonsense",
        "[]",
        '{"after_s": -1, "state": {}}',
        '{"after_messages": 0.5, "state": {}}',
        '{"a": {}}',
        "[" * 100_000,
    ]
    with pytest.raises(ScriptInvalid) as refused:
        read_script("\n".join(lines), bank.orders)
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [
        f"Line {number}" for number in range(1, 7)
    ]
    with pytest.raises(ScriptInvalid, match="more than"):
        read_script("#\n" * (LINES_MAX + 1), bank.orders)


async def test_the_radio_log_has_a_line_for_each_part_before_the_modem_has_said_so(
    bank: Bank, tmp_path: Path
) -> None:
    log = RadioLog(tmp_path / "new" / "radio.log")
    bank.network.log = log
    text = "Hej 😀 " * 15
    bank.send(text)
    bank.send(text, part=1)
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "new" / "radio.log").read_text().splitlines()]
    assert [line["reference"] for line in lines] == [0, 1]
    assert lines[1]["concatenation"] == {"reference": 3, "total": 2, "number": 2}
    assert "text" not in lines[0]
    assert lines[1]["text"] == text
    assert lines[1] | {"from": FIRST, "to": "+15551230000", "report": True} == lines[1]
    assert os.stat(tmp_path / "new" / "radio.log").st_mode & 0o777 == 0o600
