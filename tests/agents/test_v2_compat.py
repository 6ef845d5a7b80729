"""AgentAPI's routes beside `/v2`: what is kept of them, and what is mended."""

import asyncio
import json
import socket
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from taskyard_agent.bridge.events import COALESCE_S, EventStream, Messages
from taskyard_agent.bridge.listener import Listener
from taskyard_agent.bridge.port import bind
from taskyard_agent.bridge.record import Record, SessionState
from taskyard_agent.journal import Journal
from taskyard_agent.protocol import ItemKind
from tests.agents.bridge_kit import bridge, event, port_of, say, stable, upload
from tests.agents.terminal_kit import script, terminal
from tests.agents.v2_kit import get, items_on_disk, prompt, refused, until_state
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


async def test_D1_N40_a_busy_agent(tmp_path: Path) -> None:
    """A message to a busy agent is a 500 as ever; the header says why, so that nobody reads the text."""
    async with bridge(tmp_path) as client:
        await say(client, "wait")
        for content, code in (("x", "busy"), (" ", "empty")):
            body = {"content": content, "type": "user"}
            async with client.post("/message", json=body) as answer:
                assert (answer.status, answer.headers["X-Agentapi-Code"]) == (500, code)
                assert "code" not in json.loads(await answer.text())


async def test_A12_an_error_of_restoring(tmp_path: Path) -> None:
    """A context that cannot be restored is an `agent_error` of level warning, told to all who listen."""
    async with bridge(tmp_path) as client:
        await say(client, "updates 1")
        await stable(client)
    file = tmp_path / ".taskyard" / "session.json"
    stored = json.loads(file.read_text())
    stored["session"]["cwd"] = "/elsewhere"
    file.write_text(json.dumps(stored))
    async with bridge(tmp_path) as client, client.get("/events") as stream:
        while (told := await event(stream))[0] != "agent_error":
            pass
        assert told[1]["level"] == "warning"
        assert list(told[1]) == ["message", "level", "time"]


async def test_N5_nothing_is_rewritten(tmp_path: Path) -> None:
    """The transcript only grows: what was in the file stays its beginning, turn by turn and run by run."""
    path = tmp_path / ".taskyard" / "transcript.jsonl"
    before = b""
    for _ in range(2):
        async with bridge(tmp_path) as client:
            for _ in range(2):
                await say(client, "updates 2")
                await stable(client)
                now = path.read_bytes()
                assert now.startswith(before)
                assert len(now) > len(before)
                before = now
            shown = (await get(client, "/messages"))["messages"]
    assert isinstance(shown, list)
    assert len(shown) == 8
    items = items_on_disk(tmp_path)
    said = [item["data"] for item in items if item["kind"] in {"user_message", "agent_text"}]
    texts = "".join(str(data["text"]) for data in said if isinstance(data, dict))
    assert texts == "".join(message["content"].replace("\n", "") for message in shown)


async def test_D9_reading_while_it_grows(tmp_path: Path) -> None:
    """Each of many reads beside a flood is a whole conversation: ids in order, the answer a longer one each time."""
    async with bridge(tmp_path) as client:
        await say(client, "updates 20000\nwait")
        last, reads = "", 0
        while reads < 50 or not last:
            reads += 1
            found = (await get(client, "/messages"))["messages"]
            assert isinstance(found, list)
            assert [message["id"] for message in found] == [0, 1]
            assert found[1]["content"].startswith(last)
            last = found[1]["content"]


async def test_D15_A8_the_whole_text_each_time(tmp_path: Path) -> None:
    """An event of a message holds all of its text, and the time of its last change."""
    async with bridge(tmp_path) as client, client.get("/events") as stream:
        await event(stream)
        await say(client, "updates 40000")
        answers: list[dict[str, object]] = []
        while True:
            name, data = await event(stream)
            if name == "message_update" and data["role"] == "agent":
                answers.append(data)
            if name == "status_change" and data["status"] == "stable" and answers:
                break
        await stable(client)
        shown = (await get(client, "/messages"))["messages"]
        assert isinstance(shown, list)
    assert len(answers) > 1
    for earlier, later in pairwise(answers):
        assert str(later["message"]).startswith(str(earlier["message"]))
        assert str(later["time"]) >= str(earlier["time"])
    assert shown[1]["content"].startswith(str(answers[-1]["message"]))


async def test_D17_N7_loopback_only(tmp_path: Path) -> None:
    """The bridge listens on the loopback and nowhere else."""
    async with bridge(tmp_path) as client:
        port = f"{port_of(client):04X}"
        listening = []
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                local, state = line.split()[1], line.split()[3]
                if state == "0A" and local.endswith(f":{port}"):
                    listening.append(local)
        assert listening == [f"0100007F:{port}"]


