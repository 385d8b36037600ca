"""Which line belongs to what: dialogues with modems, with everything in between that modems say in between."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modem.at.engine import (
    ANSWER_LINES_MAX,
    Ended,
    Engine,
    Event,
    ProbeAnswered,
    Prompted,
    State,
    reference_of,
)
from drivers.modem.at.results import (
    CommandRefused,
    CommandUnanswered,
    Domain,
    NoPrompt,
    PduNotWritten,
    Unsolicited,
)

PDU = "0011000B915155214365F700000AE8329BFD06"
PROMPT = b"\r\n> "
OTHER_PDU = "07915155010000F0040B915155214365F700006210103254760005E8329BFD06"


class Line:
    """An engine, and all that its owner would have written."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.events: list[Event] = []

    def run(self, command: str, answer: bytes) -> Ended:
        """Carry out a command whose answer comes in one piece."""
        assert self.engine.start(command) == command.encode() + b"\r"
        return self.ended(answer)

    def ended(self, data: bytes) -> Ended:
        events = self.engine.feed(data)
        self.events += [event for event in events if not isinstance(event, Ended)]
        [ended] = [event for event in events if isinstance(event, Ended)]
        return ended

    def submit(self, *data: bytes) -> Ended:
        """Hand over PDU after the prompt."""
        assert self.engine.start_submit(18, PDU) == b"AT+CMGS=18\r"
        assert self.engine.feed(data[0])[-1] == Prompted()
        assert self.engine.hand_over() == PDU.encode() + b"\x1a"
        return self.ended(data[1])


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.mark.parametrize(
    ("command", "answer", "lines"),
    [
        ("AT", b"\r\nOK\r\n", ()),
        ("AT", b"AT\r\r\nOK\r\n", ()),
        ("AT", b"> AT\r\r\nOK\r\n", ()),
        ("AT", b"\x00\xff\xfeOK\r\n", ()),
        ("ATE0", b"0\r", ()),
        ("AT+CSQ", b"\r\n+CSQ: 20,99\r\n\r\nOK\r\n", ("+CSQ: 20,99",)),
        ("AT+CSQ", b"\xff+CSQ: 20,99\r\n\r\nOK\r\n", ("+CSQ: 20,99",)),
        ("AT+CGMI", b"\r\nSIMCOM INCORPORATED\r\n\r\nOK\r\n", ("SIMCOM INCORPORATED",)),
        ("AT+CGSN", b"AT+CGSN\r\r\n867962041234567\r\n\r\nOK\r\n", ("867962041234567",)),
        ("AT+CCID", b"+ICCID: 8949001\r\nOK\r\n", ("+ICCID: 8949001",)),
        ("AT+CUSD?", b"+CUSD: 0\r\nOK\r\n", ("+CUSD: 0",)),
        ("AT+CREG=?", b"+CREG: (0-2)\r\nOK\r\n", ("+CREG: (0-2)",)),
        ("AT+CFUN?", b"+CFUN: 1\r\nOK\r\n", ("+CFUN: 1",)),
        ("AT+CMEE?;+CREG?", b"+CMEE: 1\r\n+CREG: 0,1\r\nOK\r\n", ("+CMEE: 1", "+CREG: 0,1")),
        (
            "AT+CMGL=4",
            f"+CMGL: 1,1,,24\r\n{PDU}\r\n+CMGL: 2,1,,24\r\n{PDU}\r\n\r\nOK\r\n".encode(),
            ("+CMGL: 1,1,,24", PDU, "+CMGL: 2,1,,24", PDU),
        ),
        ("AT+CMGR=9", b"+CMGR: 0,,0\r\n\r\nOK\r\n", ("+CMGR: 0,,0",)),
    ],
)
def test_a_command_is_answered_by_its_lines(
    line: Line, command: str, answer: bytes, lines: tuple[str, ...]
) -> None:
    assert line.run(command, answer) == Ended(lines)
    assert not line.events


@pytest.mark.parametrize(
    ("answer", "domain", "code"),
    [
        (b"\r\nERROR\r\n", Domain.NONE, None),
        (b"\r\n+CME ERROR: 14\r\n", Domain.CME, 14),
        (b"\r\n+CME ERROR: SIM busy\r\n", Domain.CME, 14),
        (b"\r\nCOMMAND NOT SUPPORT\r\n", Domain.NONE, None),
    ],
)
def test_a_refusal_names_the_command_without_its_parameters(
    line: Line, answer: bytes, domain: Domain, code: int | None
) -> None:
    failure = line.run('AT+CPIN="1234"', answer).failure
    assert isinstance(failure, CommandRefused)
    assert (failure.command, failure.domain, failure.code) == ("AT+CPIN", domain, code)
    assert "1234" not in str(failure)


