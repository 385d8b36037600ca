"""The two gates before every connect: the names' answers and the socket's address."""

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest

from core.delivery import resolver
from core.delivery.egress import EgressDenied, EgressPolicy
from core.delivery.resolver import GuardedResolver, system_lookup
from tests.fakes.name_lookup import NO_SUCH_NAME, SERVER_FAILURE, ScriptedLookup
from tests.fakes.webhook_receiver import WebhookReceiver

PRODUCTION = EgressPolicy.production()
HOST = "receiver.example"
PUBLIC = [f"8.8.{number // 256}.{number % 256}" for number in range(64)]


@pytest.fixture
def lookup() -> Iterator[ScriptedLookup]:
    with ScriptedLookup() as scripted:
        yield scripted


async def resolved(lookup: ScriptedLookup, *, policy: EgressPolicy = PRODUCTION) -> list[str]:
    answers = await GuardedResolver(policy, lookup).resolve(HOST, 443)
    return [answer["host"] for answer in answers]


async def test_addresses_come_in_order_with_family_and_port(lookup: ScriptedLookup) -> None:
    lookup.answer(HOST, ["2606:4700::1111", "8.8.8.8"])
    answers = await GuardedResolver(PRODUCTION, lookup).resolve(HOST, 8443)
    assert [(answer["host"], answer["port"], answer["family"]) for answer in answers] == [
        ("2606:4700::1111", 8443, socket.AF_INET6),
        ("8.8.8.8", 8443, socket.AF_INET),
    ]
    assert {answer["hostname"] for answer in answers} == {HOST}


@pytest.mark.parametrize(
    "denied", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "64:ff9b::7f00:1"]
)
@pytest.mark.parametrize("position", [0, 1, 2])
async def test_one_denied_answer_denies_the_name(lookup: ScriptedLookup, denied: str, position: int) -> None:
    addresses = ["8.8.8.8", "2606:4700::1111"]
    addresses.insert(position, denied)
    lookup.answer(HOST, addresses)
    with pytest.raises(EgressDenied):
        await resolved(lookup)


async def test_at_most_eight_addresses_are_tried_but_all_are_judged(lookup: ScriptedLookup) -> None:
    lookup.answer(HOST, PUBLIC[:50], [*PUBLIC[:49], "10.0.0.1"])
    assert await resolved(lookup) == PUBLIC[:8]
    with pytest.raises(EgressDenied):
        await resolved(lookup)


async def test_a_name_with_more_than_64_addresses_is_refused(lookup: ScriptedLookup) -> None:
    lookup.answer(HOST, PUBLIC, [*PUBLIC, "9.9.9.9"])
    assert await resolved(lookup)
    with pytest.raises(socket.gaierror, match="too many addresses"):
        await resolved(lookup)


@pytest.mark.parametrize(
    "answer", [NO_SUCH_NAME, SERVER_FAILURE, []], ids=["none", "server failure", "empty"]
)
async def test_a_name_without_address_is_an_error(
    lookup: ScriptedLookup, answer: list[str] | socket.gaierror
) -> None:
    lookup.answer(HOST, answer)
    with pytest.raises(socket.gaierror):
        await resolved(lookup)


async def test_nothing_is_cached(lookup: ScriptedLookup) -> None:
    lookup.answer(HOST, ["8.8.8.8"], ["127.0.0.1"], SERVER_FAILURE, ["8.8.4.4"])
    assert await resolved(lookup) == ["8.8.8.8"]
    with pytest.raises(EgressDenied):
        await resolved(lookup)
    with pytest.raises(socket.gaierror):
        await resolved(lookup)
    assert await resolved(lookup) == ["8.8.4.4"]


async def test_a_lookup_that_hangs_ends_at_its_deadline_and_holds_one_thread_only(
    lookup: ScriptedLookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "LOOKUP_S_MAX", 0.05)
    lookup.hang(HOST)
    lookup.answer("other.example", ["8.8.8.8"])
    guard = GuardedResolver(PRODUCTION, lookup)
    for _ in range(3):
        with pytest.raises(socket.gaierror, match="too long"):
            await guard.resolve(HOST, 443)
    assert lookup.calls == [HOST]
    assert await guard.resolve("other.example", 443)


async def test_simultaneous_lookups_of_one_name_are_one(lookup: ScriptedLookup) -> None:
    lookup.answer(HOST, ["8.8.8.8"])
    guard = GuardedResolver(PRODUCTION, lookup)
    await asyncio.gather(*(guard.resolve(HOST, 443) for _ in range(10)))
    assert lookup.calls == [HOST]


async def test_giving_up_one_lookup_does_not_disturb_the_others(lookup: ScriptedLookup) -> None:
    lookup.hang(HOST)
    lookup.answer(HOST, ["8.8.8.8"])
    guard = GuardedResolver(PRODUCTION, lookup)
    given_up = asyncio.create_task(guard.resolve(HOST, 443))
    kept = asyncio.create_task(guard.resolve(HOST, 443))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    lookup.release()
    assert [answer["host"] for answer in await kept] == ["8.8.8.8"]


