"""A template as the server keeps it: the parsed taskyard.toml, one JSON document a version.

Every field is set by the parser; what a person left out holds the default named here. A field more
gets a default in its Struct, so that documents of older releases stay readable.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from taskyard.errors import TaskyardError
from taskyard.lifecycle.walls import Backend, Overlay, Wall
from taskyard.wire.enums import ParameterType
from taskyard_agent.agent_types import TYPES

TOML_NAME = "taskyard.toml"
"""The file that makes a directory a template."""

ECHO_NAME = "echo.json"
"""The script that the echo driver plays."""

SHELL_COMMAND = TYPES["shell"].acp or ()
"""Argv of the coding agent that is ours; `python` is the interpreter the workspace agent runs on."""

BRIDGE_URL = "http://127.0.0.1:3284"
"""Where the bridge listens in a workspace unless the template says otherwise. Source: agentapi 3."""

MAX_ICON_CHARS = 2048
"""Longest icon: a path or an address, which browsers take no longer either. Lists of workspaces repeat each."""


class AgentType(StrEnum):
    """Which coding agent: ours that runs the input in bash, one that is known, or any other program."""

    SHELL = "shell"
    CLAUDE = "claude"
    CODEX = "codex"
    GEMINI = "gemini"
    OPENCODE = "opencode"
    AIDER = "aider"
    GOOSE = "goose"
    COPILOT = "copilot"
    CURSOR = "cursor"
    AMP = "amp"
    AUGGIE = "auggie"
    AMAZONQ = "amazonq"
    CUSTOM = "custom"


SCREEN_ONLY = frozenset({AgentType.AIDER, AgentType.AMP, AgentType.AMAZONQ})
"""Those that have a screen and no ACP. Source: agentapi 6."""


class Transport(StrEnum):
    """How the bridge talks to the coding agent: by ACP, through its screen, or what the program can do."""

    AUTO = "auto"
    ACP = "acp"
    PTY = "pty"


class Permissions(StrEnum):
    """What the bridge answers when the coding agent asks whether it may."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class DriverName(StrEnum):
    """Which driver makes the workspace."""

    SANDBOX = "sandbox"
    ECHO = "echo"


class Pause(StrEnum):
    """What a pause does to the processes: ends them, which frees their memory, or makes them stand still."""

    STOP = "stop"
    FREEZE = "freeze"


class Share(StrEnum):
    """Who else may open an app."""

    OWNER = "owner"
    AUTHENTICATED = "authenticated"
    ORGANIZATION = "organization"
    PUBLIC = "public"


class Monotonic(StrEnum):
    """Which way a number may move from one build to the next."""

    INCREASING = "increasing"
    DECREASING = "decreasing"


class Agent(Struct, frozen=True):
    """The coding agent that the bridge runs.

    command is an argv, never shell text; empty for what the type says. permission_timeout_s: seconds after
    which a request that nobody answered is denied; null is never.
    """

    type: AgentType
    transport: Transport
    command: list[str]
    permissions: Permissions
    permission_timeout_s: int | None = None


class Egress(Struct, frozen=True):
    """One host and TCP port that a workspace may reach.

    methods and paths (prefixes by whole segments): plain HTTP requests alone, and only those. Null: any.
    """

    host: str
    port: int
    methods: list[str] | None = None
    paths: list[str] | None = None


class Workspace(Struct, frozen=True):
    """What the workspace is and may use at most.

    cpu is in cores, ttl_s the seconds until it is stopped by itself, wall_time_s those that one start may last
    whatever goes on in it; null means no limit. env is for
    scripts, apps and the coding agent. repo is the address of a repository that is cloned, null for none;
    branch is null for the one that the repository calls its own. require are walls that the machine must have;
    without them nothing is made of the template. pause: what becomes of its processes in a pause. egress_limited are the
    entries with methods or paths: older servers know no such entries, and would open those in egress wide.
    """

    driver: DriverName
    cpu: float | None
    memory_bytes: int | None
    processes: int | None
    disk_bytes: int | None
    ttl_s: int | None
    env: dict[str, str]
    egress: list[Egress]
    repo: str | None = None
    branch: str | None = None
    wall_time_s: int | None = None
    backend: Backend = Backend.BWRAP
    overlay: Overlay = Overlay.NONE
    require: list[Wall] = []
    pause: Pause = Pause.STOP
    egress_limited: list[Egress] = []

    @property
    def ways_out(self) -> list[Egress]:
        """All that it may reach, in whatever way."""
        return [*self.egress, *self.egress_limited]


class Scripts(Struct, frozen=True):
    """File names in the template, run in the home directory; null for none."""

    start: str | None
    stop: str | None


class Option(Struct, frozen=True):
    """One of the values a parameter can take."""

    name: str
    value: str
    description: str
    icon: str


class Parameter(Struct, frozen=True):
    """A question that a template asks of whoever uses it. Source: S12.

    Values travel as strings: a number in digits, a bool as true or false, a list as a JSON array.
    default null means that a value must be given. minimum and maximum are for numbers, both included.
    """

    name: str
    display_name: str
    description: str
    icon: str
    type: ParameterType
    form_type: str
    default: str | None
    options: list[Option]
    mutable: bool
    ephemeral: bool
    regex: str | None
    error: str | None
    minimum: int | None
    maximum: int | None
    monotonic: Monotonic | None

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is None


class Preset(Struct, frozen=True):
    """A named set of parameter values, already checked against the parameters."""

    name: str
    description: str
    icon: str
    default: bool
    parameters: dict[str, str]


class HealthCheck(Struct, frozen=True):
    """GET url every interval_s seconds; threshold failures in a row are unhealthy."""

    url: str
    interval_s: int
    threshold: int


class App(Struct, frozen=True):
    """A server in the workspace, reached on its loopback.

    command is one line for `sh -c`, run in the home directory; null means that something else starts
    the app: the bridge, or the start script.
    """

    slug: str
    display_name: str
    icon: str
    url: str
    command: str | None
    healthcheck: HealthCheck | None
    share: Share


class Template(Struct, frozen=True):
    """A parsed template.

    tags choose the workers that may take its jobs. task_app is the slug of the app that takes the
    input, null when this template runs no tasks; it is always one of apps. agent is what the bridge
    runs: null when there is no task or the task's app is a server of the user's own. warnings are
    sentences about what this release does not do with the template. requires_env are names of secrets
    that a start needs, `A|B` where one of two is enough.
    """

    display_name: str
    description: str
    icon: str
    tags: dict[str, str]
    task_app: str | None
    agent: Agent | None
    workspace: Workspace
    scripts: Scripts
    parameters: list[Parameter]
    presets: list[Preset]
    apps: list[App]
    warnings: list[str]
    requires_env: list[str] = []

    @property
    def has_ai_task(self) -> bool:
        """Whether tasks can be made of this template."""
        return self.task_app is not None

    @property
    def bridge_slug(self) -> str | None:
        """The app that the bridge serves; null when somebody else's server is the task's app."""
        return self.task_app if self.agent is not None else None


Files = Mapping[str, bytes]
"""A template's files by their path from its root, with `/` between the parts."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a template.

    key is dotted, with list places from 0 (`app[0].url`), empty when the file as a whole is meant;
    line counts from 1, null where it could not be found.
    """

    file: str
    key: str
    line: int | None
    sentence: str

    def __str__(self) -> str:
        """The problem in one line, as `file:line: key: sentence`."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.sentence}" if self.key else f"{place}: {self.sentence}"


class TemplateInvalid(TaskyardError):
    """A template that cannot be used; problems holds everything that is wrong with it, in file order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
