"""The bridge's streams of events, A6 to A12."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from taskyard_agent.bridge.events import Messages
from taskyard_agent.bridge.record import Record, SessionState
from taskyard_agent.journal import Journal
from taskyard_agent.protocol import ItemKind
from tests.agents.bridge_kit import bridge, event, port_of, say, stable
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

FLIPS = (SessionState.IDLE, SessionState.RUNNING, SessionState.IDLE)

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
    "X-Accel-Buffering": "no",
    "X-Proxy-Buffering": "no",
    "Connection": "keep-alive",
}


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


@pytest.fixture
async def record(tmp_path: Path) -> AsyncIterator[Record]:
    """An empty conversation."""
    journal = Journal(tmp_path / "transcript.jsonl")
    yield Record(journal, lambda: datetime.now(UTC))
    await journal.close()


def prompt(record: Record, text: str) -> None:
    record.put(ItemKind.USER_MESSAGE, {"prompt_id": None, "text": text})


def answer(record: Record, text: str) -> None:
    record.put(ItemKind.AGENT_TEXT, {"message_id": 1, "text": text})


def told(frames: Iterator[bytes]) -> list[tuple[str, object]]:
    """Name and what matters of each event."""
    found = []
    for frame in frames:
        head, data, *rest = frame.decode().split("\n")
        assert rest == ["", ""]
        fields = json.loads(data.removeprefix("data: "))
        found.append((head.removeprefix("event: "), fields.get("message", fields.get("status"))))
    return found


async def test_A6_replay(tmp_path: Path) -> None:
    """A stream begins with messages by id, one status and the errors; then it tells each change."""
    async with bridge(tmp_path) as client:
        await say(client, "stop refusal")
        await stable(client)
        async with client.get("/events") as stream:
            assert {name: stream.headers[name] for name in HEADERS} == HEADERS
            first = [await event(stream) for _ in range(4)]
            assert [name for name, _ in first] == [
                *("message_update", "message_update", "status_change", "agent_error")
            ]
            assert [list(data) for _, data in first[1:]] == [
                ["id", "role", "message", "time"],
                ["status", "agent_type"],
                ["message", "level", "time"],
            ]
            assert [data["id"] for _, data in first[:2]] == [0, 1]
            assert first[2][1] == {"status": "stable", "agent_type": "custom"}
            await say(client, "updates 3")
            seen: list[tuple[str, object]] = []
            while {("message_update", "012"), ("status_change", "stable")} - set(seen):
                name, data = await event(stream)
                seen.append((name, data.get("status") or data.get("message")))
            statuses = [value for name, value in seen if name == "status_change"]
            assert statuses == ["running", "stable"]


async def test_A6_errors_kept(record: Record) -> None:
    """The replay holds the newest hundred errors, oldest first, and news none of them again."""
    for number in range(120):
        record.fault(str(number))
    source = Messages(record, "custom")
    expected = [("agent_error", str(number)) for number in range(20, 120)]
    assert told(source.replay()) == [("status_change", "running"), *expected]
    assert told(source.news()) == []


async def test_A6_changes_during_replay(record: Record) -> None:
    """What changes while a replay is read is told once: by the replay or right after it."""
    prompt(record, "one")
    source = Messages(record, "custom")
    replay = source.replay()
    first = next(replay)
    record.set_state(SessionState.IDLE)
    record.fault("late")
    answer(record, "1")
    assert told(iter([first, *replay])) == [
        ("message_update", "one"),
        ("message_update", "1"),
        ("status_change", "running"),
    ]
    assert told(source.news()) == [("agent_error", "late"), ("status_change", "stable")]


async def test_A8_changed_messages_only(record: Record) -> None:
    """A message comes again, whole, when its text is another; the others do not."""
    source = Messages(record, "custom")
    prompt(record, "one")
    assert [name for name, _ in told(source.replay())].count("message_update") == 2
    answer(record, "a")
    answer(record, "b")
    assert told(source.news()) == [("message_update", "ab")]
    assert told(source.news()) == []


async def test_A9_flips(record: Record) -> None:
    """The first status is running; it is told when it flips, each time, and not otherwise."""
    source = Messages(record, "custom")
    assert told(source.replay()) == [("status_change", "running")]
    record.set_state(SessionState.RUNNING)
    assert told(source.news()) == []
    for status in FLIPS:
        record.set_state(status)
    assert [value for _, value in told(source.news())] == ["stable", "running", "stable"]


async def test_A10_order(record: Record) -> None:
    """Of what happened together errors come first, then the status, then messages by id."""
    source = Messages(record, "custom")
    told(source.replay())
    prompt(record, "one")
    answer(record, "1")
    record.set_state(SessionState.IDLE)
    record.fault("oh")
    assert told(source.news()) == [
        ("agent_error", "oh"),
        ("status_change", "stable"),
        ("message_update", "one"),
        ("message_update", "1"),
    ]


async def test_A7_screen(tmp_path: Path) -> None:
    """The screen is the answer so far, told at once and when it changes, trimmed at its end only."""
    async with bridge(tmp_path) as client, client.get("/internal/screen") as stream:
        assert {name: stream.headers[name] for name in HEADERS} == HEADERS
        assert await event(stream) == ("screen", {"screen": ""})
        line = {"sessionUpdate": "agent_message_chunk"}
        text = {"type": "text", "text": " a  \n b \t\r\n\f\v"}
        params = {"sessionId": "s", "update": line | {"content": text}}
        update = {"jsonrpc": "2.0", "method": "session/update", "params": params}
        await say(client, "raw " + json.dumps(update).replace("\\", "\\\\"))
        while (await event(stream))[1] != {"screen": " a  \n b"}:
            pass


async def test_A11_D5_N39_many_listeners(tmp_path: Path) -> None:
    """A hundred streams, one of which is never read, all learn the end of the turn."""
    async with bridge(tmp_path) as client:
        connector = aiohttp.TCPConnector(limit=0)
        url = f"http://127.0.0.1:{port_of(client)}"
        async with aiohttp.ClientSession(url, connector=connector) as many:
            streams = [await many.get("/events") for _ in range(100)]
            await say(client, "updates 2000")
            expected = "".join(map(str, range(2000)))
            for stream in streams[1:]:
                while (await event(stream))[1].get("message") != expected:
                    pass
            for stream in streams:
                stream.close()


@asynccontextmanager
async def stuck(client: aiohttp.ClientSession) -> AsyncIterator[asyncio.StreamReader]:
    """A stream in the middle of a large event, of which no more is taken; the turn has ended since."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    small.connect(("127.0.0.1", port_of(client)))
    reader, writer = await asyncio.open_connection(sock=small, limit=1 << 16)
    try:
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"status_change")
        await say(client, "big 12000000\nwait")
        await reader.readuntil(b"xxxxxxxx")
        await client.post("/message", json={"content": "\x03", "type": "raw"})
        await stable(client)
        yield reader
    finally:
        writer.close()


