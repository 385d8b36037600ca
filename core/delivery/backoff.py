"""When a delivery is tried again, and what an answer means for it.

Owns the retry schedule, the reading of Retry-After and the meaning of a receiver's answer. It must not know
the database, HTTP clients or clocks: time and randomness come in as arguments.

17 attempts over 7.9 days: the first at once, the last seven a day apart, so that a receiver that is down over
a long weekend loses nothing.
"""

import enum
import random
import re
from datetime import UTC
from email.utils import parsedate_to_datetime

_MINUTE_S = 60
_HOUR_S = 3_600
_DAY_S = 86_400

DELAYS_S: tuple[int, ...] = (
    0,
    5,
    30,
    2 * _MINUTE_S,
    10 * _MINUTE_S,
    30 * _MINUTE_S,
    1 * _HOUR_S,
    3 * _HOUR_S,
    6 * _HOUR_S,
    12 * _HOUR_S,
    *(7 * (_DAY_S,)),
)
"""Pause before attempt 1, 2, 3 and so on, in seconds, before jitter."""

ATTEMPTS_MAX = len(DELAYS_S)
JITTER = 0.2
SLOW_DELAY_S_MIN = 10 * _MINUTE_S
RETRY_AFTER_S_MAX = _DAY_S

_DELAY_SECONDS = re.compile(r"[0-9]+", re.ASCII)
_DELAY_DIGITS_MAX = 10

# RFC 9110: these say "later" (425: RFC 8470), all other 4xx say "not like this".
_PASSING_CLIENT_ERRORS = frozenset({408, 409, 425, 429})


class Control(enum.Enum):
    """What a receiver may ask for with the response header `Webhook-Delivery`."""

    DISABLE = "disable"
    ABORT_MESSAGE = "abort-message"


class Outcome(enum.Enum):
    """What one attempt means for the delivery, and for the endpoint where it says so."""

    SUCCESS = "success"
    """Delivered: a 2xx within the deadline."""
    RETRY = "retry"
    """Not delivered; the next attempt follows the schedule."""
    RETRY_SLOWLY = "retry_slowly"
    """Refused in a way that seldom passes within minutes; the next attempt keeps to the slow part of the
    schedule."""
    ABORT = "abort"
    """Not delivered, and the receiver asked for this delivery not to be tried again."""
    GONE = "gone"
    """Not delivered; the endpoint is to be disabled."""


def outcome(status: int | None, control: Control | None) -> Outcome:
    """Say what an attempt means.

    `status` is the HTTP status, None if no answer came; `control` is the receiver's `Webhook-Delivery`, None
    if absent. A 2xx is a success whatever `control` says; the caller disables the endpoint on
    `Control.DISABLE` in either case.
    """
    if status is None:
        return Outcome.RETRY
    if 200 <= status <= 299:
        return Outcome.SUCCESS
    if status == 410 or control is Control.DISABLE:
        return Outcome.GONE
    if control is Control.ABORT_MESSAGE:
        return Outcome.ABORT
    if 400 <= status <= 499 and status not in _PASSING_CLIENT_ERRORS:
        return Outcome.RETRY_SLOWLY
    return Outcome.RETRY


def next_due_ms(
    attempt_number: int,
    now_ms: int,
    retry_after_s: int | None,
    *,
    rng: random.Random,
    slowly: bool,
) -> int | None:
    """Return when the attempt after `attempt_number` is due, in Unix milliseconds, or None if that was the
    last one.

    `attempt_number` counts from 1 and is the attempt that just failed at `now_ms`. The pause is the
    schedule's, moved by up to 20 % either way, and never shorter than `retry_after_s` (of which at most 24 h
    count). `slowly` keeps the pause to ten minutes or more. Raises ValueError for an attempt number below 1.
    """
    if attempt_number < 1:
        raise ValueError("attempts count from 1")
    if attempt_number >= ATTEMPTS_MAX:
        return None
    delay_s = DELAYS_S[attempt_number]
    if slowly:
        delay_s = max(delay_s, SLOW_DELAY_S_MIN)
    pause_ms = round(delay_s * 1_000 * rng.uniform(1 - JITTER, 1 + JITTER))
    if retry_after_s is not None:
        pause_ms = max(pause_ms, min(retry_after_s, RETRY_AFTER_S_MAX) * 1_000)
    return now_ms + pause_ms


def parse_retry_after(value: str | None, *, now_s: float) -> int | None:
    """Read a Retry-After header (RFC 9110, 10.2.3): seconds from now, 1..86 400, or None where it asks for no
    wait.

    Both forms are read, a number of seconds and an HTTP date. Nothing, garbage, negative numbers, zero and
    past dates are None; longer waits than 24 h count as 24 h. `now_s` is the Unix time.
    """
    if value is None:
        return None
    text = value.strip()
    if _DELAY_SECONDS.fullmatch(text):
        digits = text.lstrip("0") or "0"
        seconds = int(digits) if len(digits) <= _DELAY_DIGITS_MAX else RETRY_AFTER_S_MAX
    else:
        seconds = _seconds_until_http_date(text, now_s)
    return min(seconds, RETRY_AFTER_S_MAX) if seconds > 0 else None


def _seconds_until_http_date(text: str, now_s: float) -> int:
    """Return the seconds until an HTTP date, rounded up; 0 for what is not one."""
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return -int((now_s - date.timestamp()) // 1)
    except (ValueError, OverflowError):
        return 0
