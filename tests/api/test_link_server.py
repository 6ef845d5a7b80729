"""The server's end of the agent link: what agents say reaches people, over TCP and a Unix socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from websockets.exceptions import InvalidStatus

from taskyard.control.services import Services
from taskyard.daemon.listen import Listener, listen_unix
from taskyard.errors import AgentUnreachable
from taskyard.server.app import build_app
from taskyard.server.handlers import HANDLERS, SOCKETS
from taskyard.wire.routes import ROUTES, Auth
from taskyard_agent.link import LinkTarget, TokenRefused
from taskyard_agent.mux import CallFailed
from taskyard_agent.protocol import (
    PROTOCOL,
    AppHealthReport,
    Hello,
    ItemKind,
    Items,
    LifecycleReport,
    LogLine,
    LogLines,
    Nothing,
    Welcome,
)
from tests.api.agent_seat import AgentSeat, started
from tests.api.link_kit import Agent, dialed, gone, item, row, running, until
from tests.api.seed import Api

pytestmark = pytest.mark.anyio

TEMPLATE = """
[template]
display_name = "Full"

[task]
app = "shell"

[agent]
type = "shell"
permissions = "deny"

[workspace]
env = { A = "template", B = "b" }

[scripts]

[[app]]
slug = "shell"

[[app]]
slug = "web"
url = "http://localhost:8000"
command = "serve"
healthcheck = { url = "http://localhost:8000/well", interval = 2, threshold = 4 }

[[parameter]]
name = "size"
type = "number"
default = 7
"""


@asynccontextmanager
async def agents_socket(services: Services, folder: Path) -> AsyncIterator[str]:
    """The address of the Unix socket that workspaces see, as the daemon serves it."""
    inside = [r for r in ROUTES if r.auth is Auth.AGENT]
    listener = Listener(build_app(services, inside, HANDLERS, SOCKETS))
    sock = listen_unix(folder / "link" / "agent.sock")
    async with asyncio.TaskGroup() as group:
        group.create_task(listener.serve([sock]))
        await listener.ready.wait()
        try:
            yield f"unix:{folder / 'link' / 'agent.sock'}"
        finally:
            listener.should_exit = True


@pytest.mark.parametrize("unix", [False, True])
async def test_hello(api: Api, tmp_path: Path, *, unix: bool) -> None:
    """Who says hello gets everything about its workspace, and is seen as connected."""
    template = await api.template("full", TEMPLATE)
    task = await api.task(template, name="one")
    seat = await started(api, task=task)
    async with agents_socket(api.services, tmp_path) as address:
        async with running(seat, url=address if unix else api.url) as agent:
            [welcome] = agent.welcomes
            shown = (await api.get(f"/api/v2/workspaceagents/{seat.agent_id}")).json()
        await until(partial(gone, seat))
    manifest = welcome.manifest
    assert (welcome.acked_seq, welcome.lease_s, welcome.heartbeat_s) == (0, 120, 20)
    assert (str(manifest.workspace_id), str(manifest.task_id)) == (task["workspace_id"], task["id"])
    assert (manifest.workspace_name, manifest.owner_name) == ("one", "boss")
    assert (manifest.generation, manifest.bridge_slug, manifest.task_slug) == (1, "shell", "shell")
    assert {"A": "template", "B": "b"}.items() <= manifest.env.items()
    assert "7" in manifest.env.values()
    assert [app.slug for app in manifest.apps] == ["shell", "web"]
    check = manifest.apps[1].healthcheck
    assert check is not None
    assert (check.url, check.interval_s, check.threshold) == ("http://localhost:8000/well", 2, 4)
    assert manifest.coding_agent is not None
    assert (manifest.coding_agent.type, manifest.coding_agent.permissions) == ("shell", "deny")
    assert (shown["status"], shown["version"]) == ("connected", "1.2.3")


async def test_hello_in_another_language(api: Api) -> None:
    """An agent of another protocol is told so, and is not taken for connected."""
    seat = await started(api)
    async with dialed(seat, hello=False) as (_, mux):
        with pytest.raises(CallFailed) as caught:
            await mux.call("hello", Hello(PROTOCOL + 1, "1"), Welcome)
        assert caught.value.code == "protocol_mismatch"
        assert not api.services.links.holds(seat.agent_id)
    assert (await row(seat))["first_connected_at"] is None


@pytest.mark.attack(
    "A link is opened with an unknown token, a person's, or one of an older start",
    wall="401 before the upgrade: a token is for one generation",
)
async def test_tokens_that_open_no_link(api: Api) -> None:
    """An unknown token, a person's and one of an older generation are refused with 401 before the upgrade."""
    seat = await started(api)
    await api.execute("update workspaces set generation = generation + 1")
    for token in (str(uuid4()), api.owner.token, seat.token):
        with pytest.raises(InvalidStatus) as caught:
            async with LinkTarget(api.url, token).dial():
                pass
        response = caught.value.response
        assert response.status_code == 401
        assert response.headers["X-Taskyard-Reason"] in ("agent_refused", "token_malformed")
    link = Agent(seat, api.url, {}).link
    with pytest.raises(TokenRefused):
        await link.run()


