"""What server and workspace agent say to each other over the link.

One WebSocket, opened by the agent, carries binary messages; each is one msgpack-encoded Frame.
Calls go both ways and are answered by a Reply; byte streams are opened by the server only and
reach a TCP port on the loopback of the workspace.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

PROTOCOL = 1
"""Version of this page; an agent with another one is told so and refused."""

PROTOCOL_MISMATCH = "protocol_mismatch"
"""Code of the CallError that answers `hello` when the two sides speak different versions of this page."""

LINK_PATH = "/api/v2/workspaceagents/me/link"
"""Where agents connect: GET with an upgrade to WebSocket; 401 for a token that is not a current one."""

AUTH_HEADER = "Coder-Session-Token"
"""The request header that carries the agent token."""

MAX_FRAME_BYTES = 1024 * 1024
"""Largest WebSocket message either side accepts; a larger one ends the link."""

MAX_DATA_BYTES = 64 * 1024
"""Most payload bytes in one Data frame, so that streams take turns."""

STREAM_WINDOW_BYTES = 256 * 1024
"""Bytes a stream may send before the reader grants more by Credit."""

MAX_STREAMS = 256
"""Streams open at once on one link; one more is refused."""


class Call(msgspec.Struct, frozen=True, tag="call"):
    """A question; id is chosen by the caller and is unique among its open calls."""

    id: int
    method: str
    params: bytes  # msgpack of the method's parameter Struct


class CallError(msgspec.Struct, frozen=True):
    """Why a call failed: a stable word and a sentence."""

    code: str
    message: str


class Reply(msgspec.Struct, frozen=True, tag="reply"):
    """The answer to the call of the same id; error is null exactly when it worked."""

    id: int
    result: bytes  # msgpack of the method's result Struct; empty with an error
    error: CallError | None


class Open(msgspec.Struct, frozen=True, tag="open"):
    """Server to agent: connect a stream to a TCP port of the workspace's loopback."""

    id: int
    port: int


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """Agent to server: the stream is connected. A refusal is a Close with an error."""

    id: int


class Data(msgspec.Struct, frozen=True, tag="data"):
    """Bytes of a stream, at most MAX_DATA_BYTES; empty means that this side sends no more."""

    id: int
    data: bytes


class Credit(msgspec.Struct, frozen=True, tag="credit"):
    """The reader consumed so many bytes; the writer may send as many more."""

    id: int
    size_bytes: int


class Close(msgspec.Struct, frozen=True, tag="close"):
    """The stream is over in both directions; error says why when it did not end well."""

    id: int
    error: str | None


Frame = Call | Reply | Open | Opened | Data | Credit | Close


class ItemKind(StrEnum):
    """What a transcript item is about; `data` of each kind is one JSON object.

    user_message {prompt_id: str|null, text} · agent_text {message_id: int, text,
    keep: int|absent} (a piece, in order; keep: in place of all behind so many characters of its segment) ·
    agent_message {message_id: int, text} (the whole segment, at its end) · thought {text} ·
    tool_call {tool_call_id, title, kind, status, content: [...], locations: [...], raw_input, raw_output,
    hidden: true|absent (makes no line in the conversation)} (whole state each time) ·
    plan {entries} · permission_request {id, title, options: [{option_id, name, kind}], expires_at: time|null} ·
    permission_response {id, option_id|null, outcome: selected|cancelled, by: policy|person|timeout|cancel, name: str|null} ·
    session_info {...} · usage {...} · state (StateNews: what the coding agent does, as the bridge sees it) ·
    report {summary, link, outcome: working|complete|failure} (what the coding agent says of itself) ·
    turn_end {reason: str, error: str|null} · agent_exit {exit_code: int|null, signal: int|null, screen: str|absent (the last one)} ·
    error {level: "warning"|"error", message} · log {text} (nothing writes it) · raw {update} · gap {reason, bytes} ·
    phase {build_number, round, phase, state: began|done|failed|skipped, ms: int|null, reason: str|null} (of a start;
    only the server writes it).
    """

    USER_MESSAGE = "user_message"
    AGENT_TEXT = "agent_text"
    AGENT_MESSAGE = "agent_message"
    THOUGHT = "thought"
    TOOL_CALL = "tool_call"
    PLAN = "plan"
    PERMISSION_REQUEST = "permission_request"
    PERMISSION_RESPONSE = "permission_response"
    SESSION_INFO = "session_info"
    USAGE = "usage"
    STATE = "state"
    REPORT = "report"
    TURN_END = "turn_end"
    AGENT_EXIT = "agent_exit"
    ERROR = "error"
    LOG = "log"
    RAW = "raw"
    GAP = "gap"
    PHASE = "phase"


