"""What the library says where it gives up reaches the driver as what it is."""

from collections.abc import Awaitable
from pathlib import Path

import pytest
from neonize.exc import NeonizeError

from drivers.whatsapp_web.account import AccountFailed, Banned, Event
from drivers.whatsapp_web.adapter.client import NeonizeAccount
from drivers.whatsapp_web.adapter.events import BAN_S


class Heard(list[Event]):
    """What the account told."""

    async def hear(self, event: Event) -> None:
        self.append(event)


def that_gives_up(monkeypatch: pytest.MonkeyPatch, session: Path, heard: Heard, text: str) -> NeonizeAccount:
    """An account whose library connects and ends with this text."""

    async def ended() -> None:
        raise NeonizeError(text)

    async def connect() -> Awaitable[None]:
        return ended()

    account = NeonizeAccount(session, heard.hear)
    monkeypatch.setattr(account._client, "connect", connect)  # pyright: ignore[reportPrivateUsage]
    return account


async def test_ban_that_the_library_cannot_tell_is_sat_out_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    text = "proto: required field neonize.TemporaryBan.Code not set"
    await that_gives_up(monkeypatch, tmp_path / "session.db", heard, text).run()
    assert heard == [Banned(BAN_S, "not_told")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("failed to dial whatsapp web websocket: timeout", "WhatsApp cannot be reached from this machine."),
        ("", ""),
    ],
)
async def test_library_that_gives_up_for_another_reason_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    heard = Heard()
    with pytest.raises(AccountFailed) as failed:
        await that_gives_up(monkeypatch, tmp_path / "session.db", heard, text).run()
    assert str(failed.value) == told
    assert not heard
