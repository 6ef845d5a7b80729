"""Prompts over `/v2`: sent, queued, interrupting, taken once, and refused with a word that says why."""

import asyncio
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from taskyard_agent.bridge.options import Limits, Options
from taskyard_agent.bridge.prompt_queue import PromptQueue, Queued, Settled
from taskyard_agent.bridge.session import Refused
from tests.agents.bridge_kit import bridge, say, stable
from tests.agents.v2_kit import (
    get,
    items_on_disk,
    post,
    process,
    prompt,
    refused,
    until_idle,
    until_state,
)
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

QUEUE = Options(queue=True, limits=Limits(queued_prompts=3))


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


def prompts_on_disk(home: Path) -> list[str]:
    """The texts of all messages of people, in order."""
    found = [item["data"] for item in items_on_disk(home) if item["kind"] == "user_message"]
    return [str(data["text"]) for data in found if isinstance(data, dict)]


async def test_N37_N38_prompt(tmp_path: Path) -> None:
    """A prompt is answered with its id, and a number after which all that comes of it is found."""
    async with bridge(tmp_path) as client:
        before = items_on_disk(tmp_path)[-1]["seq"]
        found = await prompt(client, " updates 3\n", id="p1")
        assert found["id"] == "p1"
        assert found["position"] == 0
        assert int(str(found["seq"])) >= int(str(before))
        done = await until_state(client, "p1", "done")
        assert (done["reason"], done["error"]) == ("end_turn", None)
        items = (await get(client, f"/v2/transcript?after={found['seq']}"))["items"]
        assert isinstance(items, list)
        assert (items[0]["kind"], items[0]["data"]["prompt_id"]) == ("user_message", "p1")
        named = await prompt(client, "updates 1")
        assert isinstance(named["id"], str)
        assert len(named["id"]) == 36
        await until_state(client, named["id"], "done")


async def test_N37_busy(tmp_path: Path) -> None:
    """A prompt for an agent that works is a 409, and its id is free to be sent again."""
    async with bridge(tmp_path) as client:
        await prompt(client, "wait", id="p1")
        async with client.post("/v2/prompts", json={"text": "x", "id": "p2"}) as answer:
            await refused(answer, 409, "busy")
        assert (await get(client, "/v2/prompts/p1"))["state"] == "sent"
        async with client.get("/v2/prompts/p2") as answer:
            await refused(answer, 404, "unknown")
        await post(client, "/v2/cancel", status=202)
        assert (await until_state(client, "p1", "cancelled"))["reason"] == "cancelled"
        await prompt(client, "updates 1", id="p2")
        await until_state(client, "p2", "done")


async def test_N18_the_same_prompt_again(tmp_path: Path) -> None:
    """The same id gets the same answer: while it runs, afterwards, at the same time, after a restart."""
    async with bridge(tmp_path) as client:
        async with asyncio.TaskGroup() as tasks:
            sent = [tasks.create_task(prompt(client, "wait", id="p1")) for _ in range(5)]
        first = sent[0].result()
        assert all(task.result() == first for task in sent)
        assert await prompt(client, "other", id="p1", when="cancel_and_send") == first
        await post(client, "/v2/cancel", status=202)
        await until_idle(client)
        assert await prompt(client, "wait", id="p1") == first
    async with bridge(tmp_path) as client:
        assert await prompt(client, "wait", id="p1") == first
        assert (await get(client, "/v2/prompts/p1"))["state"] == "cancelled"
    assert prompts_on_disk(tmp_path) == ["wait"]


async def test_N8_a_prompt_of_the_other_routes(tmp_path: Path) -> None:
    """What was sent by AgentAPI's route under an id is known here by it."""
    async with bridge(tmp_path) as client:
        headers = {"X-Taskyard-Prompt-Id": "old"}
        body = {"content": "updates 1", "type": "user"}
        assert (await client.post("/message", json=body, headers=headers)).status == 200
        await until_state(client, "old", "done")
        await prompt(client, "updates 1", id="old")
    assert prompts_on_disk(tmp_path) == ["updates 1"]


async def test_N37_failed_prompts(tmp_path: Path) -> None:
    """A prompt that the agent answers with an error is a 502, and stays known as failed."""
    async with bridge(tmp_path) as client:
        async with client.post("/v2/prompts", json={"text": "error", "id": "p1"}) as answer:
            await refused(answer, 502, "agent_error")
        found = await get(client, "/v2/prompts/p1")
        assert found["state"] == "failed"
        assert "the model said no" in str(found["error"])


