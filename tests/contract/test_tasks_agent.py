"""What programs in a workspace ask over HTTP with the agent's token."""

import json
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from tests.api.agent_seat import AgentSeat, started
from tests.api.seed import UNKNOWN, Api, Json, fields, reason

pytestmark = pytest.mark.anyio

LIMIT = 65536
"""Bytes of a snapshot."""


def sized(size: int) -> bytes:
    """A snapshot of one message whose JSON has that many bytes."""
    empty = b'{"messages":[{"role":"agent","content":""}]}'
    return empty.replace(b'""', b'"' + b"x" * (size - len(empty)) + b'"')


async def kept(api: Api, task: Json) -> Json:
    """The log of a task that is paused."""
    response = await api.get(f"/api/v2/tasks/me/{task['id']}/logs")
    assert response.status_code == 200, response.text
    return response.json()


async def pause(seat: AgentSeat) -> Json:
    """The build of a pause, pending."""
    response = await seat.api.post(f"/api/v2/tasks/me/{seat.task['id']}/pause")
    assert response.status_code == 202
    return response.json()["workspace_build"]


async def test_T140_a_missing_token_comes_first(api: Api) -> None:
    """Who asks is checked before everything else is looked at."""
    seat = await started(api)
    response = await seat.call("POST", "tasks/x/log-snapshot", content=b"{", token="none")
    assert reason(response) == (401, "token_malformed")
    response = await api.client.post("/api/v2/workspaceagents/me/tasks/x/log-snapshot")
    assert reason(response) == (401, "token_missing")
    response = await seat.call("POST", "tasks/x/log-snapshot", content=b"{", token=str(uuid4()))
    assert reason(response) == (401, "agent_refused")
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("task", ["x", "1234", "%00", f"{UNKNOWN}0"])
async def test_T140_a_task_id_that_is_none(api: Api, task: str) -> None:
    """The path is checked before the query."""
    seat = await started(api)
    assert reason(await seat.upload(b"{", query="?x=1", task=task)) == (400, "invalid_task_id")


@pytest.mark.parametrize(
    ("query", "word", "named"),
    [
        ("", "invalid_query", {"format"}),
        ("?format=", "invalid_query", {"format"}),
        ("?x=1", "invalid_query", {"format"}),
        ("?format=agentapi&x=1", "invalid_query", {"x"}),
        ("?format=other&x=1", "invalid_query", {"x"}),
        ("?format=other", "snapshot_format", set()),
        ("?format=AgentAPI", "snapshot_format", set()),
    ],
)
async def test_T140_query_keys(api: Api, query: str, word: str, named: set[str]) -> None:
    """The query is checked before the task: a missing format, then foreign keys, then an unknown format."""
    seat = await started(api)
    response = await seat.upload(b"{", query=query, task=UNKNOWN)
    assert reason(response) == (400, word)
    assert fields(response) == named
    assert ("detail" in response.json()) == (word == "snapshot_format")


async def test_T140_T144_tasks_that_are_not_the_workspaces(api: Api) -> None:
    """Another workspace's task, an unknown and a deleted one are not there, and the body is never read."""
    seat, other = await started(api), await started(api)
    assert reason(await seat.upload(b"{", task=UNKNOWN)) == (404, "not_found")
    assert reason(await seat.upload(b"{", task=other.task["id"])) == (404, "not_found")
    await api.execute("update tasks set deleted_at = now() where id = $1", UUID(seat.task["id"]))
    assert reason(await seat.upload(b"{")) == (404, "not_found")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b'{"messages":{}}',
        b'{"messages":[1]}',
        b'{"messages":[{"id":"1"}]}',
        b'{"messages":[{"content":5}]}',
        b'{"messages":[{"time":"yesterday"}]}',
        b'{"messages":[{"content":"\xff"}]}',
        b'{"messages":' + b"[" * 9000 + b"]" * 9000 + b"}",
    ],
)
async def test_T140_bodies_that_cannot_be_read(api: Api, content: bytes) -> None:
    """No JSON, or JSON of another shape, is a bad request that says what is wrong."""
    seat = await started(api)
    response = await seat.upload(content)
    assert reason(response) == (400, "snapshot_undecodable")
    assert response.json()["detail"]


