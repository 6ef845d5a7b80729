"""A whole server moves: from its own Postgres to one of somebody's and back, and people go on where they were."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Self
from uuid import UUID

import pytest

from taskyard.sdk import Client
from taskyard.sdk.local import LocalServer
from taskyard.wire.enums import TaskStatus
from taskyard.wire.secrets import SetSecretRequest
from taskyard.wire.tasks import TaskSendRequest
from tests.moving.moving_kit import spot
from tests.system.kit import World, open_folder, serving, signed_in
from tests.waiting import until

pytestmark = pytest.mark.all_tier

PROGRAM = (sys.executable, "-P", "-m", "taskyard.cli.main")


def taskyard(*arguments: str) -> str:
    """What a command that must succeed prints."""
    done = subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Other:
    """A server that was made by an import, and the owner's client with the token of old."""

    def __init__(self, server: LocalServer, token: str) -> None:
        self.server = server
        self.client = Client(server.start(), token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.server.stop()

    def status(self, name: str, wanted: TaskStatus) -> bool | None:
        return self.client.get_task("me", name).status is wanted or None

    def says(self, name: str, wanted: str) -> bool | None:
        logs = self.client.get_task_logs("me", name).logs
        return any(wanted in entry.content for entry in logs) or None

    def goes_on(self, name: str, ask: str, wanted: str) -> None:
        """The task was paused, comes back, and knows what it knew."""
        until("a paused task", lambda: self.status(name, TaskStatus.PAUSED))
        self.client.resume_task("me", name)
        until("an active task", lambda: self.status(name, TaskStatus.ACTIVE))
        self.ask(name, ask)
        until("the answer", lambda: self.says(name, wanted))

    def ask(self, name: str, text: str) -> None:
        def taken() -> bool | None:
            state = self.client.get_task("me", name).current_state
            return (state is not None and state.state == "idle") or None

        until("an idle task", taken)
        self.client.send_task_input("me", name, TaskSendRequest(input=text))


def filled(world: World) -> UUID:
    """A server with a task that runs and one that is paused, each with something in its home, and a secret."""
    for name in ("running", "paused"):
        task = world.create(f"echo home of {name} > kept.txt; echo said by {name}", name=name)
        world.says(task.id, f"said by {name}")
    world.owner.pause_task("me", task.id)
    until("a paused task", lambda: world.status(task.id, TaskStatus.PAUSED))
    world.owner.set_user_secret("me", "TOKEN", SetSecretRequest(value="sesame"))
    return task.id


def test_a_server_moves_there_and_back(postgres_url: str, tmp_path: Path) -> None:
    """Backup of a server that runs; import into a Postgres of ours; export of that; import into an own Postgres."""
    with open_folder() as home, spot(postgres_url) as there:
        with serving(home / "data", tmp_path / "1.log") as world:
            filled(world)
            token = world._token
            made = Path(
                taskyard(
                    "backup", str(tmp_path / "backups"), "--data-dir", str(home / "data")
                ).strip()
            )
            assert world.owner.get_task("me", "running").status is TaskStatus.ACTIVE
        manifest = json.loads((made / "manifest.json").read_text())
        assert {entry["running"] for entry in manifest["homes"]} == {True, False}
        place = ("--data-dir", str(home / "there"), "--postgres-url", there.url)
        taskyard("import", str(made), *place)
        options = ["--postgres-url", there.url]
        server = LocalServer(home / "there", options=options, log=tmp_path / "2.log")
        with Other(server, token) as other:
            assert signed_in(other.server.url, "ada@example.com")
            for name in ("running", "paused"):
                other.goes_on(name, "tr a-z A-Z < kept.txt", f"HOME OF {name.upper()}")
            other.client.pause_task("me", "running")
            until("a paused task", lambda: other.status("running", TaskStatus.PAUSED))
            taskyard("export", str(tmp_path / "out"), *place)
        taskyard("import", str(tmp_path / "out"), "--data-dir", str(home / "back"))
        with Other(LocalServer(home / "back", log=tmp_path / "3.log"), token) as last:
            until("a paused task", lambda: last.status("running", TaskStatus.PAUSED))
            before = last.client.get_task_logs("me", "running").logs
            assert any("home of running" in entry.content for entry in before)
            last.goes_on("running", "cat kept.txt || echo no'thing' is here", "nothing is here")
