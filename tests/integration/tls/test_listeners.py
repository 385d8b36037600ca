"""Who is believed on which listener of a core, over real TLS."""

import pytest

from core.api import intake
from tests.fakes.certs_folder import CertsFolder
from tests.fakes.rpc_outcome import refusal
from tests.integration.tls.channels import (
    HEADER,
    Metadata,
    as_service,
    by_token,
    channelz,
    driver_stream,
    forwarding,
    health,
    large_message,
    list_devices,
    unfinished_calls,
)
from tests.integration.tls.conftest import Secured


async def refused(secured: Secured, *, shown: str | None, metadata: Metadata, internal: bool = True) -> str:
    """The reason for which a driver stream ends; `shown`: a pair of the folder, or "driver:<id>"."""
    certs, core = secured.certs, secured.core
    pair = None
    if shown is not None:
        kind, _, token_ids = shown.partition(":")
        pair = certs.driver(*token_ids.split(",")) if kind == "driver" else certs.pair(kind)
    target = core.internal if internal else core.public
    async with driver_stream(target, certs.trusting(pair), metadata, says_hello=False) as driver:
        end = await driver.end()
    assert driver.frames == []
    return end.reason


async def test_the_public_listener_takes_api_keys_but_not_the_service_credential(secured: Secured) -> None:
    core, trusting = secured.core, secured.certs.trusting()
    await list_devices(core.public, trusting, (("x-api-key", secured.running.api_key),))
    refused = await refusal(list_devices(core.public, trusting, as_service(secured.tenant_id)))
    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "SERVICE_CREDENTIAL_REFUSED")


async def test_the_internal_listener_takes_the_service_credential(secured: Secured) -> None:
    trusting = secured.certs.trusting(secured.certs.pair("client"))
    await list_devices(secured.core.internal, trusting, as_service(secured.tenant_id))


async def test_the_internal_listener_demands_a_certificate_of_its_authority(
    secured: Secured, certs: CertsFolder
) -> None:
    core, own = secured.core, secured.certs
    foreign = certs.pair("client")
    assert await health(core.internal, own.trusting()) == "UNAVAILABLE"
    assert await health(core.internal, own.trusting(foreign)) == "UNAVAILABLE"
    assert await health(core.internal, own.trusting(own.pair("client"))) == "SERVING"
    assert await health(core.public, own.trusting()) == "SERVING"


async def test_only_the_internal_listener_tells_who_is_connected(secured: Secured) -> None:
    core, certs = secured.core, secured.certs
    assert await channelz(core.public, certs.trusting()) == "UNIMPLEMENTED"
    assert await channelz(core.internal, certs.trusting(certs.pair("client"))) == "OK"


async def test_a_message_as_large_as_a_batch_is_taken_on_the_internal_listener_only(secured: Secured) -> None:
    core, certs = secured.core, secured.certs
    by_key = (("x-api-key", secured.running.api_key),)
    as_facade = as_service(secured.tenant_id)
    pair = certs.pair("client")
    assert await large_message(core.public, certs.trusting(), by_key) == "RESOURCE_EXHAUSTED"
    assert await large_message(core.internal, certs.trusting(pair), as_facade) == "INVALID_ARGUMENT"


async def test_messages_of_strangers_that_never_end_keep_nobody_out(secured: Secured) -> None:
    core, trusting = secured.core, secured.certs.trusting()
    async with unfinished_calls(core.public, trusting, intake.UNFINISHED_MAX + 20) as calls:
        by_key = (("x-api-key", secured.running.api_key),)
        await list_devices(core.public, trusting, by_key)
        codes = [await call.code() for call in calls[:20]]
    assert {code.name for code in codes} == {"RESOURCE_EXHAUSTED"}


async def test_a_driver_comes_in_by_a_token_on_either_listener(secured: Secured) -> None:
    core, certs, token = secured.core, secured.certs, await secured.new_token()
    for target, pair in ((core.public, None), (core.internal, certs.pair("client"))):
        async with driver_stream(target, certs.trusting(pair), by_token(token.token)) as driver:
            await driver.frame("welcome")


