"""One batch of the journal as one SQLite transaction.

Owns the order of the writes inside it and the numbers it gives. Either everything is on disk and the position in
memory has moved, or neither.
"""

import itertools
import sqlite3
from dataclasses import dataclass

from drivers.runtime.outcomes import Cancelled, to_report
from drivers.runtime.records import Batch, Committed, KnownCommand, PendingFact, SegmentMark
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.fact_pb2 import CommandReport

HELD, STARTED, SETTLED = 0, 1, 2
"""Phases of a command in the journal."""


@dataclass(slots=True, frozen=True)
class Retention:
    """How long settled commands are known, so that one that comes again is not sent again."""

    horizon_s: float
    settled_commands_max: int


@dataclass(slots=True)
class Position:
    """What the journal keeps in memory of its file, as of the last commit."""

    journal_id: str
    last_sequence: int
    acknowledged_sequence: int
    next_number: int
    oldest_number: int
    numbers: dict[str, int]
    """Row of each open command."""
    with_segments: set[str]
    """Commands that have segment marks."""


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction that failed, unless SQLite has done so itself."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


class Transaction:
    """One batch on its way to disk; `run` either commits and moves the position, or changes nothing."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        position: Position,
        batch: Batch,
        *,
        retention: Retention,
        now_s: int,
    ) -> None:
        self._connection = connection
        self._position = position
        self._batch = batch
        self._retention = retention
        self._now_s = now_s
        self._known: dict[str, KnownCommand] = {}
        self._new_numbers: dict[str, int] = {}
        self._identities = 0
        """How many identities of inbound messages are new."""
        self._settled: list[str] = []
        self._settlements: list[tuple[int, bytes, int, int, int]] = []

    def run(self) -> Committed:
        """Commit. Raises sqlite3.Error if nothing of it was written."""
        connection, batch = self._connection, self._batch
        try:
            connection.execute("BEGIN IMMEDIATE")
            if batch.hold:
                self._hold()
            self._move_phases()
            sequences, last_sequence = self._append_facts()
            self._write_settlements()
            self._write_notes()
            acknowledged = self._acknowledge()
            if last_sequence or acknowledged:
                connection.execute(
                    "UPDATE journal SET last_sequence = max(last_sequence, ?),"
                    " acknowledged_sequence = max(acknowledged_sequence, ?)",
                    (last_sequence, acknowledged),
                )
            oldest = self._prune(acknowledged) if batch.hold else self._position.oldest_number
            if self._identities:
                self._prune_inbound(acknowledged)
            connection.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            raise
        self._remember(last_sequence, acknowledged, oldest)
        return Committed(known=self._known, sequences=sequences)

    def _hold(self) -> None:
        """Insert the commands; those that were settled earlier go to `_known` instead."""
        try:
            self._insert(self._batch.hold)
        except sqlite3.IntegrityError:
            # One of them was here before. That is rare, so only now is each looked up.
            self._connection.execute("ROLLBACK")
            self._connection.execute("BEGIN IMMEDIATE")
            self._new_numbers = {}
            for command in self._batch.hold:
                row = self._connection.execute(
                    "SELECT report, result_sequence FROM commands WHERE command_id = ?", (command.command_id,)
                ).fetchone()
                if row is not None:
                    # No report: the core has just let it go, and `forget` of this batch says so.
                    report = CommandReport.FromString(row[0]) if row[0] else to_report("", Cancelled())
                    report.command_id = command.command_id
                    self._known[command.command_id] = KnownCommand(report, row[1] or 0)
            self._insert([command for command in self._batch.hold if command.command_id not in self._known])

    def _insert(self, commands: list[SendCommand]) -> None:
        first = self._position.next_number
        started = set(self._batch.start)
        rows: list[tuple[int, str, int, bytes]] = []
        for number, command in enumerate(commands, start=first):
            command_id = command.command_id
            self._new_numbers[command_id] = number
            phase = STARTED if command_id in started else HELD
            rows.append((number, command_id, phase, command.SerializeToString()))
        self._connection.executemany(
            "INSERT INTO commands (number, command_id, phase, payload) VALUES (?, ?, ?, ?)", rows
        )

    def _number(self, command_id: str) -> int | None:
        """The row of an open command."""
        number = self._new_numbers.get(command_id)
        return self._position.numbers.get(command_id) if number is None else number

    def _move_phases(self) -> None:
        # Released first: what was released since the last batch may start in this one.
        moves = [(HELD, self._number(command_id)) for command_id in self._batch.release]
        moves += [
            (STARTED, self._position.numbers[command_id])
            for command_id in self._batch.start
            if command_id not in self._new_numbers and command_id not in self._known
        ]
        if moves:
            self._connection.executemany("UPDATE commands SET phase = ? WHERE number = ?", moves)
        for command_id in self._batch.forget:
            self._settle(command_id, to_report(command_id, Cancelled()), sequence=0)

    def _append_facts(self) -> tuple[list[int], int]:
        """The facts' numbers, and the last number given; 0 if none was."""
        sequences: list[int] = []
        rows: list[tuple[int, bytes]] = []
        first = last = self._position.last_sequence
        for pending in self._batch.facts:
            if pending.settles in self._known and pending.settles:
                sequences.append(0)
                continue
            earlier = self._earlier_inbound(pending, last + 1) if pending.identity else 0
            if earlier:
                sequences.append(earlier)
                continue
            last += 1
            rows.append((last, pending.fact.SerializeToString()))
            sequences.append(last)
            if pending.settles:
                self._settle(pending.settles, pending.fact.command_report, sequence=last)
        if rows:
            self._connection.executemany("INSERT INTO facts (sequence, payload) VALUES (?, ?)", rows)
        return sequences, (last if last > first else 0)

    def _earlier_inbound(self, pending: PendingFact, sequence: int) -> int:
        """The number of the fact that had the same identity; 0 if this one is the first, which is noted."""
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO inbound (identity, sequence, seen_s) VALUES (?, ?, ?)",
            (pending.identity, sequence, self._now_s),
        )
        if cursor.rowcount == 1:
            self._identities += 1
            return 0
        query = "SELECT sequence FROM inbound WHERE identity = ?"
        return self._connection.execute(query, (pending.identity,)).fetchone()[0]

    def _settle(self, command_id: str, report: CommandReport, *, sequence: int) -> None:
        number = self._number(command_id)
        if number is not None:
            self._settled.append(command_id)
            self._settlements.append((SETTLED, report.SerializeToString(), sequence, self._now_s, number))

    def _write_settlements(self) -> None:
        if not self._settlements:
            return
        self._connection.executemany(
            "UPDATE commands SET phase = ?, payload = NULL, report = ?, result_sequence = ?, settled_s = ?"
            " WHERE number = ?",
            self._settlements,
        )
        marked = [(command_id,) for command_id in self._settled if command_id in self._position.with_segments]
        if marked:
            self._connection.executemany("DELETE FROM segments WHERE command_id = ?", marked)

    def _write_notes(self) -> None:
        """Segment marks and the driver's own store."""
        if marks := self._marks():
            self._connection.executemany(
                "INSERT OR REPLACE INTO segments (command_id, segment, taken, reference) VALUES (?, ?, ?, ?)",
                [(m.command_id, m.segment, m.taken, m.reference) for m in marks],
            )
        with_facts = (change for pending in self._batch.facts for change in pending.store)
        refusable = (change for notes in self._batch.refusable for change in notes.store)
        for key, value in itertools.chain(with_facts, self._batch.store, refusable):
            if value is None:
                self._connection.execute("DELETE FROM store WHERE key = ?", (key,))
            else:
                self._connection.execute(
                    "INSERT OR REPLACE INTO store (key, value) VALUES (?, ?)", (key, value)
                )

    def _marks(self) -> list[SegmentMark]:
        """The marks of commands that are still open after this; those of a settled one would never be deleted."""
        refusable = (mark for notes in self._batch.refusable for mark in notes.segments)
        settled = set(self._settled)
        return [
            mark
            for mark in itertools.chain(self._batch.segments, refusable)
            if mark.command_id not in settled and self._number(mark.command_id) is not None
        ]

    def _acknowledge(self) -> int:
        """Drop the facts that the core has; the number up to which it has them, 0 if that is no news."""
        acknowledged = self._batch.acknowledged
        if acknowledged <= self._position.acknowledged_sequence:
            return 0
        self._connection.execute("DELETE FROM facts WHERE sequence <= ?", (acknowledged,))
        return acknowledged

    def _prune(self, acknowledged: int) -> int:
        """Forget a few commands that are older than the horizon; the number of the oldest that is left.

        Twice as many as were inserted, at most: so the table shrinks while it is used, and no commit takes long.
        """
        position = self._position
        oldest = position.oldest_number
        next_number = position.next_number + len(self._new_numbers)
        last = oldest + 2 * len(self._new_numbers) + 10
        acknowledged = max(acknowledged, position.acknowledged_sequence)
        horizon_s = self._now_s - self._retention.horizon_s
        cursor = self._connection.execute(
            "DELETE FROM commands WHERE number BETWEEN ? AND ? AND phase = ? AND result_sequence <= ?"
            " AND (settled_s < ? OR number < ?)",
            (
                oldest,
                last,
                SETTLED,
                acknowledged,
                horizon_s,
                next_number - self._retention.settled_commands_max,
            ),
        )
        if cursor.rowcount == 0:
            return oldest
        row = self._connection.execute("SELECT min(number) FROM commands").fetchone()
        return row[0] or next_number

    def _prune_inbound(self, acknowledged: int) -> None:
        """Forget a few identities that are older than the horizon; as with commands, twice as many as came."""
        self._connection.execute(
            "DELETE FROM inbound WHERE number IN (SELECT number FROM inbound ORDER BY number LIMIT ?)"
            " AND seen_s < ? AND sequence <= ?",
            (
                2 * self._identities,
                self._now_s - self._retention.horizon_s,
                max(acknowledged, self._position.acknowledged_sequence),
            ),
        )

    def _remember(self, last_sequence: int, acknowledged: int, oldest_number: int) -> None:
        position = self._position
        position.next_number += len(self._new_numbers)
        position.numbers.update(self._new_numbers)
        for command_id in self._settled:
            position.numbers.pop(command_id, None)
            position.with_segments.discard(command_id)
        position.with_segments.update(mark.command_id for mark in self._marks())
        position.last_sequence = max(position.last_sequence, last_sequence)
        position.acknowledged_sequence = max(position.acknowledged_sequence, acknowledged)
        position.oldest_number = oldest_number