async def test_lookups_that_hang_are_limited_in_number(
    lookup: ScriptedLookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "LOOKUP_S_MAX", 0.05)
    monkeypatch.setattr(resolver, "LOOKUPS_MAX", 2)
    guard = GuardedResolver(PRODUCTION, lookup)
    for host in ("a.example", "b.example"):
        lookup.hang(host)
        with pytest.raises(socket.gaierror, match="too long"):
            await guard.resolve(host, 443)
    with pytest.raises(socket.gaierror, match="too many lookups"):
        await guard.resolve("c.example", 443)
    assert lookup.calls == ["a.example", "b.example"]


async def test_a_lookup_waits_for_a_free_thread(
    lookup: ScriptedLookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "LOOKUPS_MAX", 2)
    guard = GuardedResolver(PRODUCTION, lookup)
    holding = ["a.example", "b.example"]
    waiting = ["c.example", "d.example", "c.example"]
    for host in {*holding, *waiting}:
        lookup.answer(host, ["8.8.8.8"])
    for host in holding:
        lookup.hang(host)
    resolving = [asyncio.create_task(guard.resolve(host, 443)) for host in (*holding, *waiting)]
    await asyncio.sleep(0)
    lookup.release()
    assert all(await asyncio.gather(*resolving))
    assert Counter(lookup.calls) == Counter({*holding, *waiting})


async def test_a_lookup_that_everybody_gave_up_takes_no_thread(
    lookup: ScriptedLookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "LOOKUPS_MAX", 1)
    guard = GuardedResolver(PRODUCTION, lookup)
    lookup.hang(HOST)
    for host in (HOST, "kept.example"):
        lookup.answer(host, ["8.8.8.8"])
    hosts = [HOST, "given-up.example", "kept.example"]
    resolving = [asyncio.create_task(guard.resolve(host, 443)) for host in hosts]
    await asyncio.sleep(0)
    resolving[1].cancel()
    await asyncio.wait([resolving[1]])
    lookup.release()
    assert await resolving[0]
    assert await resolving[2]
    assert lookup.calls == [HOST, "kept.example"]


def test_a_lookup_may_outlive_its_event_loop(lookup: ScriptedLookup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "LOOKUP_S_MAX", 0.05)
    lookup.hang(HOST)
    with pytest.raises(socket.gaierror, match="too long"):
        asyncio.run(resolved(lookup))
    lookup.release()


async def test_a_fault_in_the_lookup_itself_is_not_swallowed_and_does_not_block_the_name() -> None:
    faults = [ZeroDivisionError("a fault"), None]

    def faulty(_host: str) -> list[str]:
        if (fault := faults.pop(0)) is not None:
            raise fault
        return ["8.8.8.8"]

    guard = GuardedResolver(PRODUCTION, faulty)
    with pytest.raises(ZeroDivisionError):
        await guard.resolve(HOST, 443)
    assert await guard.resolve(HOST, 443)


def test_the_system_is_asked_for_absolute_names_so_that_search_domains_play_no_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[object] = []

    def getaddrinfo(host: object, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(resolver, "HOSTS_FILE", tmp_path / "no such file")
    assert system_lookup("kubernetes") == ["8.8.8.8"]
    assert asked == [b"kubernetes."]


def test_the_hosts_file_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_bytes(
        b"# 10.0.0.9 receiver.example\n\n127.0.0.1\tlocalhost\n10.0.0.1 other  Receiver.Example # 10.0.0.8 x\n"
        b"::2 receiver.example\n\xff\xfe\n10.0.0.7\n"
    )
    monkeypatch.setattr(resolver, "HOSTS_FILE", hosts)
    assert system_lookup("receiver.example") == ["10.0.0.1", "::2"]


def test_this_machine_knows_localhost() -> None:
    assert set(system_lookup("localhost")) & {"127.0.0.1", "::1"}


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"])
async def test_the_socket_gate_stops_addresses_that_no_resolver_sees(host: str) -> None:
    guard = GuardedResolver(PRODUCTION, system_lookup)
    connector = aiohttp.TCPConnector(resolver=guard, socket_factory=guard.open_socket)
    async with WebhookReceiver() as canary, aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as failed:
            await session.get(f"http://{host}:{canary.port}/")
        assert isinstance(failed.value.os_error, EgressDenied)
        assert canary.connections_opened == 0


def socket_for(address: str, policy: EgressPolicy) -> socket.socket:
    guard = GuardedResolver(policy, system_lookup)
    return guard.open_socket((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 443)))


def test_an_allowed_address_gets_a_socket_that_gives_up_on_silent_peers() -> None:
    with socket_for("8.8.8.8", PRODUCTION) as opened:
        assert opened.type == socket.SOCK_STREAM
        assert (
            opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == resolver.UNACKNOWLEDGED_MS_MAX
        )


def test_the_machines_own_addresses_are_denied_even_where_no_row_names_them() -> None:
    with pytest.raises(EgressDenied) as denied:
        socket_for("127.0.0.1", replace(PRODUCTION, deny_rules=()))
    assert denied.value.reason == "an address of this machine"


@pytest.mark.parametrize(
    "policy",
    [
        EgressPolicy.development(),
        EgressPolicy.production(allowed_networks=[ip_network("127.0.0.0/8")]),
    ],
    ids=["development", "opened by the operator"],
)
def test_the_machines_own_addresses_are_allowed_where_they_were_opened(policy: EgressPolicy) -> None:
    socket_for("127.0.0.1", policy).close()


def test_a_denial_says_the_same_whatever_its_reason() -> None:
    assert {str(EgressDenied(reason)) for reason in ("loopback", "private use")} == {
        "the address is not allowed"
    }
