"""The driver's journal: one SQLite file with every open command, every fact that the core has not acknowledged,
and the results of settled commands for as long as the same command could come again.

Synchronous; one owner process; one transaction per batch. Knows nothing of the stream and of what facts mean.
Rules of the file:
 - What `commit` returned for is on disk (WAL, synchronous=FULL); what it raised for has not happened at all.
 - Facts get their numbers here, +1 each, for as long as the file lives.
 - State in memory changes only after COMMIT.
"""

import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

from drivers.runtime.journal_transaction import SETTLED, STARTED, Position, Retention, Transaction, roll_back
from drivers.runtime.outcomes import Unknown, to_report
from drivers.runtime.records import Batch, Committed, JournalState, OpenInJournal, SegmentMark
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.fact_pb2 import Fact

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 5.0
"""How long a commit waits for somebody who looks into the file with another program."""

_SCHEMA = """
CREATE TABLE journal (
  journal_id TEXT NOT NULL,
  last_sequence INTEGER NOT NULL,
  acknowledged_sequence INTEGER NOT NULL
);
CREATE TABLE commands (
  number INTEGER PRIMARY KEY,
  command_id TEXT NOT NULL UNIQUE,
  phase INTEGER NOT NULL,
  payload BLOB,
  report BLOB,
  result_sequence INTEGER,
  settled_s INTEGER
);
CREATE TABLE facts (sequence INTEGER PRIMARY KEY, payload BLOB NOT NULL);
CREATE TABLE segments (
  command_id TEXT NOT NULL,
  segment INTEGER NOT NULL,
  taken INTEGER NOT NULL,
  reference TEXT NOT NULL,
  PRIMARY KEY (command_id, segment)
) WITHOUT ROWID;
CREATE TABLE inbound (
  number INTEGER PRIMARY KEY,
  identity TEXT NOT NULL UNIQUE,
  sequence INTEGER NOT NULL,
  seen_s INTEGER NOT NULL
);
CREATE TABLE store (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


class JournalError(Exception):
    """The journal cannot be used."""


class JournalInUse(JournalError):
    """Another process owns the journal."""


class JournalUnreadable(JournalError):
    """The file is not a journal of this version, or it is damaged."""


class JournalUnwritable(JournalError):
    """The batch was not written, nothing of it; it may be tried again."""


class Journal:
    """An open journal. Call it from one thread at a time."""

    def __init__(self, path: Path | None, *, horizon_s: float, settled_commands_max: int) -> None:
        """Open or create the journal at `path`; None keeps it in memory, for simulations.

        A settled command is known for `horizon_s` seconds, or until more than `settled_commands_max` newer ones
        came; in no case is it forgotten before the core has acknowledged its result.
        Raises JournalInUse, JournalUnreadable or JournalUnwritable.
        """
        self._retention = Retention(horizon_s, settled_commands_max)
        self._lock_file = None if path is None else _take_lock(path)
        try:
            self._connection = _connect(path)
            self._position = _read_position(self._connection)
        except sqlite3.Error as error:
            self._release_lock()
            raise JournalUnreadable(f"the journal {path} cannot be opened: {error}") from error
        except BaseException:
            self._release_lock()
            raise

    def close(self) -> None:
        """Give the file free. Everything committed is on disk already."""
        self._connection.close()
        self._release_lock()

    def state(self) -> JournalState:
        """What it holds now."""
        rows = self._connection.execute(
            "SELECT phase, payload FROM commands WHERE phase != ? ORDER BY number", (SETTLED,)
        )
        return JournalState(
            journal_id=self._position.journal_id,
            last_sequence=self._position.last_sequence,
            acknowledged_sequence=self._position.acknowledged_sequence,
            open_commands=[OpenInJournal(SendCommand.FromString(row[1]), row[0] == STARTED) for row in rows],
        )

    def facts_after(self, sequence: int, *, count_max: int) -> list[Fact]:
        """The facts that follow number `sequence`, in order, at most `count_max`."""
        rows = self._connection.execute(
            "SELECT sequence, payload FROM facts WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (sequence, count_max),
        )
        facts: list[Fact] = []
        for number, payload in rows:
            fact = Fact.FromString(payload)
            fact.sequence = number
            facts.append(fact)
        return facts

    def segments(self, command_id: str) -> list[SegmentMark]:
        """The marks of an unsettled command's segments, in order."""
        rows = self._connection.execute(
            "SELECT segment, taken, reference FROM segments WHERE command_id = ? ORDER BY segment",
            (command_id,),
        )
        return [SegmentMark(command_id, row[0], taken=bool(row[1]), reference=row[2]) for row in rows]

    def known(self, command_ids: Iterable[str]) -> set[str]:
        """Which of the commands it remembers, open or settled. What can be no id, such as a lone surrogate, is not."""
        query = "SELECT command_id FROM commands WHERE command_id = ?"
        possible = (each for each in command_ids if _is_writable(each))
        rows = (self._connection.execute(query, (command_id,)).fetchone() for command_id in possible)
        return {row[0] for row in rows if row is not None}

    def value(self, key: str) -> bytes | None:
        """The value of `key` in the driver's own store."""
        row = self._connection.execute("SELECT value FROM store WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def values(self, prefix: str) -> dict[str, bytes]:
        """All keys that begin with `prefix`, with their values, in the order of the keys."""
        rows = self._connection.execute(
            "SELECT key, value FROM store WHERE key >= ? AND substr(key, 1, ?) = ? ORDER BY key",
            (prefix, len(prefix), prefix),
        )
        return dict(rows.fetchall())

    def commit(self, batch: Batch, *, now_s: float | None = None) -> Committed:
        """Write the batch in one transaction, synced to disk.

        Raises JournalUnwritable if nothing of it was written (disk full, read-only, input/output error).
        """
        transaction = Transaction(
            self._connection,
            self._position,
            batch,
            retention=self._retention,
            now_s=int(time.time() if now_s is None else now_s),
        )
        try:
            return transaction.run()
        except sqlite3.Error as error:
            raise JournalUnwritable(f"the journal cannot be written: {error}") from error

    def renew(self, *, reason: str, now_s: float | None = None) -> None:
        """Give the journal a new identity, because an older copy of the file was put back.

        The proof of what was sent is gone, so every open command gets the result outcome_unknown. The facts that
        nobody acknowledged are kept and numbered from 1. Raises JournalUnwritable.
        """
        open_commands = [entry.command.command_id for entry in self.state().open_commands]
        facts = self.facts_after(0, count_max=-1)
        facts += [Fact(command_report=to_report(command_id, Unknown(reason))) for command_id in open_commands]
        rows: list[tuple[int, bytes]] = []
        for number, fact in enumerate(facts, start=1):
            fact.sequence = 0
            rows.append((number, fact.SerializeToString()))
        report = to_report("", Unknown(reason)).SerializeToString()
        now_s = int(time.time() if now_s is None else now_s)
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM facts")
            connection.execute("DELETE FROM segments")
            connection.executemany("INSERT INTO facts (sequence, payload) VALUES (?, ?)", rows)
            connection.execute("UPDATE commands SET result_sequence = 0")
            connection.execute(
                "UPDATE commands SET phase = ?, payload = NULL, report = ?, result_sequence = ?, settled_s = ?"
                " WHERE phase != ?",
                (SETTLED, report, len(rows), now_s, SETTLED),
            )
            connection.execute("UPDATE inbound SET sequence = ?", (len(rows),))
            connection.execute(
                "UPDATE journal SET journal_id = ?, last_sequence = ?, acknowledged_sequence = 0",
                (_new_journal_id(), len(rows)),
            )
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            roll_back(connection)
            raise JournalUnwritable(f"the journal cannot be written: {error}") from error
        self._position = _read_position(connection)

    def limit_pages(self, pages_max: int) -> None:
        """Let the file grow to `pages_max` pages of 4 KiB and no further: how tests make a full disk."""
        self._connection.execute(f"PRAGMA max_page_count = {pages_max:d}")

    def pages(self) -> int:
        """The pages that the file has now."""
        return self._connection.execute("PRAGMA page_count").fetchone()[0]

    def _release_lock(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None


def _take_lock(path: Path) -> int:
    """Own the file beside `path` that only one process can own; the kernel gives it free when the process ends."""
    lock_path = path.with_name(path.name + ".lock")
    try:
        lock_path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalUnreadable(f"the journal {path} cannot be opened: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise JournalInUse(f"the journal {path} belongs to the running process {owner or '?'}") from error
    os.truncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def _connect(path: Path | None) -> sqlite3.Connection:
    """Open the file, which only its owner may read, and create what it lacks."""
    if path is not None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION};")
            connection.execute("INSERT INTO journal VALUES (?, 0, 0)", (_new_journal_id(),))
            connection.execute("COMMIT")
        elif version != SCHEMA_VERSION:
            raise JournalUnreadable(
                f"the journal {path} has version {version}, this driver knows {SCHEMA_VERSION}"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _read_position(connection: sqlite3.Connection) -> Position:
    journal = connection.execute(
        "SELECT journal_id, last_sequence, acknowledged_sequence FROM journal"
    ).fetchone()
    oldest, newest = connection.execute("SELECT min(number), max(number) FROM commands").fetchone()
    numbers = connection.execute(
        "SELECT command_id, number FROM commands WHERE phase != ?", (SETTLED,)
    ).fetchall()
    marked = connection.execute("SELECT DISTINCT command_id FROM segments").fetchall()
    return Position(
        journal_id=journal[0],
        last_sequence=journal[1],
        acknowledged_sequence=journal[2],
        next_number=(newest or 0) + 1,
        oldest_number=oldest or 1,
        numbers=dict(numbers),
        with_segments={row[0] for row in marked},
    )


def _new_journal_id() -> str:
    return secrets.token_hex(12)


def _is_writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