async def test_a_driver_comes_in_by_the_certificate_of_which_a_proxy_tells(secured: Secured) -> None:
    token, trusting = await secured.new_token(), secured.certs.trusting(secured.certs.pair("client"))
    async with driver_stream(secured.core.internal, trusting, forwarding(token.id)) as driver:
        await driver.frame("welcome")
    both = forwarding(token.id) + by_token(token.token)
    async with driver_stream(secured.core.internal, trusting, both) as driver:
        await driver.frame("welcome")


async def test_a_driver_comes_in_by_its_own_certificate(secured: Secured) -> None:
    token = await secured.new_token()
    trusting = secured.certs.trusting(secured.certs.driver(token.id))
    async with driver_stream(secured.core.internal, trusting, ()) as driver:
        await driver.frame("welcome")
    assert await secured.was_used(token)


async def test_certificate_and_token_must_be_the_same_drivers(secured: Secured) -> None:
    mine, others = await secured.new_token(), await secured.new_token()
    for shown, metadata in (
        ("client", forwarding(mine.id) + by_token(others.token)),
        (f"driver:{mine.id}", by_token(others.token)),
    ):
        assert await refused(secured, shown=shown, metadata=metadata) == "UNAUTHENTICATED"


async def test_on_the_public_listener_no_certificate_means_anything(secured: Secured) -> None:
    token = await secured.new_token()
    for shown in (None, f"driver:{token.id}"):
        reason = await refused(secured, shown=shown, metadata=forwarding(token.id), internal=False)
        assert reason == "UNAUTHENTICATED"


async def test_a_driver_that_connects_itself_may_not_tell_of_another_certificate(secured: Secured) -> None:
    mine, others = await secured.new_token(), await secured.new_token()
    for told in (others.id, mine.id):
        reason = await refused(secured, shown=f"driver:{mine.id}", metadata=forwarding(told))
        assert reason == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "values",
    [
        ["Hash=0a;URI=urn:infinireach:driver-token:{a},Hash=0b;URI=urn:infinireach:driver-token:{b}"],
        ["URI=urn:infinireach:driver-token:{a};URI=urn:infinireach:driver-token:{b}"],
        ["URI=urn:infinireach:driver-token:{a}", "URI=urn:infinireach:driver-token:{b}"],
        ["URI=urn:infinireach:driver-token:"],
        ["URI=urn:infinireach:driver-token:{a}x"],
        ["URI=spiffe://mesh/driver"],
        ['Subject="URI=urn:infinireach:driver-token:{a}"'],
        ['Hash="0a;URI=urn:infinireach:driver-token:{a}'],
        ["nonsense"],
        [""],
    ],
)
async def test_a_header_that_does_not_tell_of_one_driver_lets_nobody_in(
    secured: Secured, values: list[str]
) -> None:
    a, b = await secured.new_token(), await secured.new_token()
    metadata = tuple((HEADER, value.format(a=a.id, b=b.id)) for value in values)
    assert await refused(secured, shown="client", metadata=metadata) == "UNAUTHENTICATED"


async def test_a_certificate_of_nobody_or_of_two_lets_nobody_in(secured: Secured) -> None:
    a, b = await secured.new_token(), await secured.new_token()
    for shown in (f"driver:{a.id},{b.id}", "driver:00000000", "driver:not-an-id", "client"):
        assert await refused(secured, shown=shown, metadata=()) == "UNAUTHENTICATED"


async def test_revoking_the_token_revokes_the_certificate_and_closes_the_stream(secured: Secured) -> None:
    token, trusting = await secured.new_token(), secured.certs.trusting(secured.certs.pair("client"))
    async with driver_stream(secured.core.internal, trusting, forwarding(token.id)) as driver:
        await driver.frame("welcome")
        await secured.revoke(token)
        end = await driver.end()
    assert (end.code, end.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
    assert await refused(secured, shown="client", metadata=forwarding(token.id)) == "UNAUTHENTICATED"
    assert await refused(secured, shown=f"driver:{token.id}", metadata=()) == "UNAUTHENTICATED"
