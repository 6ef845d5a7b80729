"""What a coding agent and its client say to each other, as types."""

from enum import StrEnum
from typing import TypeVar

import msgspec

from taskyard_agent.process import ProcessError

NONE = msgspec.Raw(b"")
"""A JSON value that was not there."""

NULL = msgspec.Raw(b"null")

ERROR_CHARS = 500
"""Characters of an error's data that are quoted: what a screen shows at a glance."""

META_DEPTH = 2
"""Objects within metadata that are searched for an error: a vendor's, and one of its parts."""

T = TypeVar("T")


class AcpError(ProcessError):
    """The agent answered a request with an error. Code -32000: it wants to be logged in first."""

    def __init__(
        self, method: str, code: int, message: str, data: msgspec.Raw | None = None
    ) -> None:
        more = _told(data)
        said = f"{message}: {more}" if more and more not in message else message
        super().__init__(f"The coding agent answered {method} with error {code}: {said}")
        self.method = method
        self.code = code
        self.message = message
        self.data = data


class _Data(msgspec.Struct):
    message: str = ""
    details: str = ""


def _told(data: msgspec.Raw | None) -> str:
    """What an error's data adds in words; empty when it adds none."""
    if data is None:
        return ""
    found = peek(data, _Data) or _Data()
    return (peek(data, str) or found.message or found.details)[:ERROR_CHARS]


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
    """An open session. replayed: updates that came before a load's answer and were swallowed.

    replayed_prompts: how many prompts those were of.
    """

    session_id: str
    mode: str | None
    modes: list[str]
    replayed: int
    replayed_prompts: int = 0


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


class _Meta(msgspec.Struct, rename={"meta": "_meta"}):
    meta: msgspec.Raw = NONE


class _Failure(msgspec.Struct):
    message: str = ""


class _MessageId(msgspec.Struct, rename="camel"):
    message_id: str | None = None


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


class _AuthMethod(msgspec.Struct):
    id: str = ""
    name: str = ""
    description: str | None = None


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


def auth_methods(raw: msgspec.Raw) -> list[str]:
    """The ways to log in that an agent offers, each in its own words."""
    found = peek(raw, list[msgspec.Raw]) or []
    methods = [peek(one, _AuthMethod) or _AuthMethod() for one in found]
    return [
        " - ".join(part for part in (method.name or method.id, method.description) if part)
        for method in methods
        if method.name or method.id
    ]


def session_info(result: msgspec.Raw, session_id: str | None) -> SessionInfo | None:
    """What the answer to new, load or resume says; only new's has to hold the id."""
    answer = peek(result, _Opened) or _Opened()
    modes = peek(answer.modes, _Modes) or _Modes()
    known = session_id or answer.session_id
    if known is None:
        return None
    return SessionInfo(known, modes.current_mode_id, [mode.id for mode in modes.available_modes], 0)


def turn_end(result: msgspec.Raw, agent_error: str | None) -> TurnEnd | None:
    """What the answer to a prompt says; None when it makes no sense.

    An error may stand in its metadata, whatever its stop reason is. Source: agentapi 7.1.
    """
    answer = peek(result, _PromptAnswer)
    if answer is None:
        return None
    known = answer.stop_reason in StopReason.__members__.values()
    reason = StopReason(answer.stop_reason) if known else StopReason.UNKNOWN
    hidden = None if reason is StopReason.CANCELLED else agent_error or meta_error(answer.meta)
    if hidden is None and answer.stop_reason == "error":
        hidden = "The coding agent says that the turn ended in an error."
    return TurnEnd(reason, present(answer.usage), present(answer.meta), hidden)


def update_error(update: msgspec.Raw) -> str | None:
    """The error in an update's metadata, None when there is none."""
    return meta_error((peek(update, _Meta) or _Meta()).meta)


def meta_error(meta: msgspec.Raw, depth: int = META_DEPTH) -> str | None:
    """The sentence behind a key `error` in metadata, at the top or within a vendor's own object."""
    fields = peek(meta, dict[str, msgspec.Raw])
    if not fields:
        return None
    error = fields.get("error", NONE)
    said = peek(error, str) or (peek(error, _Failure) or _Failure()).message
    if said:
        return said
    found = (meta_error(value, depth - 1) for value in fields.values()) if depth else ()
    return next((sentence for sentence in found if sentence), None)


def message_id(update: msgspec.Raw) -> str | None:
    """The agent's own id of the message that a piece belongs to."""
    return (peek(update, _MessageId) or _MessageId()).message_id


def thread_status(update: msgspec.Raw) -> str | None:
    """The agent's own status within a session_info_update, None when it says none.

    Source: agentapi 7.1.
    """
    info = peek(update, _InfoUpdate)
    if info is None or info.meta is None or info.meta.codex is None:
        return None
    status = info.meta.codex.thread_status
    return None if status is None else status.type
