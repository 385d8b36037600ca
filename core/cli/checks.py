"""The checks of `infinireach doctor`: each looks at one thing and says what is wrong and how to mend it.

Owns what is a warning and what a fault. Changes nothing.
"""

import contextlib
import datetime
import os
import shutil
import sqlite3
import sys
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from core.certificates import CertificateFilesUnusable, certificates, check_pair, read
from core.cli import run_file
from core.cli.configuration import misspelt
from core.cli.finding import Finding
from core.cli.kafka_checks import kafka
from core.cli.output import CommandFailed
from core.cli.rest_client import RestClient
from core.cli.supervisor import plan, ports, readiness
from core.clock import SystemClock
from core.config import PREFIX, InvalidSettings, Settings, load
from core.errors import InfiniReachError
from core.store import migrate
from core.store.databases import make_engine
from core.store.rows import SCHEMA, DriverRow, EventRow, MessageRow

PYTHON_MIN = (3, 11)
SQLITE_MIN = (3, 35, 0)
"""The first with RETURNING."""
FREE_BYTES_MIN = 100 * 1024 * 1024
FREE_BYTES_LOW = 1024 * 1024 * 1024
READ_BYTES_MAX = 1024 * 1024 * 1024
"""The largest SQLite file that is read from end to end for its integrity; some seconds."""
CLOCK_SLACK_MS = 5_000
CLOCK_EARLIEST_MS = 1_750_000_000_000
"""No machine that runs this software lives before 2025."""
WAITING_MS_MAX = 60_000
"""Events are published within a second or two."""
WAITING_COUNTED_MAX = 10_000
CERTIFICATE_DAYS_MIN = 14
CERTIFICATE_VARIABLES = tuple(
    PREFIX + name
    for name in (
        "TLS_CERT_FILE",
        "TLS_CLIENT_CA_FILE",
        "CORE_CERT_FILE",
        "CORE_CA_FILE",
        "DRIVER_CERT_FILE",
        "DRIVER_CA_FILE",
    )
)
"""Of the core, the facade and drivers: whatever of them this environment sets up."""
HTTP_OK = 200
ONLINE = "online"


def examine() -> list[Finding]:
    """All checks. Those that need settings are left out when these are faulty."""
    findings = list(_python())
    try:
        settings = load()
    except InvalidSettings as invalid:
        faults = "; ".join(invalid.problems)
        return [
            *findings,
            Finding("settings", "fault", faults, "See docs/configuration.md, or infinireach config."),
        ]
    findings += _settings()
    findings += _certificates(settings)
    findings += _folder(settings)
    findings += _database(settings)
    findings += kafka(settings)
    findings += _services(settings)
    return findings


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    found = f"Python {version}, SQLite {sqlite3.sqlite_version}"
    if sys.version_info < PYTHON_MIN or sqlite3.sqlite_version_info < SQLITE_MIN:
        yield Finding("python", "fault", found, "Python 3.11 and SQLite 3.35 or newer are needed.")
    else:
        yield Finding("python", "ok", found)


def _settings() -> Iterator[Finding]:
    guesses = misspelt(os.environ)
    for wrong, meant in guesses.items():
        yield Finding("settings", "warning", f"{wrong} is no setting", f"Did you mean {meant}?")
    if not guesses:
        yield Finding("settings", "ok", "all can be used")


def _certificates(settings: Settings) -> Iterator[Finding]:
    """Nothing is said where no setting names a certificate."""
    named = {name: Path(os.environ[name]) for name in CERTIFICATE_VARIABLES if os.environ.get(name)}
    try:
        ends = {
            name: min(cert.not_valid_after_utc for cert in certificates(read(path), path))
            for name, path in named.items()
        }
        if settings.tls_cert_file is not None and settings.tls_key_file is not None:
            cert_file, key_file = settings.tls_cert_file, settings.tls_key_file
            check_pair(read(cert_file), read(key_file), cert_file=cert_file, key_file=key_file)
    except CertificateFilesUnusable as unusable:
        yield Finding("certificates", "fault", str(unusable), "See docs/tls.md.")
        return
    now = datetime.datetime.fromtimestamp(SystemClock().now_ms() / 1000, datetime.UTC)
    for name, end in ends.items():
        days = (end - now).days
        if end <= now:
            yield Finding("certificates", "fault", f"{named[name]} has expired", f"Renew it: {name}.")
        elif days < CERTIFICATE_DAYS_MIN:
            seen = f"{named[name]} expires in {days} days"
            yield Finding("certificates", "warning", seen, "Renew it, for example: infinireach certs init")
    if ends and min(ends.values()) >= now + datetime.timedelta(days=CERTIFICATE_DAYS_MIN):
        yield Finding("certificates", "ok", f"none expires within {CERTIFICATE_DAYS_MIN} days")


