"""Hot statements on PostgreSQL with full tables: none reads or sorts more than it has to, whoever plans it.

The server itself tells, by auto_explain, how each statement was run and over how many rows: once planned for its
values, once planned for any values, as PostgreSQL does when a connection has sent a statement often enough.
"""

import json
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.orm import Session

from bench.filling import Shape, device_id, fill, settle, tenant_id, webhook_id
from core import delivery_log, event_feed, messages, retention
from core.deadlines import give_up_on_abandoned
from core.delivery.claims import Want, claim
from core.delivery_log import DeliveryFilter, list_deliveries
from core.device_admin import list_devices, removed_with_queue
from core.dispatch import ReadyDevice
from core.dispatch import claim as claim_messages
from core.driver_sessions import OpenedSession
from core.event_feed import FeedRequest, read_feed
from core.messages import MessageFilter, list_messages
from core.retention import STEPS, Retention
from core.store.migrate import migrate
from core.webhooks import settle_backlog
from tests.core_fixtures import NOW_MS
from tests.fakes.database import add_tenants
from tests.fakes.postgresql import shared_cluster
from tests.hot_statements import USE_CASES, open_world

SHAPE = Shape(messages=60_000, now_ms=NOW_MS, tenants=20, devices=3, queued=6_000)
GROWING = {"message", "timeline", "event", "delivery", "delivery_attempt"}
SCAN = 300
LOOK = 50
READ_MAX = 2_500
"""Rows that one step of a plan may read: less than any state, tenant or endpoint of weight has."""

BACKLOG = 2_000
"""Deliveries of one endpoint; who walks them for each of some messages reads more than that."""

MAKE_DUE = """
UPDATE delivery
SET state = 'pending', again = false, attempts = 0, due_ms = 1, lease_until_ms = NULL, lease_token = NULL
WHERE id IN (SELECT id FROM delivery WHERE webhook_id = :webhook_id ORDER BY id LIMIT :count)
"""

BIG = tenant_id(0)
KEEP = Retention(days=30, delivery_days=10)
DAY_MS = 86_400_000

UseCase = Callable[[Session, OpenedSession], object]

CASES: dict[str, UseCase] = {
    **{name: use_case for name, use_case in USE_CASES.items() if name != "give up"},
    "big list": lambda session, _: list_messages(session, BIG, MessageFilter(), 100),
    "next page": lambda session, _: list_messages(
        session, BIG, MessageFilter(before_id="018" + "0" * 21), 100
    ),
    **{
        f"list by {name}": lambda session, _, wanted=wanted: list_messages(session, BIG, wanted, 100)
        for name, wanted in {
            "state": MessageFilter(state="unknown"),
            "common state": MessageFilter(state="delivered"),
            "channel": MessageFilter(channel="whatsapp"),
            "direction": MessageFilter(direction="inbound"),
            "sender": MessageFilter(sender="+16660000001"),
            "recipient": MessageFilter(recipient="+17770000001"),
            "time": MessageFilter(since_ms=NOW_MS - 60 * DAY_MS, until_ms=NOW_MS - 50 * DAY_MS),
            "time and state": MessageFilter(state="failed", since_ms=NOW_MS - 60 * DAY_MS),
        }.items()
    },
    "feed from the start": lambda session, _: read_feed(session, BIG, FeedRequest(0, [], 100)),
    "feed at the end": lambda session, _: read_feed(session, BIG, FeedRequest(SHAPE.messages - 50, [], 100)),
    "feed of a rare type": lambda session, _: read_feed(
        session, BIG, FeedRequest(0, ["message.failed"], 100)
    ),
    "feed of a common type": lambda session, _: read_feed(
        session, BIG, FeedRequest(0, ["message.delivered"], 100)
    ),
    "big claim": lambda session, _: claim_messages(
        session, [ReadyDevice(device_id(0, n), "driver-0", 1, 3) for n in range(3)], NOW_MS
    ),
    "deliveries": lambda session, _: list_deliveries(
        session, BIG, DeliveryFilter(webhook_id(0), "", ""), 100
    ),
    "dead deliveries": lambda session, _: list_deliveries(
        session, BIG, DeliveryFilter(webhook_id(0), "dead", ""), 100
    ),
    "big claim deliveries": lambda session, _: claim(
        session, [Want(webhook_id(0), 4, 4), Want(webhook_id(19), 4, 4)], NOW_MS, worker="w1"
    ),
    "big settle a backlog": lambda session, _: settle_backlog(session, webhook_id(0), NOW_MS),
    "big devices": lambda session, _: list_devices(session, tenant_id(19)),
    "removed devices": lambda session, _: removed_with_queue(session),
    "give up": lambda session, _: give_up_on_abandoned(session, NOW_MS),
    "big prune deliveries": lambda session, _: STEPS[0](session, "", KEEP.cutoffs(NOW_MS)),
    "big prune events": lambda session, _: STEPS[1](session, "018", KEEP.cutoffs(NOW_MS)),
    "big prune messages": lambda session, _: STEPS[2](session, "018", KEEP.cutoffs(NOW_MS)),
}