async def test_A50_an_upload_tells_the_agent_nothing(tmp_path: Path) -> None:
    """An upload is answered with a path; it is no message, and no item."""
    async with bridge(tmp_path) as client:
        before = items_on_disk(tmp_path)
        status, path = await upload(client, ("file", "a.txt", b"x"))
        assert (status, Path(path).read_bytes()) == (200, b"x")
        assert (await get(client, "/messages"))["messages"] == []
        assert items_on_disk(tmp_path) == before


class Frames(list[bytes]):
    """What a stream sent."""

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        self.append(message["body"])


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """A record without any item."""
    journal = Journal(tmp_path / "t.jsonl")
    yield Record(journal, lambda: datetime.now(UTC))
    if journal._timer is not None:
        journal._timer.cancel()


async def test_N39_ten_a_second(record: Record) -> None:
    """Of a message that changes all the time at most ten revisions a second are told, and always the last."""
    frames = Frames()
    record.put(ItemKind.USER_MESSAGE, {"prompt_id": None, "text": "go"})
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(EventStream(record, Messages(record, "custom")).feed(frames))
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(60):
            record.put(ItemKind.AGENT_TEXT, {"message_id": 1, "text": f"{number} "})
            await asyncio.sleep(0.005)
        took_s = loop.time() - began
        record.close()
    told = [frame for frame in frames if b'"role":"agent"' in frame]
    assert 2 < len(told) <= 10 * took_s + 3
    assert b"58 59 " in told[-1]


async def test_N39_the_end_of_a_turn_is_told_at_once(record: Record) -> None:
    """However little time has passed since a message was told: its last revision comes with the turn's end."""
    frames = Frames()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(EventStream(record, Messages(record, "custom")).feed(frames))
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(100):
            record.set_state(SessionState.RUNNING)
            record.put(ItemKind.USER_MESSAGE, {"prompt_id": None, "text": "go"})
            await asyncio.sleep(0)
            record.put(ItemKind.AGENT_TEXT, {"message_id": number, "text": f"answer {number}"})
            record.set_state(SessionState.IDLE)
            while not (frames and f'"answer {number}"'.encode() in frames[-1]):
                await asyncio.sleep(0)
        took_s = loop.time() - began
        record.close()
    assert took_s < 50 * COALESCE_S


async def test_N20_N37_a_bridge_that_stops(tmp_path: Path) -> None:
    """Once it stops a bridge takes no prompt on either kind of route; reading goes on."""
    async with terminal(tmp_path, script()) as made:
        await made.stable()
        await made.bridge.stop(0.1)
        for when in ("reject", "cancel_and_send"):
            async with made.client.post("/v2/prompts", json={"text": "x", "when": when}) as answer:
                await refused(answer, 503, "shutting_down")
        assert await made.post("x") == (503, "shutting_down")
        assert (await get(made.client, "/v2/session"))["state"] == "stopped"
        assert (await made.client.get("/messages")).status == 200
        assert (await made.client.get("/readyz")).status == 503


async def test_N3_answers_do_not_wait_for_acknowledgements(tmp_path: Path) -> None:
    """Small answers on a connection that is kept go out at once: else each would take 40 ms."""
    listening = bind(0)
    listener = Listener(PlainTextResponse("ok"), listening)
    await listener.start()
    assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await listener.close(0)


async def test_N2_the_old_routes_stay(tmp_path: Path) -> None:
    """AgentAPI's routes have the keys and paths that they have without `/v2`; what is new lives below it."""
    async with bridge(tmp_path) as client:
        await prompt(client, "updates 1", id="p1")
        await until_state(client, "p1", "done")
        assert list(await get(client, "/status")) == [
            "$schema",
            "status",
            "agent_type",
            "transport",
        ]
        shown = await get(client, "/messages")
        assert list(shown) == ["$schema", "messages"]
        messages = shown["messages"]
        assert isinstance(messages, list)
        assert [list(message) for message in messages] == [["id", "content", "role", "time"]] * 2
        old = (await get(client, "/openapi.json"))["paths"]
        new = (await get(client, "/v2/openapi.json"))["paths"]
    assert isinstance(old, dict)
    assert isinstance(new, dict)
    assert list(old) == ["/status", "/messages", "/message", "/upload", "/events"]
    beside = {path for path in new if not path.startswith("/v2/")}
    assert beside == {"/healthz", "/readyz", "/metrics"}
