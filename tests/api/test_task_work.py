"""What a task did to its repository, over the API: a scripted workspace answers by a real link."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from taskyard.control.vault import Place
from taskyard.db import secrets
from taskyard.lifecycle.secret_names import SecretOwner
from taskyard_agent.mux import CallFailed, Handlers
from taskyard_agent.protocol import ChangedFile, Difference, Nothing, Push, Pushed
from tests.api.agent_seat import AgentSeat, started
from tests.api.seed import TOML, Api, Json, reason
from tests.link.pair import linked

pytestmark = pytest.mark.anyio

TOKEN = "s3cr3t-t0ken"
NEEDS = TOML.replace('app = "agent"', 'app = "agent"\nrequires_env = ["GIT_TOKEN"]')


@dataclass
class Workspace:
    """Answers what a server asks about a repository; fails once a code is set."""

    code: str | None = None
    orders: list[Push] = field(default_factory=list)

    async def diff(self, _: Nothing) -> Difference:
        """What changed."""
        self._fail()
        files = [ChangedFile("a", 1, 0), ChangedFile("b.png", None, None)]
        return Difference("taskyard/w", "main", "f" * 40, b"+\xff\n", files, True, False)

    async def push(self, order: Push) -> Pushed:
        """What was pushed."""
        self.orders.append(order)
        self._fail()
        return Pushed("taskyard/w", "https://h/x", "a" * 40, True, False, "remote: hi")

    def _fail(self) -> None:
        if self.code is not None:
            raise CallFailed(self.code, "as git said it")

    def handlers(self) -> Handlers:
        """What it answers."""
        handlers = Handlers()
        handlers.add("repository_diff", Nothing, self.diff)
        handlers.add("repository_push", Push, self.push)
        return handlers


@dataclass(frozen=True)
class Kit:
    """A started task with a workspace that answers."""

    api: Api
    seat: AgentSeat
    workspace: Workspace

    @property
    def path(self) -> str:
        """Of the task."""
        return f"/api/v2/tasks/me/{self.seat.task['id']}"


Make = Callable[[str], Awaitable[Kit]]


@asynccontextmanager
async def answering(
    api: Api, folder: Path, toml: str = TOML, *, kind: "type[Workspace] | None" = None
) -> AsyncIterator[Kit]:
    """A started task of this template."""
    task: Json = await api.task(await api.template("work", toml))
    seat, workspace = await started(api, task=task), (kind or Workspace)()
    links = api.services.links
    async with linked(folder, agent=workspace.handlers()) as pair:
        await links.put(seat.agent_id, pair.server)
        try:
            yield Kit(api, seat, workspace)
        finally:
            links.drop(seat.agent_id, pair.server)


async def test_a_difference_is_shown(api: Api, tmp_path: Path) -> None:
    """Branches, commit, text and files are those that the workspace tells; bytes that are no text are replaced."""
    async with answering(api, tmp_path) as kit:
        answer = await api.get(f"{kit.path}/diff")
        assert answer.json() == {
            "branch": "taskyard/w",
            "base_branch": "main",
            "base": "f" * 40,
            "diff": "+\ufffd\n",
            "truncated": True,
            "files": [
                {"path": "a", "added": 1, "removed": 0},
                {"path": "b.png", "added": None, "removed": None},
            ],
            "uncommitted": False,
        }


async def test_a_push_brings_the_token_of_now(api: Api, tmp_path: Path) -> None:
    """The owner's secret goes with the order, and only if the template names it; the audit has what was pushed."""
    async with answering(api, tmp_path, NEEDS) as kit:
        sealed = api.services.vault.seal(Place(SecretOwner.USER, api.owner.id, "GIT_TOKEN"), TOKEN)
        async with api.services.db.transaction() as conn:
            await secrets.put_secret(conn, sealed, api.now)
        answer = await api.post(f"{kit.path}/push", {"commit": " Do it ", "force_with_lease": True})
        assert answer.json()["commit"] == "a" * 40
        [order] = kit.workspace.orders
        assert (order.commit, order.force_with_lease) == ("Do it", True)
        assert order.credentials is not None
        assert (order.credentials.username, order.credentials.token) == ("x-access-token", TOKEN)
        kept = await api.value(
            "select changes::text from audit_logs where resource_type = 'task' order by at desc limit 1"
        )
        assert "taskyard/w" in kept
        assert TOKEN not in kept + answer.text


