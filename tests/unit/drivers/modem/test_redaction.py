"""What of a modem's dialogue may stand in a log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modem.link.redaction import redacted


@pytest.mark.parametrize(
    "line",
    [
        "OK",
        "ERROR",
        ">",
        "RING",
        "ATE0",
        "ATE0V1Q0",
        "AT+CSQ",
        "+CSQ: 20,99",
        "AT+CREG?",
        "+CREG: 2,1",
        'AT+CPMS="SM","ME","SM"',
        '+CMTI: "SM",12',
        "+CMGL: 1,1,,24",
        "AT+CNMI=2,1,0,1,0",
        "+CPIN: READY",
        "+CPIN: SIM PUK",
        "+CMS ERROR: 38",
        "+CME ERROR: SIM busy",
        "AT+CMEE=1;+CREG=2",
        "^SYSSTART",
    ],
)
def test_the_form_of_the_dialogue_is_shown(line: str) -> None:
    assert redacted(line) == line


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('AT+CPIN="1234"', "AT+CPIN=<hidden>"),
        ("AT+CPIN=1234", "AT+CPIN=<hidden>"),
        ('AT+CPIN="12345678","4321"', "AT+CPIN=<hidden>,<hidden>"),
        ("ATD112;", "<7 characters>"),
        ('AT+CUSD=1,"12",15', "AT+CUSD<hidden>"),
        ('+CUSD: 0,"Your balance is 5\n12",15', "+CUSD<hidden>"),
        ('+CNUM: ,"+4915112345678",145', "+CNUM<hidden>"),
        ("867962041234567", "<15 characters>"),
        ("0011000B915155214365F7\x1a", "<22 characters>"),
        ('+CREG: 2,1,"00D3","A1B2",7', "+CREG: 2,1,<hidden>,<hidden>,7"),
        ("+CCID: 8949001234567890123", "+CCID: <hidden>"),
        ('+COPS: 0,0,"Orange",7', "+COPS: 0,0,<hidden>,7"),
        ('+CMGL: 1,"REC READ","+49151"', "+CMGL: 1,<hidden>,<hidden>"),
        ("See you at 8, room 12", "<21 characters>"),
        ("ATTENTION 12 34", "<15 characters>"),
        ("+1 is my answer", "<15 characters>"),
        ('+CSCA: "+4915', "+CSCA: <hidden>"),
        ("\x1b", "<ESC>"),
    ],
)
def test_numbers_texts_and_keys_are_hidden(line: str, shown: str) -> None:
    assert redacted(line) == shown


@given(
    head=st.sampled_from(["", "AT+CMGS=", "+CMT: ", "+CSCA: ", "AT+CPIN=", "+CUSD: 0,", "AT", "^X:"]),
    secret=st.text(alphabet="0123456789ABCDEF", min_size=4, max_size=20),
    quote=st.sampled_from(["", '"']),
)
def test_no_run_of_four_digits_is_ever_shown(head: str, secret: str, quote: str) -> None:
    assert secret not in redacted(f"{head}{quote}{secret}{quote}")


@given(st.text(max_size=60))
def test_any_text_may_be_asked_for(text: str) -> None:
    assert len(redacted(text)) <= len(text) * 9 + 40
