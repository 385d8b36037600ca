"""docs/modems.md names what there is, all of it."""

import re
import tomllib
from typing import Any

from drivers.modem.at.causes import TABLES, Action
from drivers.modem.at.results import Domain
from drivers.modem.conditions import CONDITIONS, Reason
from drivers.modem.config import KEYS
from drivers.modem.setup.quirks import CASES, READERS, read_overrides
from infinireach.v1.device_pb2 import DEVICE_STATE_ATTENTION, DEVICE_STATE_DEGRADED, DEVICE_STATE_ONLINE
from tests import repository

PAGE = (repository.ROOT / "docs/modems.md").read_text(encoding="utf-8")
STATES = {
    DEVICE_STATE_ONLINE: "online",
    DEVICE_STATE_DEGRADED: "degraded",
    DEVICE_STATE_ATTENTION: "attention",
}
ACTION_OF_ROW = {
    "the number does not exist": Action.PERMANENT,
    "it has the message already": Action.ACCEPTED,
    "it cannot do a feature": Action.WITHOUT_FEATURE,
    "busy, out of order": Action.RETRY,
    "no answer": Action.AMBIGUOUS,
    "something is wrong": Action.DEVICE,
    "memory full": Action.STORAGE,
}


def table(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = PAGE.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = re.findall(r"^\|.*\|$", section, re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line[1:-1])] for line in lines[2:]]


def names(heading: str) -> list[str]:
    """What stands as code in the first column."""
    return [cells[0].strip("`") for cells in table(heading) if cells[0].startswith("`")]


def test_every_key_of_the_file_is_explained() -> None:
    section = table("## modems.toml")
    keys = {cells[0].strip("`"): cells[1] for cells in section[: len(KEYS)]}
    assert set(keys) == {key.name for key in KEYS}
    required = {name for name, text in keys.items() if text.startswith("required")}
    assert required == {key.name for key in KEYS if key.is_required}


def test_what_stands_in_examples_is_known() -> None:
    examples = [tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)]
    modems = [modem for example in examples for modem in _tables(example["modem"])]
    assert len(modems) == 3
    known = {key.name: key for key in KEYS}
    for modem in modems:
        for name, value in modem.items():
            known[name].read(value)
        assert read_overrides(modem.get("quirks", {}))[1] == []


def _tables(modem: Any) -> list[dict[str, Any]]:
    return modem if isinstance(modem, list) else [modem]


def test_every_override_is_explained() -> None:
    assert set(names("### Quirks")) == set(READERS)


def test_every_condition_stands_with_its_state_and_remedy() -> None:
    shown = {cells[0].strip("`"): cells[1:] for cells in table("## States and remedies")}
    assert shown == {
        reason.value: [STATES[row.state], row.remedy.format(name="NAME") or "nothing: it passes"]
        for reason, row in CONDITIONS.items()
        if reason is not Reason.READY
    }


def test_codes_of_the_error_table_do_what_the_page_says() -> None:
    rows = table("## What happens when sending fails")
    assert len(rows) == len(ACTION_OF_ROW)
    for row in rows:
        [action] = [action for words, action in ACTION_OF_ROW.items() if row[0].lower().find(words) != -1]
        for domain, text in re.findall(r"(CMS|CME) ([^;]*)", row[1]):
            for first, last in re.findall(r"([0-9]+)(?: to ([0-9]+))?", text):
                for code in range(int(first), int(last or first) + 1):
                    known = TABLES[Domain(domain)].get(code)
                    assert known is not None, f"{domain} {code}"
                    assert known.action is action, f"{domain} {code}"


def test_every_maker_with_something_special_is_in_the_table_of_models() -> None:
    makers = "\n".join(" ".join(cells) for cells in table("## Models")).lower()
    for case in CASES:
        assert re.search(case.maker, makers), case.maker
