"""Our own tool among those of a coding agent: how each of them words it when it asks whether it may be used.

It is allowed whatever the policy says, so the words have to match exactly, and with them the whole
shape of the request: a command or a file of that name must not slip through. The shapes were
recorded from claude-agent-acp 0.49.0, codex-acp 2.6.0 (Node) and codex-acp 0.16.0 (Rust).
"""

from typing import Final

import msgspec

from taskyard_agent.acp_messages import NONE, peek
from taskyard_agent.acp_permissions import PermissionRequest
from taskyard_agent.bridge.tools import ToolState

SERVER: Final = "taskyard"
"""Name of our MCP server; no other one of a session may have it."""

TOOL: Final = "report_task"

CLAUDE_NAME: Final = f"mcp__{SERVER}__{TOOL}"
"""The tool's name in Claude Code, and in programs that follow it."""

_NODE_TITLE: Final = f"mcp.{SERVER}.{TOOL}"
_RUST_TITLE: Final = f"Tool: {SERVER}/{TOOL}"
_RUST_APPROVAL: Final = "mcp_tool_call_approval_"


class _Arguments(msgspec.Struct, forbid_unknown_fields=True):
    """What the tool takes; anything else is another tool's."""

    summary: str
    outcome: str
    link: str | None = None


class _Started(msgspec.Struct, forbid_unknown_fields=True):
    """The input of an MCP tool's call, as both Codex adapters tell it when the call begins."""

    server: str
    tool: str
    arguments: msgspec.Raw = NONE


class _Meta(msgspec.Struct):
    codex_approval_kind: str = ""


class _Elicited(msgspec.Struct, rename={"meta": "_meta"}, frozen=True):
    meta: msgspec.Raw = NONE


class _Approval(msgspec.Struct, forbid_unknown_fields=True):
    """The input of a request of the Rust adapter."""

    server_name: str
    id: str
    turn_id: str | None = None
    request: msgspec.Raw = NONE


class _Call(msgspec.Struct, rename="camel"):
    raw_input: msgspec.Raw = NONE


def is_own_tool(request: PermissionRequest, state: ToolState | None) -> bool:
    """Whether the request is about our tool and nothing else. state: its tool call, if it was told."""
    call = peek(request.tool_call, _Call) or _Call()
    if _is_claude(request, call):
        return True
    if state is None or not state.tool_call_id or state.tool_call_id != request.tool_call_id:
        return False
    started = peek(state.raw_input, _Started)
    if started is None or (started.server, started.tool) != (SERVER, TOOL):
        return False
    return _is_node(request, state) or _is_rust(request, state, call)


def _is_claude(request: PermissionRequest, call: _Call) -> bool:
    """Titled by the tool's name, of no kind, with our arguments; a command has kind execute."""
    if request.title != CLAUDE_NAME or request.tool_kind != "other":
        return False
    return peek(call.raw_input, _Arguments) is not None


def _is_node(request: PermissionRequest, state: ToolState) -> bool:
    """Marked as about an MCP tool, without a title: the call that it is about has begun before."""
    return request.mcp_approval and not request.title and state.title == _NODE_TITLE


def _is_rust(request: PermissionRequest, state: ToolState, call: _Call) -> bool:
    """It carries the request of our server, by the id of the call that has begun before."""
    approval = peek(call.raw_input, _Approval)
    if approval is None or state.title != _RUST_TITLE:
        return False
    elicited = peek(approval.request, _Elicited) or _Elicited()
    kind = (peek(elicited.meta, _Meta) or _Meta()).codex_approval_kind
    named = (approval.server_name, approval.id)
    return kind == "mcp_tool_call" and named == (SERVER, _RUST_APPROVAL + request.tool_call_id)