async def test_the_link_without_upgrade(api: Api) -> None:
    """A plain GET of the link's path is no crash."""
    seat = await started(api)
    assert (await seat.call("GET", "link")).status_code in (404, 426)


async def test_T142_the_link_around_a_stop(api: Api) -> None:
    """While a stop waits or runs the agent may connect again and report; once it is over, no more."""
    seat = await started(api)
    assert (await api.post(f"/api/v2/tasks/me/{seat.task['id']}/pause")).status_code == 202
    async with running(seat) as agent:
        await agent.lifecycle("shutting_down")
        stop = await api.claim(seat.task["workspace_id"])
    async with running(seat) as agent:
        assert await agent.items(item(1)) == 1
        await agent.lifecycle("off")
    await api.finish(stop)
    with pytest.raises(TokenRefused):
        await Agent(seat, api.url, {}).link.run()
    assert (await row(seat))["lifecycle"] == "off"


async def test_T143_the_link_after_a_delete(api: Api) -> None:
    """From the moment a task is deleted its agent cannot connect."""
    seat = await started(api)
    await api.call("DELETE", f"/api/v2/tasks/me/{seat.task['id']}")
    with pytest.raises(TokenRefused):
        await Agent(seat, api.url, {}).link.run()


async def test_reports_reach_the_task(api: Api) -> None:
    """What agent and app say of themselves is the task's status at once."""
    seat = await started(api, "created", "initializing")
    found = []

    async def look() -> None:
        task = await api.fresh(seat.task)
        found.append((task["status"], task["workspace_agent_lifecycle"]))

    async with running(seat) as agent:
        await look()
        await agent.lifecycle("starting")
        await agent.lifecycle("ready")
        await look()
        await agent.health("healthy")
        await look()
        await agent.health("unhealthy")
        await look()
    assert found == [
        ("initializing", "created"),
        ("initializing", "ready"),
        ("active", "ready"),
        ("error", "ready"),
    ]
    stored = await row(seat)
    assert stored["started_at"] < stored["ready_at"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("lifecycle", LifecycleReport("asleep", datetime.fromisoformat("2026-01-01T00:00:00Z"))),
        ("lifecycle", LifecycleReport("ready", datetime(2026, 1, 1))),  # noqa: DTZ001 - no zone is the case
        ("app_health", AppHealthReport("shell", "fine")),
        ("logs", LogLines("start", [LogLine(datetime(2026, 1, 1), "info", "x")])),  # noqa: DTZ001 - as above
        ("items", Items([item(1, data=b"[]")])),
    ],
)
async def test_reports_that_make_no_sense(api: Api, method: str, params: msgspec.Struct) -> None:
    """The agent hears what is wrong with its call, and the link goes on."""
    seat = await started(api)
    async with running(seat) as agent:
        with pytest.raises(CallFailed) as caught:
            await agent.tell(method, params)
        assert caught.value.code == "bad_params"
        await agent.tell("heartbeat", Nothing())
        with pytest.raises(CallFailed) as caught:
            await agent.tell("dance", Nothing())
        assert caught.value.code == "unknown_method"
        assert len(agent.welcomes) == 1


async def test_health_of_apps_without_check(api: Api) -> None:
    """An app that nobody checks stays so, and an unknown one is no mistake."""
    seat = await started(api, health="disabled")
    async with running(seat) as agent:
        await agent.health("unhealthy")
        await agent.health("healthy", slug="other")
    assert await api.value("select health from workspace_apps") == "disabled"


async def test_logs_reach_their_readers(api: Api) -> None:
    """Lines of each source come in order, whatever characters programs print."""
    seat = await started(api)
    at = datetime.fromisoformat("2026-01-31T13:00:00+01:00")
    async with running(seat) as agent:
        lines = [LogLine(at, "error", "one\n"), LogLine(at, "loud", "t\0wo")]
        await agent.tell("logs", LogLines("start", lines))
        await agent.tell("logs", LogLines("a\0b", [LogLine(at, "debug", "three")]))
    log = (await api.get(f"/api/v2/workspaceagents/{seat.agent_id}/logs")).json()
    assert [(entry["level"], entry["output"]) for entry in log] == [
        ("error", "one"),
        ("info", "t\ufffdwo"),
        ("debug", "three"),
    ]
    assert log[0]["created_at"] == "2026-01-31T12:00:00Z"
    agent_ = (await api.get(f"/api/v2/workspaceagents/{seat.agent_id}")).json()
    assert {source["display_name"] for source in agent_["log_sources"]} == {"start", "a\ufffdb"}