async def test_N37_agent_exited(tmp_path: Path) -> None:
    """Once the coding agent stays down, prompts are a 410, queued ones too."""
    async with bridge(tmp_path, QUEUE) as client:
        for number in range(4):
            await stable(client)
            await client.post("/v2/prompts", json={"text": "die 3", "id": f"p{number}"})
        async with asyncio.timeout(DEADLINE_S):
            while (await get(client, "/v2/session"))["state"] != "error":
                await asyncio.sleep(0.01)
        for when in ("reject", "queue", "cancel_and_send"):
            async with client.post("/v2/prompts", json={"text": "x", "when": when}) as answer:
                await refused(answer, 410, "agent_exited")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid"),
        (b"{", 400, "invalid"),
        (b"\xff", 400, "invalid"),
        (b"[]", 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"text": "x", "blocks": []}', 422, "invalid"),
        (b'{"text": 1}', 422, "invalid"),
        (b'{"text": "x", "more": 1}', 422, "invalid"),
        (b'{"text": "x", "when": "now"}', 422, "invalid"),
        (b'{"text": "x", "timeout": 0}', 422, "invalid"),
        (b'{"text": "x", "id": ""}', 422, "invalid"),
        (b'{"text": "x", "id": "%s"}' % (b"i" * 129), 422, "invalid"),
        (b'{"text": " \\n"}', 422, "empty"),
        (b'{"blocks": []}', 422, "empty"),
        (b'{"blocks": [1]}', 422, "invalid"),
        (b'{"blocks": [{"text": "x"}]}', 422, "invalid"),
        (b'{"blocks": [{"type": "text"}]}', 422, "invalid"),
    ],
)
async def test_N37_bad_prompts(tmp_path: Path, body: bytes, status: int, code: str) -> None:
    """A prompt that makes no sense is refused with its status and code, and leaves nothing."""
    headers = {"Content-Type": "application/json"}
    async with bridge(tmp_path, QUEUE) as client:
        answer = await client.post("/v2/prompts", data=body, headers=headers)
        await refused(answer, status, code)
    assert prompts_on_disk(tmp_path) == []


async def test_N41_body_of_a_prompt(tmp_path: Path) -> None:
    """A body of 8 MiB is too large, one byte less is taken; what is no JSON by its type is refused."""
    async with bridge(tmp_path) as client:
        headers = {"Content-Type": "application/json"}
        start, end = b'{"text": "updates 1\\n', b'"}'
        fits = start + b" " * (2**23 - len(start) - len(end) - 1) + end
        async with client.post("/v2/prompts", data=io.BytesIO(fits), headers=headers) as answer:
            assert answer.status == 202, await answer.text()
        await until_idle(client)
        async with client.post(
            "/v2/prompts", data=io.BytesIO(fits + b" "), headers=headers
        ) as answer:
            await refused(answer, 413, "too_large")
        text = {"Content-Type": "text/plain"}
        async with client.post("/v2/prompts", data=b'{"text": "x"}', headers=text) as answer:
            await refused(answer, 415, "invalid")


async def test_N9_blocks(tmp_path: Path) -> None:
    """Content blocks reach the agent as they are; the conversation shows their text."""
    blocks = [
        {"type": "image", "mimeType": "image/png", "data": "AA==", "text": "a picture"},
        {"type": "text", "text": "echo"},
    ]
    async with bridge(tmp_path) as client:
        await post(client, "/v2/prompts", {"blocks": blocks, "id": "p1"}, 202)
        await until_state(client, "p1", "done")
        messages = (await get(client, "/messages"))["messages"]
        assert isinstance(messages, list)
        assert messages[0]["content"].endswith("\necho")
        assert messages[1]["content"] == '["a picture", "echo"]'


async def test_N9_queue_elsewhere(tmp_path: Path) -> None:
    """Under a server prompts wait there: a bridge without a queue says so."""
    async with bridge(tmp_path) as client:
        answer = await client.post("/v2/prompts", json={"text": "x", "when": "queue"})
        await refused(answer, 409, "queue_elsewhere")
    assert not (tmp_path / ".taskyard" / "queue.json").exists()


async def test_N9_queue(tmp_path: Path) -> None:
    """Prompts wait in order and are sent one after the other; their places are told, also again."""
    async with bridge(tmp_path, QUEUE) as client:
        await prompt(client, "wait", id="p0")
        places = [
            await prompt(client, f"updates {number}", id=f"p{number}", when="queue")
            for number in (1, 2, 3)
        ]
        assert [place["position"] for place in places] == [1, 2, 3]
        assert (await get(client, "/v2/session"))["queue_length"] == 3
        found = await get(client, "/v2/prompts/p2")
        assert (found["state"], found["position"]) == ("queued", 2)
        async with client.post("/v2/prompts", json={"text": "x", "when": "queue"}) as answer:
            await refused(answer, 429, "queue_full")
        assert await prompt(client, "again", id="p2", when="queue") == places[1]
        await post(client, "/v2/cancel", status=202)
        await until_state(client, "p3", "done")
        assert await prompt(client, "again", id="p2", when="queue") == places[1]
        assert (await get(client, "/v2/session"))["queue_length"] == 0
    assert prompts_on_disk(tmp_path) == ["wait", "updates 1", "updates 2", "updates 3"]
    items = items_on_disk(tmp_path)
    for place in places:
        after = [item for item in items if int(str(item["seq"])) > int(str(place["seq"]))]
        assert any(
            item["data"]["prompt_id"] == place["id"]
            for item in after
            if item["kind"] == "user_message" and isinstance(item["data"], dict)
        )


