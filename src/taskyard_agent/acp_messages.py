"""What a coding agent and its client say to each other, as types."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

import msgspec

from taskyard_agent.process import ProcessError

NONE = msgspec.Raw(b"")
"""A JSON value that was not there."""

NULL = msgspec.Raw(b"null")

T = TypeVar("T")


class AcpError(ProcessError):
    """The agent answered a request with an error. Code -32000: it wants to be logged in first."""

    def __init__(
        self, method: str, code: int, message: str, data: msgspec.Raw | None = None
    ) -> None:
        super().__init__(f"The coding agent answered {method} with error {code}: {message}")
        self.method = method
        self.code = code
        self.message = message
        self.data = data


class AgentSilent(ProcessError):
    """The agent did not answer a request in time."""

    def __init__(self, method: str, timeout_s: float) -> None:
        super().__init__(
            f"The coding agent did not answer {method} within {timeout_s:g} s. "
            "See its standard error in the logs, and whether its command speaks ACP."
        )
        self.method = method
        self.timeout_s = timeout_s


class ProtocolMismatch(ProcessError):
    """The agent speaks only another version of the protocol."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"The coding agent speaks version {version} of ACP, and version 1 is needed. "
            "Install a release of it that speaks version 1."
        )
        self.version = version


class TurnRunning(ProcessError):
    """A session takes one prompt at a time, and one is being worked on."""

    def __init__(self, session_id: str) -> None:
        super().__init__(
            f"Session {session_id} is working on a prompt. Wait for its end, or cancel it."
        )
        self.session_id = session_id


class Policy(StrEnum):
    """Who answers when the agent asks for permission. Source: N11."""

    ALLOW = "allow"
    DENY = "deny"
    ASK = "ask"


class PermissionOption(msgspec.Struct, frozen=True):
    """One answer offered; kind is allow_once, allow_always, reject_once or reject_always."""

    option_id: str
    name: str
    kind: str


class PermissionRequest(msgspec.Struct, frozen=True):
    """The agent asks before it acts. id is ours and unique; tool_call is the object as it came."""

    id: str
    session_id: str
    title: str
    tool_kind: str
    options: list[PermissionOption]
    tool_call: msgspec.Raw


class Update(msgspec.Struct, frozen=True):
    """One `session/update`: kind is its `sessionUpdate` word, update the whole object as it came."""

    session_id: str
    kind: str
    update: msgspec.Raw


class StopReason(StrEnum):
    """Why a turn ended. UNKNOWN is a word that version 1 does not have."""

    END_TURN = "end_turn"
    MAX_TOKENS = "max_tokens"
    MAX_TURN_REQUESTS = "max_turn_requests"
    REFUSAL = "refusal"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class TurnEnd(msgspec.Struct, frozen=True):
    """How a turn ended. usage and meta as the agent sent them, null when it sent none.

    agent_error: what the agent's own status said, when that was an error whatever stop_reason says.
    """

    stop_reason: StopReason
    usage: msgspec.Raw | None
    meta: msgspec.Raw | None
    agent_error: str | None


class AgentInfo(msgspec.Struct, frozen=True):
    """What the agent says of itself; can_load and can_resume: how it restores a session."""

    name: str
    version: str
    protocol_version: int
    can_load: bool
    can_resume: bool
    capabilities: msgspec.Raw
    auth_methods: msgspec.Raw


class SessionInfo(msgspec.Struct, frozen=True):
    """An open session. replayed: updates that came before a load's answer and were swallowed."""

    session_id: str
    mode: str | None
    modes: list[str]
    replayed: int


class Message(msgspec.Struct):
    """Any line: a request or a notification has a method, a response has none."""

    id: msgspec.Raw = NONE
    method: str | None = None
    params: msgspec.Raw = NONE
    result: msgspec.Raw = NONE
    error: msgspec.Raw = NONE


