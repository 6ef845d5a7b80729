"""What a coding agent says over ACP becomes transcript items. Source: agentapi 7.2."""

import asyncio

import msgspec

from taskyard_agent.acp import Answer, Asked, Malformed, PermissionRequest, Update
from taskyard_agent.acp_messages import NONE, NULL, peek
from taskyard_agent.bridge.permissions import Permissions
from taskyard_agent.bridge.record import Log, Record
from taskyard_agent.bridge.tools import RAW_BYTES, ToolCalls, ToolState, cut
from taskyard_agent.protocol import ItemKind

PIECE_S = 0.05
"""Least seconds between two pieces of a text; what comes in between is one piece. Source: agentapi 7.2."""

PIECE_CHARS = 32 * 1024
"""Characters after which a piece is stored at once."""

TOOL_S = 0.5
"""Least seconds between two states of a tool call that differ only in what it has put out so far."""

SEGMENT_CHARS = 128 * 1024
"""Longest segment that is stored once more as a whole at its end; a longer one is only its pieces."""

MALFORMED_SHOWN = 5
"""Unreadable lines that are reported one by one; further ones would only repeat it."""

MALFORMED_MAX = 500
"""Unreadable lines without one message among them after which a program does not speak ACP at all."""

_SESSION_NEWS = frozenset(
    {
        "available_commands_update",
        "current_mode_update",
        "config_option_update",
        "session_info_update",
    }
)


class _Content(msgspec.Struct):
    type: str = ""
    text: str = ""


class _Chunk(msgspec.Struct, rename="camel"):
    content: msgspec.Raw = NONE
    message_id: str | None = None


class _Segment:
    """The run of text that the agent is saying: answer or thought, and what of it is not stored yet."""

    def __init__(self, kind: ItemKind, number: int, agent_id: str | None) -> None:
        self.kind = kind
        self.number = number
        self.agent_id = agent_id
        self.whole: list[str] = []
        self.waiting: list[str] = []
        self.size = 0
        self.unsaid = 0

    def add(self, text: str) -> None:
        self.waiting.append(text)
        self.unsaid += len(text)
        self.size += len(text)
        if self.size <= SEGMENT_CHARS:
            self.whole.append(text)
        else:
            self.whole.clear()

    def take(self) -> str:
        text = "".join(self.waiting)
        self.waiting.clear()
        self.unsaid = 0
        return text


