"""Hostile programs in real workspaces: what every security test is made with.

A `Camp` is a real sandbox driver, in a process of its own that runs as an account (`root`, or `user`: one without any
rights). `camp.start(body, plan, **spec)` makes a workspace in which the program `body` runs in place of the agent and
returns its `Box`; `box.report()` waits for what it reported. `camp.inside(body, plan, **spec)` does both and destroys
the workspace. Two boxes of one camp are neighbours: an attacker and a victim.

`body` is Python. It is given `PLAN` (what the test says), `REPORT` (a dict that goes back as JSON), and the helpers of
RUNNER: `tried(work)` is "done: …" or the name of the error (`EPERM`, `ValueError`), `call(name, …)` the same for a
function of libc, `syscall(number, …)` for a system call. When it is over or `report()` is called, REPORT is written, and
the program stays until it is told to end. An exception comes back as an error of the test. With `shell=True` body is
a shell script, which writes `report.json` into its home itself (as `report.new`, then renames it), if anything.

`HostileWorld` is a whole server with two members, attacker and victim, each with a task of the shell agent:
`hostile.run(body, plan)` runs a program in the attacker's workspace and returns its REPORT.

Each test says what it stops: `@pytest.mark.attack("what the attacker tries", wall="what stops it")`.
Fixtures (conftest.py): `account` (root, user), `backend`, `camp` (one for a module, account and back end), `hostile_world` (one a run).
A security test that uses none of these and depends on the account says so by its own parameter named `account`.
"""

import base64
import json
import os
import pickle
import pwd
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

from taskyard.drivers.base import Limits, Observation, WorkspaceSpec
from taskyard.lifecycle.walls import Backend
from taskyard.sdk import Client
from taskyard.wire.enums import LogLevel
from taskyard.wire.secrets import SetSecretRequest
from taskyard.wire.tasks import CreateTaskRequest, Task, TaskSendRequest
from tests.archives import tar_of
from tests.control_groups import drop_groups
from tests.house.tree import ROOT
from tests.security.keeper import LENGTH, Answer, Asked, packed
from tests.system.kit import LASTING, World, pushed, serving
from tests.waiting import until

ACCOUNTS = ("root", "user")
BACKENDS = ("bwrap", "runc")
"""Kinds of walls that each camp is made of; a word of the workspace's spec."""
ORDINARY_UID = 64323
"""A user of these tests' own, in no passwd file."""
REPORT = "report.json"
DEADLINE_S = 100.0
"""Seconds within which a hostile program has tried what it wanted; only a failure, or a very busy machine, comes near it."""
BEGIN = "from tests.security.keeper import begin; begin()"
"""Not by -m, for then its answers were of classes that only it knows."""
TOKEN = "f2ab0000-token-of-nobody"

VICTIMS = """
[task]
app = "agent"
requires_env = ["VICTIM_KEY", "ORGANIZATION_KEY"]

[agent]
type = "shell"
"""
"""The template of the victim's task."""

RUNNER = """#!/opt/taskyard/bin/python3 -I
import ctypes, errno, json, os, signal, sys, traceback
PLAN, REPORT = json.loads(os.environ.get("PLAN", "null")), {}
libc = ctypes.CDLL(None, use_errno=True)
def name(number):
    return errno.errorcode.get(number, str(number))
def tried(work):
    try:
        return "done: " + repr(work())
    except OSError as error:
        return name(error.errno) if error.errno else type(error).__name__
    except BaseException as error:
        return type(error).__name__
def call(function, *arguments):
    ctypes.set_errno(0)
    answer = getattr(libc, function)(*arguments)
    return name(ctypes.get_errno()) if answer == -1 else f"done: {answer}"
def syscall(number, *arguments):
    return call("syscall", ctypes.c_long(number), *arguments)
def status(field):
    return [line.split()[1] for line in open("/proc/self/status") if line.startswith(field + ":")][0]
def report():
    new = os.path.join(HOME, "report.new")
    with open(new, "w") as file:
        json.dump(REPORT, file)
    os.rename(new, os.path.join(HOME, "report.json"))
HOME = os.path.abspath(os.environ.get("HOME", "."))
BODY, STAYS = os.environ.get("BODY", "/opt/template/body.py"), os.environ.get("STAYS", "yes") == "yes"
try:
    exec(compile(open(BODY).read(), "body.py", "exec"), globals())
except BaseException:
    REPORT["crashed"] = traceback.format_exc()
report()
while STAYS:
    signal.pause()
"""