class WireError(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: msgspec.Raw = NONE


class WireUpdate(msgspec.Struct, rename="camel"):
    session_id: str
    update: msgspec.Raw


class UpdateKind(msgspec.Struct, rename="camel"):
    session_update: str = ""


class _Option(msgspec.Struct, rename="camel"):
    option_id: str
    name: str | None = None
    kind: str | None = None


class _ToolCall(msgspec.Struct):
    title: str | None = None
    kind: str | None = None


class _Permission(msgspec.Struct, rename="camel"):
    session_id: str
    options: list[_Option]
    tool_call: msgspec.Raw = NONE


class _PromptAnswer(msgspec.Struct, rename={"stop_reason": "stopReason", "meta": "_meta"}):
    stop_reason: str
    usage: msgspec.Raw = NONE
    meta: msgspec.Raw = NONE


class _Implementation(msgspec.Struct):
    name: str = ""
    version: str = ""


class _SessionCapabilities(msgspec.Struct):
    resume: msgspec.Raw = NONE


class _Capabilities(msgspec.Struct, rename="camel"):
    load_session: bool | None = None
    session_capabilities: msgspec.Raw = NONE


class _Initialized(msgspec.Struct, rename="camel"):
    protocol_version: int
    agent_capabilities: msgspec.Raw = NONE
    agent_info: msgspec.Raw = NONE
    auth_methods: msgspec.Raw = NONE


class _Mode(msgspec.Struct):
    id: str


class _Modes(msgspec.Struct, rename="camel"):
    current_mode_id: str | None = None
    available_modes: list[_Mode] = []


class _Opened(msgspec.Struct, rename="camel"):
    session_id: str | None = None
    modes: msgspec.Raw = NONE


class _ThreadStatus(msgspec.Struct):
    type: str = ""


class _Codex(msgspec.Struct, rename="camel"):
    thread_status: _ThreadStatus | None = None


class _InfoMeta(msgspec.Struct):
    codex: _Codex | None = None


class _InfoUpdate(msgspec.Struct, rename={"meta": "_meta"}):
    meta: _InfoMeta | None = None


def peek(raw: msgspec.Raw, type_: type[T]) -> T | None:
    """A JSON value as a type; None when it is not there, null, or something else."""
    try:
        return msgspec.json.decode(raw, type=type_)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def present(raw: msgspec.Raw) -> msgspec.Raw | None:
    """A JSON value that is there and is not null."""
    return None if bytes(raw) in (b"", b"null") else raw


def text_block(text: str) -> msgspec.Raw:
    """A prompt's text as a content block."""
    return msgspec.Raw(msgspec.json.encode({"type": "text", "text": text}))


def permission_request(number: str, params: msgspec.Raw) -> PermissionRequest | None:
    """The request behind `session/request_permission`; None when it makes no sense.

    Some agents leave out title and kind. Source: agentapi 7.1.
    """
    asked = peek(params, _Permission)
    if asked is None:
        return None
    call = peek(asked.tool_call, _ToolCall) or _ToolCall()
    options = [
        PermissionOption(o.option_id, o.name or o.option_id, o.kind or "") for o in asked.options
    ]
    tool_call = present(asked.tool_call) or msgspec.Raw(b"{}")
    return PermissionRequest(
        number, asked.session_id, call.title or "", call.kind or "", options, tool_call
    )


def choose_option(request: PermissionRequest, policy: Policy) -> str | None:
    """The option id that a policy picks by kind, never by id; None is cancelled. Source: N11.

    A request to switch the mode is never answered for good: that would raise the mode beyond the
    configured one. Policy ask picks nothing.
    """
    wanted: Sequence[str]
    match policy:
        case Policy.ALLOW if request.tool_kind == "switch_mode":
            wanted = ("allow_once",)
        case Policy.ALLOW:
            wanted = ("allow_once", "allow_always")
        case Policy.DENY:
            wanted = ("reject_once", "reject_always")
        case Policy.ASK:
            wanted = ()
    by_kind = {option.kind: option.option_id for option in reversed(request.options)}
    return next((by_kind[kind] for kind in wanted if kind in by_kind), None)


def agent_info(result: msgspec.Raw) -> AgentInfo | None:
    """What the answer to `initialize` says; None when it makes no sense."""
    answer = peek(result, _Initialized)
    if answer is None:
        return None
    can = peek(answer.agent_capabilities, _Capabilities) or _Capabilities()
    sessions = peek(can.session_capabilities, _SessionCapabilities) or _SessionCapabilities()
    who = peek(answer.agent_info, _Implementation) or _Implementation()
    return AgentInfo(
        name=who.name,
        version=who.version,
        protocol_version=answer.protocol_version,
        can_load=bool(can.load_session),
        can_resume=present(sessions.resume) is not None,
        capabilities=present(answer.agent_capabilities) or msgspec.Raw(b"{}"),
        auth_methods=present(answer.auth_methods) or msgspec.Raw(b"[]"),
    )


def session_info(result: msgspec.Raw, session_id: str | None, replayed: int) -> SessionInfo | None:
    """What the answer to new, load or resume says; only new's has to hold the id."""
    answer = peek(result, _Opened) or _Opened()
    modes = peek(answer.modes, _Modes) or _Modes()
    known = session_id or answer.session_id
    if known is None:
        return None
    return SessionInfo(
        known, modes.current_mode_id, [mode.id for mode in modes.available_modes], replayed
    )


def turn_end(result: msgspec.Raw, agent_error: str | None) -> TurnEnd | None:
    """What the answer to a prompt says; None when it makes no sense."""
    answer = peek(result, _PromptAnswer)
    if answer is None:
        return None
    known = answer.stop_reason in StopReason.__members__.values()
    reason = StopReason(answer.stop_reason) if known else StopReason.UNKNOWN
    return TurnEnd(reason, present(answer.usage), present(answer.meta), agent_error)


def thread_status(update: msgspec.Raw) -> str | None:
    """The agent's own status within a session_info_update, None when it says none.

    Source: agentapi 7.1.
    """
    info = peek(update, _InfoUpdate)
    if info is None or info.meta is None or info.meta.codex is None:
        return None
    status = info.meta.codex.thread_status
    return None if status is None else status.type
