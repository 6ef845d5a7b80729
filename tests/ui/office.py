"""A server as a few people use it who share one repository: what its pictures show."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from taskyard.sdk import ApiError, Client
from taskyard.wire.enums import JobStatus, TaskState, TaskStatus
from taskyard.wire.identity import CreateTokenRequest, CreateUserRequest, UpdateUserRequest
from taskyard.wire.phases import Phase, PhaseState
from taskyard.wire.secrets import SetSecretRequest
from taskyard.wire.tasks import CreateTaskRequest, Task, TaskSendRequest
from tests.agents.git_server import GitServer, git_server
from tests.system.kit import PASSWORD, World, pushed, signed_in
from tests.ui.office_parts import APP, PARTS, PERIODS, RANKING, TESTS
from tests.ui.seeds import peer_files
from tests.waiting import until

MINUTE, HOUR, DAY = 60, 3600, 86_400


@dataclass(frozen=True, slots=True)
class Seat:
    """A task of the office: who made it and how many seconds ago, of which template, and the state it is left in."""

    age_s: int
    title: str
    text: str
    state: str
    template: str = "reports"
    owner: str = "ada"
    follow_up: str = ""


SEATS = (
    Seat(6 * DAY, "Count the words", RANKING, "idle", "shell"),
    Seat(5 * DAY, "Sort out the flaky login test", "Find out why it is flaky.", "paused"),
    Seat(4 * DAY, "Draft the notes for 2.4", "Draft the release notes.", "paused", owner="grace"),
    Seat(2 * DAY, "Publish the package", "Publish what is tagged.", "failed", "publish"),
    Seat(28 * HOUR, "Try the local model", "Say hello.", "failed", "local"),
    Seat(26 * HOUR, "Describe the import format", "Describe the import.", "idle", owner="grace"),
    Seat(
        5 * HOUR,
        "Months end at midnight",
        "Reports of a month leave out what happens on its last day after midnight UTC. Find the cause, mend it in "
        "`periods.py`, and write a test that fails without the change.",
        "idle",
        follow_up="Show me the app as well.",
    ),
    Seat(3 * HOUR, "Build for ten minutes", "echo ready", "working", "shell"),
    Seat(50 * MINUTE, "Make the export faster", "Make the export faster.", "working"),
    Seat(35 * MINUTE, "Translate the error messages", "Translate them.", "working", owner="grace"),
    Seat(
        12 * MINUTE,
        "Move reports to the new table",
        "Move the reports to the new table. Keep the old one until I say so.",
        "waiting",
    ),
    Seat(2 * MINUTE, "Set up the nightly report", "Set it up.", "starting", "slow"),
    Seat(1 * MINUTE, "Check links of the handbook", "Check them.", "queued", owner="grace"),
)
"""Everything that anybody does is done before the next one is made, so that times can be told apart by them."""


@contextmanager
def repository(folder: Path) -> Iterator[GitServer]:
    """The one that they all work on."""
    with git_server(folder) as server:
        server.seed()
        server.commit("periods.py", PERIODS)
        server.commit("test_periods.py", TESTS)
        yield server


class Office:
    """The server with its people, templates and tasks; starts tells when each task was made, and how old it looks."""

    def __init__(self, world: World, server: GitServer) -> None:
        self._world = world
        self._clients = {"ada": world.owner}
        self._versions = {"shell": world.version_id}
        self._server = server
        self.starts: list[tuple[str, int]] = []

    def furnish(self) -> None:
        """Brings all of it about."""
        self._settle_people()
        self._push_templates()
        for seat in SEATS:
            self._seat(seat)

    def _settle_people(self) -> None:
        owner = self._world.owner
        for name, full in (("grace", "Grace"), ("lin", "Lin")):
            address = f"{name}@example.com"
            user = CreateUserRequest(username=name, name=full, email=address, password=PASSWORD)
            owner.create_user(user)
            token = signed_in(self._world.server.url, address)
            self._clients[name] = Client(self._world.server.url, token)
        owner.update_user("grace", UpdateUserRequest(max_running=2))
        owner.create_token("me", CreateTokenRequest(token_name="editor"))
        owner.create_token("me", CreateTokenRequest(token_name="pipeline"))
        owner.set_user_secret("me", "MODEL_KEY", SetSecretRequest(value="a value"))
        owner.set_user_secret("me", "GIT_TOKEN", SetSecretRequest(value="a value"))

    def _push_templates(self) -> None:
        workspace = f'[workspace]\nrepo = "{self._server.url}"\n[workspace.network]\negress = ["127.0.0.1:{self._server.port}"]\n'
        files = peer_files(PARTS, "Reports", "Works on the reports, in their repository.")
        files["taskyard.toml"] += workspace + APP
        self._push("reports", files)
        slow = dict(files)
        slow["taskyard.toml"] = slow["taskyard.toml"].replace("Reports", "Nightly")
        slow["taskyard.toml"] += '[scripts]\nstart = "setup.sh"\n'
        slow["setup.sh"] = "#!/bin/sh\necho installing 214 packages\nsleep 3600\n"
        self._push("slow", slow)
        publish = peer_files({}, "Publish", "Publishes what is tagged.")
        publish["taskyard.toml"] = publish["taskyard.toml"].replace(
            'app = "agent"', 'app = "agent"\nrequires_env = ["REGISTRY_TOKEN"]'
        )
        self._push("publish", publish)
        local = "[template]\ndisplay_name = 'Local model'\n[task]\napp = 'agent'\n[agent]\ntype = 'custom'\n"
        self._push("local", {"taskyard.toml": f"{local}command = ['local-agent', '--acp']\n"})

    def _push(self, name: str, files: Mapping[str, str]) -> None:
        version = pushed(self._world, name, dict(files))
        assert version.job.status is JobStatus.SUCCEEDED, version.job.error
        self._versions[name] = version.id

    def _seat(self, seat: Seat) -> None:
        client = self._clients[seat.owner]
        request = CreateTaskRequest(
            template_version_id=self._versions[seat.template],
            input=seat.text,
            name=seat.title.lower().replace(" ", "-").replace(".", "-"),
            display_name=seat.title,
        )
        task = client.create_task("me", request)
        self.starts.append((str(task.created_at.isoformat()), seat.age_s))
        self._bring(client, task, seat)

    def _bring(self, client: Client, task: Task, seat: Seat) -> None:
        match seat.state:
            case "idle":
                self._world.says(task.id, "", client=client)
                if seat.follow_up:
                    self._say(client, task, seat.follow_up)
                    self._world.says(task.id, seat.follow_up, client=client)
            case "paused":
                self._world.says(task.id, "", client=client)
                client.pause_task("me", task.id)
                self._status(client, task.id, TaskStatus.PAUSED)
            case "failed":
                self._status(client, task.id, TaskStatus.ERROR)
            case "working":
                if seat.template == "shell":
                    self._world.says(task.id, "ready", client=client)
                    self._say(
                        client, task, "for n in $(seq 1 600); do echo step $n; sleep 60; done"
                    )
                self._works(client, task.id)
            case "waiting":
                until("a question", lambda: client.get_task("me", task.id).waiting_for or None)
            case "starting":
                self._runs(client, task.id, Phase.SCRIPTS)

    def _status(self, client: Client, task_id: UUID, status: TaskStatus) -> None:
        until(f"{status}", lambda: self._world.status(task_id, status, client))

    def _works(self, client: Client, task_id: UUID) -> None:
        def look() -> bool | None:
            state = client.get_task("me", task_id).current_state
            return True if state is not None and state.state is TaskState.WORKING else None

        until("the work", look)

    def _runs(self, client: Client, task_id: UUID, phase: Phase) -> None:
        def look() -> bool | None:
            phases = client.get_task_phases("me", task_id).phases
            return True if (phase, PhaseState.RUNNING) in _states(phases) else None

        until(f"{phase}", look)

    def _say(self, client: Client, task: Task, words: str) -> None:
        def sent() -> bool | None:
            try:
                client.send_task_input("me", task.id, TaskSendRequest(input=words))
            except ApiError:  # it is not yet ready for more
                return None
            return True

        until(f"{task.name} to take a message", sent)

    def close(self) -> None:
        """Hangs up for all but the owner."""
        for name, client in self._clients.items():
            if name != "ada":
                client.close()


def _states(phases: Sequence[Any]) -> list[tuple[Phase, PhaseState]]:
    return [(phase.phase, phase.state) for phase in phases]
