"""Keys: found in headers, resolved once, kept for a moment, failures counted."""

import asyncio

import pytest

from infinireach.v1 import account_pb2
from rest_facade.auth import Authenticator, AuthLimits, key_in
from rest_facade.errors import ApiError

ADDRESS = "192.0.2.1"


class Core:
    """Resolves keys of a table and counts how often it was asked."""

    def __init__(self) -> None:
        self.keys = {
            "good": account_pb2.ApiKey(id="k1", tenant_id="t1", scopes=["messages:send"], per_minute=100)
        }
        self.asked: list[str] = []
        self.failure: ApiError | None = None

    async def resolve(self, key: str, _request_id: str) -> account_pb2.ApiKey | None:
        self.asked.append(key)
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return self.keys.get(key)


def authenticator(
    core: Core, *, cache_s: float = 5.0, failures: int = 3, entries: int = 100
) -> Authenticator:
    """One with limits of the test's own."""
    return Authenticator(
        core.resolve, AuthLimits(cache_s=cache_s, entries_max=entries, failures_per_minute=failures)
    )


async def code_of(subject: Authenticator, key: str | None, address: str = ADDRESS) -> str:
    """The code of the refusal; empty if there is none."""
    try:
        await subject.authenticate(key, address)
    except ApiError as refused:
        return refused.code.name
    return ""


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"x-api-key": "abc"}, "abc"),
        ({"x-api-key": " abc  "}, "abc"),
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer  abc "}, "abc"),
        ({"authorization": "Basic abc"}, None),
        ({"authorization": "abc"}, None),
        ({"authorization": "Bearer"}, ""),
        ({"x-api-key": "abc", "authorization": "Bearer def"}, "abc"),
        ({"x-api-key": "", "authorization": "Bearer def"}, ""),
    ],
)
def test_key_is_taken_from_its_own_header_or_else_as_bearer_token(
    headers: dict[str, str], key: str | None
) -> None:
    assert key_in(headers) == key


async def test_live_key_tells_tenant_scopes_and_plan() -> None:
    caller = await authenticator(Core()).authenticate("good", ADDRESS)
    assert (caller.tenant_id, caller.key_id, caller.per_minute) == ("t1", "k1", 100)
    assert caller.scopes == {"messages:send"}


async def test_admin_holds_every_scope() -> None:
    core = Core()
    core.keys["good"].scopes[:] = ["admin"]
    caller = await authenticator(core).authenticate("good", ADDRESS)
    assert {"messages:send", "messages:read", "devices", "webhooks", "admin"} <= caller.scopes


async def test_hundred_at_once_ask_the_core_once() -> None:
    core = Core()
    subject = authenticator(core)
    callers = await asyncio.gather(*(subject.authenticate("good", ADDRESS) for _ in range(100)))
    assert core.asked == ["good"]
    assert len(set(map(id, callers))) == 1


async def test_caller_that_leaves_does_not_take_the_answer_from_the_others() -> None:
    core = Core()
    subject = authenticator(core)
    left = asyncio.create_task(subject.authenticate("good", ADDRESS))
    stays = asyncio.create_task(subject.authenticate("good", ADDRESS))
    await asyncio.sleep(0)
    left.cancel()
    assert (await stays).key_id == "k1"


async def test_answer_is_kept_for_its_time_only() -> None:
    core = Core()
    kept = authenticator(core)
    await kept.authenticate("good", ADDRESS)
    assert kept.cached("good") is not None
    forgetful = authenticator(core, cache_s=0)
    await forgetful.authenticate("good", ADDRESS)
    assert forgetful.cached("good") is None
    await forgetful.authenticate("good", ADDRESS)
    assert core.asked == ["good"] * 3


async def test_answer_is_not_kept_past_the_keys_expiry() -> None:
    core = Core()
    core.keys["good"].expire_time.FromSeconds(1)
    subject = authenticator(core)
    await subject.authenticate("good", ADDRESS)
    assert subject.cached("good") is None


@pytest.mark.parametrize("key", [None, "", "unknown", "with space", "ümlaut", "x" * 513, "\udcff"])
async def test_missing_malformed_and_unknown_keys_are_unauthorized(key: str | None) -> None:
    assert await code_of(authenticator(Core()), key) == "unauthorized"


async def test_malformed_key_is_not_asked_about() -> None:
    core = Core()
    await code_of(authenticator(core), "x" * 513)
    assert core.asked == []


async def test_unknown_key_is_asked_about_once_for_a_while() -> None:
    core = Core()
    subject = authenticator(core, failures=100)
    for _ in range(10):
        assert await code_of(subject, "unknown") == "unauthorized"
    assert core.asked == ["unknown"]


async def test_address_that_fails_too_often_is_limited_and_not_looked_up() -> None:
    core = Core()
    subject = authenticator(core, failures=3)
    codes = [await code_of(subject, f"guess {number}".replace(" ", "-")) for number in range(6)]
    assert codes == ["unauthorized"] * 3 + ["rate_limited"] * 3
    assert len(core.asked) == 3
    assert await code_of(subject, "good", "192.0.2.2") == ""


async def test_limited_refusal_tells_when_to_try_again() -> None:
    subject = authenticator(Core(), failures=1)
    await code_of(subject, "wrong")
    with pytest.raises(ApiError) as refused:
        await subject.authenticate("wrong", ADDRESS)
    assert dict(refused.value.headers)["Retry-After"] == "60"


async def test_key_in_use_is_not_locked_out_by_others_at_its_address() -> None:
    core = Core()
    subject = authenticator(core, cache_s=0, failures=2)
    await subject.authenticate("good", ADDRESS)
    for number in range(5):
        await code_of(subject, f"guess-{number}")
    assert await code_of(subject, "good") == ""


async def test_missing_key_counts_as_no_attempt() -> None:
    subject = authenticator(Core(), failures=1)
    for _ in range(5):
        assert await code_of(subject, None) == "unauthorized"


async def test_revoked_key_is_refused_when_its_answer_has_run_out() -> None:
    core = Core()
    subject = authenticator(core, cache_s=0)
    await subject.authenticate("good", ADDRESS)
    del core.keys["good"]
    assert await code_of(subject, "good") == "unauthorized"


async def test_core_that_cannot_be_asked_is_no_refusal() -> None:
    core = Core()
    core.failure = ApiError("unavailable")
    subject = authenticator(core, failures=1)
    assert await code_of(subject, "good") == "unavailable"
    assert await code_of(subject, "good") == "unavailable"
    core.failure = None
    assert await code_of(subject, "good") == ""


async def test_no_more_answers_are_kept_than_allowed() -> None:
    core = Core()
    for number in range(10):
        core.keys[f"key-{number}"] = core.keys["good"]
    subject = authenticator(core, entries=3)
    for number in range(10):
        await subject.authenticate(f"key-{number}", ADDRESS)
    assert [number for number in range(10) if subject.cached(f"key-{number}")] == [7, 8, 9]


async def test_many_guesses_at_once_are_no_way_around_the_limit() -> None:
    core = Core()
    subject = authenticator(core, failures=3)
    codes = await asyncio.gather(*(code_of(subject, f"guess-{n}") for n in range(50)))
    assert len(core.asked) == 3
    assert codes.count("unauthorized") <= 3
    assert await code_of(subject, "good", address="192.0.2.2") == ""
