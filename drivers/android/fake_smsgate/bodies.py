"""What requests to the app say, checked as the app checks it."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from drivers.android.fake_smsgate.values import Message, Recipient
from drivers.android.fake_smsgate.webhooks import new_id

LIST_DEFAULT, LIST_MAX = 50, 500
PRIORITIES = range(-128, 128)
_ZONE = re.compile(r"(Z|[+-][0-9]{2}:?[0-9]{2})$")


class BodyInvalid(ValueError):
    """The app answers 400; the text is its message."""


def message_of(body: object, query: Mapping[str, str], now: datetime, device_id: str) -> Message:
    """The message that a request wants sent. Raises BodyInvalid."""
    fields = _object(body)
    if fields.get("deviceId") not in {None, device_id}:
        raise BodyInvalid("Invalid device ID")
    numbers = fields.get("phoneNumbers")
    if not isinstance(numbers, list) or not all(isinstance(number, str) for number in numbers):
        raise BodyInvalid("phoneNumbers must be a list of strings")
    if not numbers:
        raise BodyInvalid("phoneNumbers is empty")
    sim_number = _typed(fields, "simNumber", int)
    if sim_number is not None and sim_number < 1:
        raise BodyInvalid("simNumber must be >= 1")
    priority = _typed(fields, "priority", int) or 0
    if priority not in PRIORITIES:
        raise BodyInvalid("priority must be a byte")
    with_report = _typed(fields, "withDeliveryReport", bool)
    return Message(
        id=_typed(fields, "id", str) or new_id(),
        text=_text(fields),
        recipients=[Recipient(number) for number in numbers],
        created_at=now,
        sim_number=sim_number,
        valid_until=_valid_until(fields, now),
        with_delivery_report=with_report is not False,
        skips_validation=_flag(query, "skipPhoneValidation"),
        is_encrypted=_typed(fields, "isEncrypted", bool) or False,
        priority=priority,
    )


def period_of(body: object) -> tuple[datetime, datetime]:
    """The time between which messages of the inbox are wanted. Raises BodyInvalid."""
    fields = _object(body)
    since, until = _moment(fields, "since"), _moment(fields, "until")
    if since is None or until is None:
        raise BodyInvalid("since and until must be given")
    if since > until:
        raise BodyInvalid("since must be before until")
    return since, until


def wants_events(body: object) -> bool:
    """Whether a refresh of the inbox is to send events. Raises BodyInvalid."""
    delivery = _object(body).get("webhookDelivery", "Disabled")
    if delivery not in {"Disabled", "Individual"}:
        raise BodyInvalid("webhookDelivery must be Disabled or Individual")
    return delivery == "Individual"


def page_of(query: Mapping[str, str], now: datetime) -> tuple[datetime | None, datetime, int, int]:
    """From when until when a list is wanted, how many and after how many. Raises BodyInvalid."""
    since, until = _moment(query, "from"), _moment(query, "to") or now
    if since is not None and since > until:
        raise BodyInvalid("Start date cannot be after end date")
    try:
        limit, offset = int(query.get("limit", LIST_DEFAULT)), int(query.get("offset", 0))
    except ValueError:
        limit, offset = LIST_DEFAULT, 0
    if not 1 <= limit <= LIST_MAX:
        raise BodyInvalid(f"limit must be between 1 and {LIST_MAX}")
    if offset < 0:
        raise BodyInvalid("offset must be >= 0")
    return since, until, limit, offset


def _object(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise BodyInvalid("Invalid request body")
    return body


def _text(fields: Mapping[str, Any]) -> str:
    given = [
        fields[name] for name in ("textMessage", "dataMessage", "message") if fields.get(name) is not None
    ]
    if not given:
        raise BodyInvalid("Must specify exactly one of: textMessage, dataMessage, or message")
    if len(given) > 1:
        raise BodyInvalid("Cannot specify multiple message types simultaneously")
    text = given[0].get("text") if isinstance(given[0], dict) else given[0]
    if not isinstance(text, str):
        raise BodyInvalid("The fake phone sends nothing but text")
    if not text:
        raise BodyInvalid("Text message is empty")
    return text


def _valid_until(fields: Mapping[str, Any], now: datetime) -> datetime | None:
    ttl, until = _typed(fields, "ttl", int), _moment(fields, "validUntil")
    if ttl is not None and until is not None:
        raise BodyInvalid("fields conflict: ttl and validUntil")
    if ttl is not None:
        until = now + timedelta(seconds=ttl)
    if until is not None and until < now:
        raise BodyInvalid("message already expired")
    return until


def _typed(fields: Mapping[str, Any], name: str, kind: type) -> Any:
    value = fields.get(name)
    if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise BodyInvalid(f"{name} must be a {kind.__name__}")
    return value


def _flag(query: Mapping[str, str], name: str) -> bool:
    value = query.get(name, "false")
    if value not in {"true", "false"}:
        raise BodyInvalid(f"{name} must be true or false")
    return value == "true"


def _moment(fields: Mapping[str, Any], name: str) -> datetime | None:
    """A date with its zone, or None if there is none. Raises BodyInvalid."""
    value = fields.get(name)
    if value is None:
        return None
    # In a query a plus sign that was not escaped is a blank.
    text = re.sub(" (?=[0-9]{2}:[0-9]{2}$)", "+", value) if isinstance(value, str) else ""
    if not _ZONE.search(text):
        raise BodyInvalid(f"Invalid {name} datetime")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise BodyInvalid(f"Invalid {name} datetime") from None