class AgentState(StrEnum):
    """What the coding agent does, as it is observed: by its protocol, its process, its screen.

    starting: until it takes prompts. working: in a turn. waiting: in a turn, for a person's answer. idle:
    takes a prompt. failed: the last turn ended in an error, or the program is gone. stopped: by us.
    """

    STARTING = "starting"
    WORKING = "working"
    WAITING = "waiting"
    IDLE = "idle"
    FAILED = "failed"
    STOPPED = "stopped"


class Waiting(msgspec.Struct, frozen=True):
    """What a person is to answer. kind: permission, dialog. id: of the permission request, else empty."""

    kind: str
    id: str
    title: str


class StateNews(msgspec.Struct, frozen=True):
    """The data of a `state` item. session is the bridge's own, finer word (SessionState).

    waiting is there with state waiting only. reason: how the last turn ended (a stop reason), or with
    state failed a sentence; null when there is nothing to say.
    """

    state: AgentState
    session: str
    waiting: Waiting | None = None
    reason: str | None = None


class Item(msgspec.Struct, frozen=True):
    """One transcript item. seq rises by one within a workspace home and survives restarts."""

    seq: int
    time: datetime
    turn: int
    kind: ItemKind
    data: msgspec.Raw  # one JSON object, UTF-8


class HealthCheck(msgspec.Struct, frozen=True):
    """How to see whether an app is healthy: GET url every interval_s; threshold failures in a row are unhealthy."""

    url: str
    interval_s: int
    threshold: int


class App(msgspec.Struct, frozen=True):
    """A server in the workspace. command null means that something else starts it."""

    slug: str
    url: str
    command: str | None
    healthcheck: HealthCheck | None


class CodingAgent(msgspec.Struct, frozen=True):
    """The coding agent that the bridge runs. transport is auto, acp or pty; permissions is allow, ask or deny.

    command is an argv, empty for what the type says. permission_timeout_s: seconds after which a request that
    nobody answered is denied; null is never.
    """

    type: str
    transport: str
    command: list[str]
    permissions: str
    permission_timeout_s: float | None = None


class GitCredentials(msgspec.Struct, frozen=True):
    """What git signs in with, to the host of the repository's url and to nobody else."""

    username: str
    token: str

    def __repr__(self) -> str:
        """Without the token, wherever this is shown."""
        return f"GitCredentials({self.username!r}, …)"


class Repository(msgspec.Struct, frozen=True):
    """What a workspace works on. branch null: whichever the repository calls its own.

    work_branch is made from it. folder is below the home directory. credentials null: git asks as nobody.
    """

    url: str
    branch: str | None
    work_branch: str
    folder: str
    credentials: GitCredentials | None = None


class Manifest(msgspec.Struct, frozen=True):
    """Everything an agent needs to know of its workspace.

    task_id null: no task. bridge_slug names the app that the bridge itself serves, null when the task's
    app is somebody else's server. coding_agent is null then too. env is for scripts, apps and the
    coding agent. start_script and stop_script are file names in the template directory, null for none.
    repository is cloned before the start script and is where the coding agent works; null for none.
    egress lists what the server's relay connects to, as `host:port`, `*.name:port` or `[address]:port`; egress_http
    those of them to which it takes plain HTTP requests only, and judges each.
    """

    workspace_id: UUID
    workspace_name: str
    owner_name: str
    task_id: UUID | None
    generation: int
    env: dict[str, str]
    start_script: str | None
    stop_script: str | None
    apps: list[App]
    bridge_slug: str | None
    task_slug: str | None
    coding_agent: CodingAgent | None
    egress: list[str] = []
    repository: Repository | None = None
    egress_http: list[str] = []


