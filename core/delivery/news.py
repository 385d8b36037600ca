"""Who is told that endpoints have something due: the deliverer of this process, or those of all.

Owns that no deliverer is told that does not run, and that every one that runs hears of what owners of endpoints did.
All of it is hints: a lost one costs time until the next poll.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

Tell = Callable[[Iterable[str]], None]


class Hearer(Protocol):
    """The deliverer of this process."""

    def published(self, webhook_ids: Iterable[str]) -> None:
        """New deliveries."""
        ...

    def wake(self, webhook_ids: Iterable[str]) -> None:
        """Something else became due, or another configuration."""
        ...


class News:
    """Tells of endpoints.

    `here`: the deliverer of this process, None if it runs none. `tell_due` and `tell_changed` reach every deliverer,
    this one too; None where there are no others.
    """

    def __init__(
        self, here: Hearer | None, *, tell_due: Tell | None = None, tell_changed: Tell | None = None
    ) -> None:
        self._here = here
        self._tell_due = tell_due
        self._tell_changed = tell_changed

    def published(self, webhook_ids: Iterable[str]) -> None:
        """These endpoints got new deliveries: for the deliverer here, which is the quickest, else for any other."""
        if self._here:
            self._here.published(webhook_ids)
        elif self._tell_due:
            self._tell_due(webhook_ids)

    def changed(self, webhook_ids: Iterable[str]) -> None:
        """A redelivery, a backlog, another configuration: for every deliverer, since any may have a part of it."""
        if self._tell_changed:
            self._tell_changed(webhook_ids)
        elif self._here:
            self._here.wake(webhook_ids)
