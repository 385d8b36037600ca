"""Which events an endpoint wants, and the name that it gets them under.

Owns the stored form of an endpoint's wishes and the alias. Knows neither storage nor HTTP.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

ALIASES = {"message.received": "message.inbound"}
"""Names that an endpoint may choose, and the event type that each stands for."""

_PARSED_MAX = 1_024


def join(names: Iterable[str]) -> str:
    """The stored form of the names that an endpoint chose."""
    return " ".join(names)


@lru_cache(_PARSED_MAX)
def names_by_type(stored: str) -> Mapping[str, str]:
    """The event types that an endpoint wants, each with the one name to send it under.

    Where both names of a type were chosen, its own wins: an endpoint gets an event once.
    """
    chosen = stored.split()
    return {ALIASES.get(name, name): name for name in sorted(chosen, key=lambda name: name not in ALIASES)}


def body_under(name: str, body: bytes) -> bytes:
    """The bytes that say `name`: those stored, but for the alias, where the first value is exchanged.

    The answer depends on nothing else, so every attempt and replay of a delivery carries the same bytes.
    """
    event_type = ALIASES.get(name)
    if event_type is None:
        return body
    stored = b'{"event":"%b",' % event_type.encode()
    return (
        b'{"event":"%b",%b' % (name.encode(), body.removeprefix(stored)) if body.startswith(stored) else body
    )
