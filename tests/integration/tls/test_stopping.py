"""A core that is told to stop says so first, and goes on for a while."""

from pathlib import Path

from tests.fakes.certs_folder import CertsFolder
from tests.fakes.core_process import core_process
from tests.fakes.rpc_outcome import refusal
from tests.integration.tls.channels import driver_stream, health, list_devices


async def test_a_core_says_that_it_stops_serves_on_and_ends_at_the_second_signal(
    tmp_path: Path, certs: CertsFolder
) -> None:
    public, internal = certs.trusting(), certs.trusting(certs.pair("client"))
    with core_process(tmp_path / "var", STOP_DELAY_S="300", **certs.core_settings()) as core:
        core.tell_to_stop()
        while await health(core.public, public) == "SERVING":
            pass
        assert await health(core.internal, internal) == "NOT_SERVING"
        assert (await refusal(list_devices(core.public, public, ()))).reason == "UNAUTHENTICATED"
        async with driver_stream(core.public, public, (), says_hello=False) as driver:
            assert (await driver.end()).reason == "UNAVAILABLE"
        core.tell_to_stop()
        assert core.wait() == 0