class Hello(msgspec.Struct, frozen=True):
    """Call `hello`, agent to server, first on every connection; answered by Welcome."""

    protocol: int
    agent_version: str


class Welcome(msgspec.Struct, frozen=True):
    """acked_seq: the highest item seq of this workspace that the server holds, 0 for none.

    The agent sends heartbeats each heartbeat_s and ends its workspace when none was answered for lease_s.
    """

    manifest: Manifest
    acked_seq: int
    heartbeat_s: float
    lease_s: float


class Nothing(msgspec.Struct, frozen=True):
    """Parameters or result of a call that needs none (`heartbeat`)."""


class LifecycleReport(msgspec.Struct, frozen=True):
    """Call `lifecycle`: the agent's new lifecycle state, a word of AgentLifecycle on the wire."""

    state: str
    at: datetime


class AppHealthReport(msgspec.Struct, frozen=True):
    """Call `app_health`: the new health of one app: initializing, healthy or unhealthy."""

    slug: str
    health: str


class LogLine(msgspec.Struct, frozen=True):
    """One line of a script's or app's output."""

    at: datetime
    level: str
    text: str


class LogLines(msgspec.Struct, frozen=True):
    """Call `logs`: lines in order. source is `start`, `stop`, `agent`, `bridge` or an app's slug."""

    source: str
    lines: list[LogLine]


class SentItem(msgspec.Struct, frozen=True):
    """An Item on its way to the server; data is the bytes of its JSON text."""

    seq: int
    time: datetime
    turn: int
    kind: ItemKind
    data: bytes

    @classmethod
    def of(cls, item: Item) -> "SentItem":
        """The item as it travels."""
        return cls(item.seq, item.time, item.turn, item.kind, bytes(item.data))


class Items(msgspec.Struct, frozen=True):
    """Call `items`: transcript items in seq order, without gaps; answered by ItemsStored."""

    items: list[SentItem]


class ItemsStored(msgspec.Struct, frozen=True):
    """acked_seq: the highest seq that the server holds after this call."""

    acked_seq: int


class ChangedFile(msgspec.Struct, frozen=True):
    """A file of a difference; added and removed count lines, null for a binary file."""

    path: str
    added: int | None
    removed: int | None


class Difference(msgspec.Struct, frozen=True):
    """Answer to the call `repository_diff`, server to agent, which has no parameters.

    base is the commit where the work left base_branch; diff is in git's form. truncated: not all of diff or files
    is here. uncommitted: not all of it is in commits.
    """

    branch: str
    base_branch: str
    base: str
    diff: bytes
    files: list[ChangedFile]
    truncated: bool
    uncommitted: bool


class Push(msgspec.Struct, frozen=True):
    """Call `repository_push`, server to agent; answered by Pushed.

    commit: a message under which everything is committed first, null to commit nothing.
    """

    commit: str | None
    force_with_lease: bool
    credentials: GitCredentials | None


class Pushed(msgspec.Struct, frozen=True):
    """What was pushed; changed: whether the other side had not this commit already. output is git's."""

    branch: str
    url: str
    commit: str
    changed: bool
    uncommitted: bool
    output: str


class ShellOpen(msgspec.Struct, frozen=True):
    """Call `shell_open`, server to agent: a shell in a terminal of that size; answered by ShellOpened.

    id is the opener's: the shell that has it already is found again. command: an argv, empty for a login shell.
    """

    id: UUID
    cols: int
    rows: int
    command: list[str] = []


class ShellOpened(msgspec.Struct, frozen=True):
    """number: what a stream to the shell is opened by, in place of a port. fresh: the shell was not there before.

    A stream that is opened later takes the place of an earlier one, and begins with the end of what was written.
    """

    number: int
    fresh: bool


class ShellResize(msgspec.Struct, frozen=True):
    """Call `shell_resize`, server to agent: how large the terminal of a shell is now; answered by Nothing."""

    id: UUID
    cols: int
    rows: int
