"""`infinireach android doctor` says what is wrong with a phone and what to do, and ends with 0 only if it can send."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from drivers.android.config import read_config
from drivers.android.doctor import Examination, examine
from drivers.android.fake_smsgate import NUMBER, PASSWORD, USER, AppKind, FakeSmsGate
from drivers.modem.probe.findings import Finding, Mark
from tools.engines.ports import free_port


async def examined(
    url: str, *, user: str = USER, password: str = PASSWORD, webhook_url: str = ""
) -> Examination:
    told: list[Finding] = []
    examination = await examine(url, user=user, password=password, webhook_url=webhook_url, tell=told.append)
    assert told == examination.findings
    return examination


def marks(examination: Examination, mark: Mark) -> set[str]:
    return {finding.step for finding in examination.findings if finding.mark is mark}


async def run(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "drivers.android.cli",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_healthy_phone_can_send_and_has_an_entry(phone: FakeSmsGate, tmp_path: Path) -> None:
    examination = await examined(phone.url)
    assert examination.can_send
    assert marks(examination, Mark.OK) == {finding.step for finding in examination.findings}
    steps = [finding.step for finding in examination.findings]
    assert steps == ["reach", "app", "battery", "clock", "login", "sims", "inbox", "webhooks", "limit"]
    (tmp_path / "phone.password").write_text(PASSWORD)
    (tmp_path / "phone.password").chmod(0o600)
    file = tmp_path / "phones.toml"
    file.write_text(examination.entry)
    [config] = read_config(file).phones
    assert (config.url, config.numbers[0].number) == (phone.url, NUMBER)


async def test_examination_sends_and_changes_nothing(phone: FakeSmsGate) -> None:
    await examined(phone.url)
    assert {heard.method for heard in phone.requests} == {"GET"}


@pytest.mark.parametrize(
    ("fault", "options", "step", "mark"),
    [
        ("away", {}, "reach", Mark.FAULT),
        ("wrong_password", {}, "login", Mark.FAULT),
        ("error", {"count": 9}, "app", Mark.FAULT),
        ("no_sim", {}, "sims", Mark.FAULT),
        ("battery", {"percent": 9}, "battery", Mark.WARNING),
        ("clock_off", {"ahead_s": -3600.0}, "clock", Mark.WARNING),
    ],
)
async def test_what_is_wrong_is_found_with_a_remedy(
    phone: FakeSmsGate, fault: str, options: dict[str, Any], step: str, mark: Mark
) -> None:
    phone.faults.add(fault, **options)
    examination = await examined(phone.url)
    [finding] = [each for each in examination.findings if each.mark is not Mark.OK]
    assert (finding.step, finding.mark) == (step, mark)
    assert finding.remedy
    assert examination.can_send is (mark is Mark.WARNING)


async def test_older_app_is_told_apart() -> None:
    async with FakeSmsGate(kind=AppKind.OLD) as phone:
        examination = await examined(phone.url)
    assert marks(examination, Mark.WARNING) == {"inbox"}
    assert examination.can_send


async def test_without_a_user_the_rest_is_not_seen(phone: FakeSmsGate) -> None:
    examination = await examined(phone.url, user="")
    assert marks(examination, Mark.FAULT) == {"login"}
    assert "/device" not in {heard.path for heard in phone.requests}


async def test_webhook_is_tried_from_here(phone: FakeSmsGate) -> None:
    reached = await examined(phone.url, webhook_url=phone.url)
    closed = await examined(phone.url, webhook_url=f"http://127.0.0.1:{free_port()}")
    not_called = await examined(phone.url, webhook_url="http://192.168.1.1:1")
    assert "webhook" in marks(reached, Mark.OK)
    assert marks(closed, Mark.WARNING) == marks(not_called, Mark.WARNING) == {"webhook"}


async def test_command_ends_with_0_for_a_phone_that_can_send(phone: FakeSmsGate, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    arguments = ["doctor", phone.url, "--user", USER, "--password-file", str(password)]
    status, out, _ = await run(*arguments)
    assert (status, "It can send." in out, PASSWORD in out) == (0, True, False)
    status, out, _ = await run(*arguments, "--json")
    assert (status, json.loads(out)["can_send"]) == (0, True)


async def test_command_ends_with_1_for_one_that_cannot_and_2_for_a_wrong_command_line(
    phone: FakeSmsGate,
) -> None:
    status, out, _ = await run("doctor", phone.url, "--json")
    assert (status, json.loads(out)["can_send"]) == (1, False)
    status, out, _ = await run("doctor", phone.url)
    assert (status, "It cannot send." in out) == (1, True)
    assert (await run("doctor", "no url"))[0] == 2
    assert (await run("doctor", phone.url, "--user", "u", "--password-file", "/nowhere"))[0] == 2


async def test_file_is_checked_before_a_driver_is_started_with_it(phone: FakeSmsGate, tmp_path: Path) -> None:
    file = tmp_path / "phones.toml"
    file.write_text(phone.config())
    file.chmod(0o600)
    status, out, _ = await run("check-config", "--config", str(file))
    assert (status, "1 phone" in out) == (0, True)
    file.write_text("[[phone]]\nname = 1\n")
    status, _, err = await run("check-config", "--config", str(file))
    assert (status, "url is missing" in err) == (1, True)
