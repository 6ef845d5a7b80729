"""A task with a repository and secrets, from `secrets set` to the branch on the other side: nothing is played."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from taskyard.wire.enums import TaskStatus
from taskyard.wire.repository import PushTaskRequest
from taskyard.wire.secrets import SetSecretRequest
from taskyard.wire.tasks import CreateTaskRequest, TaskSendRequest
from tests.agents.git_server import GitServer, git, git_server
from tests.system.kit import World, pushed
from tests.waiting import until

TOKEN = "s3cr3t-t0ken"
KEY = "a-key-for-the-model"

TOML = """
[task]
app = "agent"
requires_env = ["MODEL_KEY", "GIT_TOKEN"]

[agent]
type = "shell"

[workspace]
repo = "{url}"

[workspace.network]
egress = ["127.0.0.1:{port}"]

[scripts]
start = "start.sh"
"""

START = 'test -n "$MODEL_KEY" && git -C "$TASKYARD_REPOSITORY" log --oneline'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    """A git server on the machine's loopback, which the template lists."""
    with git_server(tmp_path / "server", ("x-access-token", TOKEN)) as made:
        made.seed()
        yield made


def test_from_a_secret_to_a_branch(
    world: World, server: GitServer, data_dir: Path, tmp_path: Path
) -> None:
    """Without its secrets it does not start; with them it is cloned, worked on, compared, pushed and resumed."""
    owner = world.owner
    toml = TOML.format(url=server.url, port=server.port)
    version = pushed(world, f"work-{server.port}", {"taskyard.toml": toml, "start.sh": START})
    request = CreateTaskRequest(template_version_id=version.id, input="pwd; env; git log -1")
    refused = owner.create_task("me", request)

    def why() -> str | None:
        workspace = owner.get_workspace(refused.workspace_id or refused.id)
        return workspace.latest_build.job.error or None

    assert "taskyard secrets set MODEL_KEY" in until("the refusal", why)
    owner.set_user_secret("me", "MODEL_KEY", SetSecretRequest(value=KEY))
    owner.set_user_secret("me", "GIT_TOKEN", SetSecretRequest(value=TOKEN))
    task = owner.create_task("me", request)
    world.active(task.id)
    text = world.says(task.id, "/project")
    assert "add README" in text
    assert f"MODEL_KEY={KEY}" in text
    assert TOKEN not in text
    assert "GIT_ASKPASS" not in text
    owner.send_task_input("me", task.id, TaskSendRequest(input="echo new > new.txt && echo done"))
    world.says(task.id, "done\n")
    diff = owner.get_task_diff("me", task.id)
    assert [file.path for file in diff.files] == ["new.txt"]
    assert diff.base_branch == "main"
    sent = owner.push_task("me", task.id, PushTaskRequest(commit="Add it"))
    assert sent.changed
    work = f"taskyard/{task.name}"
    assert git(server.repository, "rev-parse", work) == sent.commit
    asked = len(server.logins)
    owner.pause_task("me", task.id)
    until("the pause", lambda: world.status(task.id, TaskStatus.PAUSED))
    owner.resume_task("me", task.id)
    world.active(task.id)
    owner.send_task_input("me", task.id, TaskSendRequest(input="pwd && git status -sb"))
    assert f"## {work}" in world.says(task.id, f"## {work}")
    assert len(server.logins) == asked
    told = (tmp_path / "server.log").read_bytes()
    assert KEY.encode() not in told
    assert TOKEN.encode() not in told
    assert holding(data_dir, TOKEN.encode()) == []


def holding(folder: Path, text: bytes) -> list[Path]:
    """The plain files below a folder that have this in them: of the database too."""
    found = []
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file() and not path.is_symlink() and text in path.read_bytes():
                found.append(path)
    return found