def _folder(settings: Settings) -> Iterator[Finding]:
    var = settings.var.absolute()
    if not var.is_dir():
        yield Finding("data folder", "warning", f"{var} does not exist", "infinireach up makes it.")
        return
    if not os.access(var, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            "data folder",
            "fault",
            f"{var} cannot be written to",
            f"Give it to this user: chown, or {PREFIX}VAR.",
        )
        return
    free = shutil.disk_usage(var).free
    room = f"{var}, {free // 1024**2} MB free"
    if free < FREE_BYTES_MIN:
        yield Finding("data folder", "fault", room, "Make room: nothing can be accepted on a full disk.")
    elif free < FREE_BYTES_LOW:
        yield Finding("data folder", "warning", room, "Make room soon.")
    else:
        yield Finding("data folder", "ok", room)
    keys = [] if settings.tls_key_file is None else [settings.tls_key_file]
    files = [settings.master_key_file, settings.service_credential_file, var / "demo.key", *keys]
    yield from _secret_files(files)


def _secret_files(files: list[Path]) -> Iterator[Finding]:
    open_ones = [str(file) for file in files if file.exists() and file.stat().st_mode & 0o077]
    if open_ones:
        yield Finding(
            "secrets", "fault", f"others can read {', '.join(open_ones)}", f"chmod 600 {' '.join(open_ones)}"
        )
    else:
        yield Finding("secrets", "ok", "only their owner can read them")


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        revision = migrate.current(settings.database_url)
    except (SQLAlchemyError, InfiniReachError, OSError) as error:
        yield Finding(
            "database",
            "fault",
            f"cannot be reached: {error}",
            f"Is {PREFIX}DATABASE_URL right and the server up?",
        )
        return
    if not migrate.is_current(settings.database_url):
        state = "warning" if settings.embedded and not revision else "fault"
        seen = f"revision {revision or 'none'}, this version needs {migrate.needed()}"
        yield Finding("database", state, seen, "Run: infinireach migrate")
        return
    try:
        with _connection(settings, immediate=True) as connection:
            connection.begin().rollback()  # takes the lock of a writer, and only for a moment
        with _connection(settings, immediate=False) as connection:
            yield from _integrity(connection, revision)
            yield from _contents(connection)
    except SQLAlchemyError as error:
        yield Finding(
            "database", "fault", f"cannot be written: {error}", "Look at permissions, disk and other writers."
        )


@contextlib.contextmanager
def _connection(settings: Settings, *, immediate: bool) -> Generator[Connection]:
    engine = make_engine(settings.database_url, immediate=immediate)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _integrity(connection: Connection, revision: str) -> Iterator[Finding]:
    found = f"writable, revision {revision}"
    if connection.dialect.name != "sqlite":
        yield Finding("database", "ok", found)
        return
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar() or 0
    if pages * (connection.exec_driver_sql("PRAGMA page_size").scalar() or 0) > READ_BYTES_MAX:
        yield Finding("database", "ok", f"{found}; too large to be read as a whole here")
        return
    answer = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if answer != "ok" or broken:
        yield Finding(
            "database", "fault", f"damaged: {answer if answer != 'ok' else broken}", "Restore a backup."
        )
    else:
        yield Finding("database", "ok", f"whole, {found}")


def _contents(connection: Connection) -> Iterator[Finding]:
    now_ms = SystemClock().now_ms()
    last = select(col(MessageRow.created_ms)).order_by(col(MessageRow.id).desc()).limit(1)
    newest = connection.execute(last).scalar() or 0
    if now_ms < CLOCK_EARLIEST_MS or newest > now_ms + CLOCK_SLACK_MS:
        yield Finding(
            "clock",
            "fault",
            "the clock was set back",
            "Set it, and keep it with NTP: timedatectl set-ntp true",
        )
    else:
        yield Finding("clock", "ok", "not before anything that is stored")
    yield from _devices(connection)
    yield from _events(connection, now_ms)
    yield from _webhooks(connection)


