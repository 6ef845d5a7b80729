"""Sending and reading live: a scripted app behind a real link."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from taskyard_agent.ports import serve_port
from tests.api.agent_seat import started
from tests.api.conftest import running
from tests.api.seed import Api, Json, reason
from tests.contract.states import STATES
from tests.link.pair import linked

pytestmark = pytest.mark.anyio

APP_PORT = 3284
"""The port of the seeded app's URL; the link leads to where the scripted app really listens."""

TIME = "2026-01-31T12:00:00.123456Z"


class ScriptedApp:
    """An AgentAPI server that says what a test tells it to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Response] = {
            "GET /status": JSONResponse({"status": "stable", "agent_type": "custom"}),
            "GET /messages": JSONResponse({"messages": []}),
            "POST /message": JSONResponse({"ok": True}),
        }
        self.asked: list[tuple[str, bytes]] = []

    def application(self) -> Starlette:
        """The app to serve."""
        paths = ("/status", "/messages", "/message")
        return Starlette(
            routes=[Route(path, self._answer, methods=["GET", "POST"]) for path in paths]
        )

    async def _answer(self, request: Request) -> Response:
        asked = f"{request.method} {request.url.path}"
        self.asked.append((asked, await request.body()))
        return self.answers[asked]


@asynccontextmanager
async def active(
    api: Api, folder: Path, app: ScriptedApp | None = None
) -> AsyncIterator[tuple[Json, ScriptedApp]]:
    """An active task whose app is the scripted one; nobody listens when the app's port is 0."""
    scripted = app or ScriptedApp()
    task = await api.task(await api.template())
    agent_id = await api.start(task["workspace_id"], "ready", "healthy")
    async with running(scripted.application()) as port:
        accept = partial(serve_port, moved={APP_PORT: port})
        async with linked(folder, accept=accept) as pair:
            await api.services.links.put(agent_id, pair.server)
            yield task, scripted


def path(task: Json, rest: str) -> str:
    """A route of a task."""
    return f"/api/v2/tasks/me/{task['id']}/{rest}"


async def test_T96_T99_one_status_then_one_message(api: Api, tmp_path: Path) -> None:
    """A message goes out once, after one question for the status, and changes nothing of the task."""
    async with active(api, tmp_path) as (task, app):
        await api.report(task, "idle", "waiting")
        before = await api.fresh(task)
        assert before["current_state"]["message"] == "waiting"
        response = await api.post(path(task, "send"), {"input": " <b>go</b>\n"})
        assert (response.status_code, response.content) == (204, b"")
        assert [asked for asked, _ in app.asked] == ["GET /status", "POST /message"]
        assert app.asked[1][1] == b'{"content":" <b>go</b>\\n","type":"user"}'
        assert await api.fresh(before) == before


async def test_T93_blank_input_is_forwarded(api: Api, tmp_path: Path) -> None:
    """Only an input without any character is refused here; a blank one is the app's to judge."""
    async with active(api, tmp_path) as (task, app):
        assert (await api.post(path(task, "send"), {"input": " "})).status_code == 204
        assert reason(await api.post(path(task, "send"), {"input": ""})) == (400, "input_required")
        assert len(app.asked) == 2


async def test_T95_busy_app(api: Api, tmp_path: Path) -> None:
    """While the app works nothing is sent, and the caller may come again."""
    async with active(api, tmp_path) as (task, app):
        app.answers["GET /status"] = JSONResponse({"status": "running"})
        response = await api.post(path(task, "send"), {"input": "x"})
        assert reason(response) == (409, "app_busy")
        assert "running" in response.json()["detail"]
        assert [asked for asked, _ in app.asked] == ["GET /status"]


async def test_nothing_overtakes_the_input(api: Api, tmp_path: Path) -> None:
    """While the app has not taken what the task was made for, nothing else is sent to it."""
    async with active(api, tmp_path) as (task, app):
        await api.execute(
            "insert into task_prompts"
            " (id, task_id, source, workspace_build_id, content, state, created_at, sent_at, after_seq)"
            " select gen_random_uuid(), $1, 'input', b.id, 'go', 'sending', now(), now(), 0"
            " from workspace_builds b where b.workspace_id = $2",
            UUID(task["id"]),
            UUID(task["workspace_id"]),
        )
        response = await api.post(path(task, "send"), {"input": "x"})
        assert reason(response) == (409, "app_busy")
        assert [asked for asked, _ in app.asked] == ["GET /status"]
        await api.execute("update task_prompts set state = 'delivered', settled_at = now()")
        assert (await api.post(path(task, "send"), {"input": "x"})).status_code == 204


