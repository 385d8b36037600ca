"""Two of each role on PostgreSQL, Kafka and Redis behind Envoy: what a client of the edge sees while parts go away.

One gateway for all tests, in the order in which they stand: each leaves it whole.
"""

import asyncio
import contextlib
import json
import shlex
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from standardwebhooks import Webhook

from core.cli.run_file import Running
from core.cli.supervisor.screen import curl
from infinireach.v1 import message_pb2, messages_service_pb2, messages_service_pb2_grpc
from tests.e2e.kills.load import Api
from tests.e2e.kills.many import ManyProcesses
from tests.fakes.webhook_receiver import Reply, WebhookReceiver

pytestmark = pytest.mark.timeout(600)

TO = "+1234567890"
SETTLED_S_MAX = 120.0
EVENTS = ["message.sent", "message.delivered", "message.failed"]
KAFKA_AWAY_S = 180.0
POSTS_PER_S = 25.0


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Generator[ManyProcesses]:
    """The gateway, running."""
    many = ManyProcesses(tmp_path_factory.mktemp("many"))
    asyncio.run(many.start())
    yield many
    asyncio.run(many.remove())


@pytest.fixture
async def receiver() -> AsyncGenerator[WebhookReceiver]:
    """A customer's receiver that is always well."""
    async with WebhookReceiver() as receiver:
        receiver.respond_with(Reply(200))
        yield receiver


def body(number: str, external_id: str) -> dict[str, str]:
    return {"to": TO, "from": number, "channel": "sms", "message": "Hello", "externalId": external_id}


@dataclass(slots=True)
class Traffic:
    """Constant posts of idempotent messages, each made once, and reads and gRPC calls beside them."""

    api: Api
    numbers: list[str]
    answers: list[tuple[float, str, int]] = field(default_factory=list[tuple[float, str, int]])
    """When, what, and its status; 0: none."""
    accepted: dict[str, str] = field(default_factory=dict[str, str])
    """Message ids by externalId."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Make traffic while the block runs; then wait for the answers."""
        stopping = asyncio.Event()
        async with self.api.session(answer_s=30) as session, asyncio.TaskGroup() as group:
            loop = group.create_task(self._loop(session, group, stopping))
            try:
                yield
            finally:
                stopping.set()
                await loop

    async def _loop(
        self, session: aiohttp.ClientSession, group: asyncio.TaskGroup, stopping: asyncio.Event
    ) -> None:
        number = 0
        while not stopping.is_set():
            number += 1
            group.create_task(self._post(session, self.numbers[number % len(self.numbers)]))
            if number % 5 == 0:
                group.create_task(self._get(session))
            await asyncio.sleep(1 / POSTS_PER_S)

    async def _post(self, session: aiohttp.ClientSession, number: str) -> None:
        external_id = str(uuid.uuid4())
        status, document = await _call(
            session.post(f"{self.api.url}/api/v1/messages", json=body(number, external_id))
        )
        self.answers.append((time.monotonic(), "POST", status))
        if status in (200, 201):
            self.accepted[external_id] = document["messageId"]

    async def _get(self, session: aiohttp.ClientSession) -> None:
        status, _ = await _call(session.get(f"{self.api.url}/api/v1/messages?limit=5"))
        self.answers.append((time.monotonic(), "GET", status))

    def accepted_since(self, moment: float) -> Callable[[], Awaitable[bool]]:
        """Asks whether a post was accepted after a moment."""

        async def has_been() -> bool:
            return any(at > moment and status == 201 for at, _, status in self.answers)

        return has_been

    def failures(self) -> Counter[tuple[str, int]]:
        """Answers other than 2xx, by what was asked and the status."""
        return Counter((what, status) for _, what, status in self.answers if status not in (200, 201))


async def _call(request: Any) -> tuple[int, Any]:
    try:
        async with request as answer:
            return answer.status, await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return 0, None


def traffic(many: ManyProcesses) -> Traffic:
    return Traffic(Api.of(many.run()), [phone.number for phone in many.phones()])


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + SETTLED_S_MAX
    while not await condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.2)


