"""The transcript on disk: what was seen is there, whatever ends the process or the line."""

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

import msgspec
import pytest

from taskyard_agent.journal import Journal, JournalBusy, PromptState, Session, SessionFile
from taskyard_agent.protocol import Item, ItemKind
from taskyard_agent.session_file import MAX_PROMPTS
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from taskyard_agent.journal import Journal, SessionFile
from taskyard_agent.protocol import ItemKind

async def main():
    journal = Journal(Path(sys.argv[1]))
    number = 0
    while True:
        number += 1
        kind = ItemKind.TURN_END if number % 50 == 0 else ItemKind.LOG
        item = journal.append(kind, 1, {"text": "x" * (number * 37 % 3000)}, datetime.now(UTC))
        print(item.seq, flush=True)
        if number % 20 == 0:
            await asyncio.sleep(0)

asyncio.run(main())
"""


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    """A journal that is let go without a sync, as a crash would."""
    journal = Journal(path)
    try:
        yield journal
    finally:
        if journal._timer is not None:
            journal._timer.cancel()
        os.close(journal._file.fd)


def log(journal: Journal, text: str) -> Item:
    return journal.append(ItemKind.LOG, 1, {"text": text}, NOW)


async def test_items_come_back(tmp_path: Path) -> None:
    """Items are numbered from 1 and come back as they were, also after a restart."""
    path = tmp_path / "t.jsonl"
    journal = Journal(path)
    assert (journal.first_seq, journal.last_seq, journal.read(0, 10)) == (1, 0, [])
    first = journal.append(ItemKind.USER_MESSAGE, 1, {"text": "hä 😀\n"}, NOW)
    second = journal.append(ItemKind.RAW, 2, msgspec.Raw(b'{"a":\n [1]}'), NOW)
    assert (first.seq, second.seq, journal.last_seq) == (1, 2, 2)
    await journal.close()
    journal = Journal(path)
    found = journal.read(0, 10)
    assert [(i.seq, i.kind, i.turn, i.time) for i in found] == [
        (1, ItemKind.USER_MESSAGE, 1, NOW),
        (2, ItemKind.RAW, 2, NOW),
    ]
    assert [json.loads(bytes(i.data)) for i in found] == [{"text": "hä 😀\n"}, {"a": [1]}]
    assert log(journal, "third").seq == 3
    assert [i.seq for i in journal.read(1, 10)] == [2, 3]
    await journal.close()


async def test_every_place_can_be_read(tmp_path: Path) -> None:
    """Reading finds the right item after any number: short lines, huge lines, gaps in numbers."""
    path = tmp_path / "t.jsonl"
    journal = Journal(path)
    numbers = []
    for number in range(1, 3001):
        if number == 1500:
            journal.raise_to(9000)
        size = 900_000 if number % 1000 == 0 else number % 97
        numbers.append(log(journal, "x" * size).seq)
    await journal.close()
    with opened(path) as cold:
        for after in (
            0,
            1,
            2,
            998,
            999,
            1000,
            1001,
            1498,
            1499,
            5000,
            9000,
            9001,
            9700,
            numbers[-2],
        ):
            wanted = [seq for seq in numbers if seq > after][:3]
            got = [item.seq for item in cold.read(after, 3)]
            assert got
            assert got == wanted[: len(got)]
        assert cold.read(numbers[-1], 3) == []


async def test_reading_on_gets_everything(tmp_path: Path) -> None:
    """A reader that asks with the last number it got sees each item once, in bounded pieces."""
    with opened(tmp_path / "t.jsonl") as journal:
        for _ in range(40):
            log(journal, "x" * 100_000)
        seen: list[int] = []
        while items := journal.read(seen[-1] if seen else 0, 1000):
            assert len(items) <= 11
            seen += [item.seq for item in items]
        assert seen == list(range(1, 41))


async def test_an_item_of_5_mb(tmp_path: Path) -> None:
    """A huge item is written, read and found again, and does not stay in memory."""
    path = tmp_path / "t.jsonl"
    with opened(path) as journal:
        log(journal, "small")
        log(journal, "x" * 5_000_000)
        log(journal, "after")
        assert sum(size for _, size in journal._window) < 1_000
        assert [len(item.data) for item in map(bytes_of, journal.read(0, 5))] == [16, 5_000_011]
    with opened(path) as again:
        assert (again.last_seq, again.dropped_bytes) == (3, 0)
        assert [item.seq for item in again.read(2, 5)] == [3]


def bytes_of(item: Item) -> Item:
    return Item(item.seq, item.time, item.turn, item.kind, msgspec.Raw(bytes(item.data)))


DEBRIS = [
    b'{"seq":4,"ti',
    b"\0" * 5000,
    b'{"seq":4}\n',
    b"\0" * 100 + b"\n" + b"\0" * 100,
    b"x" * 200_000,
]


@pytest.mark.parametrize("debris", DEBRIS, ids=["torn", "zeros", "no item", "lines", "long"])
async def test_a_torn_end_is_dropped(tmp_path: Path, debris: bytes) -> None:
    """What a crash left behind the last whole item is cut off, and numbering goes on."""
    path = tmp_path / "t.jsonl"
    with opened(path) as journal:
        for text in ("a", "b", "c"):
            log(journal, text)
    whole = path.read_bytes()
    path.write_bytes(whole + debris)
    with opened(path) as again:
        assert (again.last_seq, again.dropped_bytes) == (3, len(debris))
        assert path.read_bytes() == whole
        assert log(again, "d").seq == 4
        assert [item.seq for item in again.read(0, 10)] == [1, 2, 3, 4]


async def test_kinds_of_a_newer_release_are_kept(tmp_path: Path) -> None:
    """A last line whose kind is not known here is not taken for debris."""
    path = tmp_path / "t.jsonl"
    with opened(path) as journal:
        log(journal, "a")
    newer = path.read_bytes() + b'{"seq":2,"time":"x","turn":1,"kind":"hologram","data":{}}\n'
    path.write_bytes(newer)
    with opened(path) as again:
        assert (again.last_seq, again.dropped_bytes) == (2, 0)
        assert log(again, "b").seq == 3
        assert path.read_bytes().startswith(newer)


async def test_a_damaged_line_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    """A line that cannot be read costs itself only."""
    path = tmp_path / "t.jsonl"
    with opened(path) as journal:
        for text in ("a", "b", "c"):
            log(journal, text)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"#" * len(lines[1][:-1]) + b"\n" + lines[2])
    with opened(path) as again:
        assert [item.seq for item in again.read(0, 10)] == [1, 3]


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """After SIGKILL everything that anybody saw is on disk, in order and without a gap."""
    path = tmp_path / "t.jsonl"
    before = 0
    for wait_lines in (3, 40, 333):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        seen = [int(writer.stdout.readline()) for _ in range(wait_lines)]
        writer.send_signal(signal.SIGKILL)
        seen += [int(line) for line in writer.stdout.read().splitlines()]
        writer.stdout.close()
        writer.wait()
        assert seen == list(range(before + 1, before + len(seen) + 1))
        with opened(path) as journal:
            assert journal.last_seq >= seen[-1]
            found: list[int] = []
            while items := journal.read(found[-1] if found else 0, 1000):
                found += [item.seq for item in items]
            assert found == list(range(1, journal.last_seq + 1))
            before = journal.last_seq


async def test_numbers_go_on_after_what_others_hold(tmp_path: Path) -> None:
    """raise_to makes the next number go on above what somebody else holds, and never lowers it."""
    with opened(tmp_path / "t.jsonl") as journal:
        log(journal, "a")
        journal.raise_to(41)
        journal.raise_to(7)
        assert journal.last_seq == 1
        assert log(journal, "b").seq == 42
        assert log(journal, "c").seq == 43


async def test_an_empty_journal_that_is_raised(tmp_path: Path) -> None:
    """A lost file starts above what the server holds; first_seq says so."""
    with opened(tmp_path / "t.jsonl") as journal:
        journal.raise_to(100)
        log(journal, "a")
        assert (journal.first_seq, journal.last_seq) == (101, 101)
        assert [item.seq for item in journal.read(0, 5)] == [101]


async def test_waiting_for_news(tmp_path: Path) -> None:
    """A waiter is woken by the item that it waits for, each of them; a past one needs no waiting."""
    with opened(tmp_path / "t.jsonl") as journal:
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(journal.wait_beyond(seq)) for seq in (0, 0, 1)]
            while len(journal._bell._waiters) < 3:
                await asyncio.sleep(0)
            log(journal, "a")
            assert [await waiting[0], await waiting[1]] == [1, 1]
            assert not waiting[2].done()
            log(journal, "b")
            assert await waiting[2] == 2
            assert await journal.wait_beyond(1) == 2
        assert not journal._bell._waiters


async def test_one_writer(tmp_path: Path) -> None:
    """A second writer is refused until the first has gone."""
    path = tmp_path / "t.jsonl"
    with opened(path), pytest.raises(JournalBusy):
        Journal(path)
    with opened(path):
        pass


async def test_turn_ends_are_synced_at_once(tmp_path: Path) -> None:
    """A turn's end is synced right away, without blocking; other items within a second."""
    journal = Journal(tmp_path / "t.jsonl")
    before = asyncio.get_running_loop().time()
    log(journal, "a")
    after = asyncio.get_running_loop().time()
    assert journal._timer is not None
    assert before < journal._timer.when() <= after + 1
    journal.append(ItemKind.TURN_END, 1, {"reason": "end_turn", "error": None}, NOW)
    assert journal._timer.when() <= asyncio.get_running_loop().time()
    async with asyncio.timeout(DEADLINE_S):
        while journal._synced < journal._size:
            await asyncio.sleep(0.001)
    log(journal, "b")
    await journal.sync()
    assert journal._synced == journal._size
    await journal.close()


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """An item that does not fit raises and leaves nothing; the next that fits is whole."""
    program = f"""
import asyncio, resource
from datetime import UTC, datetime
from pathlib import Path
from taskyard_agent.journal import Journal
from taskyard_agent.protocol import ItemKind

async def main():
    journal = Journal(Path({str(tmp_path / "t.jsonl")!r}))
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    for size in (1000, 9000, 1000):
        try:
            journal.append(ItemKind.LOG, 1, {{"text": "x" * size}}, datetime.now(UTC))
        except OSError as error:
            print("refused", error.errno)
    print([item.seq for item in journal.read(0, 9)])
    await journal.close()

asyncio.run(main())
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ran.stdout.decode().splitlines() == ["refused 27", "[1, 2]"]
    with opened(tmp_path / "t.jsonl") as journal:
        assert (journal.last_seq, journal.dropped_bytes) == (2, 0)


async def test_a_session_is_kept(tmp_path: Path) -> None:
    """What was saved is there after a restart; nothing else is left in the folder."""
    path = tmp_path / "session.json"
    file = SessionFile(path)
    assert file.session == Session()
    await file.save(Session(agent="shell", argv=["a", "b"], cwd="/x", acp_session_id="s"))
    assert await file.prompt_taken("p1")
    again = SessionFile(path)
    assert again.session.argv == ["a", "b"]
    assert again.prompt_state("p1") is PromptState.TAKEN
    assert [entry.name for entry in tmp_path.iterdir()] == ["session.json"]


async def test_a_prompt_is_taken_once(tmp_path: Path) -> None:
    """A prompt is taken once, before and after restarts; one cut off by a crash is told."""
    path = tmp_path / "session.json"
    file = SessionFile(path)
    async with asyncio.TaskGroup() as tasks:
        tries = [tasks.create_task(file.prompt_taken("p1")) for _ in range(5)]
    assert sorted(task.result() for task in tries) == [False] * 4 + [True]
    assert await file.prompt_taken("p2")
    await file.prompt_done("p1")
    await file.prompt_done("never seen")
    again = SessionFile(path)
    assert not await again.prompt_taken("p1")
    assert again.prompt_state("p1") is PromptState.DONE
    assert again.prompt_state("p3") is None
    assert again.unfinished() == ["p2"]


async def test_only_the_newest_prompts_are_kept(tmp_path: Path) -> None:
    """The list of prompts is bounded; the oldest are forgotten."""
    path = tmp_path / "session.json"
    prompts = {f"p{n}": "done" for n in range(MAX_PROMPTS)}
    path.write_text(json.dumps({"prompts": prompts}), encoding="utf-8")
    file = SessionFile(path)
    assert await file.prompt_taken("new")
    assert file.prompt_state("p0") is None
    assert file.prompt_state("p1") is PromptState.DONE
    assert len(json.loads(path.read_text(encoding="utf-8"))["prompts"]) == MAX_PROMPTS


async def test_a_cancelled_store_is_finished(tmp_path: Path) -> None:
    """A call that is cancelled while it stores leaves a whole file, and the next call works."""
    path = tmp_path / "session.json"
    file = SessionFile(path)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await file.prompt_taken("p1")
    await file.prompt_taken("p2")
    assert SessionFile(path).prompt_state("p2") is PromptState.TAKEN
    assert file.prompt_state("p1") == SessionFile(path).prompt_state("p1")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"session": 4}', b"\xff"])
async def test_a_damaged_session_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """An unreadable file is kept under another name, and a new one begun."""
    path = tmp_path / "session.json"
    path.write_bytes(content)
    file = SessionFile(path)
    assert (file.damaged, file.session) == (True, Session())
    await file.save(Session(agent="x"))
    assert (tmp_path / "session.json.damaged").read_bytes() == content
    assert not SessionFile(path).damaged
