"""News of endpoints: whom they reach, for each kind of process."""

from collections.abc import Iterable

from core.delivery.news import News


class Told:
    """Notes what it is told, as the deliverer here and as the way to all others."""

    def __init__(self) -> None:
        self.log: list[tuple[str, list[str]]] = []

    def published(self, webhook_ids: Iterable[str]) -> None:
        self.log.append(("here: published", list(webhook_ids)))

    def wake(self, webhook_ids: Iterable[str]) -> None:
        self.log.append(("here: wake", list(webhook_ids)))

    def tell_due(self, webhook_ids: Iterable[str]) -> None:
        self.log.append(("all: due", list(webhook_ids)))

    def tell_changed(self, webhook_ids: Iterable[str]) -> None:
        self.log.append(("all: changed", list(webhook_ids)))


def log_of(*, delivers: bool, has_others: bool) -> list[tuple[str, list[str]]]:
    told = Told()
    here = told if delivers else None
    others = (told.tell_due, told.tell_changed) if has_others else (None, None)
    news = News(here, tell_due=others[0], tell_changed=others[1])
    news.published(["a"])
    news.changed(["b"])
    return told.log


def test_the_only_process_tells_its_deliverer() -> None:
    assert log_of(delivers=True, has_others=False) == [("here: published", ["a"]), ("here: wake", ["b"])]


def test_one_of_several_delivers_what_it_published_and_tells_all_of_changes() -> None:
    assert log_of(delivers=True, has_others=True) == [("here: published", ["a"]), ("all: changed", ["b"])]


def test_one_that_does_not_deliver_tells_those_that_do() -> None:
    assert log_of(delivers=False, has_others=True) == [("all: due", ["a"]), ("all: changed", ["b"])]


def test_one_that_does_not_deliver_on_a_database_file_tells_nobody() -> None:
    assert log_of(delivers=False, has_others=False) == []
