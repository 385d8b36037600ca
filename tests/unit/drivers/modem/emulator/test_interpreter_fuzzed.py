"""Whatever is typed, a modem goes on."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.modem.emulator.fault_table import FAULTS
from drivers.modem.emulator.inbound import Inbound
from tests.unit.drivers.modem.emulator.desk import Desk

NAMES = [line for line in Desk().quiet().asked("AT+CLAC") if line.startswith("+")]
ARGUMENTS = st.lists(
    st.one_of(
        st.integers(-1, 300).map(str),
        st.sampled_from([
            "",
            '"SM"',
            '"ME"',
            '"SR"',
            '"+15551230000"',
            '"ALL"',
            '"1234"',
            '"UCS2"',
            '"',
            "\xff",
        ]),
    ),
    max_size=5,
).map(",".join)
COMMANDS = st.builds(
    "{}{}{}".format,
    st.sampled_from([*NAMES, "E", "V", "Q", "Z", "S3"]),
    st.sampled_from(["", "=", "?", "=?"]),
    ARGUMENTS,
)
LINES = st.lists(COMMANDS, min_size=1, max_size=3).map(lambda commands: f"AT{';'.join(commands)}\r")
TYPED = st.one_of(
    LINES,
    st.sampled_from(["\x1a", "\x1b", "A/", "0001000A91", "AT\r"]),
    st.text("AT+\x08\x1b\x00\r?=;", max_size=9),
)
LASTING = sorted(
    set(FAULTS) - {"wrong_port", "hang", "refuse", "sleepy", "lost_result", "garbage", "vanish_in_send"}
)


@given(st.lists(st.one_of(TYPED, st.sampled_from(LASTING).map(lambda name: f"fault {name}")), max_size=12))
def test_a_modem_bears_anything_and_answers_afterwards(steps: list[str]) -> None:
    desk = Desk()
    for step in steps:
        if step.startswith("fault "):
            desk.faults.add(step.removeprefix("fault "))
        else:
            desk.type(step)
        desk.modem.deliver(Inbound("Hello"))
        desk.wait(0.5)
    desk.faults.clear()
    desk.wait(60)
    desk.type("\x1b")
    desk.tell("ATZ")
    assert desk.asked("AT")[-1] == "OK"
