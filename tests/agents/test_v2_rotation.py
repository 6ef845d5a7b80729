"""A transcript that is too long loses its oldest files, and nothing else."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from taskyard_agent.bridge.record import Record
from taskyard_agent.bridge.recover import rebuild
from taskyard_agent.journal import PAGES, Journal, JournalBusy
from taskyard_agent.protocol import Item, ItemKind

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

MAX_BYTES = 64 * 1024

WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from taskyard_agent.journal import Journal
from taskyard_agent.protocol import ItemKind

async def main():
    journal = Journal(Path(sys.argv[1]), int(sys.argv[2]))
    while True:
        item = journal.append(ItemKind.LOG, 1, {"text": "x" * 300}, datetime.now(UTC))
        print(item.seq, flush=True)
        if item.seq % 7 == 0:
            await asyncio.sleep(0)

asyncio.run(main())
"""


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


@contextmanager
def opened(path: Path, max_bytes: int = MAX_BYTES) -> Iterator[Journal]:
    """A journal that is let go without a sync, as a crash would."""
    journal = Journal(path, max_bytes)
    try:
        yield journal
    finally:
        if journal._timer is not None:
            journal._timer.cancel()
        for fd in (*journal._retired, journal._file.fd):
            os.close(fd)


def log(journal: Journal, size: int = 300) -> Item:
    return journal.append(ItemKind.LOG, 1, {"text": "x" * size}, NOW)


def numbers(journal: Journal, after: int = 0) -> list[int]:
    """All numbers above one, read page by page as a client does."""
    found: list[int] = []
    while items := journal.read(found[-1] if found else after, 50):
        found += [item.seq for item in items]
    return found


def files(path: Path) -> list[Path]:
    return sorted(found for found in path.parent.iterdir() if found.suffix == ".jsonl")


async def test_N41_the_oldest_items_go(tmp_path: Path) -> None:
    """A transcript stays within its bytes; first_seq tells what is left, also after a restart."""
    path = tmp_path / "t.jsonl"
    with opened(path) as journal:
        for _ in range(1_000):
            log(journal)
        assert sum(file.stat().st_size for file in files(path)) <= MAX_BYTES + MAX_BYTES // PAGES
        first = journal.first_seq
        assert 800 < first < 900
        assert numbers(journal) == list(range(first, 1001))
    with opened(path) as again:
        assert (again.first_seq, again.last_seq, again.dropped_bytes) == (first, 1000, 0)
        assert numbers(again) == list(range(first, 1001))
        assert log(again).seq == 1001


async def test_N41_every_place_is_found_in_many_files(tmp_path: Path) -> None:
    """Reading after any number begins with the next one, whichever file that is in."""
    path = tmp_path / "t.jsonl"
    with opened(path, 1024 * 1024) as journal:
        for number in range(2_000):
            log(journal, 70_000 if number == 777 else 300)
    with opened(path, 1024 * 1024) as cold:
        assert len(files(path)) > 5
        for after in range(cold.first_seq - 1, 2_000, 13):
            assert [item.seq for item in cold.read(after, 2)][:1] == [after + 1]
        assert cold.read(0, 1)[0].seq == cold.first_seq


async def test_N38_numbers_go_on_in_an_empty_file(tmp_path: Path) -> None:
    """A crash right after a new file was begun costs no number and no item."""
    path = tmp_path / "t.jsonl"
    with opened(path) as journal:
        while len(files(path)) < 2:
            log(journal)
        last = journal.last_seq
    path.write_bytes(b"")
    with opened(path) as again:
        assert (again.first_seq, again.last_seq) == (1, last - 1)
        assert log(again).seq == last


async def test_N41_half_a_rotation_is_undone(tmp_path: Path) -> None:
    """A crash between the two steps of setting a file aside leaves one file, and each item once."""
    path = tmp_path / "t.jsonl"
    with opened(path) as journal:
        for _ in range(5):
            log(journal)
    (tmp_path / f"t.{1:020}.jsonl").hardlink_to(path)
    (tmp_path / "t.jsonl.new").write_bytes(b"")
    with opened(path) as again:
        assert files(path) == [path]
        assert numbers(again) == [1, 2, 3, 4, 5]


