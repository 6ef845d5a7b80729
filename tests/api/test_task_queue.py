"""The queue over HTTP, with a real bridge: prompts wait, are moved, changed and taken back, and go out in order."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from taskyard.control.inbox import MAX_BODY_BYTES, MAX_WAITING, SETTLED_CHARS
from taskyard_agent.agent_types import CTRL_C
from tests.api.attached_kit import FAKE, Bridged, bridged
from tests.api.link_kit import until
from tests.api.seed import UNKNOWN, Api, Json, reason
from tests.contract.test_tasks_app import ScriptedApp, active

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def pushing(place: Bridged) -> AsyncIterator[None]:
    """The workspace tells the server of everything as it comes, beside the block."""

    async def push() -> None:
        while True:
            await place.push()
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(push()), group.create_task(place.api.services.doorbell.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def queue(api: Api, path: str, text: str) -> Json:
    """The place of a prompt that was just queued."""
    answer = await api.post(f"{path}/send", {"input": text, "when": "queue"})
    assert answer.status_code == 202, answer.text
    return answer.json()


async def prompts(api: Api, path: str) -> list[Json]:
    """The prompts of the task, in the order of the list."""
    answer = await api.get(f"{path}/prompts")
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["prompts"]
    return found


async def waits_for(api: Api, path: str) -> str | None:
    """What the queue waits for."""
    word: str | None = (await api.get(f"{path}/prompts")).json()["waits_for"]
    return word


async def said(place: Bridged) -> list[str]:
    """What the coding agent was given, in order."""
    items = await place.push()
    return [json.loads(bytes(i.data))["text"] for i in items if i.kind == "user_message"]


async def test_queued_prompts_go_out_one_a_turn(api: Api, tmp_path: Path) -> None:
    """While a turn runs they wait in order; each gets its own turn, and the list says where it stands then."""
    async with bridged(api, tmp_path) as place, pushing(place):
        await place.say("wait")
        await until(lambda: _waits(api, place.path, "turn", queue_it=True))
        for position, text in enumerate(("echo two", "echo three"), 2):
            assert (await queue(api, place.path, text))["position"] == position
        assert [p["state"] for p in await prompts(api, place.path)] == ["waiting"] * 3
        answer = await api.post(f"{place.path}/interrupt")
        assert (answer.status_code, answer.content) == (204, b"")
        await until(lambda: _delivered(api, place.path, 3))
        assert await said(place) == ["wait", "echo one", "echo two", "echo three"]
        listed = await prompts(api, place.path)
        assert [p["input"] for p in listed] == ["echo three", "echo two", "echo one"]
        assert all(p["item_number"] and p["created_by"] == api.owner.username for p in listed)
        numbers = [p["item_number"] for p in listed]
        assert numbers == sorted(numbers, reverse=True)


async def _waits(api: Api, path: str, word: str, *, queue_it: bool = False) -> bool:
    if queue_it and not await prompts(api, path):
        task = (await api.get(path)).json()
        if task["current_state"] is None or task["current_state"]["state"] != "working":
            return False
        await queue(api, path, "echo one")
    return await waits_for(api, path) == word


async def _delivered(api: Api, path: str, count: int) -> bool:
    found = await prompts(api, path)
    return [p["state"] for p in found] == ["delivered"] * count and all(
        p["item_number"] for p in found
    )


async def test_never_while_somebody_is_asked(api: Api, tmp_path: Path) -> None:
    """A permission that waits keeps the queue waiting, and the list says for what; interrupting closes it."""
    async with bridged(api, tmp_path) as place, pushing(place):
        await place.asked()
        await queue(api, place.path, "echo one")
        assert await waits_for(api, place.path) == "answer"
        assert (await api.post(f"{place.path}/interrupt")).status_code == 204
        await until(lambda: _delivered(api, place.path, 1))
        assert (await api.get(f"{place.path}/permissions")).json() == {"permissions": []}


async def test_a_turn_in_a_terminal_is_interrupted_by_its_key(api: Api, tmp_path: Path) -> None:
    """What has a screen gets the key that its kind is interrupted by; with nothing running it is a 409."""
    script, typed, pressing = tmp_path / "script.json", tmp_path / "typed", tmp_path / "pressing"
    steps = [{"expect": "go", "until": str(pressing), "reply": "Done."}]
    script.write_text(json.dumps({"steps": steps, "paste": True, "log": str(typed)}))
    command = (sys.executable, FAKE, str(script))
    async with bridged(api, tmp_path, "pty", command) as place, pushing(place):
        assert reason(await api.post(f"{place.path}/interrupt")) == (409, "nothing_runs")
        await queue(api, place.path, "go")
        await until(lambda: _delivered(api, place.path, 1))
        before = typed.read_text()
        assert (await api.post(f"{place.path}/interrupt")).status_code == 204
        pressing.touch()

        async def pressed() -> bool:
            return typed.read_text().removeprefix(before) == f"{ord(CTRL_C):02x}\n"

        await until(pressed)


async def paused(api: Api) -> str:
    """The address of a paused task."""
    task = await api.task(await api.template(f"shell-{uuid4().hex[:8]}"))
    await api.start(task["workspace_id"], "ready", "healthy")
    path = f"/api/v2/tasks/me/{task['id']}"
    assert (await api.post(f"{path}/pause")).status_code == 202
    await api.succeed(task["workspace_id"])
    assert (await api.get(path)).json()["status"] == "paused"
    return path


async def test_a_paused_task_stays_paused(api: Api) -> None:
    """A queued prompt starts nothing, and its answer says that the task has to be resumed."""
    path = await paused(api)
    assert (await queue(api, path, "x"))["waits_for"] == "resume"
    assert (await api.get(path)).json()["status"] == "paused"
    assert await waits_for(api, path) == "resume"
    assert reason(await api.post(f"{path}/interrupt")) == (409, "task_unreachable")


async def test_a_queue_in_every_status(api: Api) -> None:
    """A task that can still become active takes prompts: before it starts, while it starts, when it failed."""
    for facts, word in (
        ((), "start"),
        (("starting", "initializing"), "start"),
        (("ready", "unhealthy"), "repair"),
    ):
        task = await api.task(await api.template(f"shell-{uuid4().hex[:8]}"))
        if facts:
            await api.start(task["workspace_id"], *facts)
        path = f"/api/v2/tasks/me/{task['id']}"
        assert (await queue(api, path, "x"))["waits_for"] == word


async def test_moved_changed_and_taken_back(api: Api) -> None:
    """What waits has any place and any text; one that does not exist, or nothing to change, is refused."""
    path = await paused(api)
    ids = [(await queue(api, path, text))["id"] for text in "abcd"]

    async def order() -> list[tuple[str, int]]:
        return [(p["input"], p["position"]) for p in await prompts(api, path)]

    async def patch(place: int, **body: object) -> Json:
        return await api.call("PATCH", f"{path}/prompts/{ids[place]}", body)

    assert (await patch(3, position=1)).json()["position"] == 1
    assert await order() == [("d", 1), ("a", 2), ("b", 3), ("c", 4)]
    assert (await patch(0, position=2**64, input=" A\u2603\n")).json()["position"] == 4
    assert await order() == [("d", 1), ("b", 2), ("c", 3), (" A\u2603\n", 4)]
    assert (await api.call("DELETE", f"{path}/prompts/{ids[1]}")).status_code == 204
    await queue(api, path, "e")
    assert await order() == [("d", 1), ("c", 2), (" A\u2603\n", 3), ("e", 4)]
    assert reason(await api.call("DELETE", f"{path}/prompts/{ids[1]}")) == (404, "prompt_unknown")
    assert reason(await api.call("DELETE", f"{path}/prompts/{UNKNOWN}")) == (404, "prompt_unknown")
    assert reason(await patch(0)) == (400, "nothing_to_change")
    for position in (0, -(2**63)):
        assert reason(await patch(0, position=position)) == (400, "position_invalid")
    assert reason(await patch(0, input="\n")) == (400, "input_required")
    kept = await api.value(
        "select string_agg(changes::text, '') from audit_logs where resource_type = 'task' and action = 'write'"
    )
    assert ids[1] in kept
    assert "\u2603" not in kept
    assert "\\u2603" not in kept


async def test_what_is_on_its_way_stays(api: Api) -> None:
    """A prompt that waits no more is neither changed nor taken back; the refusal names its state."""
    path = await paused(api)
    prompt_id = (await queue(api, path, "x"))["id"]
    await api.execute("update task_prompts set state = 'sending', sent_at = now()")
    for answer in (
        await api.call("DELETE", f"{path}/prompts/{prompt_id}"),
        await api.call("PATCH", f"{path}/prompts/{prompt_id}", {"input": "y"}),
    ):
        assert reason(answer) == (409, "prompt_sent")
        assert "sending" in answer.json()["detail"]
    assert await waits_for(api, path) is None


async def test_prompts_that_say_nothing_or_too_much(api: Api) -> None:
    """Blank ones and those that no bridge takes are refused; the longest that it takes is not."""
    path = await paused(api)
    most = MAX_BODY_BYTES - len(b'{"content":"","type":"user"}')
    for text in ("", " ", "\n\t", "\u2003"):
        answer = await api.post(f"{path}/send", {"input": text, "when": "queue"})
        assert reason(answer) == (400, "input_required")
    for text in ("x" * (most + 1), "\u2603" * (most // 3 + 1)):
        answer = await api.post(f"{path}/send", {"input": text, "when": "queue"})
        assert reason(answer) == (400, "input_too_long")
    await queue(api, path, "x" * most)
    await queue(api, path, "\u2603\U0001f600 \u202e")
    assert (await prompts(api, path))[1]["input"] == "\u2603\U0001f600 \u202e"


async def test_a_full_queue(api: Api) -> None:
    """So many prompts may wait, and so many bytes; whoever sends more learns which, all at once or not."""
    path = await paused(api)

    async def send(text: str) -> tuple[int, str | None]:
        answer = await api.post(f"{path}/send", {"input": text, "when": "queue"})
        return answer.status_code, answer.headers.get("X-Taskyard-Reason")

    await api.execute(
        "insert into task_prompts (id, task_id, source, content, state, created_at)"
        " select gen_random_uuid(), t.id, 'queue', 'x', 'waiting', now() from tasks t, generate_series(4, $1)",
        MAX_WAITING,
    )
    async with asyncio.TaskGroup() as group:
        sent = [group.create_task(send("x")) for _ in range(8)]
    results = [task.result() for task in sent]
    assert results.count((202, None)) == 3
    assert results.count((409, "queue_full")) == 5
    assert [p["position"] for p in await prompts(api, path)] == list(range(1, MAX_WAITING + 1))
    await api.execute("delete from task_prompts")
    big = "x" * (1024 * 1000)
    assert [(await send(big))[0] for _ in range(5)] == [202, 202, 202, 202, 409]


async def test_what_waits_no_more_is_listed_by_how_it_begins(api: Api) -> None:
    """A list of fifty large prompts that were sent is small; what waits is whole."""
    path = await paused(api)
    most = "\u2603" * SETTLED_CHARS
    await api.execute(
        "insert into task_prompts (id, task_id, source, content, state, created_at, sent_at, settled_at)"
        " select gen_random_uuid(), id, 'queue', $1, 'delivered', now(), now(), now() from tasks, generate_series(1, 60)",
        "x" * 900_000,
    )
    await api.execute(
        "insert into task_prompts (id, task_id, source, content, state, created_at, sent_at, settled_at, error)"
        " select gen_random_uuid(), id, 'queue', $1, 'failed', now(), now(), now() + interval '1 s', 'no' from tasks",
        most,
    )
    await queue(api, path, "y" * 900_000)
    answer = await api.get(f"{path}/prompts")
    assert len(answer.content) < 1_100_000
    found = answer.json()["prompts"]
    assert [(len(p["input"]), p["input_truncated"]) for p in found[:3]] == [
        (900_000, False),
        (SETTLED_CHARS, False),
        (SETTLED_CHARS, True),
    ]
    assert (found[1]["input"], len(found)) == (most, 51)


async def test_who_may(api: Api) -> None:
    """Whoever may send may use the queue; for others the task is not there."""
    path = await paused(api)
    prompt_id = (await queue(api, path, "x"))["id"]
    eve = await api.person("eve")
    for method, way, body in (
        ("GET", "prompts", None),
        ("POST", "send", {"input": "x", "when": "queue"}),
        ("PATCH", f"prompts/{prompt_id}", {"position": 1}),
        ("DELETE", f"prompts/{prompt_id}", None),
        ("POST", "interrupt", None),
    ):
        answer = await api.call(method, f"{path}/{way}", body, by=eve)
        assert reason(answer) == (404, "not_found")
    other = await paused(api)
    assert reason(await api.call("DELETE", f"{other}/prompts/{prompt_id}")) == (
        404,
        "prompt_unknown",
    )


async def test_somebody_elses_server_is_interrupted_by_escape(api: Api, tmp_path: Path) -> None:
    """A server without our routes gets the key while it is busy, and nothing while it is not; it may refuse."""
    async with active(api, tmp_path) as (task, app):
        path = f"/api/v2/tasks/me/{task['id']}"
        assert reason(await api.post(f"{path}/interrupt")) == (409, "nothing_runs")
        app.answers["GET /status"] = JSONResponse({"status": "running"})
        assert (await api.post(f"{path}/interrupt")).status_code == 204
        assert json.loads(app.asked[-1][1]) == {"content": "\x1b", "type": "raw"}
        app.answers["POST /message"] = JSONResponse({}, 500)
        assert reason(await api.post(f"{path}/interrupt")) == (502, "interrupt_rejected")
        app.answers["GET /status"] = JSONResponse(["\x1b"])
        assert reason(await api.post(f"{path}/interrupt")) == (502, "interrupt_rejected")


class Turning(ScriptedApp):
    """A bridge that begins its next turn as soon as it was asked which one runs, a set number of times."""

    def __init__(self, skips: int) -> None:
        super().__init__()
        self.skips, self.runs, self.ended = skips, 7, list[int]()

    def application(self) -> Starlette:
        """The app to serve."""
        return Starlette(
            routes=[
                Route("/v2/session", self._session),
                Route("/v2/cancel", self._cancel, methods=["POST"]),
            ]
        )

    async def _session(self, _: Request) -> Response:
        shown, self.skips = self.runs, self.skips - 1
        self.runs += self.skips >= 0
        return JSONResponse({"state": "running", "turn": {"id": shown, "prompt_id": None}})

    async def _cancel(self, request: Request) -> Response:
        if int(request.query_params["turn"]) != self.runs:
            return JSONResponse({}, 409, {"X-Agentapi-Code": "nothing_runs"})
        self.ended.append(self.runs)
        return JSONResponse({"ok": True}, 202)


async def test_only_the_turn_that_was_seen_is_interrupted(api: Api, tmp_path: Path) -> None:
    """A turn that ends before the request arrives takes no other one with it; the answer says that it is over."""
    app = Turning(skips=1)
    async with active(api, tmp_path, app) as (task, _):
        path = f"/api/v2/tasks/me/{task['id']}"
        assert reason(await api.post(f"{path}/interrupt")) == (409, "nothing_runs")
        assert app.ended == []
        assert (await api.post(f"{path}/interrupt")).status_code == 204
        assert app.ended == [8]
