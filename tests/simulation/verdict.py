"""The last look at a world that has come to rest: every message ended as the network treated it.

Owns what must be true once all faults are over and everything was delivered. Compares the committed rows with the
radio and with what clients were told.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.simulation.checker import Checker, Rule
from tests.simulation.database import Database
from tests.simulation.radio import Ending, Fate, Radio, Script
from tests.simulation.traffic import Clients, Request

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Losses:
    """What a lost journal took along, so that nobody can ask for it."""

    reports: frozenset[str]
    """Commands with reports that the network believes told."""
    inbound: dict[str, int]
    """How often each message that came in was in a journal that was lost before the core had it."""


def judge(
    checker: Checker,
    database: Database,
    radio: Radio,
    *,
    clients: Clients,
    scripts: dict[str, Script],
    losses: Losses,
    inbound_journals: dict[str, set[str]],
) -> None:
    """Note everything that is not as it must be."""
    rows = database.query(
        "SELECT id, state, body, external_id, attempt, direction, read_ms FROM message ORDER BY id"
    )
    outbound = {row[0]: row for row in rows if row[5] == "outbound"}
    requests = {request.label: request for request in clients.requests}
    _judge_accepts(checker, outbound, requests)
    for message_id, row in outbound.items():
        label = row[2].split()[0]
        excused = any(f"{message_id}-{n}" in losses.reports for n in range(1, row[4] + 1))
        expected = _expected(radio, message_id, scripts[label])
        if message_id in checker.unknown and not radio.took(message_id):
            expected.add("failed")  # proof came late: it is settled, and never tried again
        if label in requests and requests[label].is_served:
            expected.discard("expired")
        if excused and radio.took(message_id):
            expected |= {"sent", "unknown"}
        if row[1] not in expected:
            text = f"{label} {message_id} is {row[1]}, expected {sorted(expected)} of {scripts[label]}"
            checker.find(Rule.OUTCOME, text)
        must_be_read = scripts[label].ending is Ending.READ and radio.took(message_id) > 0
        if row[6] is not None if not must_be_read else row[6] is None and not excused:
            checker.find(Rule.OUTCOME, f"{label} {message_id} was read at {row[6]} by {scripts[label]}")
        if message_id in clients.cancelled and row[1] != "cancelled":
            checker.find(Rule.OUTCOME, f"{label} {message_id} was called cancelled and is {row[1]}")
    _judge_inbound(checker, [row[2] for row in rows if row[5] == "inbound"], inbound_journals, losses)


def _judge_accepts(checker: Checker, outbound: dict[str, Any], requests: dict[str, Request]) -> None:
    counts: dict[str, list[str]] = {}
    for message_id, row in outbound.items():
        counts.setdefault(row[2].split()[0], []).append(message_id)
    for label, message_ids in counts.items():
        request = requests.get(label)
        if request is None:
            checker.find(Rule.ACCEPTED, f"nobody asked for {label}")
        elif len(message_ids) > 1:
            checker.find(Rule.EXTERNAL_ID, f"{label} was asked for once and is there as {message_ids}")
    for label, request in requests.items():
        if missing := request.answered - set(counts.get(label, [])):
            checker.find(Rule.ACCEPTED, f"{label} was accepted as {missing} and is not there")


def _expected(radio: Radio, message_id: str, script: Script) -> set[str]:
    """The states that what the network did allows."""
    if not radio.took(message_id):
        states = {"expired", "cancelled", "unknown"}
        return states | {"failed"} if script.fate is Fate.REFUSED else states
    if script.ending in (Ending.DELIVERED, Ending.READ):
        return {"delivered"}
    if script.ending is Ending.FAILED:
        return {"failed"}
    return {"sent", "unknown"}


def _judge_inbound(
    checker: Checker, texts: list[str], inbound_journals: dict[str, set[str]], losses: Losses
) -> None:
    for text in set(texts) | inbound_journals.keys():
        count, most = texts.count(text), len(inbound_journals.get(text, ()))
        least = most - losses.inbound.get(text, 0)
        if not least <= count <= most:
            checker.find(Rule.INBOUND, f"{text} is there {count} times, expected {least} to {most}")


def judge_world(world: "World") -> None:
    """Judge a world that has come to rest."""
    judge(
        world.checker,
        world.database,
        world.radio,
        clients=world.clients,
        scripts=world.scripts,
        losses=Losses(frozenset(world.losses_of_reports), dict(world.losses_of_inbound)),
        inbound_journals=world.inbound_journals,
    )
