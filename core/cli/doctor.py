"""`infinireach doctor`: is everything in order, and if not, what to do."""

import typer

from core.cli import checks
from core.cli.options import AsJson
from core.cli.output import EXIT_FAILED, say, say_json

_MARKS = {"ok": ("ok     ", "green"), "warning": ("warning", "yellow"), "fault": ("fault  ", "red")}


def doctor(*, as_json: AsJson = False) -> None:
    """Check this installation, its data and the running gateway; ends with status 1 if there is a fault."""
    findings = checks.examine()
    if as_json:
        say_json({
            "ok": all(finding.state != "fault" for finding in findings),
            "checks": [
                {"check": f.check, "state": f.state, "detail": f.detail, "remedy": f.remedy or None}
                for f in findings
            ],
        })
    else:
        for finding in findings:
            mark, colour = _MARKS[finding.state]
            say(f"{typer.style(mark, fg=colour)}  {finding.check}: {finding.detail}")
            if finding.remedy:
                say(f"           {finding.remedy}")
    if any(finding.state == "fault" for finding in findings):
        raise typer.Exit(EXIT_FAILED)