class Updates:
    """The handlers of an AcpClient. Each call stores what it was told before it returns, or soon after."""

    def __init__(
        self, record: Record, permissions: Permissions, log: Log, tools: ToolCalls
    ) -> None:
        self.heard = asyncio.Event()
        self.babbling = asyncio.Event()
        self.permissions = permissions
        self._record = record
        self._log = log
        self._tools = tools
        self._segment: _Segment | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._said_at = 0.0
        self._tools_at = 0.0
        self._malformed = 0

    def begin(self) -> None:
        """Forgets what an earlier agent did wrong."""
        self._malformed = 0
        self.babbling.clear()

    def update(self, update: Update) -> None:
        """Stores an update of the session."""
        self.heard.set()
        self._malformed = 0
        match update.kind:
            case "agent_message_chunk":
                self._chunk(ItemKind.AGENT_TEXT, update)
            case "agent_thought_chunk":
                self._chunk(ItemKind.THOUGHT, update)
            case "tool_call" | "tool_call_update":
                self._tool(update)
            case "plan":
                self._put_raw(ItemKind.PLAN, update.update)
            case "usage_update":
                self._put_raw(ItemKind.USAGE, update.update)
            case "user_message_chunk":
                pass  # an echo of what we hold already
            case kind if kind in _SESSION_NEWS:
                self._put_raw(ItemKind.SESSION_INFO, update.update)
            case _:
                self._unknown(update.update)

    def extension(self, method: str, params: msgspec.Raw) -> None:
        """Stores a notification that only this agent knows."""
        kept = cut(params, RAW_BYTES) if bytes(params) else NULL
        self._record.put(ItemKind.RAW, {"update": {"method": method, "params": kept}})

    def permission_asked(self, asked: Asked) -> None:
        """Stores the request; who answers it is the session's policy."""
        self.heard.set()
        self.end_segment()
        self.permissions.asked(asked, self._tools.get(asked.request.tool_call_id))

    def permission_answered(self, request: PermissionRequest, answer: Answer) -> None:
        """Stores the answer."""
        self.permissions.answered(request, answer)

    def stderr(self, line: str) -> None:
        """Passes a line of the agent's standard error on to the logs."""
        self._log("error", line)

    def malformed(self, malformed: Malformed) -> None:
        """Stores that a line was lost; too many in a row mean that the program does not speak ACP."""
        self._malformed += 1
        if self._malformed <= MALFORMED_SHOWN:
            self._record.fault(
                f"The coding agent wrote a line of {malformed.size_bytes} bytes that is no message "
                f"({malformed.reason}): {malformed.excerpt[:200]}",
                level="warning",
            )
        if self._malformed >= MALFORMED_MAX:
            self.babbling.set()

    def begin_turn(self) -> None:
        """A prompt is about to be sent: what is heard from now on is an answer to it."""
        self.heard.clear()
        self._tools.forget()

    def end_segment(self) -> None:
        """Stores what was said so far, and the segment as a whole: the next text is another one."""
        self._say()
        segment, self._segment = self._segment, None
        if segment is not None and segment.kind is ItemKind.AGENT_TEXT and segment.whole:
            data = {"message_id": segment.number, "text": "".join(segment.whole)}
            self._record.put(ItemKind.AGENT_MESSAGE, data)

    def end_turn(self) -> None:
        """Stores all that is left of a turn; tool calls that were never finished end as failed."""
        self.end_segment()
        self._put_tools(self._tools.end())

    def _chunk(self, kind: ItemKind, update: Update) -> None:
        chunk = peek(update.update, _Chunk) or _Chunk()
        content = peek(chunk.content, _Content)
        if content is None or content.type != "text":
            self._unknown(update.update)
            return
        if not content.text:
            return
        segment = self._segment
        if segment is None or (segment.kind, segment.agent_id) != (kind, chunk.message_id):
            self.end_segment()
            number = self._record.conversation.last_segment + (kind is ItemKind.AGENT_TEXT)
            segment = self._segment = _Segment(kind, number, chunk.message_id)
        segment.add(content.text)
        if segment.unsaid >= PIECE_CHARS:
            self._say()
        else:
            self._arm()

    def _tool(self, update: Update) -> None:
        state = self._tools.learn(update.update)
        if state is None:
            self._arm()
            return
        self.end_segment()
        self._put_tools([state])

    def _unknown(self, update: msgspec.Raw) -> None:
        self._record.put(ItemKind.RAW, {"update": cut(update, RAW_BYTES)})

    def _put_raw(self, kind: ItemKind, update: msgspec.Raw) -> None:
        self._record.put(kind, cut(update, RAW_BYTES))

    def _put_tools(self, states: list[ToolState]) -> None:
        for state in states:
            self._record.put(ItemKind.TOOL_CALL, state)

    def _arm(self) -> None:
        """Stores what waits now when the last time is long enough ago, else as soon as it is."""
        if self._timer is None:
            self._flush_due()

    def _flush_due(self) -> None:
        """Stores what is due, and comes back for what is not yet."""
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        left = []
        if self._segment is not None and self._segment.waiting:
            if now < self._said_at + PIECE_S:
                left.append(self._said_at + PIECE_S)
            else:
                self._say()
        if self._tools.grown:
            if now < self._tools_at + TOOL_S:
                left.append(self._tools_at + TOOL_S)
            else:
                self._tools_at = now
                self._put_tools(self._tools.unsaid())
        if left:
            self._timer = loop.call_at(min(left), self._flush_due)

    def _say(self) -> None:
        """Stores the text that waits, in pieces that fit anywhere."""
        segment = self._segment
        if segment is None:
            return
        self._said_at = asyncio.get_running_loop().time()
        text = segment.take()
        for start in range(0, len(text), PIECE_CHARS):
            piece = text[start : start + PIECE_CHARS]
            if segment.kind is ItemKind.THOUGHT:
                self._record.put(ItemKind.THOUGHT, {"text": piece})
            else:
                data = {"message_id": segment.number, "text": piece}
                self._record.put(ItemKind.AGENT_TEXT, data)
