"""What comes in is handed in once, whichever way it is told of and whoever was away."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from drivers.android.fake_smsgate import NUMBER, SENDER, AppKind, FakeSmsGate, Sim
from tests.fakes.core_stub import StubCore
from tests.unit.drivers.android.phones import RADIO, Gateway, gateway, with_numbers

OTHER = "+15559876544"


def texts(core: StubCore) -> list[str]:
    return [message.text for message in core.inbound]


async def settle(it: Gateway, phone: FakeSmsGate) -> None:
    """Wait until every look that had begun is over, and a few more."""
    asked = len(phone.requests)
    await phone.until(lambda: len(phone.requests) > asked + 40)


async def test_message_comes_in_with_its_parties_and_time(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        message = phone.deliver_inbound("Grüße 🌍")
        await core.until(lambda: bool(core.inbound))
        [inbound] = core.inbound
        assert (inbound.source, inbound.destination, inbound.text) == (SENDER, NUMBER, "Grüße 🌍")
        assert inbound.network_time.seconds == int(message.at.timestamp())


async def test_message_goes_to_the_number_of_the_sim_it_came_to(core: StubCore, tmp_path: Path) -> None:
    async with (
        FakeSmsGate(sims=[Sim(1, NUMBER), Sim(2, OTHER)], conditions=RADIO) as phone,
        gateway(core, tmp_path, phone) as it,
    ):
        await it.until_ready()
        phone.deliver_inbound("second", sim=2)
        phone.deliver_inbound("first", sim=1)
        await core.until(lambda: len(core.inbound) == 2)
        assert {each.text: each.destination for each in core.inbound} == {"first": NUMBER, "second": OTHER}


async def test_message_that_is_listed_again_and_again_comes_in_once(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        phone.deliver_inbound("once")
        await settle(it, phone)
    # The next process sees it in the list too.
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        phone.deliver_inbound("later")
        await core.until(lambda: "later" in texts(core))
    assert texts(core) == ["once", "later"]


async def test_same_text_twice_in_different_seconds_is_two_messages(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        phone.deliver_inbound("again", at=now)
        phone.deliver_inbound("again", at=now + timedelta(seconds=1))
        await core.until(lambda: len(core.inbound) == 2)


async def test_what_came_in_long_before_the_first_start_stays_where_it_is(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.deliver_inbound("old", at=datetime.now(UTC) - timedelta(hours=1))
    for _ in range(2):
        async with gateway(core, tmp_path, phone) as it:
            await it.until_ready()
            await settle(it, phone)
    assert core.inbound == []


async def test_message_that_was_long_under_way_comes_in_with_its_old_time(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
    note = f"[{datetime.now(UTC).timestamp() - 90000}, {datetime.now(UTC).timestamp()}]"
    async with gateway(core, tmp_path, phone) as it:
        await it.engine.write({"inbox/phone": note.encode()})
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        for number in range(60):
            phone.deliver_inbound(str(number))
        phone.deliver_inbound("late", at=datetime.now(UTC) - timedelta(hours=20))
        await core.until(lambda: "late" in texts(core) and len(core.inbound) == 61)


async def test_message_that_the_app_missed_while_it_was_dead_is_found(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        await phone.app.stop()
        phone.deliver_inbound("missed")
        await phone.restart()
        await core.until(lambda: texts(core) == ["missed"])


async def test_older_app_hands_what_it_missed_to_the_webhook(core: StubCore, tmp_path: Path) -> None:
    async with (
        FakeSmsGate(kind=AppKind.OLD, conditions=RADIO) as phone,
        gateway(core, tmp_path, phone, webhook=True) as it,
    ):
        await it.until_ready()
        phone.deliver_inbound("there")
        await core.until(lambda: texts(core) == ["there"])
        await phone.app.stop()
        phone.deliver_inbound("missed")
        await phone.restart()
        await core.until(lambda: texts(core) == ["there", "missed"])
        [first, _] = core.inbound
        assert (first.source, first.destination) == (SENDER, NUMBER)


async def test_older_app_without_webhook_says_that_nothing_can_come_in(
    core: StubCore, tmp_path: Path
) -> None:
    async with (
        FakeSmsGate(kind=AppKind.OLD, conditions=RADIO) as phone,
        gateway(core, tmp_path, phone) as it,
    ):
        change = await it.until_reason("no_inbound")
        assert change.window > 0
        await it.until_state(it.offer(), "delivered")


async def test_message_by_webhook_and_by_list_comes_in_once(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        await it.until_ready()
        await phone.until(lambda: len(phone.app.webhooks.registered) == 6)
        phone.faults.add("webhook_doubled", count=3)
        for number in range(3):
            phone.deliver_inbound(str(number))
        await core.until(lambda: len(core.inbound) == 3)
        await settle(it, phone)
        await phone.until(lambda: phone.app.webhooks.waiting == 0)
        assert sorted(texts(core)) == ["0", "1", "2"]


async def test_half_a_character_comes_in_as_a_mark(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        phone.deliver_inbound("cut \ud83d")
        await core.until(lambda: texts(core) == ["cut �"])


async def test_message_to_a_sim_that_is_not_in_the_file_is_left_alone(core: StubCore, tmp_path: Path) -> None:
    async with FakeSmsGate(sims=[Sim(1, NUMBER), Sim(2, OTHER)], conditions=RADIO) as phone:
        text = with_numbers(phone, (NUMBER, 1))
        async with gateway(core, tmp_path, phone, text=text, webhook=True) as it:
            await it.until_ready()
            await phone.until(lambda: len(phone.app.webhooks.registered) == 6)
            phone.deliver_inbound("private", sim=2)
            phone.deliver_inbound("ours", sim=1)
            await core.until(lambda: "ours" in texts(core))
            await phone.until(lambda: phone.app.webhooks.waiting == 0)
            await settle(it, phone)
        assert texts(core) == ["ours"]


async def test_journal_that_may_have_forgotten_is_not_asked_to_know_again(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    # It was away for five days, and the journal surely knows six.
    note = f"[{now.timestamp() - 30 * 86400}, {now.timestamp() - 5 * 86400}]"
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        await it.engine.write({"inbox/phone": note.encode()})
    for days in (7.0, 5.5, 2.0):
        phone.deliver_inbound(f"{days} days ago", at=now - timedelta(days=days))
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        await settle(it, phone)
    assert sorted(texts(core)) == ["2.0 days ago", "5.5 days ago"]
