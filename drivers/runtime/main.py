"""Runs a driver as a process: settings, logs, signals, exit status.

`run(MyDriver)` is the whole main module of a driver.
"""

import asyncio
import logging
import os
import random
import secrets
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import structlog

from drivers.runtime import settings as read
from drivers.runtime.client import GOODBYE_TIMEOUT_S, Client, NotAdmitted, Superseded
from drivers.runtime.clock import SystemClock
from drivers.runtime.commands import SendingLimits
from drivers.runtime.context import Context, ContextFactory
from drivers.runtime.core_address import CoreAddress
from drivers.runtime.driver import Driver, StartRefused
from drivers.runtime.engine import Engine
from drivers.runtime.failures import describe
from drivers.runtime.journal import Journal, JournalError
from drivers.runtime.protocol import DriverProtocol
from drivers.runtime.session import Identity
from drivers.runtime.settings import Setting, SettingsInvalid, describe_settings, read_settings

EXIT_CLEAN = 0
EXIT_FAILED = 1
EXIT_SETTINGS_INVALID = 2
EXIT_SUPERSEDED = 3
EXIT_NOT_ADMITTED = 4
EXIT_JOURNAL_UNUSABLE = 5

STOP_S = 1.0
"""Seconds that the driver itself has to close what it opened."""
FLUSH_S = 0.5
"""Seconds that the core has to take the last facts when the driver leaves."""
STREAM_END_S = GOODBYE_TIMEOUT_S + 1.0
"""Seconds that the stream has to end after that, before it is cut off."""

CONNECTION_SETTINGS = (
    Setting(
        "INFINIREACH_DRIVER_CORE",
        read.addresses,
        "Address of the core, host:port; or of each of several, comma-separated, tried in turn.",
        "127.0.0.1:50051",
    ),
    Setting(
        "INFINIREACH_DRIVER_TOKEN",
        read.one_line,
        "The driver token; not needed with a driver's certificate.",
        is_secret=True,
    ),
    Setting(
        "INFINIREACH_DRIVER_TOKEN_FILE",
        read.readable_file,
        "File with the driver token, read before each connection; in place of the token itself.",
    ),
    Setting("INFINIREACH_DRIVER_TLS", read.yes_or_no, "Whether to speak TLS to the core.", "no"),
    Setting(
        "INFINIREACH_DRIVER_CA_FILE",
        read.readable_file,
        "Certificates (PEM) to trust in place of the system's; asks for TLS. Read before each connection.",
    ),
    Setting(
        "INFINIREACH_DRIVER_CERT_FILE",
        read.readable_file,
        "Certificate chain (PEM) that the driver shows; asks for TLS. Read before each connection.",
    ),
    Setting(
        "INFINIREACH_DRIVER_KEY_FILE",
        read.readable_file,
        "Private key (PEM) of that certificate. Read before each connection.",
    ),
)
"""Where the core is, and what the driver shows there; see `core_address`."""

log = structlog.get_logger("runtime")


def runtime_settings(kind: str) -> tuple[Setting, ...]:
    """The settings that every driver has."""
    return (
        Setting("INFINIREACH_VAR", read.path, "Folder for what the driver writes.", "./var"),
        *CONNECTION_SETTINGS,
        Setting("INFINIREACH_DRIVER_NAME", read.name, "Stable name of this driver in its tenant.", kind),
        Setting(
            "INFINIREACH_DRIVER_JOURNAL",
            read.path,
            f"The journal, an SQLite file on a local disk. Not set: driver-{kind}.db in INFINIREACH_VAR.",
        ),
        Setting(
            "INFINIREACH_DRIVER_GRACE_S",
            read.number(0, 60),
            "Seconds that running sends have to end when the driver is told to stop.",
            "3",
        ),
        Setting(
            "INFINIREACH_DRIVER_HORIZON_DAYS",
            read.number(0, 365),
            "Days for which settled commands are known, so that none is sent again.",
            "7",
        ),
        Setting(
            "INFINIREACH_DRIVER_HORIZON_COMMANDS",
            read.number(1000, 100_000_000),
            "How many settled commands are known at most.",
            "1000000",
        ),
        Setting(
            "INFINIREACH_DRIVER_LOG_LEVEL",
            read.one_of("debug", "info", "warning", "error"),
            "The least severe log lines to write.",
            "info",
        ),
    )


def run(driver_class: type[Driver]) -> NoReturn:
    """The main program of a driver. Ends the process.

    Status 0: told to stop. 1: the driver failed. 2: settings. 3: superseded by another instance.
    4: the core does not admit it. 5: the journal is in use or cannot be read.
    """
    declared = (*runtime_settings(driver_class.kind), *driver_class.settings)
    if "--help" in sys.argv[1:] or "-h" in sys.argv[1:]:
        title = f"The {driver_class.kind} driver. Settings, from the environment:"
        sys.stdout.write(f"{title}\n{describe_settings(declared)}\n")
        sys.exit(EXIT_CLEAN)
    try:
        settings = read_settings(declared, os.environ, checks=[check_credentials, *driver_class.checks])
    except SettingsInvalid as invalid:
        print("\n".join(invalid.problems), file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_SETTINGS_INVALID)
    set_up_logs(settings["INFINIREACH_DRIVER_LOG_LEVEL"])
    sys.exit(asyncio.run(serve(driver_class, settings)))


