"""What people who mean harm may ask of builds, queues, sockets and memory, and what they get."""

import asyncio
import time
from contextlib import aclosing
from datetime import timedelta
from uuid import UUID, uuid4

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from taskyard.control.actors import Actor
from taskyard.control.workspace_watch import REST_S, watch_workspace
from taskyard.db.jobs import WORKSPACES, Claim, JobKind, claim_job
from taskyard.db.pool import ring
from taskyard.server import bodies, following, places
from tests.api.build_kit import build, log
from tests.api.build_kit import following as following_logs
from tests.api.seed import UNKNOWN, Api, reason
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("transition", ["start", "stop", "delete"])
async def test_a_preset_from_nowhere(api: Api, transition: str) -> None:
    """A preset that the version has not is refused whatever is built."""
    task = await api.task(await api.template())
    await api.succeed(task["workspace_id"])
    answer = await build(api, task, transition=transition, template_version_preset_id=UNKNOWN)
    assert reason(answer) == (400, "preset_not_found")


@pytest.mark.parametrize("kind", ["workspacebuilds", "templateversions"])
@pytest.mark.attack(
    "A log is followed by somebody who lost the right to",
    wall="rights are looked at again while it is followed",
)
async def test_a_log_is_not_followed_by_who_was_locked_out(
    api: Api, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Who loses the right to read a log loses the log, although the job is not over."""
    monkeypatch.setattr(following, "RECHECK_S", 0.0)
    ada = await api.person("ada")
    template = await api.template()
    task = await api.task(template, by=ada)
    job = (await api.claim(task["workspace_id"])).build.job_id
    build_id = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}")).json()["latest_build"][
        "id"
    ]
    target = build_id if kind == "workspacebuilds" else str(template.version_id)
    if kind == "templateversions":
        await api.execute(
            "update provisioner_jobs set completed_at = null where template_version_id = $1",
            template.version_id,
        )
        job = await api.value(
            "select job_id from template_versions where id = $1", template.version_id
        )
    url = api.url.replace("http:", "ws:") + f"/api/v2/{kind}/{target}/logs?follow"
    headers = {"Coder-Session-Token": ada.token}
    async with connect(url, additional_headers=headers, proxy=None) as socket:
        await log(api, job, "one")
        assert "one" in str(await socket.recv())
        await api.execute("delete from api_keys where user_id = $1", ada.id)
        await log(api, job, "two")
        with pytest.raises(ConnectionClosed) as caught:
            assert "two" not in str(await socket.recv())
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == following.REFUSED_CLOSE


async def test_nobody_waits_for_all_that_another_asked_for(api: Api) -> None:
    """A queue full of one person's builds lets the next person's through as soon as one of them runs."""
    template, ada, bob = await api.template(), await api.person("ada"), await api.person("bob")
    for number in range(5):
        await api.task(template, by=ada, name=f"ada-{number}")
    await api.task(template, by=bob, name="bob-0")
    claimed = []
    for _ in range(4):
        claim = Claim(uuid4(), "test", [JobKind.BUILD], api.now + timedelta(minutes=1), 100)
        async with api.services.db.transaction() as conn:
            job = await claim_job(conn, claim, api.now)
        assert job is not None
        claimed.append(job.initiator_id)
    assert claimed == [ada.id, bob.id, ada.id, ada.id]


async def test_a_flood_of_changes_is_not_a_flood_of_looks(api: Api) -> None:
    """Who watches a workspace that changes all the time sees it some times a second."""
    task = await api.task(await api.template())
    workspace_id = UUID(task["workspace_id"])
    looks = 0

    async def who() -> Actor:
        nonlocal looks
        looks += 1
        return Actor(api.owner.id, "boss", frozenset({"owner"}), frozenset(), frozenset(), "k")

    async def flood() -> None:
        while True:
            async with api.services.db.transaction() as conn:
                await ring(conn, WORKSPACES, str(workspace_id))

    began = time.monotonic()
    async with (
        asyncio.TaskGroup() as group,
        aclosing(watch_workspace(api.services, who, workspace_id, ping_s=0.5)) as seen,
    ):
        flooding = group.create_task(flood())
        for _ in range(3):
            await anext(seen)
        flooding.cancel()
    assert looks <= 2 + (time.monotonic() - began) / REST_S


@pytest.mark.attack(
    "Many large bodies are sent slowly and at once",
    wall="one budget of memory for all bodies under way",
)
async def test_slow_senders_share_the_memory_for_bodies(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where large bodies take all there is, another one waits for its turn; small ones and later ones are taken."""
    monkeypatch.setattr(bodies, "ALL_BYTES", 300_000)
    port = int(api.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /api/v2/files HTTP/1.1\r\nHost: localhost\r\nCoder-Session-Token: {api.owner.token}\r\n"
    writer.write(
        f"{head}Content-Type: application/x-tar\r\nContent-Length: 310000\r\n\r\n".encode()
        + bytes(300_000)
    )
    await writer.drain()
    large, tar = bytes(200_000), {"Content-Type": "application/x-tar"}

    async def uploaded(content: bytes) -> httpx2.Response:
        return await api.call("POST", "/api/v2/files", content=content, headers=tar)

    async with asyncio.timeout(DEADLINE_S):
        while (answer := await uploaded(large)).status_code != 503:
            pass
        assert reason(answer) == (503, "busy")
        assert (await uploaded(bytes(1000))).status_code in (200, 201)
        writer.close()
        while (await uploaded(large)).status_code == 503:
            pass
        while bodies._held_bytes:
            await asyncio.sleep(0.005)


async def test_one_person_follows_so_much_at_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sockets and streams of events count together, for each person; places come back."""
    monkeypatch.setattr(places, "MOST_FOLLOWED", 2)
    task = await api.task(await api.template())
    path = f"/api/v2/workspaces/{task['workspace_id']}/watch"
    headers = {"Coder-Session-Token": api.owner.token}
    async with following_logs(api, f"{path}-ws") as socket:
        await socket.recv()
        async with api.client.stream("GET", path, headers=headers) as stream:
            lines = stream.aiter_lines()
            await anext(lines)
            assert reason(await api.get(path)) == (503, "too_many_followed")
            with pytest.raises(InvalidStatus) as caught:
                async with following_logs(api, f"{path}-ws"):
                    pass
            assert caught.value.response.status_code == 503
            other = await api.person("other", "owner")
            other_headers = {"Coder-Session-Token": other.token}
            async with api.client.stream("GET", path, headers=other_headers) as theirs:
                assert theirs.status_code == 200
    async with asyncio.timeout(DEADLINE_S):
        while places._followed:
            await asyncio.sleep(0.01)