@pytest.mark.parametrize("content", [b"{}", b'{"messages":null}', b'{"message":[]}'])
async def test_T140_bodies_without_messages(api: Api, content: bytes) -> None:
    """An envelope without messages is not an empty conversation."""
    seat = await started(api)
    response = await seat.upload(content)
    assert reason(response) == (400, "snapshot_without_messages")
    assert response.json()["detail"]


async def test_T141_the_limit(api: Api) -> None:
    """65,536 bytes are taken; one more is a bad request, never a 413."""
    seat = await started(api)
    assert (await seat.upload(sized(LIMIT))).status_code == 204
    response = await seat.upload(sized(LIMIT + 1))
    assert reason(response) == (400, "snapshot_undecodable")
    assert response.json()["detail"]
    assert (await seat.upload(sized(LIMIT) + b" ")).status_code == 400
    assert reason(await seat.upload(b"x" * 3_000_000)) == (400, "snapshot_undecodable")


async def test_T142_uploads_around_a_stop(api: Api) -> None:
    """While a stop waits or runs the agent may upload; once it is over, its token is dead."""
    seat = await started(api)
    await pause(seat)
    assert (await seat.upload(b'{"messages":[]}')).status_code == 204
    stop = await api.claim(seat.task["workspace_id"])
    assert (await seat.upload(b'{"messages":[]}')).status_code == 204
    await api.finish(stop)
    assert reason(await seat.upload(b'{"messages":[]}')) == (401, "agent_refused")


async def test_T142_uploads_during_a_stop_that_is_canceled(api: Api) -> None:
    """A stop that is being canceled gives no leave to upload. Source: tasks-api 2.2."""
    seat = await started(api)
    build = await pause(seat)
    await api.claim(seat.task["workspace_id"])
    await api.execute(
        "update provisioner_jobs set canceled_at = now() where id = $1", UUID(build["job"]["id"])
    )
    assert reason(await seat.upload(b'{"messages":[]}')) == (401, "agent_refused")


async def test_T142_only_the_start_just_before_the_stop(api: Api) -> None:
    """The agent of an earlier start stays out while a later one stops."""
    first = await started(api)
    await pause(first)
    await api.succeed(first.task["workspace_id"])
    assert (await api.post(f"/api/v2/tasks/me/{first.task['id']}/resume")).status_code == 202
    second = await started(api, task=first.task)
    await pause(second)
    assert (await second.upload(b'{"messages":[]}')).status_code == 204
    assert reason(await first.upload(b'{"messages":[]}')) == (401, "agent_refused")


async def test_T143_uploads_after_a_delete(api: Api) -> None:
    """From the moment a task is deleted its agent's token is dead."""
    seat = await started(api)
    response = await api.call("DELETE", f"/api/v2/tasks/me/{seat.task['id']}")
    assert response.status_code == 202
    assert reason(await seat.upload(b'{"messages":[]}')) == (401, "agent_refused")


async def test_tokens_of_older_generations(api: Api) -> None:
    """A workspace that was started anew has a new token, and the old one is dead at once."""
    seat = await started(api)
    await api.execute("update workspaces set generation = generation + 1")
    assert reason(await seat.upload(b'{"messages":[]}')) == (401, "agent_refused")


async def test_tokens_before_the_start_is_over(api: Api) -> None:
    """An agent that is there before its build's job is done is refused until then."""
    seat = await started(api)
    await api.execute(
        "update provisioner_jobs set completed_at = null, worker_id = gen_random_uuid()"
    )
    await api.execute("update provisioner_jobs set lease_expires_at = now()")
    assert reason(await seat.upload(b'{"messages":[]}')) == (401, "agent_refused")