def check_credentials(settings: dict[str, Any]) -> Iterable[str]:
    """A driver cannot come in without a token or a certificate, and a certificate is nothing without its key."""
    has_certificate = settings["INFINIREACH_DRIVER_CERT_FILE"] is not None
    named = ("INFINIREACH_DRIVER_TOKEN", "INFINIREACH_DRIVER_TOKEN_FILE")
    if not has_certificate and all(settings[name] is None for name in named):
        yield (
            "INFINIREACH_DRIVER_TOKEN: it or INFINIREACH_DRIVER_TOKEN_FILE must be set, "
            "or INFINIREACH_DRIVER_CERT_FILE and INFINIREACH_DRIVER_KEY_FILE"
        )
    if has_certificate != (settings["INFINIREACH_DRIVER_KEY_FILE"] is not None):
        yield "INFINIREACH_DRIVER_KEY_FILE: must be set if INFINIREACH_DRIVER_CERT_FILE is, and only then"


def set_up_logs(level: str) -> None:
    """One JSON object per line on standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


async def serve(driver_class: type[Driver], settings: Mapping[str, Any]) -> int:
    """Run the driver until it is told to stop; the exit status."""
    try:
        journal = await asyncio.to_thread(open_journal, settings)
    except JournalError as error:
        log.error("journal.unusable", error=str(error))
        return EXIT_JOURNAL_UNUSABLE
    clock = SystemClock()
    driver = driver_class()
    protocol = DriverProtocol(
        Identity(
            driver_name=settings["INFINIREACH_DRIVER_NAME"],
            driver_kind=driver.kind,
            driver_version=driver.version,
            instance_id=secrets.token_hex(12),
            capabilities=tuple(sorted(driver.capabilities)),
        ),
        journal.state(),
        limits=SendingLimits(driver.groups_at_once, driver.group_commands_max),
        clock=clock,
    )
    engine = Engine(driver, protocol, journal)
    core = core_address(settings)
    if not core.is_tls and not core.is_on_this_machine():
        log.warning("stream.not_encrypted", remedy="set INFINIREACH_DRIVER_TLS=yes")
    client = Client(core, engine, chance=random.Random())  # noqa: S311 - jitter, no secret
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        is_started = await start(
            engine,
            stop,
            lambda host: Context(
                host, settings=settings, var_folder=settings["INFINIREACH_VAR"], clock=clock
            ),
        )
        if is_started:
            log.info("driver.started", kind=driver.kind, devices=len(protocol.devices))
            status = await work(client, engine, stop, grace_s=settings["INFINIREACH_DRIVER_GRACE_S"])
        else:
            status = EXIT_CLEAN
    except StartRefused:
        status = EXIT_FAILED
    except Exception:
        log.exception("driver.failed")
        status = EXIT_FAILED
    finally:
        await engine.close()
    log.info("driver.stopped", status=status)
    return status


async def start(engine: Engine, stop: asyncio.Event, context: ContextFactory) -> bool:
    """Start the driver; False if a signal came before it was ready."""
    starting = asyncio.create_task(engine.start(context), name="start")
    stopped = asyncio.create_task(stop.wait(), name="signal")
    await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if starting.done():
        await starting
        return True
    starting.cancel()
    await asyncio.wait({starting}, timeout=STOP_S)
    return False


async def work(client: Client, engine: Engine, stop: asyncio.Event, *, grace_s: float) -> int:
    """Keep the stream until a signal comes or the core sends the driver away; then leave in order."""
    stream = asyncio.create_task(client.run(), name="stream")
    stopped = asyncio.create_task(stop.wait(), name="signal")
    try:
        await asyncio.wait({stream, stopped, engine.journal_task}, return_when=asyncio.FIRST_COMPLETED)
        if engine.journal_task.done() and (error := engine.journal_task.exception()):
            log.error("journal.failed", **describe(error))
        await engine.drain(grace_s, stop_s=STOP_S)
        if not stream.done():
            await client.leave("The driver process ends.", flush_s=FLUSH_S)
            await asyncio.wait({stream}, timeout=STREAM_END_S)
        if stream.done():
            stream.result()
        else:
            log.warning("stream.cut_off")
    except Superseded as superseded:
        log.error("driver.superseded", detail=str(superseded))
        return EXIT_SUPERSEDED
    except NotAdmitted as refused:
        log.error("driver.not_admitted", detail=str(refused))
        return EXIT_NOT_ADMITTED
    finally:
        stopped.cancel()
        stream.cancel()
        await asyncio.wait({stopped, stream})
    return EXIT_CLEAN if stop.is_set() else EXIT_FAILED


def open_journal(settings: Mapping[str, Any]) -> Journal:
    """Open the journal that the settings name. Raises JournalError."""
    return Journal(
        settings["INFINIREACH_DRIVER_JOURNAL"]
        or settings["INFINIREACH_VAR"] / f"driver-{settings['INFINIREACH_DRIVER_NAME']}.db",
        horizon_s=settings["INFINIREACH_DRIVER_HORIZON_DAYS"] * 86400,
        settled_commands_max=int(settings["INFINIREACH_DRIVER_HORIZON_COMMANDS"]),
    )


def core_address(settings: Mapping[str, Any]) -> CoreAddress:
    """Where the core is, as the settings say."""
    token_file: Path | None = settings["INFINIREACH_DRIVER_TOKEN_FILE"]
    token: str | None = settings["INFINIREACH_DRIVER_TOKEN"]
    ca_file: Path | None = settings["INFINIREACH_DRIVER_CA_FILE"]
    cert_file: Path | None = settings["INFINIREACH_DRIVER_CERT_FILE"]
    return CoreAddress(
        targets=settings["INFINIREACH_DRIVER_CORE"],
        token=lambda: token_file.read_text().strip() if token_file is not None else token or "",
        is_tls=bool(settings["INFINIREACH_DRIVER_TLS"]) or ca_file is not None or cert_file is not None,
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=settings["INFINIREACH_DRIVER_KEY_FILE"],
    )
