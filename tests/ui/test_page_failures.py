"""What the page shows of tasks whose start fails, for each phase in which it can, and that its way out is one."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from taskyard.control import phases
from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.db.pool import Database
from taskyard.wire.enums import JobStatus
from taskyard.wire.identity import UpdateUserRequest
from taskyard.wire.phases import Phase, PhaseState
from taskyard.wire.secrets import SetSecretRequest
from taskyard.wire.tasks import CreateTaskRequest, Task
from tests.system.kit import PASSWORD, World, pushed
from tests.ui.page_kit import Browser
from tests.waiting import until

pytestmark = pytest.mark.all_tier

PERSON = {"email": "ada@example.com", "password": PASSWORD}

TASK = "[task]\napp = 'agent'\n"
SHELL = f"{TASK}[agent]\ntype = 'shell'\n"
CUSTOM = f"{TASK}[agent]\ntype = 'custom'\ntransport = 'acp'\n"
ECHO = f"{SHELL}[workspace]\ndriver = 'echo'\n"
MUTE = "The workspace was started 5 times again and its agent never reported in."


@dataclass(frozen=True, slots=True)
class Case:
    """A template whose tasks fail, and what the page says of them.

    line: among the last lines of the log, where the reason is not all that there is. again: whether it can be tried
    again as it is; mended then.
    """

    name: str
    phase: Phase
    files: dict[str, str]
    reason: str
    advice: str
    line: str = ""
    again: bool = False
    path: str = ""
    mend: Callable[[World], object] = field(default=lambda _: None, repr=False)


def scripted(**fails: int) -> dict[str, object]:
    """An agent of the echo driver that comes up; what it is asked may fail with a status."""
    api = {"fail": fails}
    return {"lifecycle": ["ready"], "apps": {"agent": "healthy"}, "agentapi": api}


def cases(broken: Path) -> list[Case]:
    """One for each phase but the queue; the driver fails as long as the broken file exists."""
    failing = {"fail": "the disk is read-only", "fail_while": str(broken)}
    return [
        Case(
            "connecting",
            Phase.CONNECTING,
            {"taskyard.toml": ECHO, "echo.json": '{"ensure": [{"log": "made, but mute"}]}'},
            "its agent never reported in",
            "See the build's log",
            "made, but mute",
        ),
        Case(
            "preparing",
            Phase.PREPARING,
            {"taskyard.toml": TASK + "requires_env = ['MODEL_KEY']\n[agent]\ntype = 'shell'\n"},
            "MODEL_KEY",
            "Give the secret a value",
            again=True,
            mend=lambda world: world.owner.set_user_secret(
                "me", "MODEL_KEY", SetSecretRequest(value="a value")
            ),
        ),
        Case(
            "starting",
            Phase.STARTING,
            {
                "taskyard.toml": ECHO,
                "echo.json": json.dumps({"ensure": [failing], "agent": scripted()}),
            },
            "the disk is read-only",
            "Put right what the driver names",
            again=True,
            mend=lambda _: broken.unlink(),
        ),
        Case(
            "scripts",
            Phase.SCRIPTS,
            {
                "taskyard.toml": f"{SHELL}[scripts]\nstart = 'setup.sh'\n",
                "setup.sh": "#!/bin/sh\necho the mirror is down >&2\nexit 3\n",
            },
            "start script failed",
            "Correct the start script",
            "the mirror is down",
        ),
        Case(
            "coding agent",
            Phase.CODING_AGENT,
            {"taskyard.toml": f"{CUSTOM}command = ['bash', '-c', 'echo I cannot >&2; exit 4']\n"},
            "exit code 4",
            "See the last lines for why it ended",
            "I cannot",
        ),
        Case(
            "first prompt",
            Phase.FIRST_PROMPT,
            {"taskyard.toml": ECHO, "echo.json": json.dumps({"agent": scripted(message=500)})},
            "The input was not taken",
            "Once its reason is gone",
        ),
        Case(
            "first answer",
            Phase.FIRST_ANSWER,
            {
                "taskyard.toml": CUSTOM
                + "command = ['bash', '-c', 'exec python3 -S \"$TASKYARD_TEMPLATE_DIR/peer.py\"']\n",
                "peer.py": Path(__file__).with_name("peer.py").read_text(encoding="utf-8"),
                "parts.json": '{"": [{"error": "the account has no credit left"}]}',
            },
            "the account has no credit left",
            "send the input again",
        ),
    ]


def test_failures(browser: Browser, steady_world: World, tmp_path: Path) -> None:
    """Of each phase that fails the page shows where, why, the last lines and what to do; trying again works."""
    world, broken = steady_world, tmp_path / "broken"
    broken.touch()
    known = [(case, made(world, case)) for case in cases(broken)]
    queued = waiting(world)
    for case, task in known:
        if case.phase is Phase.CONNECTING:
            reached(world, task, Phase.CONNECTING, PhaseState.RUNNING)
            asyncio.run(give_up(world, task))
        reached(world, task, case.phase, PhaseState.FAILED)
    mends = {case.name: case.mend for case, _ in known}
    told = [
        {**asdict(case), "mend": None, "path": f"/tasks/ada/{task.name}"} for case, task in known
    ]
    playing = browser.having(
        cancel=lambda: cancel(world, queued), mend=lambda name: mends[name](world)
    )
    playing.plays(
        "failures",
        tmp_path,
        address=world.server.url,
        cases=told,
        waiting=f"/tasks/grace/{queued.name}",
        **PERSON,
    )


def made(world: World, case: Case) -> Task:
    """A task of this case's template."""
    name = case.name.replace(" ", "-")
    version = pushed(world, name, case.files)
    assert version.job.status is JobStatus.SUCCEEDED, version.job.error
    request = CreateTaskRequest(
        template_version_id=version.id, input="echo hello", display_name=f"Fails at: {case.name}"
    )
    return world.owner.create_task("me", request)


def reached(world: World, task: Task, phase: Phase, state: PhaseState) -> None:
    """Returns once a phase of its start is in this state."""

    def look() -> bool | None:
        found = world.owner.get_task_phases("me", task.id).phases
        return True if any((p.phase, p.state) == (phase, state) for p in found) else None

    until(f"{task.display_name}: {phase} to be {state}", look)


async def give_up(world: World, task: Task) -> None:
    """Notes that it is left alone, as the server does some minutes after its agent should have called."""
    database = Database(EmbeddedPostgres(world.server.data_dir / "postgres").url, size=1)
    await database.open()
    try:
        build = world.owner.get_workspace(task.workspace_id or "").latest_build
        async with database.transaction() as conn:
            await phases.given_up(conn, build.id, MUTE, datetime.now(UTC))
    finally:
        await database.close()


def waiting(world: World) -> Task:
    """A task that waits for room, as its owner may have one workspace at a time."""
    grace = world.member("grace")
    world.owner.update_user("grace", UpdateUserRequest(max_running=1))
    world.create("echo hello", client=grace)
    return world.create("echo hello", client=grace)


def cancel(world: World, task: Task) -> None:
    """Calls its start off."""
    assert task.workspace_id is not None
    build = world.owner.get_workspace(task.workspace_id).latest_build
    world.owner.cancel_workspace_build(build.id)
