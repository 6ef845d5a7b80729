"""The conversation as AgentAPI shows it: user and agent messages, made from transcript items alone."""

from datetime import datetime
from typing import Final, Literal

import msgspec

from taskyard_agent.journal import Data
from taskyard_agent.protocol import Item, ItemKind

Role = Literal["user", "agent"]

USER: Final = "user"
AGENT: Final = "agent"


class Message:
    """One message. content of the agent's newest one grows; revision rises with each change of it."""

    __slots__ = ("_parts", "id", "revision", "role", "time")

    def __init__(self, number: int, role: Role, text: str, time: datetime) -> None:
        self.id = number
        self.role: Role = role
        self.time = time
        self.revision = 0
        self._parts = [text]

    @property
    def content(self) -> str:
        """The text so far."""
        if len(self._parts) > 1:  # joined only when somebody looks: pieces come by the thousand
            self._parts = ["".join(self._parts)]
        return self._parts[0]

    def add(self, text: str, time: datetime) -> None:
        """The text with a piece more at its end."""
        self._parts.append(text)
        self.time = time

    def cut(self, size: int) -> None:
        """The text without what comes behind so many characters."""
        self._parts = [self.content[:size]]

    def gap(self, wanted: int) -> str:
        """The line ends that are missing at the end for so many; none at the start of a message."""
        tail = next((part for part in reversed(self._parts) if part), "")
        have = len(tail) - len(tail.rstrip("\n"))
        return "\n" * max(0, wanted - have) if tail else ""


class _Text(msgspec.Struct):
    text: str = ""
    message_id: int = 0
    keep: int | None = None


class _Tool(msgspec.Struct):
    tool_call_id: str = ""
    title: str = ""
    kind: str = ""
    status: str | None = None
    raw_input: msgspec.Raw = msgspec.Raw()
    hidden: bool = False

    def is_unsaid(self) -> bool:
        """Whether its input is still on its way: its title says little, and what comes next says more."""
        return self.status == "pending" and bytes(self.raw_input) == b"{}"


class _Earlier(msgspec.Struct):
    """What a file of the transcript begins with, for when the older ones are gone."""

    messages: int
    last_role: Role | None
    last_segment: int


class _Info(msgspec.Struct):
    earlier: _Earlier | None = None


class Conversation:
    """All messages, oldest first, as far as the items that were applied say.

    A prompt makes a user message and an empty message of the agent, which its turn fills: text as it
    comes, a blank line between two segments, one line for each tool call. A piece that names `keep`
    takes the place of all that its segment said behind so many characters: what is read off a screen
    may change. Source: A28, A55, agentapi 7.2.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.revision = 0
        self.last_segment = 0
        self._next_id = 0
        self._segment: int | None = None
        self._segment_start = 0
        self._tools: set[str] = set()
        self._after_tool = False

    def apply(self, item: Item) -> bool:
        """Whether a message is new or different now."""
        match item.kind:
            case ItemKind.USER_MESSAGE:
                text = msgspec.json.decode(item.data, type=_Text).text
                self._append(USER, text, item.time)
                self._append(AGENT, "", item.time)
                self._segment, self._after_tool = None, False
                self._tools.clear()
            case ItemKind.AGENT_TEXT | ItemKind.AGENT_MESSAGE:
                return self._speak(item, msgspec.json.decode(item.data, type=_Text))
            case ItemKind.TOOL_CALL:
                return self._use_tool(item, msgspec.json.decode(item.data, type=_Tool))
            case ItemKind.SESSION_INFO if self._next_id == 0:
                return self._go_on(msgspec.json.decode(item.data, type=_Info).earlier, item.time)
            case _:
                return False
        return True

    def preface(self) -> tuple[ItemKind, Data]:
        """An item from which the conversation can go on without any that came before it. Source: N41."""
        role = self.messages[-1].role if self.messages else None
        earlier = _Earlier(self._next_id, role, self.last_segment)
        return ItemKind.SESSION_INFO, _Info(earlier)

    def _go_on(self, earlier: _Earlier | None, time: datetime) -> bool:
        """Takes the ids of messages that are gone; of one that goes on, only its beginning is."""
        if earlier is None or not earlier.messages:
            return False
        self._next_id = earlier.messages
        self.last_segment = earlier.last_segment
        if earlier.last_role == AGENT:
            self._next_id -= 1
            self._append(AGENT, "", time)
        return True

    def _speak(self, item: Item, said: _Text) -> bool:
        """Adds a piece, or a whole segment of which no piece came."""
        self.last_segment = max(self.last_segment, said.message_id)
        begins = said.message_id != self._segment
        if item.kind is ItemKind.AGENT_MESSAGE and not begins:
            return False  # its pieces are there
        message = self._newest(item.time)
        if begins:
            message.add(message.gap(2), item.time)
            self._segment_start = len(message.content)
        elif said.keep is not None:
            message.cut(self._segment_start + said.keep)
        message.add(said.text, item.time)
        self._segment, self._after_tool = said.message_id, False
        self._touch(message)
        return True

    def _use_tool(self, item: Item, tool: _Tool) -> bool:
        if tool.hidden or tool.tool_call_id in self._tools or tool.is_unsaid():
            return False
        self._tools.add(tool.tool_call_id)
        title = " ".join(tool.title.split()) or tool.tool_call_id
        message = self._newest(item.time)
        gap = message.gap(1 if self._after_tool else 2)
        message.add(f"{gap}[Tool: {tool.kind or 'other'}] {title}\n", item.time)
        self._segment, self._after_tool = None, True
        self._touch(message)
        return True

    def _newest(self, time: datetime) -> Message:
        """The message that the agent is writing; there is always one, even before any prompt."""
        return self.messages[-1] if self.messages else self._append(AGENT, "", time)

    def _append(self, role: Role, text: str, time: datetime) -> Message:
        message = Message(self._next_id, role, text, time)
        self._next_id += 1
        self.messages.append(message)
        self._touch(message)
        return message

    def _touch(self, message: Message) -> None:
        self.revision += 1
        message.revision = self.revision
