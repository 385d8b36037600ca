"""What a route is: the one declaration that registers it, guards it and documents it.

Owns the record. Must not know which routes there are.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rest_facade.call import Call
from rest_facade.fields import Field
from rest_facade.wire import JSON, Answer

Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON body: its schema's name, an example, whether it may be left out, whether it has the larger limit.

    `others`: examples of its other kinds by name.
    """

    schema: str
    example: Mapping[str, Any]
    required: bool = True
    is_batch: bool = False
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


@dataclass(frozen=True, slots=True)
class Success:
    """A successful answer: what it means, and its schema's name or another content type."""

    meaning: str
    schema: str = ""
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    `path` as OpenAPI writes it, `/api/v1/messages/{messageId}`. `scope` is what a key needs; None: no key at all,
    and no rate limit. `errors` are codes beyond those that every route of its kind has.
    """

    method: str
    path: str
    handler: Handler
    operation: str
    tag: str
    summary: str
    scope: str | None
    success: Mapping[int, Success]
    description: str = ""
    body: Body | None = None
    query: tuple[Field, ...] = ()
    errors: tuple[str, ...] = ()
    links: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def label(self) -> str:
        """How logs and metrics name it."""
        return f"{self.method} {self.path}"
