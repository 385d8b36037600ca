"""Options that several commands share, and how their texts are read."""

import re
from datetime import UTC, datetime
from typing import Annotated

import typer

_DURATION = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}

AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON document instead of text.")]
TenantOption = Annotated[
    str, typer.Option("--tenant", "-t", help="Tenant, by name or id; not needed if there is only one.")
]


def expiry_ms(text: str, now_ms: int) -> int | None:
    """The moment that `--expires` names; None for an empty text. Raises typer.BadParameter."""
    if not text:
        return None
    if duration := _DURATION.fullmatch(text):
        return now_ms + int(duration[1]) * _UNIT_MS[duration[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            "neither a time from now such as 30d, 12h or 90m, nor a date such as 2030-01-31",
            param_hint="--expires",
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
