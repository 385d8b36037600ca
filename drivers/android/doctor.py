"""What `infinireach android doctor` finds out about a phone, one step after the other, and what to do about it.

Owns the steps, their sentences and the entry for phones.toml. Changes nothing at the phone and sends nothing.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from drivers.android.conditions import CONDITIONS, Reason
from drivers.android.config import PARTS_PER_30_MIN, PhoneConfig, is_callable
from drivers.android.phone import BATTERY_LOW_PERCENT, CLOCK_S_MAX
from drivers.android.phone_api import Health, NotTheApp, PhoneApi, PhoneAway, PhoneRefused, Sim
from drivers.modem.probe.findings import Finding, Mark, Tell

WEBHOOK_S = 10.0
LIMIT = (
    f"Android lets an app send about 30 parts in 30 minutes; the driver keeps to {PARTS_PER_30_MIN} "
    "(parts_per_30_min). What is left of it cannot be asked for."
)
LIMIT_REMEDY = "To raise it: adb shell settings put global sms_outgoing_check_max_count N."


@dataclass(slots=True)
class Examination:
    """A phone examined."""

    url: str
    findings: list[Finding] = field(default_factory=list[Finding])
    entry: str = ""
    """A [[phone]] table for phones.toml; empty if the phone was not let in to."""

    @property
    def can_send(self) -> bool:
        """Whether messages go out through this phone as it is."""
        return bool(self.entry) and all(finding.mark is not Mark.FAULT for finding in self.findings)

    def document(self) -> dict[str, Any]:
        """As it stands in JSON."""
        return {
            "url": self.url,
            "can_send": self.can_send,
            "findings": [
                {"step": each.step, "mark": each.mark.value, "seen": each.seen, "remedy": each.remedy}
                for each in self.findings
            ],
            "entry": self.entry,
        }


async def examine(url: str, *, user: str, password: str, webhook_url: str, tell: Tell) -> Examination:
    """Examine the phone at a URL; `tell` hears of each finding as it is made. Without a user only what all may see."""
    examination = Examination(url)

    def note(finding: Finding) -> None:
        examination.findings.append(finding)
        tell(finding)

    api = PhoneApi(PhoneConfig("doctor", url, user or "-", password, numbers=()))
    try:
        await _look_through(api, examination, note, user)
    except PhoneAway as away:
        note(_away(away))
    except PhoneRefused as refused:
        note(_refused(refused))
    except NotTheApp:
        note(_fault("app", "Something answers, and not as the app does.", Reason.WRONG_SERVER))
    finally:
        await api.close()
    if webhook_url:
        note(await _reach(webhook_url))
    note(Finding("limit", Mark.OK, LIMIT, LIMIT_REMEDY))
    return examination


async def _look_through(api: PhoneApi, examination: Examination, note: Tell, user: str) -> None:
    health = await api.health(wall_s=time.time())
    note(Finding("reach", Mark.OK, "The phone answers."))
    for finding in _of_health(health):
        note(finding)
    if not user:
        remedy = "Give --user and --password-file: both are on the app's first page, below Local server."
        note(Finding("login", Mark.FAULT, "Without user and password nothing more can be seen.", remedy))
        return
    sims = await api.sims()
    note(Finding("login", Mark.OK, "The app takes user and password."))
    note(_of_sims(sims))
    note(await _of_inbox(api))
    note(_of_webhooks(await api.webhooks()))
    examination.entry = entry_of(examination.url, user, sims or [])


def _of_health(health: Health) -> list[Finding]:
    findings = [_of_app(health)]
    if health.battery_percent < 0:
        findings.append(Finding("battery", Mark.OK, "The app does not tell how full it is."))
    elif health.battery_percent < BATTERY_LOW_PERCENT and not health.is_charging:
        findings.append(_warning("battery", f"It is at {health.battery_percent} %.", Reason.BATTERY_LOW))
    else:
        charging = ", and charging" if health.is_charging else ""
        findings.append(Finding("battery", Mark.OK, f"It is at {health.battery_percent} %{charging}."))
    ahead_s = round(health.clock_ahead_s)
    if abs(ahead_s) > CLOCK_S_MAX:
        findings.append(_warning("clock", f"It is {ahead_s:+d} s from ours.", Reason.CLOCK_OFF))
    else:
        findings.append(Finding("clock", Mark.OK, f"It is {ahead_s:+d} s from ours."))
    return findings


def _of_app(health: Health) -> Finding:
    others = [name for name in health.failing if not name.startswith("battery:")]
    seen = f"SMS Gateway {health.version or 'of an unknown version'} runs."
    if not others:
        return Finding("app", Mark.OK, seen)
    remedy = "messages:failed: all of the last hour failed, often for lack of credit. connection: its Wi-Fi."
    return Finding("app", Mark.WARNING, f"{seen} It calls these checks failed: {', '.join(others)}.", remedy)


def _of_sims(sims: list[Sim] | None) -> Finding:
    if sims is None:
        return Finding("sims", Mark.OK, "This version of the app does not tell which SIMs there are.")
    if not sims:
        return _fault("sims", "The app sees no SIM.", Reason.SIM_MISSING)
    named = ", ".join(f"SIM {sim.slot}{f' ({sim.carrier})' if sim.carrier else ''}" for sim in sims)
    return Finding("sims", Mark.OK, f"There are: {named}.")


async def _of_inbox(api: PhoneApi) -> Finding:
    if await api.inbox(since_s=0, until_s=time.time(), limit=1, offset=0) is None:
        return _warning("inbox", "The app cannot be asked for what came in.", Reason.NO_INBOUND)
    return Finding("inbox", Mark.OK, "The app can be asked for what came in.")


def _of_webhooks(webhooks: list[dict[str, str]]) -> Finding:
    ours = [each for each in webhooks if each["id"].startswith("infinireach-")]
    others = len(webhooks) - len(ours)
    seen = f"{len(ours)} of the gateway are registered"
    seen += f", and {others} of others, which see the messages too." if others else "."
    return Finding("webhooks", Mark.OK, seen)


async def _reach(url: str) -> Finding:
    """Whether a webhook's address answers here. From the phone it may be another matter."""
    if not is_callable(url):
        return _warning("webhook", "The app does not call such an address.", Reason.WEBHOOK_REFUSED)
    timeout = aiohttp.ClientTimeout(total=WEBHOOK_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            seen = f"It answers here, with status {answer.status}."
    except aiohttp.ClientSSLError:
        remedy = "The phone has to trust the certificate: use one of a public authority."
        return Finding("webhook", Mark.WARNING, "Its certificate is not trusted here.", remedy)
    except (aiohttp.ClientError, TimeoutError, ValueError):
        remedy = (
            "Start the driver with [webhook], open its port, and over USB: adb reverse tcp:PORT tcp:PORT."
        )
        return Finding("webhook", Mark.WARNING, "It does not answer here.", remedy)
    return Finding("webhook", Mark.OK, seen, "Whether the phone reaches it shows in the app, below Webhooks.")


def entry_of(url: str, user: str, sims: list[Sim]) -> str:
    """A [[phone]] table with what is known; what only a person can know stands there to be filled in."""
    known = [f'{{number = "{sim.number}", sim = {sim.slot}}}' for sim in sims if sim.number.startswith("+")]
    numbers = ", ".join(known) or '{number = "", sim = 1}'
    hint = "" if known else "  # the number of the SIM, such as +491701234567"
    return "\n".join([
        "[[phone]]",
        'name = "phone"',
        f"url = {json.dumps(url)}",
        f"user = {json.dumps(user)}",
        'password_file = "phone.password"',
        f"numbers = [{numbers}]{hint}",
        "",
    ])


def _away(away: PhoneAway) -> Finding:
    if away.is_refused:
        return _fault("reach", "The phone is there and nothing listens on this port.", Reason.APP_STOPPED)
    return _fault("reach", "The phone does not answer.", Reason.UNREACHABLE)


def _refused(refused: PhoneRefused) -> Finding:
    if refused.status in (401, 403):
        return _fault("login", "The app refuses user and password.", Reason.WRONG_PASSWORD)
    if refused.status == 429:
        remedy = "Wait five minutes: it had too many wrong passwords."
        return Finding("login", Mark.FAULT, "The app lets nobody in for now.", remedy)
    return Finding(
        "app", Mark.FAULT, f"The app answers with status {refused.status}.", "Its log says why; restart it."
    )


_Make = Callable[[str, str, Reason], Finding]


def _marked(mark: Mark) -> _Make:
    return lambda step, seen, reason: Finding(step, mark, seen, CONDITIONS[reason].remedy)


_fault, _warning = _marked(Mark.FAULT), _marked(Mark.WARNING)