async def test_items_are_held_over_connections(api: Api) -> None:
    """The next Welcome says how far the server holds the items; a gap is refused by its code."""
    seat = await started(api)
    async with running(seat) as agent:
        data = b'{"prompt_id":null,"text":"x"}'
        assert await agent.items(item(1, ItemKind.USER_MESSAGE, data), item(2)) == 2
        assert (await api.fresh(seat.task))["current_state"]["state"] == "working"
        with pytest.raises(CallFailed) as caught:
            await agent.items(item(4))
        assert caught.value.code == "items_missing"
    async with running(seat) as agent:
        assert agent.welcomes[0].acked_seq == 2
        turn_end = item(3, ItemKind.TURN_END, b'{"reason":"end_turn","error":null}')
        assert await agent.items(item(2), turn_end) == 3
        assert (await api.fresh(seat.task))["current_state"]["state"] == "idle"


@pytest.mark.attack(
    "An agent goes on after its workspace was started anew",
    wall="each call is refused for a stale generation",
)
async def test_an_agent_that_was_replaced_hears_so(api: Api) -> None:
    """Once a newer generation was begun, every report over the old link is refused as stale."""
    seat = await started(api)
    at = api.now
    async with dialed(seat) as (_, mux):
        await api.execute("update workspaces set generation = generation + 1")
        calls: list[tuple[str, msgspec.Struct]] = [
            ("heartbeat", Nothing()),
            ("lifecycle", LifecycleReport("ready", at)),
            ("logs", LogLines("start", [LogLine(at, "info", "x")])),
            ("items", Items([item(1)])),
            ("hello", Hello(PROTOCOL, "1")),
        ]
        for method, params in calls:
            with pytest.raises(CallFailed) as caught:
                await mux.call(method, params, Nothing)
            assert caught.value.code == "stale_generation", method
        await mux.call("app_health", AppHealthReport("shell", "unhealthy"), Nothing)
    assert await api.value("select health from workspace_apps") == "healthy"
    assert await api.value("select count(*) from workspace_agent_logs") == 0


async def test_heartbeats_renew_the_lease(api: Api) -> None:
    """Each heartbeat moves the end of the lease to its full length from now."""
    seat = await started(api)
    async with running(seat) as agent:
        await api.execute(
            "update workspace_agents set lease_expires_at = now(), last_connected_at = null"
        )
        before = api.now
        await agent.tell("heartbeat", Nothing())
        stored = await row(seat)
        assert stored["lease_expires_at"] >= before + timedelta(seconds=120)
        assert stored["last_connected_at"] >= before
        assert stored["server_id"] == api.services.server_id


async def test_the_end_of_a_link_is_noted(api: Api) -> None:
    """When the agent hangs up, it is seen as disconnected, and its app cannot be reached."""
    seat = await started(api)
    async with running(seat):
        assert not await gone(seat)
    await until(partial(gone, seat))
    with pytest.raises(AgentUnreachable):
        await api.services.links.get(seat.agent_id)
    shown = (await api.get(f"/api/v2/workspaceagents/{seat.agent_id}")).json()
    assert shown["status"] == "disconnected"
    assert shown["disconnected_at"]


async def test_a_message_goes_all_the_way(api: Api) -> None:
    """The input and a message that is sent arrive at the task's app, over the link of a real agent."""
    seat = await started(api, "starting", "initializing")
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (
                int(line[15:])
                for line in head.split(b"\r\n")
                if line[:15].lower() == b"content-length:"
            ),
            0,
        )
        body = await reader.readexactly(length)
        if body:
            asked.append(body)
        answer = b'{"ok":true,"status":"stable"}'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(answer) + answer)
        await writer.drain()
        writer.close()

    app = await asyncio.start_server(serve, "127.0.0.1", 0)
    ports = {3284: app.sockets[0].getsockname()[1]}
    async with app, running(seat, ports=ports) as agent:
        await agent.lifecycle("ready")
        assert asked == []
        await agent.health("healthy")
        await until(partial(_count, asked, 1))
        path = f"/api/v2/tasks/me/{seat.task['id']}/send"
        assert (await api.post(path, {"input": "more"})).status_code == 204
        await until(
            partial(_delivered, seat)
        )  # the app's answer may be noted after the next message
    assert asked == [b'{"content":"do it","type":"user"}', b'{"content":"more","type":"user"}']


async def _delivered(seat: AgentSeat) -> bool:
    state = await seat.api.value(
        "select state from task_prompts where task_id = $1", UUID(seat.task["id"])
    )
    return bool(state == "delivered")


async def _count(found: list[bytes], wanted: int) -> bool:
    return len(found) >= wanted