def _devices(connection: Connection) -> Iterator[Finding]:
    drivers = connection.execute(select(func.count()).where(col(DriverRow.connected))).scalar() or 0
    table = SCHEMA.tables["device"].c
    rows = connection.execute(
        select(table.name, table.state, table.state_reason, table.remedy).where(
            table.deleted_ms.is_(None), table.enabled
        )
    ).all()
    for row in rows:
        if row.state != ONLINE:
            remedy = row.remedy or "Start its driver, or look at the driver's log."
            yield Finding(
                "device", "warning", f"{row.name} is {row.state} {row.state_reason}".rstrip(), remedy
            )
    online = sum(row.state == ONLINE for row in rows)
    if not rows:
        remedy = "infinireach up runs a simulated one; infinireach driver-token create enrols others."
        yield Finding("devices", "warning", "there is none", remedy)
    else:
        yield Finding(
            "devices", "ok" if online else "warning", f"{online} of {len(rows)} online, {drivers} drivers"
        )


def _events(connection: Connection, now_ms: int) -> Iterator[Finding]:
    """What the relay has not come to; counted in the index of such events, and not to the end."""
    waiting = select(col(EventRow.id)).where(col(EventRow.position).is_(None)).order_by(col(EventRow.id))
    oldest = connection.execute(
        select(col(EventRow.created_ms)).where(col(EventRow.id) == waiting.limit(1).scalar_subquery())
    ).scalar()
    count = connection.execute(
        select(func.count()).select_from(waiting.limit(WAITING_COUNTED_MAX).subquery())
    ).scalar_one()
    found = f"{count}{' or more' if count == WAITING_COUNTED_MAX else ''} are not published"
    if oldest is not None and now_ms - oldest > WAITING_MS_MAX:
        seen = f"{found}, the oldest for {(now_ms - oldest) // 1000} s"
        remedy = "Webhooks wait for them. Does a relay run? Look for relay.failed in the log of the cores."
        yield Finding("events", "warning", seen, remedy)
    else:
        yield Finding("events", "ok", found)


def _webhooks(connection: Connection) -> Iterator[Finding]:
    table = SCHEMA.tables["webhook"].c
    rows = connection.execute(select(table.id, table.enabled, table.disabled_reason, table.failures)).all()
    bad = [row for row in rows if row.disabled_reason or row.failures]
    for row in bad:
        what = f"{row.id} is disabled: {row.disabled_reason}" if row.disabled_reason else f"{row.id} fails"
        yield Finding("webhook", "warning", what, f"Run: infinireach webhook test {row.id}")
    if not bad:
        yield Finding("webhooks", "ok", f"{len(rows)}, none of them fails")


def _services(settings: Settings) -> Iterator[Finding]:
    running = run_file.read(settings.var)
    if not running.get("pids"):
        try:
            where = plan.addresses(settings, os.environ)
        except InvalidSettings as invalid:
            yield Finding("settings", "fault", "; ".join(invalid.problems), "Correct it.")
            return
        for problem in ports.problems(where.endpoints(), patience_s=0):
            yield Finding("ports", "warning", problem)
        yield Finding("gateway", "warning", "`infinireach up` does not run here", "Start it, if it should.")
        return
    yield _edge(running) if running.get("restTls") else _core(str(running.get("grpc", "")))
    address = str(running.get("rest", ""))
    host, _, port = address.rpartition("//")[2].rpartition(":")
    answer = readiness.readyz(host.strip("[]"), int(port)) if port.isdecimal() else 0
    if answer == HTTP_OK:
        yield Finding("REST API", "ok", f"ready at {address}")
    else:
        seen = f"/readyz answers {answer}" if answer else "does not answer"
        yield Finding("REST API", "fault", f"{seen} at {address}", "Look at logs/rest.log.")


def _core(address: str) -> Finding:
    status = readiness.grpc_health(address)
    if status == "SERVING":
        return Finding("core", "ok", f"serves at {address}")
    return Finding("core", "fault", f"answers {status} at {address}", "Look at logs/core.log.")


def _edge(running: Mapping[str, Any]) -> Finding:
    """Before several cores stands an edge, which passes no question for health on: a request shows all of them."""
    url = str(running["restTls"])
    api = RestClient(url, str(running.get("apiKey", "")), readiness.ANSWER_S, str(running.get("ca", "")))
    try:
        api.get("/api/v1/devices")
    except CommandFailed as failed:
        return Finding(
            "edge", "fault", str(failed), "Run: make status. Look at the logs of the edge and the cores."
        )
    return Finding("edge", "ok", f"a request through {url} was answered")