async def test_T145_one_snapshot_a_task(api: Api) -> None:
    """A second upload takes the place of the first, at the server's time."""
    seat = await started(api)
    await pause(seat)
    assert (
        await seat.upload(b'{"messages":[{"content":"one","role":"agent"}]}')
    ).status_code == 204
    first = await api.value("select created_at from task_snapshots")
    again = b'{"messages":[{"content":"two","role":"user","id":4,"time":"2026-01-02T03:04:05Z"}]}'
    assert (await seat.upload(again)).status_code == 204
    assert await api.value("select count(*) from task_snapshots") == 1
    await api.succeed(seat.task["workspace_id"])
    log = await kept(api, seat.task)
    assert log["logs"] == [
        {"id": 4, "content": "two", "type": "input", "time": "2026-01-02T03:04:05Z"}
    ]
    assert datetime.fromisoformat(log["snapshot_at"]) > first


async def test_T146_an_empty_conversation(api: Api) -> None:
    """No messages is a snapshot too: the log is empty and says since when."""
    seat = await started(api)
    await pause(seat)
    response = await seat.upload(b'{"messages":[]}')
    assert (response.status_code, response.content) == (204, b"")
    await api.succeed(seat.task["workspace_id"])
    log = await kept(api, seat.task)
    assert (log["logs"], log["snapshot"]) == ([], True)
    assert log["snapshot_at"]


async def test_what_messages_leave_out(api: Api) -> None:
    """No id is 0 and no time the zero time; unknown keys are dropped, and the role is not looked at yet."""
    seat = await started(api)
    await pause(seat)
    content = b'{"Messages":[{"content":"a","role":"agent","more":1},{"role":"user"}],"x":[]} tail'
    assert (await seat.upload(content)).status_code == 204
    await api.succeed(seat.task["workspace_id"])
    zero = "0001-01-01T00:00:00Z"
    assert (await kept(api, seat.task))["logs"] == [
        {"id": 0, "content": "a", "type": "output", "time": zero},
        {"id": 0, "content": "", "type": "input", "time": zero},
    ]


async def test_a_bad_role_shows_when_it_is_read(api: Api) -> None:
    """A role that is none is stored, and the log then cannot be shown."""
    seat = await started(api)
    await pause(seat)
    assert (await seat.upload(b'{"messages":[{"role":"tool"}]}')).status_code == 204
    await api.succeed(seat.task["workspace_id"])
    response = await api.get(f"/api/v2/tasks/me/{seat.task['id']}/logs")
    assert reason(response) == (500, "snapshot_role")


async def test_nul_in_a_conversation(api: Api) -> None:
    """What programs print may hold U+0000: it is shown as U+FFFD, and nothing else is touched."""
    seat = await started(api)
    await pause(seat)
    text = '\0\0a\\u0000\\\0"\ud83d'
    content = json.dumps({"messages": [{"content": text, "role": "agent"}]}).encode()
    assert (await seat.upload(content)).status_code == 204
    await api.succeed(seat.task["workspace_id"])
    [entry] = (await kept(api, seat.task))["logs"]
    assert entry["content"] == '\ufffd\ufffda\\u0000\\\ufffd"\ufffd'


async def test_T147_a_status(api: Api) -> None:
    """A report is answered by `null`; the newest one is the task's state, and every one is kept."""
    seat = await started(api)
    response = await seat.report(
        state="working", message="a", uri="https://x", icon="/i", needs_user_attention=True
    )
    assert (response.status_code, response.content) == (200, b"null")
    assert response.headers["Content-Type"].startswith("application/json")
    assert (await seat.report(state="failure", message="")).status_code == 200
    state = (await api.fresh(seat.task))["current_state"]
    assert (state["state"], state["message"], state["uri"]) == ("failed", "", "")
    workspace = (await api.get(f"/api/v2/workspaces/{seat.task['workspace_id']}")).json()
    assert workspace["latest_app_status"]["state"] == "failure"
    [app] = workspace["latest_build"]["resources"][0]["agents"][0]["apps"]
    assert [status["message"] for status in app["statuses"]] == ["", "a"]
    for status in app["statuses"]:
        assert (status["icon"], status["needs_user_attention"]) == ("", False)