def test_a_pdu_is_handed_over_at_the_prompt_and_its_reference_comes_back(line: Line) -> None:
    ended = line.submit(b"AT+CMGS=18\r\r\n> ", PDU.encode() + b"\x1a\r\n+CMGS: 77\r\n\r\nOK\r\n")
    assert ended.failure is None
    assert reference_of(ended.lines) == 77


@pytest.mark.parametrize(
    ("lines", "reference"),
    [
        (("+CMGS: 0",), 0),
        (("+CMGS:255",), 255),
        (('+CMGS: 7,"0001"',), 7),
        ((), None),
        (("+CMGS: 256",), None),
        (("+CMGS:",), None),
        (("+CMGS: ²",), None),
        (("+CMGR: 1",), None),
    ],
)
def test_only_a_reference_of_eight_bits_is_one(lines: tuple[str, ...], reference: int | None) -> None:
    assert reference_of(lines) == reference


def test_an_error_in_place_of_the_prompt_is_a_refusal(line: Line) -> None:
    line.engine.start_submit(18, PDU)
    failure = line.ended(b"\r\n+CMS ERROR: 330\r\n").failure
    assert isinstance(failure, CommandRefused)
    assert not isinstance(failure, PduNotWritten)


def test_ok_in_place_of_the_prompt_is_none(line: Line) -> None:
    line.engine.start_submit(18, PDU)
    assert isinstance(line.ended(b"\r\nOK\r\n").failure, NoPrompt)


@pytest.mark.parametrize("end", [b"\r\nOK\r\n", b"\r\n+CMS ERROR: 500\r\n"])
def test_a_modem_that_does_not_wait_for_its_pdu_certainly_has_none(line: Line, end: bytes) -> None:
    line.engine.start_submit(18, PDU)
    failure = line.ended(b"> " + end).failure
    assert isinstance(failure, PduNotWritten)
    assert line.engine.state is State.FREE


UNASKED: list[tuple[bytes, Unsolicited]] = [
    (b'\r\n+CMTI: "SM",3\r\n', Unsolicited("+CMTI", '"SM",3')),
    (f"\r\n+CMT: ,24\r\n{OTHER_PDU}\r\n".encode(), Unsolicited("+CMT", ",24", OTHER_PDU)),
    (f"\r\n+CDS: 25\r\n{OTHER_PDU}\r\n".encode(), Unsolicited("+CDS", "25", OTHER_PDU)),
    (b'\r\n+CDSI: "SR",1\r\n', Unsolicited("+CDSI", '"SR",1')),
    (b"\r\nRING\r\n", Unsolicited("RING")),
    (b"\r\nNO CARRIER\r\n", Unsolicited("NO CARRIER")),
    (b"\r\nSMS Ready\r\n", Unsolicited("SMS READY")),
    (b"\r\n+CREG: 1\r\n", Unsolicited("+CREG", "1")),
    (b'\r\n+CREG: 5,"00D3","0000A1B2",7\r\n', Unsolicited("+CREG", '5,"00D3","0000A1B2",7')),
    (b"\r\n+CREG: 1,00D3,A1B2\r\n", Unsolicited("+CREG", "1,00D3,A1B2")),
    (b"\r\n^RSSI:18\r\n", Unsolicited("^RSSI", "18")),
    (b"\r\n+PBREADY\r\n", Unsolicited("+PBREADY")),
    (
        b'\r\n*PSUTTZ: 2026, 1, 1, 0, 0, 0, "+4", 0\r\n',
        Unsolicited("*PSUTTZ", '2026, 1, 1, 0, 0, 0, "+4", 0'),
    ),
    (b"\r\nDST: 0\r\n", Unsolicited("DST", "0")),
    (
        b'\r\n+CUSD: 1,"1 Balance\r\n2 > Other\r\n",15\r\n',
        Unsolicited("+CUSD", '1,"1 Balance\n2 > Other\n",15'),
    ),
    (b'\r\n+CUSD: 0,"Balance 5",15\r\n', Unsolicited("+CUSD", '0,"Balance 5",15')),
]
DIALOGUES: list[tuple[str, list[bytes], tuple[str, ...]]] = [
    ("AT+CSQ", [b"AT+CSQ\r", b"\r\n+CSQ: 20,99\r\n", b"\r\nOK\r\n"], ("+CSQ: 20,99",)),
    ("AT+CGMM", [b"AT+CGMM\r", b"\r\nSIM7600\r\n", b"\r\nOK\r\n"], ("SIM7600",)),
    ("AT+CREG?", [b'\r\n+CREG: 2,1,"00D3","A1B2"\r\n', b"\r\nOK\r\n"], ('+CREG: 2,1,"00D3","A1B2"',)),
    ("AT+CREG?", [b"\r\n+CREG: 0,1\r\n", b"\r\nOK\r\n"], ("+CREG: 0,1",)),
    ('AT+CUSD=1,"*100#",15', [b"\r\nOK\r\n"], ()),
    (
        "AT+CMGL=4",
        [
            b"\r\n+CMGL: 1,1,,24\r\n",
            PDU.encode() + b"\r\n",
            b"\r\n+CMGL: 2,1,,24\r\n",
            PDU.encode() + b"\r\n",
            b"\r\nOK\r\n",
        ],
        ("+CMGL: 1,1,,24", PDU, "+CMGL: 2,1,,24", PDU),
    ),
    (
        "AT+CMGS",
        [b"AT+CMGS=18\r", PROMPT, PDU.encode() + b"\x1a", b"\r\n+CMGS: 7\r\n", b"\r\nOK\r\n"],
        ("+CMGS: 7",),
    ),
]


