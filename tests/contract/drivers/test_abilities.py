"""What a device cannot send does not come to its driver."""

from collections.abc import Sequence
from pathlib import Path

from drivers.runtime import Context, SendAgain
from infinireach.driver.v1.command_pb2 import MediaContent, SendCommand, TextContent
from infinireach.driver.v1.session_pb2 import DeviceDescription
from infinireach.v1.device_pb2 import DeviceFeatures
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    MEDIA_TYPE_IMAGE,
    MEDIA_TYPE_VIDEO,
    Media,
    Template,
)
from tests.contract.drivers.running import ScriptedDriver, command, running, settled
from tests.fakes.core_stub import StubCore


class LimitedDriver(ScriptedDriver):
    """Has a phone for images and for texts of 200 characters."""

    async def start(self, context: Context) -> Sequence[DeviceDescription]:
        (phone,) = await super().start(context)
        phone.features.CopyFrom(DeviceFeatures(media=[MEDIA_TYPE_IMAGE], text_characters_max=200))
        return [phone]


BEYOND = {
    "template": SendCommand(template=Template(name="order", language="en")),
    "video": SendCommand(media=MediaContent(media=Media(type=MEDIA_TYPE_VIDEO), caption="See")),
    "long": SendCommand(text=TextContent(body="x" * 201, segments=1)),
    "long caption": SendCommand(media=MediaContent(media=Media(type=MEDIA_TYPE_IMAGE), caption="x" * 201)),
    "group": SendCommand(destination="1@g.us", text=TextContent(body="x", segments=1)),
    "nothing": SendCommand(),
}
WITHIN = {
    "image": SendCommand(media=MediaContent(media=Media(type=MEDIA_TYPE_IMAGE), caption="x" * 200)),
    "text": SendCommand(text=TextContent(body="x" * 200, segments=1)),
}


async def test_what_the_device_cannot_send_does_not_come_to_the_driver(
    core: StubCore, tmp_path: Path
) -> None:
    given = BEYOND | WITHIN
    for name, each in given.items():
        each.command_id, each.device_key = name, "phone"
    async with running(core, tmp_path, driver=LimitedDriver()) as it:
        core.offer(given.values())
        assert await settled(core) == dict.fromkeys(BEYOND, "failed") | dict.fromkeys(WITHIN, "submitted")
        assert it.driver.sent == list(WITHIN)
        reasons = {core.commands[name].reports[0].failed.reason for name in BEYOND}
        assert reasons == {FAILURE_REASON_CONTENT_UNSUPPORTED}


async def test_device_of_a_driver_that_says_nothing_gets_texts_and_groups_only(
    core: StubCore, tmp_path: Path
) -> None:
    given = [
        SendCommand(command_id="template", template=Template(name="order", language="en")),
        SendCommand(command_id="group", destination="1@g.us", text=TextContent(body="x" * 1600, segments=1)),
    ]
    for each in given:
        each.device_key = "phone"
    async with running(core, tmp_path) as it:
        core.offer(given)
        assert await settled(core) == {"template": "failed", "group": "submitted"}
        assert it.driver.sent == ["group"]


async def test_command_that_may_be_sent_again_is_not_if_the_device_can_it_no_more(
    core: StubCore, tmp_path: Path
) -> None:
    async with running(core, tmp_path) as it:
        it.driver.gate.clear()
        core.offer([command("a", text="x" * 201)])
        await core.until(lambda: core.commands["a"].is_accepted)
    driver = LimitedDriver()
    driver.recovery = lambda sent: SendAgain()
    async with running(core, tmp_path, driver=driver) as it:
        assert await settled(core) == {"a": "failed"}
        assert it.driver.sent == []
