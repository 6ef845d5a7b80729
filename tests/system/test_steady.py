"""What somebody sees who follows a task by the watch stream while it works in several steps."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from taskyard.sdk.following import decoded_event
from taskyard.wire.enums import AppStatusState, JobStatus
from taskyard.wire.tasks import CreateTaskRequest, TaskSendRequest
from tests.system.kit import World, pushed

DEADLINE_S = 100.0
"""Seconds for a start and two turns, on a busy machine too."""

PUPPET = Path(__file__).parents[1] / "agents" / "acp_puppet.py"
"""A coding agent that does what its prompt says."""

TOML = """
[task]
app = "agent"

[agent]
type = "custom"
transport = "acp"
command = ["sh", "-c", 'exec "${TASKYARD_PYTHON:-python3}" "$TASKYARD_TEMPLATE_DIR/puppet.py"']
"""

PAUSE_S = 0.4
"""Seconds in which a step shows nothing: longer than anything waits before it is told."""


def steps(count: int) -> str:
    """A prompt of so many tools, each with a pause in it and one after it, and a word at the end."""
    lines = []
    for number in range(count):
        tool = {"toolCallId": f"t{number}", "kind": "execute", "title": f"step {number}"}
        begun = {"sessionUpdate": "tool_call", "status": "in_progress"} | tool
        done = {"sessionUpdate": "tool_call_update", "status": "completed", "toolCallId": f"t{number}"}  # fmt: skip
        lines += [f"update {json.dumps(begun)}", f"pause {PAUSE_S}"]
        lines += [f"update {json.dumps(done)}", f"pause {PAUSE_S}"]
    return "\n".join([*lines, f"updates {count}"])


@pytest.fixture
def template(shared: World) -> UUID:
    """A version of a template with that coding agent."""
    files = {"taskyard.toml": TOML, "puppet.py": PUPPET.read_text()}
    version = pushed(shared, "steps", files)
    assert version.job.status is JobStatus.SUCCEEDED, version.job.error
    return version.id


def test_it_is_never_idle_between_two_steps(shared: World, template: UUID) -> None:
    """From the prompt on the state is working, without a break, and idle only when the whole turn is over."""
    owner = shared.owner
    request = CreateTaskRequest(template_version_id=template, input=steps(3))
    task = owner.create_task("me", request)
    assert task.workspace_id is not None
    with owner.watch_workspace_ws(task.workspace_id) as socket:

        def states() -> Iterator[AppStatusState]:
            """Every state that is told, from now on."""
            end = time.monotonic() + DEADLINE_S
            while True:
                told = decoded_event(socket.recv(timeout=end - time.monotonic()), owner.url).data
                if told and told.latest_app_status:
                    yield told.latest_app_status.state

        told = states()
        for count in (3, 2):
            seen = [next(told)]
            while seen[-1] is not AppStatusState.IDLE or AppStatusState.WORKING not in seen:
                seen.append(next(told))
            working = seen[seen.index(AppStatusState.WORKING) :]
            assert set(working[:-1]) == {AppStatusState.WORKING}, seen
            said = "".join(map(str, range(count)))
            assert shared.text(task.id).endswith(said), seen
            if count == 3:
                owner.send_task_input("me", task.id, TaskSendRequest(input=steps(2)))
    owner.delete_task("me", task.id)
