"""Android's limit of parts that an app may send."""

from drivers.android.fake_smsgate import Conditions, OverLimit
from tests.unit.drivers.fake_smsgate.room import room, states

FOUR = "x" * 600


async def test_more_parts_than_the_limit_are_silently_not_sent() -> None:
    async with room(conditions=Conditions(0.01, 0.01, limit_parts=5)) as (phone, caller):
        await caller.send("four", FOUR)
        await caller.send("two", "x" * 200)
        await caller.send("one")
        await states(phone, "one", "Delivered")
        assert {part.message_id for part in phone.sent} == {"four", "one"}
        assert (await caller.state("two"))["state"] == "Processed"


async def test_more_parts_than_the_limit_are_refused_by_other_androids() -> None:
    conditions = Conditions(0.01, 0.01, limit_parts=3, over_limit=OverLimit.FAILED)
    async with room(conditions=conditions) as (phone, caller):
        await caller.send("four", FOUR)
        await states(phone, "four", "Failed")
        [recipient] = (await caller.state("four"))["recipients"]
        assert recipient["error"] == "Send result: RESULT_ERROR_LIMIT_EXCEEDED"
        assert phone.sent == []


async def test_after_half_an_hour_the_app_may_send_again() -> None:
    async with room(conditions=Conditions(0.01, 0.01, limit_parts=4)) as (phone, caller):
        await caller.send("first", FOUR)
        await states(phone, "first", "Delivered")
        phone.clock.pass_time(1801)
        await caller.send("second", FOUR)
        await states(phone, "second", "Delivered")


async def test_an_android_without_the_limit_sends_everything() -> None:
    async with room(conditions=Conditions(0.0, 0.0, limit_parts=None)) as (phone, caller):
        for number in range(20):
            await caller.send(f"m{number}", FOUR)
        await phone.until(lambda: len(phone.sent) == 80)
        assert set(phone.sent_times().values()) == {1}
