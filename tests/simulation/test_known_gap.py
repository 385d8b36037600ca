"""What both ends of the driver stream together do not keep yet."""

from pathlib import Path

import pytest

from core.dispatch import Holdings, reconcile
from drivers.runtime.journal import Journal
from drivers.runtime.records import Batch
from infinireach.driver.v1.command_pb2 import SendCommand
from tests.core_fixtures import NOW_MS, claimed_command, connect
from tests.fakes.database import memory_session
from tests.simulation import journal_files


def start(journal: Path, command_id: str) -> bool:
    """Write a command to a journal as started, as before it is handed over; False if the journal knows it."""
    opened = Journal(journal, horizon_s=1e6, settled_commands_max=1000)
    command = SendCommand(command_id=command_id)
    committed = opened.commit(Batch(hold=[command], start=[command_id]))
    opened.close()
    return not committed.known


@pytest.mark.xfail(
    strict=True,
    reason="A journal that was put back from an older copy cannot be told from the current one if it holds as many"
    " facts as the core has applied: nothing in a hello shows the difference.",
)
def test_a_command_goes_out_once_though_an_older_copy_of_the_journal_was_put_back(tmp_path: Path) -> None:
    path, handed_over = tmp_path / "journal.db", list[str]()
    with memory_session() as session:
        journal_id, _ = journal_files.facts_of(path)
        backup = journal_files.read(path)
        command = claimed_command(session, connect(session, journal_id=journal_id))
        assert start(path, command.command_id)
        handed_over.append(command.command_id)

        journal_files.remove(path)
        journal_files.write(path, backup)
        journal_id, _ = journal_files.facts_of(path)
        again = connect(session, journal_id=journal_id)
        holdings = Holdings(again.driver_id, again.epoch, set(), set(again.keys))
        for offered in reconcile(session, holdings, NOW_MS).offer:
            if start(path, offered.command_id):
                handed_over.append(offered.command_id)
    assert handed_over == [command.command_id]