async def test_N9_an_idle_session_needs_no_queue(tmp_path: Path) -> None:
    """A prompt that may wait and need not is sent at once."""
    async with bridge(tmp_path, QUEUE) as client:
        assert (await prompt(client, "updates 1", id="p1", when="queue"))["position"] == 0
        await until_state(client, "p1", "done")


async def test_N9_unqueued(tmp_path: Path) -> None:
    """A prompt that waits can be taken out, once and again; one that was sent cannot."""
    async with bridge(tmp_path, QUEUE) as client:
        await prompt(client, "wait", id="p0")
        await prompt(client, "updates 1", id="p1", when="queue")
        await prompt(client, "updates 2", id="p2", when="queue")
        for _ in range(2):
            async with client.delete("/v2/prompts/p1") as answer:
                assert (answer.status, (await answer.json())["state"]) == (200, "cancelled")
        async with client.delete("/v2/prompts/p0") as answer:
            await refused(answer, 409, "sent")
        async with client.delete("/v2/prompts/no/such") as answer:
            await refused(answer, 404, "unknown")
        await post(client, "/v2/cancel", status=202)
        await until_state(client, "p2", "done")
        async with client.delete("/v2/prompts/p2") as answer:
            await refused(answer, 409, "sent")
    assert prompts_on_disk(tmp_path) == ["wait", "updates 2"]


async def test_N9_a_prompt_that_waits_too_long(tmp_path: Path) -> None:
    """A prompt that may wait only so long fails then, and is not sent later."""
    async with bridge(tmp_path, QUEUE) as client:
        await prompt(client, "wait", id="p0")
        await prompt(client, "updates 1", id="p1", when="queue", timeout=0.05)
        found = await until_state(client, "p1", "failed")
        assert found["code"] == "timeout"
        await post(client, "/v2/cancel", status=202)
        await until_idle(client)
    assert prompts_on_disk(tmp_path) == ["wait"]


async def test_N9_a_queued_prompt_that_fails(tmp_path: Path) -> None:
    """A queued prompt that the agent does not take fails alone; the next one is sent."""
    async with bridge(tmp_path, QUEUE) as client:
        await prompt(client, "wait", id="p0")
        await prompt(client, "error", id="p1", when="queue")
        await prompt(client, " ", id="p2", when="queue")
        await prompt(client, "updates 1", id="p3", when="queue")
        await post(client, "/v2/cancel", status=202)
        await until_state(client, "p3", "done")
        assert (await get(client, "/v2/prompts/p1"))["state"] == "failed"
        found = await get(client, "/v2/prompts/p2")
        assert (found["state"], found["code"]) == ("failed", "empty")


async def test_N13_cancel_and_send(tmp_path: Path) -> None:
    """A prompt may end the turn that runs, and comes before those that wait."""
    async with bridge(tmp_path, QUEUE) as client:
        await prompt(client, "wait", id="p0")
        await prompt(client, "updates 1", id="p1", when="queue")
        found = await prompt(client, "updates 2", id="p2", when="cancel_and_send")
        assert found["position"] == 0
        await until_state(client, "p1", "done")
        assert (await get(client, "/v2/prompts/p0"))["state"] == "cancelled"
        assert (await get(client, "/v2/prompts/p2"))["state"] == "done"
    assert prompts_on_disk(tmp_path) == ["wait", "updates 2", "updates 1"]


async def test_N37_a_turn_that_does_not_end(tmp_path: Path) -> None:
    """Where the turn does not end in the time that was allowed, nothing is sent, and that is a 504."""
    async with bridge(tmp_path) as client:
        await prompt(client, "mute", id="p0")
        body = {"text": "x", "when": "cancel_and_send", "timeout": 0.1}
        async with client.post("/v2/prompts", json=body) as answer:
            await refused(answer, 504, "timeout")
    assert prompts_on_disk(tmp_path) == ["mute"]


