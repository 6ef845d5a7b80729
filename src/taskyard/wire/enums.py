"""The closed word lists of the wire. Source: tasks-api 4.2, S2-S8, S12, S14."""

from enum import StrEnum


class TaskStatus(StrEnum):
    """What a task is, derived from facts and never stored."""

    PENDING = "pending"
    INITIALIZING = "initializing"
    ACTIVE = "active"
    PAUSED = "paused"
    UNKNOWN = "unknown"
    ERROR = "error"


class TaskState(StrEnum):
    """What the coding agent of a task is doing."""

    WORKING = "working"
    IDLE = "idle"
    COMPLETE = "complete"
    FAILED = "failed"


class WorkspaceStatus(StrEnum):
    """A build's job status and transition in one word; also the status of its workspace."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    CANCELING = "canceling"
    CANCELED = "canceled"
    DELETING = "deleting"
    DELETED = "deleted"


class Transition(StrEnum):
    """What a build does to its workspace."""

    START = "start"
    STOP = "stop"
    DELETE = "delete"


class BuildReason(StrEnum):
    """Why a build was made."""

    INITIATOR = "initiator"
    AUTOSTART = "autostart"
    AUTOSTOP = "autostop"
    DORMANCY = "dormancy"
    DASHBOARD = "dashboard"
    CLI = "cli"
    SSH_CONNECTION = "ssh_connection"
    VSCODE_CONNECTION = "vscode_connection"
    JETBRAINS_CONNECTION = "jetbrains_connection"
    TASK_AUTO_PAUSE = "task_auto_pause"
    TASK_MANUAL_PAUSE = "task_manual_pause"
    TASK_RESUME = "task_resume"


class JobStatus(StrEnum):
    """Where a job is; pending, running and canceling count as active."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    CANCELING = "canceling"
    CANCELED = "canceled"
    FAILED = "failed"
    UNKNOWN = "unknown"


class QueueReason(StrEnum):
    """What a start waits for that nobody has begun: a limit of its owner or organization, or a place on the server."""

    USER = "user"
    ORGANIZATION = "organization"
    SERVER = "server"


class JobType(StrEnum):
    """What a job does."""

    TEMPLATE_VERSION_IMPORT = "template_version_import"
    WORKSPACE_BUILD = "workspace_build"
    TEMPLATE_VERSION_DRY_RUN = "template_version_dry_run"


class LogSource(StrEnum):
    """Who wrote a line of a job's log."""

    PROVISIONER_DAEMON = "provisioner_daemon"
    PROVISIONER = "provisioner"


class LogLevel(StrEnum):
    """How grave a log line is."""

    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class AgentStatus(StrEnum):
    """The connection of a workspace agent."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    TIMEOUT = "timeout"


class AgentLifecycle(StrEnum):
    """Where a workspace agent is between its start and its end."""

    CREATED = "created"
    STARTING = "starting"
    START_TIMEOUT = "start_timeout"
    START_ERROR = "start_error"
    READY = "ready"
    SHUTTING_DOWN = "shutting_down"
    SHUTDOWN_TIMEOUT = "shutdown_timeout"
    SHUTDOWN_ERROR = "shutdown_error"
    OFF = "off"


class AppHealth(StrEnum):
    """The health of an app; disabled means that it has no health check."""

    DISABLED = "disabled"
    INITIALIZING = "initializing"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class AppStatusState(StrEnum):
    """What a coding agent reports of itself."""

    WORKING = "working"
    IDLE = "idle"
    COMPLETE = "complete"
    FAILURE = "failure"


class PermissionOutcome(StrEnum):
    """How a request for permission ended."""

    SELECTED = "selected"
    CANCELLED = "cancelled"


class PermissionAnswerer(StrEnum):
    """Who answered a request for permission: the template's rule, a person, the clock, or the end of the turn."""

    POLICY = "policy"
    PERSON = "person"
    TIMEOUT = "timeout"
    CANCEL = "cancel"


class PromptSource(StrEnum):
    """Where a prompt comes from: a task's input, or the queue of what people sent."""

    INPUT = "input"
    QUEUE = "queue"


class PromptState(StrEnum):
    """What became of a prompt: each is marked as sending before anything of it leaves the server.

    uncertain: it may or may not have reached the coding agent, and is not sent again by itself.
    """

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    UNCERTAIN = "uncertain"
    FAILED = "failed"


class QueueWait(StrEnum):
    """What queued prompts wait for: the turn that runs, an answer of a person, a start that is under way, somebody
    to resume the task, one to repair it, or a turn that ends better than the last one.
    """

    TURN = "turn"
    ANSWER = "answer"
    START = "start"
    RESUME = "resume"
    REPAIR = "repair"
    FAILURE = "failure"


class LogEntryType(StrEnum):
    """Direction of a task log entry: input is the user's, output the coding agent's."""

    INPUT = "input"
    OUTPUT = "output"


class ParameterType(StrEnum):
    """Type of a template parameter; values travel as strings."""

    STRING = "string"
    NUMBER = "number"
    BOOL = "bool"
    LIST_OF_STRING = "list(string)"


class LoginType(StrEnum):
    """How a user signs in; none means tokens only."""

    PASSWORD = "password"  # noqa: S105 - a word of the wire, not a secret
    GITHUB = "github"
    OIDC = "oidc"
    TOKEN = "token"  # noqa: S105 - a word of the wire, not a secret
    NONE = "none"


class UserStatus(StrEnum):
    """Whether a user may act."""

    ACTIVE = "active"
    DORMANT = "dormant"
    SUSPENDED = "suspended"


class AuditAction(StrEnum):
    """What somebody did; write means to change."""

    CREATE = "create"
    WRITE = "write"
    DELETE = "delete"
    START = "start"
    STOP = "stop"
    LOGIN = "login"
    LOGOUT = "logout"
    SEND = "send"
    INTERRUPT = "interrupt"
    ANSWER = "answer"
    ATTACH = "attach"
    PUSH = "push"


class AuditResource(StrEnum):
    """The kind of thing that something was done to."""

    API_KEY = "api_key"
    FILE = "file"
    GIT_SSH_KEY = "git_ssh_key"
    ORGANIZATION = "organization"
    ORGANIZATION_MEMBER = "organization_member"
    SECRET = "secret"  # noqa: S105 - a kind of thing, not one of them
    TASK = "task"
    TEMPLATE = "template"
    TEMPLATE_VERSION = "template_version"
    USER = "user"
    WORKSPACE = "workspace"
    WORKSPACE_BUILD = "workspace_build"
