"""After the last kill: what became of everything.

Owns the invariants. Each is a sentence with the cases that break it; a run is good if there is none.
"""

import hashlib
import hmac
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.kills.gateway import Harmed
from tests.e2e.kills.load import PLAIN, SANDBOX, Load, Post
from tests.fakes.webhook_receiver import ReceivedRequest

FINAL = {
    PLAIN: {"delivered"},
    SANDBOX.format(1): {"failed"},
    SANDBOX.format(2): {"failed"},
    SANDBOX.format(3): {"failed"},
    SANDBOX.format(4): {"sent"},
    SANDBOX.format(5): {"delivered"},
    SANDBOX.format(6): {"unknown"},
    SANDBOX.format(7): {"delivered"},
    SANDBOX.format(8): {"failed"},
    SANDBOX.format(9): {"delivered"},
}
SILENT = {SANDBOX.format(number) for number in (1, 2, 3, 4, 6)}
"""Destinations for which the network never reports after its first answer: if that is lost, nothing ever tells."""

LAST_EVENT = {
    "delivered": "message.delivered",
    "sent": "message.sent",
    "failed": "message.failed",
    "unknown": "message.failed",
}


@dataclass(slots=True)
class Accounts:
    """The table of a run and what is wrong."""

    table: dict[str, int] = field(default_factory=dict[str, int])
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def check(self, holds: bool, rule: str, case: str) -> None:
        """Note a case that breaks a rule."""
        if not holds:
            self.faults[rule].append(case)

    def __str__(self) -> str:
        lines = [f"{name:>28}  {count}" for name, count in self.table.items()]
        for rule, cases in self.faults.items():
            lines.append(f"BROKEN: {rule} ({len(cases)} cases)")
            lines.extend(f"    {case}" for case in cases[:10])
        return "\n".join(lines)


def account(gateway: Harmed, load: Load, received: Sequence[ReceivedRequest], secret: str) -> Accounts:
    """Compare what clients, the radio, the database and the receiver know."""
    accounts = Accounts()
    messages = {
        row[0]: row
        for row in gateway.query(
            "SELECT id, state, destination, external_id, attempt, failure_reason FROM message"
            " WHERE direction = 'outbound'"
        )
    }
    _account_posts(accounts, load.posts, messages)
    _account_radio(accounts, gateway, messages)
    _account_inbound(accounts, gateway, load)
    _account_webhooks(accounts, gateway, received, secret)
    fault = gateway.fault_of_database()
    accounts.check(not fault, "the database is whole", fault)
    return accounts


def _account_posts(accounts: Accounts, posts: Sequence[Post], messages: dict[str, Any]) -> None:
    acknowledged = [post for post in posts if post.ids]
    named = {message_id for post in acknowledged for message_id in post.ids}
    by_external_id = {row[3]: row[0] for row in messages.values() if row[3]}
    for post in posts:
        accounts.check(len(set(post.ids)) <= 1, "one externalId, one message", str(post))
        accounts.check(
            bool(post.ids) or "externalId" not in post.body, "a repeated post is answered", str(post)
        )
        accounts.check(
            all(status in (0, 200, 201, 503) for status in post.answers),
            "answers are 2xx or 503",
            str(post.answers),
        )
    for message_id in named:
        accounts.check(message_id in messages, "a message answered 2xx exists", message_id)
    attempted = {post.body.get("externalId") for post in posts}
    for external_id, message_id in by_external_id.items():
        accounts.check(external_id in attempted, "nothing exists that nobody posted", message_id)
    accounts.table |= {
        "posts attempted": len(posts),
        "posts acknowledged": len(acknowledged),
        "messages": len(messages),
        "recovered (no 2xx, stored)": len(messages) - len(named & set(messages)),
        "attempts repeated": sum(len(post.answers) - 1 for post in posts),
    }


def _account_radio(accounts: Accounts, gateway: Harmed, messages: dict[str, Any]) -> None:
    lines = gateway.radio()
    handed_over = Counter(line["message_id"] for line in lines)
    commands = Counter(line["command_id"] for line in lines)
    states = Counter(row[1] for row in messages.values())
    for command_id, count in commands.items():
        accounts.check(count == 1, "a command reaches the radio at most once", command_id)
    for message_id, count in handed_over.items():
        accounts.check(count == 1, "a message is sent at most once", message_id)
        accounts.check(message_id in messages, "only accepted messages are sent", message_id)
    for message_id, state, destination, *_, reason in messages.values():
        case = f"{message_id} to {destination} is {state} ({reason}), sent {handed_over[message_id]} times"
        excused = state == "unknown" and (destination in SILENT or not handed_over[message_id])
        accounts.check(
            state in FINAL[destination] or excused, "every message ends as its destination does", case
        )
    accounts.table |= {"handed to the radio": len(lines)} | {
        f"state {state}": n for state, n in sorted(states.items())
    }


def _account_inbound(accounts: Accounts, gateway: Harmed, load: Load) -> None:
    rows = gateway.query("SELECT body, count(*) FROM message WHERE direction = 'inbound' GROUP BY body")
    counts = dict(rows)
    for body, taken in load.inbound.items():
        accounts.check(counts.get(body, 0) <= 1, "an inbound message arrives once", body)
        accounts.check(
            counts.get(body, 0) == 1 or not taken, "an inbound message that was taken arrives", body
        )
    accounts.table |= {"inbound taken": sum(load.inbound.values()), "inbound stored": len(counts)}


def _account_webhooks(
    accounts: Accounts, gateway: Harmed, received: Sequence[ReceivedRequest], secret: str
) -> None:
    events = {
        row[0]: (row[1], bytes(row[2]), row[3])
        for row in gateway.query("SELECT id, type, body, message_id FROM event WHERE type LIKE 'message.%'")
    }
    told: Counter[str] = Counter()
    for request in received:
        event_id = request.header("webhook-id") or ""
        if not json.loads(request.body)["event"].startswith("message."):
            continue
        told[event_id] += 1
        expected = hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()
        accounts.check(
            hmac.compare_digest(expected, request.header("x-infini-reach-signature") or ""),
            "every webhook is signed", event_id,
        )  # fmt: skip
        accounts.check(event_id in events, "no webhook without an event", event_id)
        accounts.check(
            event_id in events and events[event_id][1] == request.body, "the same bytes each time", event_id
        )
    for event_id, (event_type, *_rest) in events.items():
        accounts.check(told[event_id] >= 1, "every event is told", f"{event_id} {event_type}")
    _account_sequences(accounts, gateway, events)
    accounts.table |= {
        "events": len(events),
        "webhooks": sum(told.values()),
        "told again": sum(told.values()) - len(told),
    }


def _account_sequences(
    accounts: Accounts, gateway: Harmed, events: dict[str, tuple[str, bytes, str]]
) -> None:
    by_message: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for _, body, message_id in events.values():
        by_message[message_id].append(json.loads(body))
    for message_id, state in gateway.query("SELECT id, state FROM message WHERE direction = 'outbound'"):
        own = sorted(by_message[message_id], key=lambda event: event["data"]["sequence"])
        shown = f"{message_id} {state}: {[(event['event'], event['data']['sequence']) for event in own]}"
        numbers = [event["data"]["sequence"] for event in own]
        accounts.check(numbers == list(range(1, len(own) + 1)), "events of a message count from 1", shown)
        accounts.check(
            bool(own) and own[-1]["event"] == LAST_EVENT.get(state), "the last event tells the end", shown
        )
        types = [event["event"] for event in own]
        once = types.count("message.sent") <= 1 and types.count("message.delivered") <= 1
        accounts.check(once, "sent and delivered are told once", shown)