async def test_N9_those_that_wait_are_not_forgotten(tmp_path: Path) -> None:
    """After a prompt that interrupted and was itself refused, those that wait are sent."""
    async with bridge(tmp_path, QUEUE) as client:
        await prompt(client, "wait", id="p0")
        await prompt(client, "updates 1", id="p1", when="queue")
        body = {"text": " ", "when": "cancel_and_send"}
        async with client.post("/v2/prompts", json=body) as answer:
            await refused(answer, 422, "empty")
        await until_state(client, "p1", "done")


async def test_N18_the_queue_survives(tmp_path: Path) -> None:
    """Prompts that wait when the bridge is killed are sent in order by the next one, each once."""
    async with process(tmp_path) as first:
        await prompt(first.client, "wait", id="p0")
        for number in range(1, 6):
            await prompt(first.client, f"updates {number}", id=f"p{number}", when="queue")
        async with first.client.delete("/v2/prompts/p3") as answer:
            assert answer.status == 200
        place = await prompt(first.client, "updates 5", id="p5", when="queue")
        await first.kill()
    async with process(tmp_path) as second:
        await until_state(second.client, "p5", "done")
        assert await prompt(second.client, "updates 5", id="p5", when="queue") == place
        assert (await get(second.client, "/v2/prompts/p3"))["state"] == "cancelled"
        found = await get(second.client, "/v2/prompts/p0")
        assert (found["state"], found["reason"]) == ("failed", "interrupted")
    expected = ["wait", "updates 1", "updates 2", "updates 4", "updates 5"]
    assert prompts_on_disk(tmp_path) == expected


async def test_N18_a_lost_prompt(tmp_path: Path) -> None:
    """A prompt that was taken, and lost in a crash before the agent got it, is reported and not repeated."""
    folder = tmp_path / ".taskyard"
    folder.mkdir()
    (folder / "session.json").write_text(json.dumps({"prompts": {"p1": "taken"}}))
    waiting = {"id": "p1", "text": "updates 1", "blocks": None, "seq": 0, "due": None}
    (folder / "queue.json").write_text(json.dumps({"waiting": [waiting]}))
    async with bridge(tmp_path, QUEUE) as client:
        found = await until_state(client, "p1", "failed")
        assert found["code"] == "lost"
        assert (await get(client, "/v2/session"))["queue_length"] == 0
        async with client.post("/v2/prompts", json={"text": "x", "id": "p1"}) as answer:
            await refused(answer, 409, "lost")
    assert prompts_on_disk(tmp_path) == []


async def test_N18_a_damaged_queue(tmp_path: Path) -> None:
    """An unreadable file is set aside, and the bridge comes up."""
    folder = tmp_path / ".taskyard"
    folder.mkdir()
    (folder / "queue.json").write_text("{")
    async with bridge(tmp_path, QUEUE) as client:
        await prompt(client, "updates 1", when="queue")
    assert (folder / "queue.json.damaged").read_text() == "{"


async def test_N41_queue_on_disk(tmp_path: Path) -> None:
    """What was told of a prompt is on disk before: place, text, blocks, and how it left."""
    path = tmp_path / "queue.json"
    queue = PromptQueue(path, 2)
    due = datetime(2026, 1, 2, tzinfo=UTC)
    assert (await queue.add(Queued("a", "x", None, 5, due))).position == 1
    assert (await queue.add(Queued("b", "y", None, 6, None))).position == 2
    with pytest.raises(Refused, match="wait"):
        await queue.add(Queued("c", "z", None, 6, None))
    await queue.settle("a", Settled("failed", "timeout", "late"))
    again = PromptQueue(path, 2)
    assert [(queued.id, queued.due) for queued in again.waiting] == [("b", None)]
    assert again.answers["a"].seq == 5
    assert again.settled["a"].code == "timeout"
    async with asyncio.timeout(DEADLINE_S):
        await again.filled()


async def test_N40_compat_stays(tmp_path: Path) -> None:
    """AgentAPI's route still answers 500 where `/v2` has a better status, with the same code."""
    async with bridge(tmp_path) as client:
        await say(client, "wait")
        body = {"content": "x", "type": "user"}
        async with client.post("/message", json=body) as answer:
            assert (answer.status, answer.headers["X-Agentapi-Code"]) == (500, "busy")
            assert "code" not in json.loads(await answer.text())


async def test_N18_hung_up(tmp_path: Path) -> None:
    """Who hangs up before the answer finds the prompt taken when asking again."""
    async with bridge(tmp_path) as client:
        short = aiohttp.ClientTimeout(total=0.02)
        body = {"text": "wait", "id": "p1"}
        with pytest.raises(TimeoutError):
            await client.post("/v2/prompts", json=body, timeout=short)
        assert (await prompt(client, "wait", id="p1"))["position"] == 0
    assert prompts_on_disk(tmp_path) == ["wait"]