class Refused(Exception):
    """The driver said no: the name of its error, and its words."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(f"{name}: {words}")
        self.name = name
        self.words = words


class Keeper:
    """A driver in a process of its own, as an account."""

    def __init__(self, folder: Path, account: str, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [*as_account(account), "-c", BEGIN, str(folder)],
            cwd=ROOT,
            env={**environment_of(account), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pid = self._process.pid

    def ask(self, verb: str, *arguments: object, **options: object) -> Answer:
        """What the driver answered. Raises Refused for an error of the driver."""
        pipes = self._process
        assert pipes.stdin is not None
        assert pipes.stdout is not None
        pipes.stdin.write(packed(Asked(verb, arguments, options)))
        pipes.stdin.flush()
        (length,) = LENGTH.unpack(pipes.stdout.read(LENGTH.size))
        answer = cast("Answer", pickle.loads(pipes.stdout.read(length)))
        if answer.error:
            raise Refused(answer.error, answer.words)
        return answer

    def close(self) -> None:
        """Ends the process; workspaces go on."""
        self._process.communicate(timeout=DEADLINE_S)


@dataclass
class Box:
    """A workspace in which a hostile program runs."""

    camp: "Camp"
    spec: WorkspaceSpec
    log: list[tuple[LogLevel, str]] = field(default_factory=list)

    @property
    def id(self) -> UUID:
        return self.spec.workspace_id

    @property
    def folder(self) -> Path:
        """All that the driver keeps of the workspace, as the host sees it."""
        return self.camp.root / str(self.id)

    @property
    def home(self) -> Path:
        """The workspace's home as the host sees it."""
        return self.folder / "home"

    def report(self, *, within_s: float = DEADLINE_S) -> dict[str, Any]:
        """What the program reported; fails when it crashed."""
        path = self.home / REPORT
        until("a report", lambda: path.exists() or None, within_s=within_s)
        found = cast("dict[str, Any]", json.loads(path.read_text()))
        assert "crashed" not in found, found["crashed"]
        return found

    def pids(self) -> set[int]:
        """The host's pids of all its living processes, the walls' own among them."""
        record = json.loads((self.folder / "record.json").read_text())
        return descendants(record["monitor"]["pid"]) if record.get("monitor") else set()

    def observe(self) -> Observation:
        """The workspace as the driver sees it."""
        return cast("Observation", self.camp.ask("observe", self.id).value)

    def stop(self, *, grace_s: float = 1.0) -> None:
        """Ends its processes; the home stays."""
        self.camp.ask("stop", self.id, grace_s=grace_s)

    def destroy(self) -> None:
        """Leaves nothing of it."""
        self.camp.ask("destroy", self.id)


class Camp:
    """A driver's yard, as an account."""

    def __init__(
        self, folder: Path, account: str, backend: str, environment: Mapping[str, str]
    ) -> None:
        self.account = account
        self.backend = backend
        self.root = folder / "data" / "workspaces"
        self.link = folder / "data" / "run" / "link"
        self.keeper = Keeper(folder, account, environment)

    def renew(self, groups: Iterable[Path]) -> None:
        """The camp's server is a new one, in these control groups."""
        self.keeper.close()
        self.keeper = Keeper(self.root.parent.parent, self.account, {})
        for group in groups:
            (group / "cgroup.procs").write_text(str(self.keeper.pid))

    def ask(self, verb: str, *arguments: object, **options: object) -> Answer:
        """What a verb of the driver answers. Raises Refused."""
        return self.keeper.ask(verb, *arguments, **options)

    def start(self, body: str, plan: object = None, *, shell: bool = False, **changes: Any) -> Box:
        """A new workspace with this program; changes are fields of its spec, `files` are more files of its template.

        Raises Refused.
        """
        files = {"program": body if shell else RUNNER, "body.py": body}
        env = {"PLAN": json.dumps(plan), **changes.pop("env", {})}
        files |= changes.pop("files", {})
        return self.ensure(spec_of(self.backend, files, env, **changes))

    def ensure(self, spec: WorkspaceSpec) -> Box:
        """The workspace of this spec, started. Raises Refused."""
        answer = self.ask("ensure", spec)
        return Box(self, spec, answer.log)

    def inside(self, body: str, plan: object = None, **changes: Any) -> dict[str, Any]:
        """What a program reported of a workspace that is gone then."""
        box = self.start(body, plan, **changes)
        try:
            return box.report()
        finally:
            box.destroy()


