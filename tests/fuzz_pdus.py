"""Hostile PDUs for the codec, as many as you like: `python -m tests.fuzz_pdus --count 1000000 --seed 1`.

Owns what is thrown at the decoders of drivers.modem.codec and what must hold of every answer. Prints the PDUs that
break a rule and ends with 1 if there are any.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from drivers.modem import codec
from drivers.modem.codec import (
    Concatenation,
    Deliver,
    StatusReport,
    Submit,
    Undecodable,
)

TEXTS = ("", "a", "How are you?", "€{}[]~" * 20, "@" * 160, "да нет", "\N{GRINNING FACE}" * 35)
ADDRESSES = ("+491711234567", "12345", "*#abc", "+1", "1" * 20)
CODINGS = (
    0x00,
    0x04,
    0x08,
    0x0C,
    0x10,
    0x18,
    0x20,
    0x44,
    0x48,
    0x80,
    0xC0,
    0xD8,
    0xE0,
    0xF0,
    0xF2,
    0xF5,
    0xFF,
)
STRANGE = (
    "",
    " ",
    "\n",
    "0",
    "zz",
    "0x00",
    "００",
    "é",
    "\ud83d",
    "\x00",
    "0" * 9999,
    "F" * 10_000,
    "+CMT: ,24",
)


def seeds(chance: random.Random) -> str:
    """One PDU as a network or a driver would write it."""
    address = chance.choice(ADDRESSES)
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(10**9))
    zoned = moment.astimezone(timezone(timedelta(minutes=15 * chance.randrange(-48, 57))))
    smsc = chance.choice(("", "+4917000"))
    if chance.random() < 0.3:
        return codec.encode_status_report(
            message_reference=chance.randrange(256),
            recipient=address,
            sent_at=zoned,
            done_at=zoned,
            status=chance.randrange(256),
            smsc=smsc,
        ).hex
    text = chance.choice(TEXTS)
    bits = chance.choice((8, 16))
    if chance.random() < 0.3:
        pdus = codec.submit_pdus(
            text * chance.randrange(1, 4),
            destination=address,
            reference=chance.randrange(1 << bits),
            wants_report=chance.random() < 0.5,
            validity=chance.choice((None, timedelta(minutes=chance.randrange(10**6)))),
            is_flash=chance.random() < 0.5,
            reference_bits=bits,
            smsc=smsc,
        )
        return chance.choice(pdus).hex
    originator = chance.choice((*ADDRESSES, "Spotify", "Bank", "A€"))
    if chance.random() < 0.5:
        return codec.encode_octets_deliver(
            chance.randbytes(chance.randrange(60)),
            originator=originator,
            sent_at=zoned,
            header=header(chance),
            protocol=chance.choice((0, 0x40, 0x7F, chance.randrange(256))),
            smsc=smsc,
        ).hex
    pdus = codec.deliver_pdus(
        text * 3, originator=originator, sent_at=zoned, reference=1, reference_bits=bits, smsc=smsc
    )
    return chance.choice(pdus).hex


def header(chance: random.Random) -> bytes:
    """A user data header of elements with likely identifiers and now and then a wrong length."""
    elements = b""
    for _ in range(chance.randrange(4)):
        data = chance.randbytes(chance.choice((0, 1, 1, 2, 3, 3, 4, 4, 5)))
        length = len(data) if chance.random() < 0.9 else chance.randrange(256)
        identifier = chance.choice((0x00, 0x01, 0x04, 0x05, 0x08, 0x24, 0x25, 0x70, chance.randrange(256)))
        elements += bytes([identifier, length]) + data
    return bytes([len(elements) if chance.random() < 0.9 else chance.randrange(256)]) + elements


def mutated(chance: random.Random, pdu: str) -> str:
    """A PDU with a few octets changed, cut off, put in or out of place."""
    octets = bytearray.fromhex(pdu)
    for _ in range(chance.randrange(3)):
        position = chance.randrange(len(octets) + 1)
        match chance.randrange(6):
            case 0:
                octets[position : position + 1] = chance.randbytes(1)
            case 1:
                del octets[position:]
            case 2:
                octets[position:position] = chance.randbytes(chance.randrange(1, 4))
            case 3:
                del octets[position : position + chance.randrange(1, 4)]
            case 4:
                octets[position : position + 1] = bytes([chance.choice(CODINGS)])
            case _:
                octets += chance.randbytes(chance.randrange(200))
    return octets.hex()


def hostile(chance: random.Random) -> str:
    """One string that a modem might hand in on its worst day."""
    match chance.randrange(10):
        case 0:
            return chance.randbytes(chance.randrange(200)).hex()
        case 1:
            return (b"\x00" + bytes([chance.randrange(256)]) + chance.randbytes(chance.randrange(190))).hex()
        case 2:
            pdu = seeds(chance)
            position = chance.randrange(len(pdu))
            return pdu[:position] + chance.choice(STRANGE) + pdu[position:]
        case 3:
            return chance.choice(STRANGE)
        case _:
            return mutated(chance, seeds(chance))


def broken_rules(pdu: str) -> list[str]:
    """What does not hold of the answers to a string."""
    return [
        f"{decode.__name__}: {problem}"
        for decode in (codec.decode_incoming, codec.decode_submit)
        if (problem := broken_rule(pdu, decode))
    ]


def broken_rule(pdu: str, decode: Callable[[str], Deliver | StatusReport | Submit | Undecodable]) -> str:
    try:
        answer = decode(pdu)
    except Exception as error:  # noqa: BLE001 - that nothing is raised is the rule
        return repr(error)
    match answer:
        case Undecodable():
            kept = bool(answer.problem)
        case StatusReport():
            kept = is_moment(answer.sent_at) and is_moment(answer.done_at)
        case Deliver():
            kept = is_moment(answer.sent_at) and is_unicode(answer.originator) and is_whole(answer)
        case Submit():
            kept = is_unicode(answer.destination) and is_whole(answer)
    return "" if kept and answer.raw == pdu else repr(answer)


def is_moment(moment: datetime | None) -> bool:
    return moment is None or moment.utcoffset() == timedelta()


def is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def is_whole(message: Deliver | Submit) -> bool:
    return (
        is_unicode(message.text)
        and codec.join_text([message]) == message.text
        and (message.concatenation is None or is_possible(message.concatenation))
    )


def is_possible(segment: Concatenation) -> bool:
    return (
        segment.reference_bits in (8, 16)
        and 0 <= segment.reference < 1 << segment.reference_bits
        and 1 <= segment.number <= segment.total <= 255
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    answers: Counter[str] = Counter()
    broken = 0
    for _ in range(options.count):
        pdu = hostile(chance)
        if rules := broken_rules(pdu):
            broken += 1
            sys.stdout.write(f"{pdu!a}: {', '.join(rules)}\n")
            continue
        answers[type(codec.decode_incoming(pdu)).__name__] += 1
    sys.stdout.write(
        f"{options.count} strings, seed {options.seed}: {dict(answers)}; {broken} broke a rule\n"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
