"""Tool calls: pieces of news merged into whole states, with what is too large cut."""

from typing import TypeVar

import msgspec

from taskyard_agent.acp_messages import NONE, NULL, peek, present

RAW_BYTES = 64 * 1024
"""Bytes kept of news that are about no tool; a few of those fit into one link call."""

TOOL_BYTES = 256 * 1024
"""Bytes kept of a tool call's input, output, content and places in one item, all together. Source: N41."""

BEGINNING_CHARS = 8 * 1024
"""Characters quoted of what was cut."""

ESCAPED = 4
"""Times that a quoted beginning may grow: three bytes for one that is no text, and one for an escape."""

OVER = frozenset({"completed", "failed"})
"""States in which a tool call has ended."""

T = TypeVar("T")


class ToolState(msgspec.Struct):
    """A tool call as the agent described it so far; the data of a `tool_call` item.

    hidden: it makes no line in the conversation; not there: it does.
    """

    tool_call_id: str
    title: str = ""
    kind: str = "other"
    status: str = "pending"
    content: list[msgspec.Raw] = []
    locations: list[msgspec.Raw] = []
    raw_input: msgspec.Raw = NULL  # not `Raw | None`, which msgspec cannot decode
    raw_output: msgspec.Raw = NULL
    hidden: bool | msgspec.UnsetType = msgspec.UNSET


class _News(msgspec.Struct, rename="camel"):
    tool_call_id: str
    title: msgspec.Raw = NONE
    kind: msgspec.Raw = NONE
    status: msgspec.Raw = NONE
    content: msgspec.Raw = NONE
    locations: msgspec.Raw = NONE
    raw_input: msgspec.Raw = NONE
    raw_output: msgspec.Raw = NONE


class _Cut(msgspec.Struct):
    cut_bytes: int
    beginning: str


class ToolCalls:
    """The tool calls of one turn by their id. limit: bytes kept of the data of each.

    shown: whether they make lines in the conversation, which their items say for all time.
    """

    def __init__(self, limit: int = TOOL_BYTES, *, shown: bool = True) -> None:
        self._limit = limit
        self._hidden: bool | msgspec.UnsetType = msgspec.UNSET if shown else True
        self._states: dict[str, ToolState] = {}
        self._unsaid: set[str] = set()

    def learn(self, update: msgspec.Raw) -> ToolState | None:
        """The state to be stored now; None when only its content grew, or the news makes no sense."""
        news = peek(update, _News)
        if news is None:
            return None
        state = self._states.get(news.tool_call_id)
        before = None if state is None else (state.title, state.kind, state.status)
        state = state or ToolState(news.tool_call_id, hidden=self._hidden)
        self._states[news.tool_call_id] = state
        _merge(state, news, self._limit)
        if before == (state.title, state.kind, state.status):
            self._unsaid.add(state.tool_call_id)
            return None
        self._unsaid.discard(state.tool_call_id)
        return state

    @property
    def grown(self) -> bool:
        """Whether unsaid() has anything."""
        return bool(self._unsaid)

    def unsaid(self) -> list[ToolState]:
        """States that grew since they were last stored."""
        grown = [self._states[name] for name in self._unsaid]
        self._unsaid.clear()
        return grown

    def get(self, tool_call_id: str) -> ToolState | None:
        """What is known of a tool call of this turn."""
        return self._states.get(tool_call_id)

    def end(self) -> list[ToolState]:
        """States that are still open, as failed ones: nothing more will be heard of them."""
        left = [state for state in self._states.values() if state.status not in OVER]
        for state in left:
            state.status = "failed"
        self._unsaid.clear()
        return left

    def forget(self) -> None:
        """A new turn has begun: late news of an older one's calls make no sense any more."""
        self._states.clear()


def _merge(state: ToolState, news: _News, limit: int) -> None:
    """Takes over what is news; what is replaced makes room for it first."""
    state.title = _found(news.title, str, state.title)
    state.kind = _found(news.kind, str, state.kind)
    state.status = _found(news.status, str, state.status)
    content, locations = _blocks(news.content), _blocks(news.locations)
    raw_input, raw_output = present(news.raw_input), present(news.raw_output)
    state.content = state.content if content is None else []
    state.locations = state.locations if locations is None else []
    state.raw_input = state.raw_input if raw_input is None else NULL
    state.raw_output = state.raw_output if raw_output is None else NULL
    if raw_input is not None:
        state.raw_input = cut(raw_input, limit - _size(state))
    if raw_output is not None:
        state.raw_output = cut(raw_output, limit - _size(state))
    if content is not None:
        state.content = _cut_blocks(content, limit - _size(state))
    if locations is not None:
        state.locations = _cut_blocks(locations, limit - _size(state))


def _blocks(raw: msgspec.Raw) -> list[msgspec.Raw] | None:
    """The elements of a list; None when it is none, or null."""
    return peek(raw, list[msgspec.Raw]) if present(raw) is not None else None


def _size(state: ToolState) -> int:
    """Bytes of the data of a tool call; nothing counts as none."""
    raws = (state.raw_input, state.raw_output, *state.content, *state.locations)
    return sum(len(bytes(raw)) for raw in raws if raw is not NULL)


def _found(raw: msgspec.Raw, kind: type[T], otherwise: T) -> T:
    found = peek(raw, kind) if present(raw) is not None else None
    return otherwise if found is None else found


def cut(raw: msgspec.Raw, limit: int) -> msgspec.Raw:
    """A JSON value of its own memory; over the limit, an object with its size and beginning instead."""
    size = len(bytes(raw))
    if size <= limit:
        return raw.copy()
    room = max(0, min(limit // ESCAPED, 4 * BEGINNING_CHARS))
    beginning = bytes(raw)[:room].decode(errors="replace")
    return msgspec.Raw(msgspec.json.encode(_Cut(size, beginning[:BEGINNING_CHARS])))


def _cut_blocks(blocks: list[msgspec.Raw], room: int) -> list[msgspec.Raw]:
    kept = []
    for block in blocks:
        kept.append(cut(block, max(room, 0)))
        room -= len(bytes(kept[-1]))
        if room < 0:
            break
    return kept