async def test_T147_errors_in_order(api: Api) -> None:
    """The body is checked first, then the state, the message, and last the slug."""
    seat = await started(api)
    long = "x" * 161
    assert reason(await seat.call("PATCH", "app-status", content=b"{")) == (400, "invalid_json")
    wrong = {"state": "busy", "message": long, "app_slug": "x"}
    response = await seat.report(**wrong)
    assert (reason(response), fields(response)) == ((400, "app_status_state"), {"state"})
    response = await seat.report(**wrong | {"state": "idle"})
    assert (reason(response), fields(response)) == ((400, "app_status_message"), {"message"})
    assert response.json()["detail"]
    response = await seat.report(**wrong | {"state": "idle", "message": "m"})
    assert reason(response) == (400, "app_unknown")
    assert "'x'" in response.json()["detail"]
    assert await api.value("select count(*) from workspace_app_statuses") == 0


@pytest.mark.parametrize("state", ["", "Working", "failed", "unknown"])
async def test_T147_states_that_are_none(api: Api, state: str) -> None:
    """Only the four words are states; the one that tasks show for a failure is not among them."""
    seat = await started(api)
    assert reason(await seat.report(state=state)) == (400, "app_status_state")


async def test_T147_a_slug_of_another_agent(api: Api) -> None:
    """Apps are looked for on the agent that asks."""
    seat, other = await started(api), await started(api)
    await api.execute(
        "update workspace_apps set slug = 'theirs' where agent_id = $1", other.agent_id
    )
    assert reason(await seat.report(app_slug="theirs")) == (400, "app_unknown")


async def test_T148_messages_are_cleaned(api: Api) -> None:
    """What is shown has no tags and no line ends."""
    seat = await started(api)
    await seat.report(message="<b>hi</b>\n there ")
    assert (await api.fresh(seat.task))["current_state"]["message"] == "hi there"


async def test_T149_the_length_of_messages(api: Api) -> None:
    """160 bytes as sent are taken, one more is refused, whatever would be left of them."""
    seat = await started(api)
    assert (await seat.report(message="x" * 160)).status_code == 200
    assert (await seat.report(message="\u20ac" * 53 + "x")).status_code == 200
    assert reason(await seat.report(message="\u20ac" * 54)) == (400, "app_status_message")
    assert reason(await seat.report(message=" " * 161)) == (400, "app_status_message")