async def test_a_template_that_names_no_token_gets_none(api: Api, tmp_path: Path) -> None:
    """Without GIT_TOKEN in requires_env git signs in as nobody."""
    async with answering(api, tmp_path) as kit:
        sealed = api.services.vault.seal(Place(SecretOwner.USER, api.owner.id, "GIT_TOKEN"), TOKEN)
        async with api.services.db.transaction() as conn:
            await secrets.put_secret(conn, sealed, api.now)
        assert (await api.post(f"{kit.path}/push", {})).status_code == 200
        assert kit.workspace.orders == [Push(None, False, None)]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("no_repository", 400),
        ("not_cloned", 409),
        ("no_work_branch", 409),
        ("wrong_branch", 409),
        ("push_rejected", 409),
        ("git_failed", 502),
    ],
)
async def test_what_the_workspace_cannot_do_is_told(
    api: Api, tmp_path: Path, code: str, status: int
) -> None:
    """Each failure has its word and its status, and what git said."""
    async with answering(api, tmp_path) as kit:
        kit.workspace.code = code
        answer = await api.post(f"{kit.path}/push", {})
        assert reason(answer) == (status, code)
        assert code == "no_repository" or "as git said it" in answer.json()["detail"]
        if code not in {"push_rejected", "wrong_branch", "no_work_branch"}:
            assert reason(await api.get(f"{kit.path}/diff")) == (status, code)


async def test_a_workspace_of_an_older_release_is_told_of(api: Api, tmp_path: Path) -> None:
    """An agent that does not know the question is no riddle."""
    seat = await started(api)
    async with linked(tmp_path) as pair:
        await api.services.links.put(seat.agent_id, pair.server)
        answer = await api.get(f"/api/v2/tasks/me/{seat.task['id']}/diff")
        assert reason(answer) == (409, "agent_too_old")
        api.services.links.drop(seat.agent_id, pair.server)


async def test_a_task_that_does_not_run_is_a_conflict(api: Api) -> None:
    """Pending and paused tasks say so and what to do; one whose workspace is away is 502."""
    template = await api.template()
    task = await api.task(template)
    for verb, path in (("GET", "diff"), ("POST", "push")):
        url = f"/api/v2/tasks/me/{task['id']}/{path}"
        body: Json = {} if verb == "POST" else None
        assert reason(await api.call(verb, url, body)) == (409, "task_pending")
    await api.start(task["workspace_id"], "ready", "healthy")
    url = f"/api/v2/tasks/me/{task['id']}"
    assert reason(await api.get(f"{url}/diff")) == (502, "agent_unreachable")
    assert (await api.post(f"{url}/pause")).status_code == 202
    await api.succeed(task["workspace_id"])
    assert reason(await api.get(f"{url}/diff")) == (409, "task_paused")
    assert reason(await api.post(f"{url}/push", {})) == (409, "task_paused")


async def test_who_may_not_write_a_task_pushes_nothing(api: Api, tmp_path: Path) -> None:
    """Somebody else's task is not there; a message that is none is refused before anything is asked."""
    other = await api.person("other")
    async with answering(api, tmp_path) as kit:
        path = f"/api/v2/tasks/boss/{kit.seat.task['id']}/push"
        assert (await api.post(path, {}, by=other)).status_code == 404
        answer = await api.post(f"{kit.path}/push", {"commit": "x" * 70_000})
        assert reason(answer) == (400, "commit_message")
        assert kit.workspace.orders == []