def test_N41_killed_while_it_rotates(tmp_path: Path) -> None:
    """After SIGKILL at any moment what was seen and not dropped is on disk, in order and without a gap."""
    path = tmp_path / "t.jsonl"
    argv = [sys.executable, "-c", WRITER, str(path), str(MAX_BYTES)]
    before = 0
    for wait_lines in (15, 101, 512, 43):
        writer = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        seen = [int(writer.stdout.readline()) for _ in range(wait_lines)]
        writer.send_signal(signal.SIGKILL)
        seen += [int(line) for line in writer.stdout.read().splitlines()]
        writer.stdout.close()
        writer.wait()
        assert seen == list(range(before + 1, before + len(seen) + 1))
        with opened(path) as journal:
            assert journal.last_seq >= seen[-1]
            assert numbers(journal) == list(range(journal.first_seq, journal.last_seq + 1))
            before = journal.last_seq
    assert len(files(path)) > 10


async def test_N41_one_writer_of_all_files(tmp_path: Path) -> None:
    """A second writer is refused before and after the file was set aside."""
    path = tmp_path / "t.jsonl"
    with opened(path) as journal:
        for _ in range(40):
            log(journal)
            with pytest.raises(JournalBusy):
                Journal(path)
        assert len(files(path)) > 2


async def test_N6_items_that_somebody_needs_stay(tmp_path: Path) -> None:
    """What a follower does not hold yet is not dropped, however long the transcript is."""
    path = tmp_path / "t.jsonl"
    with opened(path) as journal:
        journal.held_above = 10
        for _ in range(1_000):
            log(journal)
        assert journal.first_seq <= 11
        journal.held_above = 900
        for _ in range(20):
            log(journal)
        assert 800 < journal.first_seq <= 901


async def test_N41_files_set_aside_are_synced(tmp_path: Path) -> None:
    """A sync covers the files that were set aside meanwhile, which are then closed."""
    journal = Journal(tmp_path / "t.jsonl", MAX_BYTES)
    for _ in range(100):
        log(journal)
    assert journal._retired
    await journal.sync()
    assert not journal._retired
    await asyncio.sleep(0)
    assert journal._synced == journal._size
    await journal.close()


def conversation(record: Record) -> list[tuple[int, str]]:
    return [(message.id, message.role) for message in record.conversation.messages]


async def test_N41_messages_keep_their_ids(tmp_path: Path) -> None:
    """Once the oldest messages are dropped, the others have the ids after a restart that they had before."""
    path = tmp_path / "t.jsonl"
    with opened(path) as journal:
        record = Record(journal, lambda: NOW)
        for number in range(300):
            record.turn += 1
            record.put(ItemKind.USER_MESSAGE, {"prompt_id": None, "text": f"{number} " + "x" * 300})
            record.put(ItemKind.AGENT_TEXT, {"message_id": number + 1, "text": "y" * 300})
            record.put(ItemKind.TURN_END, {"reason": "end_turn", "error": None})
        assert journal.first_seq > 100
        before = conversation(record)
        texts = {message.id: message.content for message in record.conversation.messages}
    with opened(path) as journal:
        record = Record(journal, lambda: NOW)
        rebuild(record)
        after = conversation(record)
        assert before[-len(after) :] == after
        assert 20 < len(after) < 300
        last = record.conversation.messages[-1]
        assert texts[last.id] == last.content
        record.put(ItemKind.USER_MESSAGE, {"prompt_id": None, "text": "next"})
        assert record.conversation.messages[-1].id == 601
        assert record.conversation.last_segment == 300


async def test_N41_a_message_whose_beginning_is_gone(tmp_path: Path) -> None:
    """A turn that is longer than the transcript keeps the id of its message."""
    path = tmp_path / "t.jsonl"
    with opened(path) as journal:
        record = Record(journal, lambda: NOW)
        record.put(ItemKind.USER_MESSAGE, {"prompt_id": None, "text": "go"})
        for _ in range(500):
            record.put(ItemKind.AGENT_TEXT, {"message_id": 1, "text": "y" * 300})
        assert journal.first_seq > 1
    first = json.loads(files(path)[0].read_text().splitlines()[0])
    assert first["kind"] == "session_info"
    with opened(path) as journal:
        record = Record(journal, lambda: NOW)
        rebuild(record)
        assert conversation(record) == [(1, "agent")]