ROUTES = [
    ("POST", f"tasks/{UNKNOWN}/log-snapshot?format=agentapi"),
    ("PATCH", "app-status"),
    ("POST", "log-source"),
    ("PATCH", "logs"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_T150_session_tokens_on_agent_routes(api: Api, method: str, path: str) -> None:
    """A person's token opens no agent route, and an agent's no other."""
    seat = await started(api)
    response = await seat.call(method, path, {}, token=api.owner.token)
    assert reason(response) == (401, "token_malformed")
    headers = {"Coder-Session-Token": seat.token}
    response = await api.call("GET", "/api/v2/users/me", headers=headers)
    assert reason(response) == (401, "key_malformed")


async def test_T161_work_extends_the_deadline(api: Api) -> None:
    """A report of work, and the one that ends it, move the deadline to an hour from now; others do not."""
    seat = await started(api)
    near = api.now + timedelta(minutes=5)

    async def moved(state: str) -> bool:
        await api.execute("update workspace_builds set deadline = $1", near)
        assert (await seat.report(state=state)).status_code == 200
        deadline: datetime = await api.value("select deadline from workspace_builds")
        assert deadline == near or abs(deadline - api.now - timedelta(hours=1)) < timedelta(
            minutes=1
        )
        return deadline > near

    found = [await moved(state) for state in ("idle", "working", "working", "complete", "idle")]
    assert found == [False, True, True, True, False]


async def test_T161_deadlines_that_stay(api: Api) -> None:
    """A later deadline stays, the last possible one holds, and none stays none."""
    seat = await started(api)
    far, end = api.now + timedelta(hours=9), api.now + timedelta(minutes=30)
    for deadline, limit, kept_ in ((far, None, far), (end, end, end), (None, None, None)):
        await api.execute(
            "update workspace_builds set deadline = $1, max_deadline = $2", deadline, limit
        )
        await seat.report(state="working")
        assert await api.value("select deadline from workspace_builds") == kept_


async def test_log_sources_and_lines(api: Api) -> None:
    """A source is named once; lines of it, and lines of none, are the agent's log in their order."""
    seat = await started(api)
    source = str(uuid4())
    body = {"id": source, "display_name": "Setup", "icon": "/i"}
    made = await seat.call("POST", "log-source", body)
    assert made.status_code == 201
    assert made.json() | {"created_at": ""} == {
        "workspace_agent_id": str(seat.agent_id),
        "id": source,
        "created_at": "",
        "display_name": "Setup",
        "icon": "/i",
    }
    assert (await seat.call("POST", "log-source", body)).status_code == 201
    assert (await seat.call("POST", "log-source", {"display_name": "x"})).json()["id"] != source
    line = {"created_at": "2026-01-02T03:04:05Z", "output": "one", "level": "warn"}
    response = await seat.call("PATCH", "logs", {"log_source_id": source, "logs": [line]})
    assert (response.status_code, response.content) == (200, b"null")
    assert (await seat.call("PATCH", "logs", {"logs": [{"output": "two"}]})).status_code == 200
    log = (await api.get(f"/api/v2/workspaceagents/{seat.agent_id}/logs")).json()
    assert [(entry["output"], entry["level"]) for entry in log] == [
        ("one", "warn"),
        ("two", "info"),
    ]
    assert log[0]["source_id"] == source


async def test_log_lines_that_are_refused(api: Api) -> None:
    """No lines, an unknown source, and bodies of another shape."""
    seat = await started(api)
    assert reason(await seat.call("PATCH", "logs", {"logs": []})) == (400, "logs_empty")
    body = {"log_source_id": UNKNOWN, "logs": [{"output": "x"}]}
    assert reason(await seat.call("PATCH", "logs", body)) == (404, "not_found")
    for content in (b"", b'{"logs":[{"level":"loud"}]}', b'{"logs":{}}'):
        response = await seat.call("PATCH", "logs", content=content)
        assert reason(response) == (400, "invalid_json")
    assert await api.value("select count(*) from workspace_agent_logs") == 0


async def test_a_log_that_is_full(api: Api) -> None:
    """A mebibyte is kept; what comes after is refused for good, and the agent says so."""
    seat = await started(api)

    async def log(size: int) -> int:
        body = {"logs": [{"output": "x" * size}]}
        return (await seat.call("PATCH", "logs", body)).status_code

    assert [await log(size) for size in (1024 * 1024 - 10, 10)] == [200, 200]
    assert reason(await seat.call("PATCH", "logs", {"logs": [{"output": "y"}]})) == (
        413,
        "logs_overflowed",
    )
    await api.execute("update workspace_agents set logs_length = 5")
    assert await log(1) == 413
    agent = (await api.get(f"/api/v2/workspaceagents/{seat.agent_id}")).json()
    assert (agent["logs_overflowed"], agent["logs_length"]) == (True, 5)


async def test_a_workspace_without_task(api: Api) -> None:
    """Reports of a workspace that belongs to no task are stored; it has nothing to upload for."""
    seat = await started(api)
    await api.execute("delete from tasks")
    assert (await seat.report()).status_code == 200
    assert reason(await seat.upload(b'{"messages":[]}')) == (404, "not_found")