@pytest.mark.parametrize(
    ("asked", "word"),
    [("GET /status", "app_status_failed"), ("POST /message", "app_rejected")],
)
async def test_T97_app_that_fails(api: Api, tmp_path: Path, asked: str, word: str) -> None:
    """Where an app fails can be told from the answer; nothing is tried again."""
    async with active(api, tmp_path) as (task, app):
        for answer in (
            JSONResponse({"detail": "no"}, 500, headers={"X-Agentapi-Code": "busy"}),
            Response("fine", media_type="text/plain"),
        ):
            app.answers[asked] = answer
            app.asked.clear()
            response = await api.post(path(task, "send"), {"input": "x"})
            assert reason(response) == (502, word)
            assert [a for a, _ in app.asked].count(asked) == 1


async def test_T97_status_that_makes_no_sense(api: Api, tmp_path: Path) -> None:
    """An app whose status cannot be read gets no message."""
    async with active(api, tmp_path) as (task, app):
        app.answers["GET /status"] = JSONResponse(["stable"])
        response = await api.post(path(task, "send"), {"input": "x"})
        assert reason(response) == (502, "app_status_failed")


async def test_an_app_that_says_no_politely_has_taken_it(api: Api, tmp_path: Path) -> None:
    """`ok: false` with status 200 counts as accepted. Source: tasks-api 8.11."""
    async with active(api, tmp_path) as (task, app):
        app.answers["POST /message"] = JSONResponse({"ok": False})
        assert (await api.post(path(task, "send"), {"input": "x"})).status_code == 204


async def test_T98_nobody_listens(api: Api, tmp_path: Path) -> None:
    """An app that is not there is a bad gateway, for sending and for reading."""
    task = await api.task(await api.template())
    agent_id = await api.start(task["workspace_id"], "ready", "healthy")
    async with linked(tmp_path, accept=partial(serve_port, moved={APP_PORT: 1})) as pair:
        await api.services.links.put(agent_id, pair.server)
        for response in (
            await api.post(path(task, "send"), {"input": "x"}),
            await api.get(path(task, "logs")),
        ):
            assert reason(response) == (502, "app_failed")


@pytest.mark.parametrize(
    ("url", "status", "word"), [("", 500, "app_url_empty"), ("https://x", 400, "app_url_scheme")]
)
async def test_apps_that_cannot_be_called(api: Api, url: str, status: int, word: str) -> None:
    """An app without a URL, or with one that is not http, says so."""
    task = await api.task(await api.template())
    await api.start(task["workspace_id"], "ready", "healthy")
    await api.execute("update workspace_apps set url = $1", url)
    assert reason(await api.post(path(task, "send"), {"input": "x"})) == (status, word)
    assert reason(await api.get(path(task, "logs"))) == (status, word)


async def test_queued_messages_wait(api: Api, tmp_path: Path) -> None:
    """A message that is to wait gets a place, and nothing is asked of the app because of it."""
    async with active(api, tmp_path) as (task, app):
        for position in (1, 2):
            response = await api.post(path(task, "send"), {"input": "x", "when": "queue"})
            assert (response.status_code, response.json()["position"]) == (202, position)
        assert app.asked == []
        response = await api.post(path(task, "send"), {"input": "x", "when": "later"})
        assert reason(response) == (400, "invalid_json")


NEXT_MICROSECOND = "2026-01-31T12:00:00.123457Z"
"""What 789 nanoseconds more come to: times are kept to the nearest microsecond."""


async def test_T100_live_log(api: Api, tmp_path: Path) -> None:
    """Roles become directions; ids, times and order stay; nothing is said of a snapshot."""
    async with active(api, tmp_path) as (task, app):
        app.answers["GET /messages"] = JSONResponse(
            {
                "$schema": "x",
                "messages": [
                    {"id": 0, "content": "hi\0", "role": "agent", "time": TIME},
                    {
                        "id": 7,
                        "content": "go",
                        "role": "user",
                        "time": "2026-01-31T14:00:00.123456789+02:00",
                    },
                ],
            }
        )
        response = await api.get(path(task, "logs"))
        assert response.json() == {
            "logs": [
                {"id": 0, "content": "hi\0", "type": "output", "time": TIME},
                {"id": 7, "content": "go", "type": "input", "time": NEXT_MICROSECOND},
            ]
        }


async def test_T105_failing_app_has_no_log(api: Api, tmp_path: Path) -> None:
    """A failing app is a bad gateway, even where an old snapshot could be shown."""
    async with active(api, tmp_path) as (task, app):
        await api.snapshot(task, {"messages": []})
        for answer in (
            JSONResponse({}, 500),
            Response("[]", media_type="text/html"),
            Response("{", media_type="application/json"),
        ):
            app.answers["GET /messages"] = answer
            assert reason(await api.get(path(task, "logs"))) == (502, "app_messages_failed")


