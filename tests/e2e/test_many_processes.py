"""Two of each role on PostgreSQL, Kafka and Redis behind Envoy: what a client of the edge sees while parts go away.

One gateway for all tests, in the order in which they stand: each leaves it whole.
"""

import asyncio
import json
import shlex
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from standardwebhooks import Webhook

from core.cli.run_file import Running
from core.cli.supervisor.screen import curl
from infinireach.v1 import message_pb2, messages_service_pb2, messages_service_pb2_grpc
from rest_facade.limits import PAUSE_S
from tests.e2e.idle_streams import stay_open
from tests.e2e.kills.load import Api
from tests.e2e.kills.many import ManyProcesses
from tests.e2e.outage import Figures, kafka_away, postgresql_away
from tests.e2e.traffic import EVENTS, TO, Traffic, settled
from tests.fakes.webhook_receiver import Reply, WebhookReceiver

pytestmark = pytest.mark.timeout(600)

KAFKA_AWAY_S = 180.0
"""Longer than a consumer that gets nothing is left alone; it is made anew meanwhile."""
POSTGRESQL_AWAY_S = 2.0
PER_MINUTE = 1800
TIMES = 10
PATIENCE = aiohttp.ClientTimeout(total=60.0)
"""For an answer in the flood; how fast they come is not the question there."""
FLOOD_S = 10.0
FLOODS_MAX = 4
IDLE_S = 1.0


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


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Callable[[Figures], None]:
    """Notes figures; the end of the run shows them."""
    return lambda seen: record_property("figures", json.dumps(asdict(seen)))


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
        sender: dict[str, Any] = {"from": many.phones()[1].number}
        message = messages_service_pb2.NewMessage(
            to=TO, text="Hello", channel=message_pb2.CHANNEL_SMS, **sender
        )
        answer = await stub.CreateMessage(
            messages_service_pb2.CreateMessageRequest(message=message),
            metadata=(("x-api-key", run["apiKey"]),),
        )
    assert answer.message_id


async def test_streams_with_nothing_but_heartbeats_stay_open(many: ManyProcesses, tmp_path: Path) -> None:
    seen = await stay_open(many, tmp_path, idle_s=IDLE_S)
    assert len(seen.after) == 3


async def test_a_rolling_restart_of_every_role_fails_no_request(many: ManyProcesses) -> None:
    made = Traffic.on(many)
    async with made.running():
        await many.restart_rolling()
    assert not made.failures(), made.failures()
    await settled(many, made)


async def test_two_facades_admit_what_a_key_may_at_ten_times_its_rate(many: ManyProcesses) -> None:
    for _ in range(FLOODS_MAX):
        before = times_redis_failed(many)
        answers = await flood(many)
        if times_redis_failed(many) == before:
            break
        await asyncio.sleep(
            PAUSE_S
        )  # a busy machine: for so long each facade counts for itself, as it should
    else:
        pytest.fail("Redis did not answer in time during any flood.")
    assert set(answers) == {200, 429}, answers
    assert abs(answers[200] - PER_MINUTE) <= PER_MINUTE // 100, answers


def times_redis_failed(many: ManyProcesses) -> int:
    """How often a facade began to count for itself."""
    logs = (many.folder / "logs").glob("rest-*.log")
    return sum(log.read_text(encoding="utf-8").count("rate_limit_storage_failed") for log in logs)


async def flood(many: ManyProcesses) -> Counter[int]:
    """Ask ten times as often as a new key may, half through the edge; the answers by status."""
    made = await asyncio.to_thread(
        many.command,
        "key",
        "create",
        f"--tenant={many.run()['tenant']}",
        f"--per-minute={PER_MINUTE}",
        "--json",
    )
    edge, *facades = [Api.of(many.run()).url, *many.facade_urls()]
    api = Api(edge, json.loads(made)["apiKey"], many.run()["ca"])
    targets = [edge, facades[0], edge, facades[1]]
    answers: Counter[int] = Counter()

    async def call(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}/api/v1/devices", timeout=PATIENCE) as answer:
            answers[answer.status] += 1

    count, began = round(PER_MINUTE / 60 * TIMES * FLOOD_S), asyncio.get_running_loop().time()
    async with api.session() as session, asyncio.TaskGroup() as group:
        for n in range(count):
            due_s = began + n * FLOOD_S / count - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, due_s))
            group.create_task(call(session, targets[n % len(targets)]))
    return answers


async def test_without_redis_facades_count_for_themselves(many: ManyProcesses) -> None:
    made = Traffic.on(many)
    async with made.running():
        async with many.without("redis"):
            await asyncio.sleep(3)
        await asyncio.sleep(2)
    assert not made.failures(), made.failures()
    await settled(many, made)


async def test_a_crash_of_postgresql_under_load_loses_nothing(
    many: ManyProcesses, figures: Callable[[Figures], None]
) -> None:
    figures(await postgresql_away(many, away_s=POSTGRESQL_AWAY_S))


async def test_kafka_away_under_load_delays_webhooks_and_nothing_else(
    many: ManyProcesses, receiver: WebhookReceiver, figures: Callable[[Figures], None]
) -> None:
    figures(await kafka_away(many, receiver, away_s=KAFKA_AWAY_S))


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
    made = Traffic.on(many)
    async with made.running():
        await asyncio.sleep(1)
    assert not made.failures()
    await settled(many, made)
