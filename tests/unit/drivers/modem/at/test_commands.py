"""What may be written, and which lines answer it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modem.at.commands import Form, parse, pdu_line, submit_line


@pytest.mark.parametrize(
    ("line", "name", "form", "prefixes"),
    [
        ("AT", "AT", Form.ACTION, {""}),
        ("ATE0", "ATE", Form.ACTION, {"E"}),
        ("AT+CSQ", "AT+CSQ", Form.ACTION, {"+CSQ"}),
        ("AT+CREG?", "AT+CREG", Form.READ, {"+CREG"}),
        ("AT+CNMI=?", "AT+CNMI", Form.TEST, {"+CNMI"}),
        ('AT+CPMS="SM","SM","SM"', "AT+CPMS", Form.SET, {"+CPMS"}),
        (
            "AT^ICCID?",
            "AT^ICCID",
            Form.READ,
            {"^ICCID", "+CCID", "+QCCID", "+CICCID", "+ICCID", "#CCID", "%CCID", "^SCID"},
        ),
        ("AT+CMEE=1;+CREG=2", "AT+CMEE;+CREG", Form.SET, {"+CMEE", "+CREG"}),
        ('AT+CUSD=1,"*100;1#",15', "AT+CUSD", Form.SET, {"+CUSD"}),
        ("ATD*99#;", "ATD", Form.ACTION, {"D"}),
    ],
)
def test_a_command_is_known_by_its_name_and_form(
    line: str, name: str, form: Form, prefixes: set[str]
) -> None:
    command = parse(line)
    assert (command.name, command.form, command.prefixes) == (name, form, prefixes)


@given(
    before=st.text(alphabet="0123456789*#+", max_size=20),
    control=st.sampled_from([*map(chr, range(0x20)), "\x7f", "\x85", "\u2028", "é"]),
    after=st.text(alphabet="0123456789AT+CMGS=", max_size=20),
)
def test_nothing_that_could_begin_another_command_is_written(before: str, control: str, after: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        parse(f'AT+CUSD=1,"{before}{control}{after}"')


@pytest.mark.parametrize("line", ["", "A", "CSQ", "+CSQ", "AT+", "AT1", "AT+CSQ;1", "AT" + "A" * 1023])
def test_what_is_no_command_is_refused_without_being_quoted(line: str) -> None:
    with pytest.raises(ValueError, match=r"^a command (is|begins)"):
        parse(line)


@pytest.mark.parametrize("pdu", ["", "0", "0g", "0011\x1a", "00 11", "00\r11", "ab", "00" * 513])
def test_only_a_pdu_is_handed_over(pdu: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        pdu_line(pdu)
    assert pdu_line("0011AB") == "0011AB"


@pytest.mark.parametrize("octets", [-1, 0, 256])
def test_only_a_length_that_a_pdu_can_have_is_announced(octets: int) -> None:
    with pytest.raises(ValueError, match="octets"):
        submit_line(octets)
    assert submit_line(23) == "AT+CMGS=23"