def played(command: str, chunks: list[bytes]) -> tuple[list[Event], Ended]:
    """The dialogue with these chunks from the modem; the PDU is handed over as soon as there is a prompt."""
    engine = Engine()
    if command == "AT+CMGS":
        engine.start_submit(18, PDU)
    else:
        engine.start(command)
    events: list[Event] = []
    for chunk in chunks:
        for event in engine.feed(chunk):
            events.append(event)
            if isinstance(event, Prompted):
                engine.hand_over()
    [ended] = [event for event in events if isinstance(event, Ended)]
    return [event for event in events if isinstance(event, Unsolicited)], ended


@pytest.mark.parametrize(("command", "chunks", "lines"), DIALOGUES)
@pytest.mark.parametrize(("said", "code"), UNASKED)
def test_what_is_said_unasked_anywhere_in_a_dialogue_changes_no_answer(
    command: str, chunks: list[bytes], lines: tuple[str, ...], said: bytes, code: Unsolicited
) -> None:
    for place in range(len(chunks) + 1):
        unsolicited, ended = played(command, [*chunks[:place], said, *chunks[place:]])
        assert ended == Ended(lines), f"at {place}"
        assert unsolicited == [code], f"at {place}"


def prompt_end(chunks: list[bytes]) -> set[int]:
    """Where the prompt ends: what follows is only said to a PDU, so it cannot come in the same read."""
    if PROMPT not in chunks:
        return set()
    return {sum(map(len, chunks[: chunks.index(PROMPT) + 1]))}


@given(
    dialogue=st.sampled_from(DIALOGUES),
    extra=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([said for said, _ in UNASKED])), max_size=4),
    cuts=st.lists(st.integers(0, 600), max_size=30),
)
def test_how_a_dialogue_is_spread_over_reads_changes_nothing(
    dialogue: tuple[str, list[bytes], tuple[str, ...]], extra: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    command, chunks, lines = dialogue
    chunks = list(chunks)
    for place, said in extra:
        chunks.insert(place, said)
    data = b"".join(chunks)
    ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)} | prompt_end(chunks))
    whole = played(command, chunks)
    assert played(command, [data[start:end] for start, end in itertools.pairwise(ends)]) == whole
    assert whole[1].lines == lines


def test_of_several_equal_lines_the_first_answers_and_the_others_are_unasked(line: Line) -> None:
    ended = line.run("AT+CPIN?", b"+CPIN: READY\r\n+CPIN: NOT READY\r\nOK\r\n")
    assert ended.lines == ("+CPIN: READY",)
    assert line.events == [Unsolicited("+CPIN", "NOT READY")]


def test_what_is_said_unasked_does_not_answer_a_setting_of_the_same_name(line: Line) -> None:
    assert line.run('AT+CPIN="1234"', b"+CPIN: READY\r\nOK\r\n") == Ended()
    assert line.events == [Unsolicited("+CPIN", "READY")]