async def test_A11_slow_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads too slowly to get every event still learns how the turn ended."""
    monkeypatch.setattr("taskyard_agent.bridge.events.WRITE_S", DEADLINE_S)
    async with bridge(tmp_path) as client, stuck(client) as reader:
        seen = b""
        async with asyncio.timeout(DEADLINE_S):
            while b'"status":"stable"' not in seen:
                more = await reader.read(1 << 20)
                assert more, "the stream has ended"
                seen = seen[-100:] + more


@pytest.mark.all_tier
async def test_A11_stuck_reader(tmp_path: Path) -> None:
    """Who leaves a frame unread for 5 s is cut off; what was on its way still comes."""
    async with bridge(tmp_path) as client, stuck(client) as reader:
        await asyncio.sleep(6)  # the promise itself is a time
        async with asyncio.timeout(DEADLINE_S):
            rest = await reader.read()
        assert not rest.endswith(b"0\r\n\r\n")


async def test_A11_end(tmp_path: Path) -> None:
    """A bridge that stops ends all streams in order."""
    streams = []
    async with bridge(tmp_path) as client:
        for path in ("/events", "/internal/screen"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(client))
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            await reader.readuntil(b"event: ")
            streams.append((reader, writer))
    for reader, writer in streams:
        async with asyncio.timeout(DEADLINE_S):
            assert (await reader.read()).endswith(b"\r\n0\r\n\r\n")
        writer.close()
