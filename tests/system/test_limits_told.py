"""What becomes of tasks at their limits, with everything real: who is ended, and where its owner reads why."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from taskyard.drivers.sandbox.cgroups.groups import find_cgroups
from taskyard.drivers.sandbox.cgroups.model import Can
from taskyard.wire.enums import JobStatus, TaskStatus, Transition
from taskyard.wire.tasks import CreateTaskRequest, Task, TaskSendRequest
from taskyard_agent import memory_score
from tests.system.kit import LASTING, World, open_folder, pushed, serving
from tests.waiting import until

pytestmark = pytest.mark.all_tier

TASK = "[task]\napp = 'agent'\n"
SHELL = f"{TASK}[agent]\ntype = 'shell'\n[workspace]\n"
OUT = "out of memory, limit 128 MiB"
EATS = "bytearray(300 << 20)"
HUNGRY = f"{TASK}[agent]\ntype = 'custom'\ncommand = ['python3', '-c', '{EATS}']\n[workspace]\n"
NO_IMAGES = {"PATH": "/usr/bin:/bin"}
"""Without mkfs.ext4 nobody gets a disk of its own, so that files are counted, as for every ordinary user."""


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server that counts files."""
    log = tmp_path_factory.mktemp("limits") / "server.log"
    with open_folder() as home, serving(home / "data", log, LASTING | NO_IMAGES) as world:
        yield world
        world.tidy()


def begun(world: World, name: str, toml: str, text: str) -> Task:
    """A task of a new template."""
    version = pushed(world, name, {"taskyard.toml": toml})
    assert version.job.status is JobStatus.SUCCEEDED, version.job.error
    request = CreateTaskRequest(template_version_id=version.id, input=text)
    return world.owner.create_task("me", request)


def needs_memory_groups(world: World) -> None:
    found = find_cgroups(world.server.data_dir / "workspaces")
    if Can.MEMORY not in found.controllers:
        pytest.skip(f"memory cannot be limited here: {found.why.get(Can.MEMORY)}")


def troubles(world: World, task_id: UUID) -> str:
    """The errors in the transcript, as `taskyard task transcript` gives them."""
    return b"".join(world.owner.export_task_transcript("me", task_id, kinds="error")).decode()


def start_log(world: World, task: Task) -> str:
    """The log of the newest start."""
    assert task.workspace_id is not None
    builds = world.owner.list_workspace_builds(task.workspace_id)
    start = next(build for build in builds if build.transition is Transition.START)
    return "\n".join(line.output for line in world.owner.get_workspace_build_logs(start.id))


def shown(world: World, task: Task, sentence: str) -> None:
    """Every command that people look with says the sentence, and the transcript as Markdown."""
    name = f"{task.owner_name}/{task.name}"
    looks = (
        *(("task", "status", name), ("task", "logs", name), ("task", "transcript", name)),
        *(("show", task.workspace_name), ("task", "transcript", name, "--format", "markdown")),
    )
    for look in looks:
        environ = {"TASKYARD_URL": world.owner.url, "TASKYARD_SESSION_TOKEN": world.token}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "taskyard.cli.main", *look],
            capture_output=True,
            text=True,
            env={**os.environ, **environ},
            timeout=60,
            check=True,
        )
        assert sentence in done.stdout + done.stderr, (look, done)


def told(world: World, task: Task, sentence: str) -> str | None:
    """Both places where an owner looks, once both hold the sentence."""
    places = (troubles(world, task.id), start_log(world, task))
    return "\n".join(places) if all(sentence in place for place in places) else None


def in_error(world: World, task: Task, sentence: str) -> Task | None:
    """The task, once it is in error for that reason."""
    found = world.owner.get_task("me", task.id)
    failure = found.failure or None
    return found if failure is not None and sentence in failure.reason else None


def test_a_command_that_eats_memory(counting: World) -> None:
    """It alone is ended: the coding agent sees that it was, transcript and build log say which and at what limit, once."""
    needs_memory_groups(counting)
    toml = f"{SHELL}memory = '128MiB'\n"
    task = begun(counting, "tight", toml, f"python3 -c '{EATS}'; echo it ended with $?")
    counting.says(task.id, "it ended with 137")
    wanted = f"{OUT}, largest process python3 with"
    found = until("the reason", partial(told, counting, task, wanted))
    assert "1 since the start" in found
    assert found.count(wanted) == 2


