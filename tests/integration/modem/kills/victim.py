"""A driver that is killed, and what is asked about its messages once it is back."""

from tests.integration.modem.faults.bench import Bench
from tests.integration.modem.kills.steps import Step, Truth

KILLED = -9
PART = "Every segment is a text of its own, and long enough to fill it to the last of its characters: "


def text_of(parts: int) -> str:
    """A text of so many segments."""
    return (PART * 2)[:150] * parts if parts > 1 else "short"


class Victim:
    """One driver, its modem and its core."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.is_dead = False

    def kill(self) -> None:
        """Kill the driver."""
        self.is_dead = True
        self.bench.rig.kill()

    async def die(self) -> None:
        """Kill the driver, if it is not dead, and wait until it is."""
        self.kill()
        assert await self.bench.rig.exit_status() == KILLED

    async def die_at(self, step: Step, *, part: int, parts: int) -> str:
        """Have the driver killed while it sends a message of so many parts; the message's first command."""
        bench = self.bench
        bench.begin()
        crash_at = step.crash_at(part)
        if crash_at is not None:
            # A new process, since a crash point is told to it at its start.
            await self.die()
            await bench.rig.start(crash_at=crash_at)
        if step.arm is not None:
            step.arm(bench, part)
        message = bench.offer(text_of(parts))
        assert await bench.rig.exit_status() == KILLED
        return message

    async def come_back(self) -> None:
        """Start the driver again and wait until the modem works."""
        self.is_dead = False
        await self.bench.rig.start()

    async def check(self, message: str, step: Step, *, part: int, parts: int) -> None:
        """What has to be true of a message during which the driver was killed at a step of one of its parts."""
        bench = self.bench
        await bench.settled(message)
        state = bench.command(message).state
        match step.truth:
            case Truth.NOT_HANDED_OVER:
                await self._goes_out_whole(message, parts)
            case Truth.LOST:
                assert state == "outcome_unknown"
                await bench.check()
                assert bench.payloads_of(message) == [1] * (part - 1)
                assert bench.command(message).state == "outcome_unknown"
            case Truth.SENT_UNSEEN:
                assert "outcome_unknown" in bench.outcomes(message)
                await bench.until(lambda: bench.command(message).delivered_segments == set(range(1, part + 1)))
                await bench.check()
                assert bench.payloads_of(message) == [1] * part
                assert bench.command(message).state == ("delivered" if part == parts else "outcome_unknown")
            case Truth.SENT:
                await bench.delivered(message)
                assert "outcome_unknown" not in bench.outcomes(message)
                await bench.check()
                assert bench.payloads_of(message) == [1] * parts

    async def _goes_out_whole(self, message: str, parts: int) -> None:
        bench = self.bench
        if bench.command(message).state == "failed":
            assert bench.payloads_of(message) == []
        await bench.delivered_in_the_end(message)
        await bench.check()
        assert bench.payloads_of(message) == [1] * parts

    async def settle_all(self, messages: list[str]) -> None:
        """Wait for the results of all messages, and for the delivery of all that are not unknown."""
        bench = self.bench
        for each in messages:
            await bench.settled(each)
            if "outcome_unknown" not in bench.outcomes(each):
                await bench.delivered_in_the_end(each)
