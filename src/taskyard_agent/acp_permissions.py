"""Requests of a coding agent for permission, as types, and which of their options a policy picks."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from taskyard_agent.acp_messages import NONE, peek, present


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
    """The agent asks before it acts. id is ours and unique; tool_call is the object as it came.

    tool_call_id: of the tool call that it is about, empty when it names none. mcp_approval: the
    agent marks it as being about a tool of an MCP server.
    """

    id: str
    session_id: str
    title: str
    tool_kind: str
    options: list[PermissionOption]
    tool_call: msgspec.Raw
    tool_call_id: str = ""
    mcp_approval: bool = False


class AnsweredBy(StrEnum):
    """Who answered a permission request."""

    POLICY = "policy"
    PERSON = "person"
    TIMEOUT = "timeout"
    CANCEL = "cancel"


class Answer(msgspec.Struct, frozen=True):
    """The answer to a permission request; option_id null is cancelled. name: of the person."""

    option_id: str | None
    by: AnsweredBy
    name: str | None = None


class ModeLimit(msgspec.Struct, frozen=True):
    """Modes of a session: all that it has, and those that an answer may switch it to. Source: N11."""

    known: frozenset[str] = frozenset()
    fine: frozenset[str] = frozenset()

    def switches(self, request: PermissionRequest) -> bool:
        """Whether an answer to this request may switch the mode."""
        if request.tool_kind == "switch_mode":
            return True
        return any(option.option_id in self.known for option in request.options)

    def raises(self, option_id: str) -> bool:
        """Whether this option is a mode beyond those that are fine."""
        return option_id in self.known and option_id not in self.fine


NO_LIMIT = ModeLimit()
"""Of a session that has no modes."""


class _Option(msgspec.Struct, rename="camel"):
    option_id: str
    name: str | None = None
    kind: str | None = None


class _ToolCall(msgspec.Struct, rename="camel"):
    title: str | None = None
    kind: str | None = None
    tool_call_id: str | None = None


class _PermissionMeta(msgspec.Struct):
    is_mcp_tool_approval: bool = False


class _Permission(
    msgspec.Struct, rename={"session_id": "sessionId", "tool_call": "toolCall", "meta": "_meta"}
):
    session_id: str
    options: list[_Option]
    tool_call: msgspec.Raw = NONE
    meta: msgspec.Raw = NONE


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
    meta = peek(asked.meta, _PermissionMeta) or _PermissionMeta()
    return PermissionRequest(
        number,
        asked.session_id,
        call.title or "",
        call.kind or "",
        options,
        tool_call.copy(),
        call.tool_call_id or "",
        meta.is_mcp_tool_approval,
    )


def choose_option(
    request: PermissionRequest, policy: Policy, limit: ModeLimit = NO_LIMIT
) -> str | None:
    """The option id that a policy picks by kind, never by id; None is cancelled. Source: N11, D4.

    A request that may switch the mode is never allowed for good, and never by an option that is a
    mode beyond the configured one. Policy ask picks nothing.
    """
    wanted: Sequence[str]
    options = request.options
    match policy:
        case Policy.ALLOW if limit.switches(request):
            wanted = ("allow_once",)
            options = [option for option in options if not limit.raises(option.option_id)]
        case Policy.ALLOW:
            wanted = ("allow_once", "allow_always")
        case Policy.DENY:
            wanted = ("reject_once", "reject_always")
        case Policy.ASK:
            wanted = ()
    by_kind = {option.kind: option.option_id for option in reversed(options)}
    return next((by_kind[kind] for kind in wanted if kind in by_kind), None)