@pytest.mark.parametrize("word", [b"RDY", b"^SYSSTART", b"MODEM:STARTUP"])
def test_a_modem_that_has_restarted_answers_nothing_of_before(line: Line, word: bytes) -> None:
    data = b"\r\n" + word + b"\r\n"
    line.engine.start("AT+CSQ")
    assert isinstance(line.ended(data).failure, CommandUnanswered)
    line.engine.start_submit(18, PDU)
    assert isinstance(line.ended(data).failure, NoPrompt)
    line.engine.start_submit(18, PDU)
    assert isinstance(line.ended(b"> " + data).failure, PduNotWritten)
    assert isinstance(line.submit(b"> ", data).failure, CommandUnanswered)
    assert line.engine.feed(data) == [Unsolicited(word.decode())]


def test_a_call_ends_only_a_command_that_dials(line: Line) -> None:
    assert line.run("ATD5551234;", b"NO CARRIER\r\n").failure is not None
    assert line.engine.feed(b"NO CARRIER\r\n") == [Unsolicited("NO CARRIER")]


@pytest.mark.parametrize("text", [b"OK", b"ERROR", b"+CMS ERROR: 1"])
def test_no_text_of_a_message_ends_a_command(line: Line, text: bytes) -> None:
    line.engine.start("AT+CSQ")
    assert line.engine.feed(b'+CMT: "+1",,"26/01/01,00:00:00+00"\r\n' + text + b"\r\n") == [
        Unsolicited("+CMT", '"+1",,"26/01/01,00:00:00+00"', text.decode())
    ]
    assert line.ended(b"OK\r\n") == Ended()


def test_another_code_between_a_message_and_its_pdu_is_told_first(line: Line) -> None:
    data = f'+CMT: ,24\r\n+CMTI: "SM",1\r\n{OTHER_PDU}\r\n'.encode()
    assert line.engine.feed(data) == [Unsolicited("+CMTI", '"SM",1'), Unsolicited("+CMT", ",24", OTHER_PDU)]


def test_a_free_modem_answers_nothing(line: Line) -> None:
    assert line.engine.feed(b"OK\r\nERROR\r\n+CMS ERROR: 500\r\n> \r\nsome text\r\nMEMORY\r\n") == []


def test_what_comes_after_giving_up_is_dropped_but_for_what_is_unasked(line: Line) -> None:
    line.engine.start_submit(18, PDU)
    line.engine.feed(b"> ")
    line.engine.hand_over()
    assert line.engine.give_up() == b"\x1b"
    assert line.engine.feed(b'+CMTI: "SM",1\r\n+CMGS: 9\r\n') == [Unsolicited("+CMTI", '"SM",1')]
    assert line.engine.probe() == b"AT\r"
    assert line.engine.feed(b"AT\r\r\nOK\r\n") == [ProbeAnswered()]
    assert reference_of(line.engine.cleared()) == 9
    assert line.run("AT+CSQ", b"+CSQ: 1,99\r\nOK\r\n").lines == ("+CSQ: 1,99",)


def test_a_late_prompt_asks_for_nothing_any_more(line: Line) -> None:
    line.engine.start_submit(18, PDU)
    line.engine.give_up()
    assert line.engine.feed(b"\r\n> ") == []


def test_an_answer_without_end_is_kept_up_to_its_limit(line: Line) -> None:
    assert (
        len(line.run("AT+CLAC", b"AT\r\n+X\r\n" * 3000 + b"x\r\n" * 5000 + b"OK\r\n").lines)
        == ANSWER_LINES_MAX
    )


def test_a_command_that_is_refused_leaves_the_engine_free(line: Line) -> None:
    starts: list[Callable[[], bytes]] = [
        lambda: line.engine.start("AT+CSQ\rAT+CMGD=1"),
        lambda: line.engine.start_submit(18, "00\x1a"),
        lambda: line.engine.start_submit(0, PDU),
    ]
    for start in starts:
        with pytest.raises(ValueError, match=r"is|has"):
            start()
    assert line.engine.state is State.FREE


@given(
    data=st.lists(
        st.binary(max_size=50) | st.sampled_from([said for said, _ in UNASKED] + [b"OK\r\n", b"> "])
    ),
    command=st.sampled_from(["AT", "AT+CMGL=4", "AT+CREG?", "AT+CMGS", None]),
)
def test_no_bytes_are_an_error(data: list[bytes], command: str | None) -> None:
    engine = Engine()
    if command == "AT+CMGS":
        engine.start_submit(18, PDU)
    elif command is not None:
        engine.start(command)
    for chunk in data:
        engine.feed(chunk)