def spec_of(
    backend: str, files: Mapping[str, str | bytes], env: Mapping[str, str], **changes: Any
) -> WorkspaceSpec:
    """A workspace as it should be."""
    fields: dict[str, Any] = {
        "workspace_id": uuid4(),
        "generation": 1,
        "hostname": "ws",
        "agent_token": TOKEN,
        "template_tar": tar_of(files, mode=0o755),
        "env": dict(env),
        "limits": Limits(),
    }
    if backend != "bwrap":
        fields["backend"] = Backend(backend)
    return WorkspaceSpec(**{**fields, **changes})


@contextmanager
def camp_of(
    account: str, backend: str = "bwrap", environment: Mapping[str, str] | None = None
) -> Iterator[Camp]:
    """A yard that is gone afterwards, with every workspace in it; environment is more of the driver's own."""
    folder = Path(tempfile.mkdtemp(prefix="ty-hostile-"))
    link = folder / "data" / "run" / "link"
    link.mkdir(parents=True)
    link.chmod(0o711)
    (folder / "data").chmod(0o700)
    if os.geteuid() == 0 and account == "user":
        for path in (folder, *folder.rglob("*")):
            os.chown(path, ORDINARY_UID, ORDINARY_UID)
    camp = Camp(folder, account, backend, environment or {})
    try:
        yield camp
    finally:
        try:
            for seen in camp.ask("list").value:
                camp.ask("destroy", seen.workspace_id)
        finally:
            camp.keeper.close()
            shutil.rmtree(folder)
            drop_groups(folder / "data" / "workspaces")


def as_account(account: str) -> list[str]:
    """The beginning of a command: a Python with all our packages, as this account."""
    if account == "root" or os.geteuid() != 0:
        return [sys.executable]
    user = ["--reuid", str(ORDINARY_UID), "--regid", str(ORDINARY_UID), "--clear-groups"]
    return ["setpriv", *user, "/usr/bin/python3"]


def environment_of(account: str) -> dict[str, str]:
    """What a program of this account is given: nothing of this process's own but what names programs and packages."""
    packages = [str(ROOT / "src"), str(ROOT), sysconfig.get_path("purelib")]
    kept = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    if account == "root":
        kept["HOME"] = pwd.getpwuid(os.geteuid()).pw_dir
    return {**kept, "PYTHONPATH": os.pathsep.join(packages), "PYTHONDONTWRITEBYTECODE": "1"}


def why_not(account: str) -> str:
    """Why nothing can run as this account here; empty when it can."""
    if account == "root":
        return "" if os.geteuid() == 0 else "this run is an ordinary user's"
    look = f"import sys, msgspec._core, taskyard; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    done = subprocess.run(
        [*as_account(account), "-c", look],
        env=environment_of(account),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    return (
        "/usr/bin/python3 is of another version, or that user cannot read this clone"
        if done.returncode
        else ""
    )


def kept_files(data_dir: Path) -> Iterator[Path]:
    """The plain files of a running server's data directory, but for those of homes; some may be gone again."""
    # Not by rglob, which fails where a folder goes meanwhile.
    for folder, names, files in os.walk(data_dir):
        names[:] = [name for name in names if name != "home"]
        for path in (Path(folder) / name for name in files):
            if path.is_file() and not path.is_symlink():
                yield path


