"""What bad input gets: a clear error that names the thing and the way out, and nothing half-made."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from taskyard.sdk.local import LocalServer
from taskyard.wire.enums import JobStatus, TaskStatus
from taskyard.wire.tasks import CreateTaskRequest, Task
from tests.system.kit import LOGS, World, pushed
from tests.waiting import until

COMMAND = [sys.executable, "-P", "-m", "taskyard.cli.main", "server"]


def refusal(*options: str, environment: dict[str, str] | None = None) -> str:
    """What a server that does not start says."""
    ended = subprocess.run(
        [*COMMAND, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    return ended.stderr


def test_a_port_in_use(data_dir: Path) -> None:
    """The port is named, and how to take another; the data directory is left as it was."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refusal("--data-dir", str(data_dir), "--port", port)
    assert port in said
    assert "--port" in said


def test_a_data_directory_in_use(shared: World) -> None:
    """The directory and the server that holds it are named; that server is not disturbed."""
    said = refusal("--data-dir", str(shared.server.data_dir), "--port", "0")
    assert str(shared.server.data_dir) in said
    assert str(shared.server.process.pid) in said
    assert shared.owner.get_user("me").username == "ada"


def test_a_data_directory_of_a_newer_release(data_dir: Path) -> None:
    """The version is named and nothing is touched."""
    with LocalServer(data_dir):
        pass
    (data_dir / "format").write_text("999\n")
    before = sorted(data_dir.rglob("*"))
    said = refusal("--data-dir", str(data_dir), "--port", "0")
    assert "999" in said
    assert sorted(data_dir.rglob("*")) == before


def test_a_wrong_postgres_url(data_dir: Path) -> None:
    """The option is named, the password is not shown."""
    url = "postgresql://me:hunter2@127.0.0.1:1/nothing"
    said = refusal("--data-dir", str(data_dir), "--port", "0", "--postgres-url", url)
    assert "--postgres-url" in said
    assert "hunter2" not in said


def test_an_unknown_setting_value(data_dir: Path) -> None:
    """A setting from the environment that cannot be read is named."""
    said = refusal("--data-dir", str(data_dir), environment={"TASKYARD_PORT": "many"})
    assert "port" in said


BAD_TEMPLATES = [
    ("unknown key", {"taskyard.toml": "[workspace]\nmemroy = '1GiB'\n"}, "memory"),
    ("script missing", {"taskyard.toml": "[scripts]\nstart = 'setup.sh'\n"}, "setup.sh"),
    ("not TOML", {"taskyard.toml": "[workspace\n"}, "taskyard.toml"),
    ("no taskyard.toml", {"main.tf": "resource {}"}, "Terraform"),
]


@pytest.mark.parametrize(("_name", "files", "named"), BAD_TEMPLATES)
def test_bad_templates(shared: World, _name: str, files: dict[str, str], named: str) -> None:
    """An import that fails says which file and key, in the job's error and its log."""
    version = pushed(shared, "bad", files)
    assert version.job.status is JobStatus.FAILED
    assert named in str(version.job.error)
    log = shared.owner.get_template_version_logs(version.id)
    assert any(named in line.output for line in log)


def agent_template(command: str) -> dict[str, str]:
    """A template whose coding agent is this command line."""
    return {
        "taskyard.toml": "[task]\napp = 'agent'\n[agent]\ntype = 'custom'\ntransport = 'acp'\n"
        f"command = {command}\n"
    }


BAD_AGENTS = [
    ("missing", '["no-such-program"]', "no-such-program"),
    ("exits at once", '["bash", "-c", "echo I cannot >&2; exit 3"]', "3"),
]


@pytest.mark.parametrize(("name", "command", "named"), BAD_AGENTS)
def test_bad_coding_agents(shared: World, name: str, command: str, named: str) -> None:
    """A coding agent that cannot run makes the task an error, and the agent's log says why."""
    version = pushed(shared, f"bad-agent-{uuid4().hex[:8]}", agent_template(command))
    assert version.job.status is JobStatus.SUCCEEDED, version.job.error
    request = CreateTaskRequest(template_version_id=version.id, input="hello")
    task = shared.owner.create_task("me", request)

    def failed() -> Task | None:
        found = shared.owner.get_task("me", task.id)
        return found if found.status is TaskStatus.ERROR else None

    found = until(f"an error of an agent that {name}", failed)
    agent_id = found.workspace_agent_id
    assert agent_id is not None

    def said() -> bool | None:
        log = shared.owner.get_workspace_agent_logs(agent_id)
        return True if any(named in line.output for line in log) else None

    until(f"a line that names {named}", said)
    shared.owner.delete_task("me", task.id)


def test_a_coding_agent_that_floods(shared: World) -> None:
    """A turn of 30 MB of output passes; the server stays small and the task usable."""
    task = shared.create("head -c 30000000 /dev/zero | tr '\\0' 'x' | fold -w 1000; echo flooded")
    text = shared.says(task.id, "flooded")
    assert text.count("x") >= 30_000_000
    status = Path(f"/proc/{shared.server.process.pid}/status").read_text()
    print([line for line in status.splitlines() if line.startswith(("VmHWM", "VmRSS"))])
    assert shutil.disk_usage(shared.server.data_dir).free > 0


def test_a_refused_websocket_is_no_trouble_of_the_server(shared: World) -> None:
    """Who may not come in is told so with a status, and the log does not tell of it: anybody could fill it."""
    log = next(each for each in LOGS if each.parent.name.startswith("lasting"))
    before = log.stat().st_size
    address = f"ws{shared.server.url.removeprefix('http')}/api/v2/workspaceagents/me/link"
    with pytest.raises(InvalidStatus) as refused, connect(address):
        pass
    assert refused.value.response.status_code == 401
    shared.owner.get_user("me")
    assert b"handshake" not in log.read_bytes()[before:]