async def test_T106_unknown_role_live(api: Api, tmp_path: Path) -> None:
    """A message of nobody known is not passed on."""
    async with active(api, tmp_path) as (task, app):
        app.answers["GET /messages"] = JSONResponse(
            {"messages": [{"id": 1, "content": "x", "role": "system", "time": TIME}]}
        )
        response = await api.get(path(task, "logs"))
        assert reason(response) == (502, "app_answer_invalid")
        assert "system" in response.json()["detail"]


async def test_many_at_once(api: Api, tmp_path: Path) -> None:
    """Requests to one app run side by side over one link."""
    async with active(api, tmp_path) as (task, app):
        async with asyncio.TaskGroup() as group:
            asks = [group.create_task(api.get(path(task, "logs"))) for _ in range(10)]
        assert [ask.result().status_code for ask in asks] == [200] * 10
        assert len(app.asked) == 10


async def test_T101_paused_without_a_snapshot(api: Api) -> None:
    """The log is empty and says that it is a kept one, and nothing more."""
    task = await api.task(await api.template())
    await STATES["paused"].put(api, task)
    assert (await api.get(path(task, "logs"))).content == b'{"logs":[],"snapshot":true}'


async def test_T102_T103_kept_log(api: Api) -> None:
    """What was uploaded last is served from the pause on until the task is active again, with the server's time."""
    seat = await started(api)
    task, began = seat.task, api.now
    messages = [
        {"id": 1, "content": "a", "role": "user", "time": TIME},
        {"content": "b", "role": "agent"},
    ]
    body = json.dumps({"messages": messages, "more": 1}).encode()
    assert (await seat.upload(body)).status_code == 204
    ended = api.now
    await api.post(path(task, "pause"))
    await api.succeed(task["workspace_id"])
    log = (await api.get(path(task, "logs"))).json()
    assert began <= datetime.fromisoformat(log["snapshot_at"]) <= ended
    assert log == {
        "logs": [
            {"id": 1, "content": "a", "type": "input", "time": TIME},
            {"id": 0, "content": "b", "type": "output", "time": "0001-01-01T00:00:00Z"},
        ],
        "snapshot": True,
        "snapshot_at": log["snapshot_at"],
    }
    await api.post(path(task, "resume"))
    for status in ("pending", "initializing"):
        assert (await api.fresh(task))["status"] == status
        assert (await api.get(path(task, "logs"))).json() == log
        if status == "pending":
            await api.start(task["workspace_id"], "starting", "initializing")


async def test_T104_no_log_in_error_or_unknown(api: Api) -> None:
    """Where a log cannot be had, the status is quoted, though a log was kept."""
    template = await api.template()
    for state in ("failed", "app_unhealthy", "stopping", "shutting_down"):
        task = await api.task(template)
        await STATES[state].put(api, task)
        await api.snapshot(task, {"messages": []})
        response = await api.get(path(task, "logs"))
        assert reason(response) == (409, "logs_unavailable"), state
        assert f'"{STATES[state].status}"' in response.json()["detail"]


@pytest.mark.parametrize(
    ("data", "form", "word"),
    [
        ({"messages": [{"role": "system"}]}, "agentapi", "snapshot_role"),
        ({"messages": []}, "other", "snapshot_format"),
        ({"messages": [{"id": "x"}]}, "agentapi", "snapshot_broken"),
    ],
)
async def test_T106_kept_logs_that_cannot_be_shown(
    api: Api, data: object, form: str, word: str
) -> None:
    """A snapshot that is not as it should be is the server's fault, and says how."""
    task = await api.task(await api.template())
    await api.snapshot(task, data, form)
    response = await api.get(path(task, "logs"))
    assert reason(response) == (500, word)
    assert response.json()["detail"]


async def test_T90_change_the_input(api: Api) -> None:
    """A paused task takes another text as it is; nothing else of it changes."""
    task = await api.task(await api.template())
    await STATES["paused"].put(api, task)
    before = await api.fresh(task)
    response = await api.call("PATCH", path(task, "input"), {"input": "  next\n"})
    assert (response.status_code, response.content) == (204, b"")
    assert await api.fresh(task) == before | {"initial_prompt": "  next\n"}


async def test_T91_T93_blank_texts_in_every_status(api: Api) -> None:
    """A blank new input and an empty message are refused before the status is looked at."""
    template = await api.template()
    for name, state in STATES.items():
        task = await api.task(template)
        await state.put(api, task)
        for text in ("", " ", " \n\t"):
            blank = await api.call("PATCH", path(task, "input"), {"input": text})
            assert reason(blank) == (400, "input_required"), name
        assert reason(await api.call("PATCH", path(task, "input"), {})) == (400, "input_required")
        empty = await api.post(path(task, "send"), {"input": ""})
        assert reason(empty) == (400, "input_required"), name
        assert (await api.fresh(task))["initial_prompt"] == "do it"
