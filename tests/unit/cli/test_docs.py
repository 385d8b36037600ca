"""The pages that are made of declarations."""

from tests import repository
from tools import docs


def test_the_pages_say_what_the_declarations_say() -> None:
    for path, text in docs.pages().items():
        assert path.is_file(), f"{repository.shown(path)} is missing: run python tools/docs.py"
        assert path.read_text(encoding="utf-8") == text, (
            f"{repository.shown(path)} is out of date: run python tools/docs.py"
        )


def test_every_command_has_help() -> None:
    sections = docs.pages()[docs.DOCS / "cli.md"].split("\n## ")[1:]
    assert len(sections) > 20
    for section in sections:
        name, _, rest = section.partition("\n")
        usage, help_text = [line for line in rest.splitlines() if line][:2]
        assert usage.startswith(f"`{name}"), name
        assert help_text.endswith((".", "?")), f"{name} has no help"
