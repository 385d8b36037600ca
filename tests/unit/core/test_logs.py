"""Log lines: their form, and that no secret, number or text of a message gets into one."""

import json
import subprocess
import sys

import pytest

from core.logs import mask_secrets

PROGRAM = """
import logging, structlog
from core import logs
logs.configure("core", level="info", form="{form}")
log = structlog.get_logger()
log.info("rpc", method="CreateMessage", duration_ms=1.5, key="canary-1", to="+15550000001")
log.debug("canary-2")
logging.getLogger("library").warning("refused irk_canary3canary3")
logging.getLogger("library").info("canary-4")
try:
    raise ValueError("at postgresql://reach:canary-5@db/reach")
except ValueError:
    log.exception("crashed")
"""


def lines(form: str) -> list[str]:
    """What a process with that form of logging writes on stderr."""
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form=form)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert finished.stdout == ""
    return finished.stderr.splitlines()


def test_each_event_is_one_json_line_with_role_level_and_time() -> None:
    events = [json.loads(line) for line in lines("json")]
    assert [(event["event"], event["level"], event["role"]) for event in events] == [
        ("rpc", "info", "core"),
        ("refused ***", "warning", "core"),
        ("crashed", "error", "core"),
    ]
    assert events[0]["duration_ms"] == 1.5
    assert events[1]["logger"] == "library"
    assert "ValueError" in events[2]["exception"]
    assert all(event["at"].endswith("Z") for event in events)


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_form_shows_secrets_or_numbers(form: str) -> None:
    written = "\n".join(lines(form))
    assert "CreateMessage" in written
    for canary in ("canary", "+15550000001"):
        assert canary not in written


def test_fields_are_masked_by_name_in_any_case() -> None:
    event = mask_secrets(
        None, "info", {"event": "e", "Authorization": "Bearer x", "body": b"x", "state": "sent"}
    )
    assert event == {"event": "e", "Authorization": "***", "body": "***", "state": "sent"}


def test_ids_and_ordinary_text_stay_as_they_are() -> None:
    event = {
        "event": "send_commands",
        "message_id": "6741234567890abcdef12345",
        "url": "http://127.0.0.1:8080/x_y",
    }
    assert mask_secrets(None, "info", dict(event)) == event
