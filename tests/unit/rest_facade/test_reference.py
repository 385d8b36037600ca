"""docs/api.md and what it is made from."""

from rest_facade.reference import TABLES, with_tables
from tests import repository

DOCUMENT = repository.ROOT / "docs" / "api.md"


def test_tables_of_the_api_document_are_up_to_date() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == with_tables(text), "run: python -m rest_facade.reference docs/api.md"


def test_api_document_holds_every_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert all(f"<!-- table: {name} -->" in text for name in TABLES)
