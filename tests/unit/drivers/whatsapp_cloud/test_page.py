"""docs/whatsapp-cloud.md names what there is, all of it."""

import re
import tomllib
from pathlib import Path

import pytest

from drivers.runtime.config_file import Key
from drivers.whatsapp_cloud import config
from drivers.whatsapp_cloud.conditions import CONDITIONS, Reason
from drivers.whatsapp_cloud.config import GRAPH_KEYS, NUMBER_KEYS, WEBHOOK_KEYS
from drivers.whatsapp_cloud.errors import (
    MEANINGS,
    PERMISSION_CODES,
    TEMPLATE_CODES,
    TOO_MANY_REQUESTS,
    Effect,
    meaning_of,
)
from infinireach.v1.device_pb2 import DEVICE_STATE_ATTENTION, DEVICE_STATE_DEGRADED
from infinireach.v1.message_pb2 import FAILURE_REASON_DEVICE_FAULT, FailureReason
from tests import repository

PAGE = (repository.ROOT / "docs/whatsapp-cloud.md").read_text(encoding="utf-8")
STATES = {DEVICE_STATE_DEGRADED: "degraded", DEVICE_STATE_ATTENTION: "attention"}
SOURCES = sorted((repository.ROOT / "drivers/whatsapp_cloud").glob("*.py"))


def table(before: str) -> list[list[str]]:
    """The cells of the first table after these words, without its head."""
    lines = PAGE.split(before, 1)[1].split("\n\n|", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize(
    ("before", "keys"),
    [("\n`[graph]`", GRAPH_KEYS), ("\n`[webhook]`:", WEBHOOK_KEYS), ("\n`[[number]]`,", NUMBER_KEYS)],
)
def test_every_key_of_the_file_is_explained(before: str, keys: tuple[Key, ...]) -> None:
    named = [name for cells in table(before) for name in re.findall(r"`(\w+)`", cells[0])]
    assert sorted(named) == sorted(key.name for key in keys)


def test_example_is_a_file_that_can_be_used(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert tomllib.loads(example)
    (tmp_path / "whatsapp.toml").write_text(example)
    for name in ("token", "app-secret", "verify-token"):
        (tmp_path / name).write_text("words")
    assert len(config.read_config(tmp_path / "whatsapp.toml").numbers) == 1


def test_every_state_is_there_with_its_remedy() -> None:
    told = {cells[0].strip("`"): (cells[1], cells[2]) for cells in table("\n## States and remedies")}
    assert told == {
        reason.value: (STATES[condition.state], condition.remedy or "nothing: it passes")
        for reason, condition in CONDITIONS.items()
        if reason is not Reason.READY
    }


def codes_in(cell: str) -> set[int]:
    """The codes that a cell names; of a range its ends."""
    return {int(code) for code in re.findall(r"\d+", cell)}


def test_every_code_is_in_the_table_with_what_becomes_of_it() -> None:
    rows = [(codes_in(cells[0]), cells[1], cells[2]) for cells in table("\n## Meta's error codes")]
    known = [code for codes, _, _ in rows for code in codes]
    ends = {PERMISSION_CODES[0], PERMISSION_CODES[-1], TEMPLATE_CODES[0], TEMPLATE_CODES[-1]}
    assert sorted(known) == sorted({*MEANINGS, *ends})
    assert TOO_MANY_REQUESTS in known
    for codes, message, number in rows:
        for code in codes:
            meaning = meaning_of(code)
            if meaning.effect is Effect.NUMBER:
                assert number.startswith(f"`{meaning.condition.value}`"), code
            else:
                assert number.startswith("goes on"), code
            name = FailureReason.Name(meaning.reason).removeprefix("FAILURE_REASON_").lower()
            is_retried = name in {"no_service", "device_fault", "rate_limited"}
            assert message.startswith("tried again" if is_retried else f"`{name}`"), code


def test_every_count_is_explained() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    counted = set(re.findall(r'(?:applied|dropped)\("(\w+)"', text))
    named = {name for cells in table("\n## Counters") for name in re.findall(r"`(\w+)`", cells[0])}
    assert named == counted


def test_size_that_the_page_tells_is_about_right() -> None:
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES)
    (told,) = re.findall(r"about ([\d,]+) lines", PAGE)
    assert abs(int(told.replace(",", "")) - lines) <= 100


def test_what_a_person_has_to_mend_is_never_the_messages_fault() -> None:
    for code, meaning in MEANINGS.items():
        if meaning.effect is Effect.NUMBER and CONDITIONS[meaning.condition].is_for_a_person:
            assert meaning.reason == FAILURE_REASON_DEVICE_FAULT, code