def test_a_coding_agent_that_eats_memory(counting: World) -> None:
    """The task is in error, for that reason and no other."""
    needs_memory_groups(counting)
    task = begun(counting, "hungry", f"{HUNGRY}memory = '128MiB'\n", "hello")
    found = until("the reason of the task", partial(in_error, counting, task, OUT))
    assert found.status is TaskStatus.ERROR
    assert found.failure
    assert "largest process python3 with" in found.failure.reason
    until("the reason in its logs", partial(told, counting, task, OUT))


def test_the_workspaces_own_agent_dies_last(counting: World) -> None:
    """Many small programs go before it. Where it dies all the same, the workspace starts again and the reason is told."""
    needs_memory_groups(counting)
    # They stay until the first of them was ended, however long they take to come.
    eats = 'import time; x = b"x" * (15 << 20); time.sleep(1000)'
    many = f"for i in $(seq 12); do python3 -c '{eats}' & done; wait -n; kill $(jobs -p); wait; echo over $(cat /proc/self/oom_score_adj)"
    task = begun(counting, "last", f"{SHELL}memory = '128MiB'\n", many)
    counting.says(task.id, f"over {memory_score.OTHERS}")
    assert "largest process python3" in until("the kills", partial(told, counting, task, OUT))
    folder = counting.server.data_dir / "workspaces" / str(task.workspace_id)
    agent = json.loads((folder / "record.json").read_text())["agent"]["pid"]
    score = Path(f"/proc/{agent}/oom_score_adj")
    assert int(score.read_text()) == memory_score.AGENT
    score.write_text("1000")
    kill = f"echo 100 > /proc/$$/oom_score_adj; python3 -c '{EATS}'"
    counting.owner.send_task_input("me", task.id, TaskSendRequest(input=kill))
    until(
        "the reason", partial(told, counting, task, "is started again, as it ended: out of memory")
    )
    counting.active(task.id)


def test_a_disk_that_is_counted(counting: World) -> None:
    """Whoever is beyond the limit is stopped, and told why; the files stay."""
    fill = "head -c 40M /dev/zero > ~/big; echo written"
    task = begun(counting, "full", f"{SHELL}disk = '16MiB'\n", fill)
    until("the stop", partial(counting.status, task.id, TaskStatus.PAUSED))
    until("the reason", partial(told, counting, task, "is stopped: disk full, limit 16 MiB"))
    home = counting.server.data_dir / "workspaces" / str(task.workspace_id) / "home"
    assert (home / "big").stat().st_size == 40 << 20
    shown(counting, task, "is stopped: disk full, limit 16 MiB")


def test_too_many_processes(counting: World) -> None:
    """Whoever forks beyond the limit is refused, and the owner is told so: once, however often it was tried."""
    found = find_cgroups(counting.server.data_dir / "workspaces")
    if Can.PROCESSES not in found.controllers:
        pytest.skip(f"processes cannot be limited here: {found.why.get(Can.PROCESSES)}")
    bomb = "for i in $(seq 100); do (sleep 10 &); done; wait"
    task = begun(counting, "crowd", f"{SHELL}processes = 64\n", bomb)
    wanted = "too many processes, limit 64"
    told_of = until("the reason", partial(told, counting, task, wanted))
    assert told_of.count(wanted) == 2
    shown(counting, task, wanted)


def test_the_whole_time_of_a_start(counting: World) -> None:
    """wall_time stops a task that is at work, and says so; a resume begins anew."""
    task = begun(counting, "short", f"{SHELL}wall_time = '1h'\n", "echo begun; sleep 1000")
    until("the turn", lambda: "\nbegun" in counting.text(task.id) or None)
    mine = f"workspace_id = '{task.workspace_id}'"
    ends = f"select max_deadline - created_at as left from workspace_builds where {mine}"
    [row] = asyncio.run(counting.query(ends))
    assert timedelta(hours=1) <= row["left"] < timedelta(hours=1.1)
    passed = f"update workspace_builds set deadline = now(), max_deadline = now() where {mine}"
    asyncio.run(counting.query(passed))
    until("the stop", partial(counting.status, task.id, TaskStatus.PAUSED))
    until("the reason", partial(told, counting, task, "whole wall_time of its template"))
    assert "begun" in counting.text(task.id)
    counting.owner.resume_task("me", task.id)
    counting.active(task.id)