@pytest.fixture(scope="module")
def url() -> str:
    """A database with full tables and current statistics."""
    url = shared_cluster().create_database("plans")
    migrate(url)
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        fill(connection, SHAPE)
        add_tenants(Session(connection))
        connection.commit()
        settle(connection)
    engine.dispose()
    return url


@pytest.fixture(scope="module", params=["force_custom_plan", "force_generic_plan"])
def engine(request: pytest.FixtureRequest, url: str) -> Generator[Engine]:
    """Connections that plan in one way and tell how."""
    parameters = {
        "session_preload_libraries": "auto_explain",
        "auto_explain.log_min_duration": "0",
        "auto_explain.log_analyze": "on",
        "auto_explain.log_timing": "off",
        "auto_explain.log_format": "json",
        "client_min_messages": "log",
        "plan_cache_mode": request.param,
    }
    options = " ".join(f"-c {name}={value}" for name, value in parameters.items())
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        connect_args={"options": options, "prepare_threshold": 0},
    )
    yield engine
    engine.dispose()


@pytest.fixture
def plans(engine: Engine) -> Generator["Plans"]:
    plans = Plans()
    event.listen(engine, "connect", plans.listen)
    yield plans
    event.remove(engine, "connect", plans.listen)
    engine.dispose()


@pytest.fixture
def session(engine: Engine, plans: "Plans", monkeypatch: pytest.MonkeyPatch) -> Generator[Session]:
    """A session whose changes are rolled back; lists look at few enough rows that a scan is noticed."""
    for module in (messages, event_feed, delivery_log):
        monkeypatch.setattr(module, "SCAN_MAX", SCAN)
    monkeypatch.setattr(retention, "LOOK_MAX", LOOK)  # in proportion to the tables
    with engine.connect() as connection:
        yield Session(connection, expire_on_commit=False, autoflush=False)


class Plans:
    """How statements were run."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def listen(self, connection: Any, _record: object) -> None:
        """Gather what the server tells on a connection."""
        connection.add_notice_handler(self._note)

    def _note(self, notice: Any) -> None:
        _, found, plan = notice.message_primary.partition("plan:\n")
        if found:
            self.seen.append(json.loads(plan))

    def faults(self) -> list[str]:
        """Every step that reads a whole table that grows, or more rows than it should."""
        return [
            f"{fault}: {seen['Query Text']}"
            for seen in self.seen
            for node in nodes(seen["Plan"])
            if (fault := fault_of(node))
        ]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All steps of a plan."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def fault_of(node: dict[str, Any]) -> str:
    """What is wrong with a step; empty if nothing is."""
    kind, table = node["Node Type"], node.get("Relation Name", "")
    if kind == "Seq Scan" and table in GROWING:
        return f"Seq Scan on {table}"
    thrown_away = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    read = (node["Actual Rows"] + thrown_away) * node["Actual Loops"]
    if read > READ_MAX and (table in GROWING or kind in {"Sort", "Incremental Sort", "Bitmap Index Scan"}):
        return f"{kind} on {table or 'rows'} reads {read}"
    return ""


def faults(session: Session, plans: Plans, use_case: UseCase) -> list[str]:
    """What is wrong with the plans of a use case."""
    opened = open_world(session)
    session.flush()
    end_statement(session)
    plans.seen.clear()
    use_case(session, opened)
    session.flush()
    end_statement(session)
    assert plans.seen
    return plans.faults()


def end_statement(session: Session) -> None:
    """Have the server tell of the last statement, which it ends only when the next one comes."""
    session.connection().exec_driver_sql("SELECT 1")


@pytest.mark.parametrize("name", sorted(CASES))
def test_no_hot_statement_reads_a_whole_table(session: Session, plans: Plans, name: str) -> None:
    assert faults(session, plans, CASES[name]) == []


def test_a_claim_walks_no_backlog_that_came_after_the_statistics(session: Session, plans: Plans) -> None:
    connection = session.connection()
    connection.exec_driver_sql("UPDATE delivery SET state = 'delivered' WHERE state = 'pending'")
    connection.exec_driver_sql("ANALYZE delivery")  # as they mostly are: next to nothing is pending
    changed = connection.execute(text(MAKE_DUE), {"webhook_id": webhook_id(0), "count": BACKLOG})
    assert changed.rowcount == BACKLOG
    end_statement(session)
    plans.seen.clear()
    claimed = claim(session, [Want(webhook_id(0), 16, 4)], NOW_MS, worker="w1")
    end_statement(session)
    assert len(claimed.deliveries) == 16
    assert plans.faults() == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id FROM message WHERE body = 'x'",
        "SELECT id FROM message WHERE tenant_id = '{big}' ORDER BY created_ms LIMIT 10",
        "UPDATE event SET traceparent = 'x' WHERE type = 'x'",
    ],
)
def test_a_statement_that_reads_too_much_would_be_noticed(
    session: Session, plans: Plans, statement: str
) -> None:
    def run(session: Session, _: OpenedSession) -> None:
        session.connection().exec_driver_sql(statement.format(big=BIG))

    assert len(faults(session, plans, run)) >= 1
