"""The templates that a server brings, where their programs or keys are missing: the task says what to do."""

import shutil
from uuid import UUID

import pytest

from taskyard.lifecycle.template import parse_template
from taskyard.wire.enums import JobStatus, TaskStatus
from taskyard.wire.secrets import SetSecretRequest
from taskyard.wire.tasks import CreateTaskRequest, Task
from taskyard_agent.agent_types import TYPES
from tests.lifecycle.test_starters import AGENTS, files
from tests.system.kit import World
from tests.waiting import until

PATH = "/usr/local/bin:/usr/bin:/bin"
"""Where workspaces find the machine's own programs."""


def create(world: World, name: str) -> Task:
    """A task of this starter."""

    def look() -> UUID | None:
        for template in world.owner.list_templates("has-ai-task:true"):
            version = world.owner.get_template_version(template.active_version_id)
            if template.name == name and version.job.status is JobStatus.SUCCEEDED:
                return version.id
        return None

    version_id = until(f"the template {name}", look)
    request = CreateTaskRequest(template_version_id=version_id, input="hello")
    return world.owner.create_task("me", request)


def keys(name: str) -> list[str]:
    """The names of which one is needed."""
    return parse_template(files(name)).requires_env[0].split("|")


def state(world: World, task: Task) -> str:
    """What the task says of itself now."""
    found = world.owner.get_task("me", task.id).current_state
    return "" if found is None else found.message


@pytest.mark.parametrize("name", AGENTS)
def test_a_key_that_is_missing_is_asked_for(shared: World, name: str) -> None:
    """The task is not started; it says which secret it needs, and how to set it."""
    task = create(shared, name)
    failed = until("a failure", lambda: shared.status(task.id, TaskStatus.ERROR))
    assert failed.workspace_id is not None
    build = shared.owner.get_workspace(failed.workspace_id).latest_build
    assert f"taskyard secrets set {keys(name)[0]}" in (build.job.error or "")


@pytest.mark.parametrize("name", AGENTS)
def test_a_program_that_is_missing_is_named(shared: World, name: str) -> None:
    """The task says which program is not there, and how to install it."""
    kind = TYPES[name]
    for program in (*(kind.acp or ())[:1], kind.pty[0]):
        if shutil.which(program, path=PATH):
            pytest.skip(f"{program} is on this machine")
    shared.owner.set_user_secret("me", keys(name)[0], SetSecretRequest(value="k"))
    try:
        task = create(shared, name)
        until("the sentence", lambda: kind.install in state(shared, task) or None)
        # Sentence and health come by calls of their own, in any order.
        until("an error", lambda: shared.status(task.id, TaskStatus.ERROR))
    finally:
        shared.owner.delete_user_secret("me", keys(name)[0])