async def settled(many: ManyProcesses, made: Traffic, receiver: WebhookReceiver | None = None) -> None:
    """Every accepted message exists once, was sent once, is delivered, and was told of."""
    ids = set(made.accepted.values())
    assert len(ids) == len(made.accepted)

    async def delivered() -> bool:
        rows = await asyncio.to_thread(
            many.query, "SELECT id, state FROM message WHERE direction = 'outbound'"
        )
        states = dict(rows)
        return all(states.get(message_id) == "delivered" for message_id in ids)

    await until(delivered, "all are delivered")
    sent = Counter(entry["message_id"] for entry in many.radio())
    assert not {message_id: sent[message_id] for message_id in ids if sent[message_id] != 1}
    if receiver is not None:

        async def told() -> bool:
            heard = {
                json.loads(request.body)["data"]["messageId"]
                for request in receiver.requests
                if request.header("x-infini-reach-event") == "message.delivered"
            }
            return ids <= heard

        await until(told, "all are told of")


async def test_the_briefs_curl_through_the_edge_is_delivered_and_told(
    many: ManyProcesses, receiver: WebhookReceiver
) -> None:
    run = many.run()
    api = Api.of(run)
    secret = await api.create_webhook(receiver.url, EVENTS)
    running = Running(
        run["rest"], run["grpc"], run["metrics"], run["apiKey"], rest_tls=run["restTls"], ca=run["ca"]
    )
    command = shlex.split(curl(running, many.phones()[0].number).replace("\\\n", " "))
    done = await asyncio.to_thread(subprocess.run, [*command, "--silent"], capture_output=True, check=True)
    answer = json.loads(done.stdout)
    assert set(answer) == {"success", "queued", "messageId", "jobId"}
    sent, delivered = await receiver.wait_for(2)
    for request in (sent, delivered):
        headers = dict(request.headers)
        Webhook(secret).verify(request.body, {name.lower(): value for name, value in headers.items()})
        assert json.loads(request.body)["data"]["messageId"] == answer["messageId"]


async def test_grpc_through_the_edge_takes_an_api_key(many: ManyProcesses) -> None:
    run = many.run()
    credentials = grpc.ssl_channel_credentials(await asyncio.to_thread(Path(run["ca"]).read_bytes))
    async with grpc.aio.secure_channel(run["grpc"], credentials) as channel:
        stub = messages_service_pb2_grpc.MessagesServiceStub(channel)
        message = messages_service_pb2.NewMessage(
            to=TO, text="Hello", channel=message_pb2.CHANNEL_SMS, **{"from": many.phones()[1].number}
        )
        answer = await stub.CreateMessage(
            messages_service_pb2.CreateMessageRequest(message=message),
            metadata=(("x-api-key", run["apiKey"]),),
        )
    assert answer.message_id


async def test_a_rolling_restart_of_every_role_fails_no_request(many: ManyProcesses) -> None:
    made = traffic(many)
    async with made.running():
        await many.restart_rolling()
    assert not made.failures(), made.failures()
    await settled(many, made)


async def test_without_redis_facades_count_for_themselves(many: ManyProcesses) -> None:
    made = traffic(many)
    async with made.running():
        async with many.without("redis"):
            await asyncio.sleep(3)
        await asyncio.sleep(2)
    assert not made.failures(), made.failures()
    await settled(many, made)


async def test_a_crash_of_postgresql_under_load_loses_nothing(many: ManyProcesses) -> None:
    made = traffic(many)
    async with made.running():
        await asyncio.sleep(2)
        async with many.without("postgresql"):
            await asyncio.sleep(2)
        back = time.monotonic()
        await until(made.accepted_since(back), "it takes messages again")
        await asyncio.sleep(2)
    assert {status for _, status in made.failures()} <= {503}, made.failures()
    await settled(many, made)
    rows = await asyncio.to_thread(
        many.query,
        "SELECT external_id FROM message WHERE external_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1",
    )
    assert rows == []


async def test_kafka_away_for_three_minutes_under_load_delays_webhooks_and_nothing_else(
    many: ManyProcesses, receiver: WebhookReceiver
) -> None:
    made = traffic(many)
    await made.api.create_webhook(receiver.url, EVENTS)
    async with made.running():
        async with many.without("kafka"):
            await asyncio.sleep(KAFKA_AWAY_S)
        await asyncio.sleep(2)
    assert not made.failures(), made.failures()
    await settled(many, made, receiver)


async def test_stop_and_start_keep_everything(many: ManyProcesses) -> None:
    before = many.run()
    count = many.query("SELECT count(*) FROM message")
    await many.stop()
    assert many.run() == {}
    await many.start()
    after = many.run()
    assert {key: after[key] for key in ("restTls", "ca", "apiKey", "tenant")} == {
        key: before[key] for key in ("restTls", "ca", "apiKey", "tenant")
    }
    assert many.query("SELECT count(*) FROM message") == count
    made = traffic(many)
    async with made.running():
        await asyncio.sleep(1)
    assert not made.failures()
    await settled(many, made)