def descendants(pid: int) -> set[int]:
    """The process and all below it, as far as they live."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {pid}.union(*(descendants(int(child)) for child in children))


@dataclass(frozen=True, slots=True)
class Canary:
    """Secrets that all begin alike and end in where they were planted, for programs that look for them.

    A program gets the beginning backwards, so that it does not find what it was told.
    """

    needle: str
    since: float

    @classmethod
    def new(cls) -> "Canary":
        """One that nothing holds yet."""
        return cls(f"tyc{secrets.token_hex(8)}", time.time() - 1)

    def of(self, place: str) -> str:
        """The secret for a place."""
        return f"{self.needle}-{place}"

    @property
    def plan(self) -> dict[str, object]:
        """What a program that searches must know."""
        return {"eldeen": self.needle[::-1], "since": self.since}


@dataclass
class HostileWorld:
    """A server, and two of its members, each with a task of the shell agent."""

    world: World
    log: Path
    canary: Canary
    attacker: Client
    victim: Client
    attackers: Task
    victims: Task

    def home(self, task: Task) -> Path:
        """The home of a task's workspace as the host sees it."""
        assert task.workspace_id is not None
        return self.world.server.data_dir / "workspaces" / str(task.workspace_id) / "home"

    def run(
        self, body: str, plan: object = None, *, within_s: float = DEADLINE_S
    ) -> dict[str, Any]:
        """What a program reported that the attacker told their agent to run."""
        folder = f".hostile-{uuid4().hex[:8]}"
        commands = [
            f"mkdir {folder} && cd {folder}",
            *(_written(n, text) for n, text in (("runner.py", RUNNER), ("body.py", body))),
            f"export STAYS=no HOME=$PWD BODY=$PWD/body.py PLAN='{_quoted(json.dumps(plan))}'",
            "/opt/taskyard/bin/python3 -I runner.py; cd ..",
        ]
        self.send(self.attacker, self.attackers, f"( {'; '.join(commands)} )")
        path = self.home(self.attackers) / folder / REPORT
        until("a report", lambda: path.exists() or None, within_s=within_s)
        found = cast("dict[str, Any]", json.loads(path.read_text()))
        assert "crashed" not in found, found["crashed"]
        return found

    def send(self, client: Client, task: Task, text: str) -> None:
        """Tells a task's agent this, once it waits for something."""
        self.world.active(task.id, client=client)
        self.world.says(task.id, "", client=client)
        client.send_task_input("me", task.id, TaskSendRequest(input=text))


def _written(name: str, text: str) -> str:
    return f"echo {base64.b64encode(text.encode()).decode()} | base64 -d > {name}"


def _quoted(text: str) -> str:
    return text.replace("'", "'\\''")


@contextmanager
def hostile_world_in(home: Path, log: Path) -> Iterator[HostileWorld]:
    """A server that logs all there is to log, with two members and their active tasks, and secrets planted all over."""
    canary = Canary.new()
    environment = {**LASTING, "TASKYARD_TEST_SECRET": canary.of("server-env")}
    options = ("--log-level", "debug", "--log-format", "json")
    with serving(home / "data", log, environment, options) as world:
        (home / "data" / "planted").write_text(canary.of("server-file"))
        attacker, victim = world.member("mallory"), world.member("victor")
        version_id = victims_template(world, victim, canary)
        prompt = f"echo ready; echo {canary.of('prompt')} > kept"
        request = CreateTaskRequest(template_version_id=version_id, input=prompt)
        tasks = world.create("echo ready", client=attacker), victim.create_task("me", request)
        for client, task in zip((attacker, victim), tasks, strict=True):
            world.says(task.id, "ready", client=client)
        yield HostileWorld(world, log, canary, attacker, victim, *tasks)


def victims_template(world: World, victim: Client, canary: Canary) -> UUID:
    """The version of a template whose tasks are given secrets of the victim, the organization and the template."""
    version = pushed(world, "victims", {"taskyard.toml": VICTIMS})
    victim.set_user_secret("me", "VICTIM_KEY", SetSecretRequest(value=canary.of("user-secret")))
    world.owner.set_organization_secret(
        "default", "ORGANIZATION_KEY", SetSecretRequest(value=canary.of("organization-secret"))
    )
    template = next(t for t in world.owner.list_templates() if t.name == "victims")
    world.owner.set_template_secret(
        str(template.id), "TEMPLATE_KEY", SetSecretRequest(value=canary.of("template-secret"))
    )
    return version.id
