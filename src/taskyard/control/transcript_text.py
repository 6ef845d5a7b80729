"""A transcript as Markdown for people, made item by item: what is kept in between is what is not yet whole."""

import json
from collections.abc import Iterable
from typing import Final, TypeVar

import msgspec

from taskyard.control.markdown import difference, fenced, folded, literal, one_line, prose, quoted
from taskyard.wire.link import ItemKind
from taskyard.wire.transcript import TaskItem

T = TypeVar("T", bound=msgspec.Struct)

KEPT_CHARS: Final = 256 * 1024
"""Text of one segment that is gathered; one that is longer comes in several parts."""

OPEN_TOOLS: Final = 64
"""Tool calls under way that are remembered; of more, the first are told as they are."""

OPEN_BYTES: Final = 1024 * 1024
"""Bytes of the items of these: an agent has a few under way, each with a file or two in it."""

INDENTED_BYTES: Final = 16 * 1024
"""Longest JSON value that is shown indented: what is larger, nobody reads."""

INDENTED_LEVELS: Final = 12
"""Its deepest: of a hundred levels most of the text would be the spaces before it."""

OVER: Final = frozenset({"completed", "failed"})

_MARKS: Final = {"completed": "x", "done": "x"}


class _Text(msgspec.Struct):
    text: str = ""
    message_id: int = 0
    keep: int | None = None


class _Tool(msgspec.Struct):
    tool_call_id: str = ""
    title: str = ""
    kind: str = ""
    status: str = ""
    content: list[msgspec.Raw] = []
    raw_input: msgspec.Raw = msgspec.Raw(b"null")
    raw_output: msgspec.Raw = msgspec.Raw(b"null")


class _Part(msgspec.Struct):
    text: str | None = None


class _Block(msgspec.Struct, rename="camel"):
    type: str = ""
    content: _Part | None = None
    path: str = ""
    old_text: str | None = None
    new_text: str | None = None


class _Entry(msgspec.Struct):
    content: str = ""
    status: str = ""


class _Plan(msgspec.Struct):
    entries: list[_Entry] = []


class _Option(msgspec.Struct):
    option_id: str = ""
    name: str = ""


class _Asked(msgspec.Struct):
    title: str = ""
    options: list[_Option] = []


class _Answered(msgspec.Struct):
    outcome: str = ""
    option_id: str | None = None
    by: str = ""
    name: str | None = None


class _Told(msgspec.Struct):
    """What the small items hold, each some of it."""

    summary: str = ""
    link: str | None = None
    outcome: str = ""
    level: str = "error"
    message: str = ""
    reason: str | None = None
    error: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    phase: str = ""
    state: str = ""
    bytes: int = 0


class TranscriptText:
    """Turns items into Markdown, in order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn = 0
        self._said = ""
        self._segment: int | None = None
        self._thought = ""
        self._tools: dict[str, TaskItem] = {}
        self._tool_bytes = 0

    def head(self) -> str:
        """What comes before the first item."""
        return f"# {literal(self._name)}\n"

    def add(self, item: TaskItem) -> str:
        """What an item adds; nothing while it is not whole."""
        turn = f"{self._flush()}\n## Turn {item.turn}\n" if item.turn > self._turn else ""
        self._turn = max(self._turn, item.turn)
        try:
            return turn + self._item(item)
        except (ValueError, RecursionError):
            return (
                turn  # a workspace may send anything; its own program made no sense of this either
            )

    def end(self) -> str:
        """What is left behind the last item."""
        return self._flush()

    def _item(self, item: TaskItem) -> str:
        match item.kind:
            case ItemKind.AGENT_TEXT | ItemKind.AGENT_MESSAGE:
                return self._speak(item)
            case ItemKind.THOUGHT:
                return self._think(_read(item, _Text).text)
            case ItemKind.TOOL_CALL:
                return self._use_tool(item)
            case ItemKind.TURN_END:
                return self._flush() + _short(item)
            case _:
                told = _short(item)
                return self._end_segment() + told if told else ""

    def _speak(self, item: TaskItem) -> str:
        said = _read(item, _Text)
        before = self._tell_thought()
        if said.message_id != self._segment:
            before += self._end_segment()
            self._segment = said.message_id
        if item.kind == ItemKind.AGENT_MESSAGE:
            self._said, self._segment = said.text, None
            return before + self._tell_said()
        if said.keep is not None:
            self._said = self._said[: said.keep]
        self._said += said.text
        return before + (self._tell_said() if len(self._said) > KEPT_CHARS else "")

    def _think(self, text: str) -> str:
        before = self._tell_said()
        self._thought += text
        return before + (self._tell_thought() if len(self._thought) > KEPT_CHARS else "")

    def _use_tool(self, item: TaskItem) -> str:
        before, tool = self._end_segment(), _read(item, _Tool)
        self._drop(tool.tool_call_id)
        if tool.status in OVER:
            return before + _tool_text(tool)
        self._tools[tool.tool_call_id] = item  # undecoded, which is the smallest that it can be
        self._tool_bytes += len(bytes(item.data))
        while len(self._tools) > OPEN_TOOLS or self._tool_bytes > OPEN_BYTES:
            before += self._tell_tool(next(iter(self._tools)))
        return before

    def _drop(self, tool_call_id: str) -> TaskItem | None:
        """The tool call of this id, which is kept no longer; None where none is."""
        item = self._tools.pop(tool_call_id, None)
        self._tool_bytes -= 0 if item is None else len(bytes(item.data))
        return item

    def _tell_tool(self, tool_call_id: str) -> str:
        item = self._drop(tool_call_id)
        return "" if item is None else _tool_text(_read(item, _Tool))

    def _flush(self) -> str:
        text = self._end_segment()
        return text + "".join(self._tell_tool(key) for key in list(self._tools))

    def _end_segment(self) -> str:
        self._segment = None
        return self._tell_thought() + self._tell_said()

    def _tell_said(self) -> str:
        said, self._said = self._said, ""
        return f"\n{prose(said)}" if said.strip() else ""

    def _tell_thought(self) -> str:
        thought, self._thought = self._thought, ""
        return f"\n{folded('Thoughts', quoted(thought.strip()))}" if thought.strip() else ""


def _read(item: TaskItem, kind: type[T]) -> T:
    """What an item holds; raises ValueError."""
    return msgspec.json.decode(item.data, type=kind)


def _short(item: TaskItem) -> str:
    """What is told of an item that stands for itself; nothing of one that is for programs."""
    match item.kind:
        case ItemKind.USER_MESSAGE:
            return f"\n**Prompt**\n\n{quoted(_read(item, _Text).text)}"
        case ItemKind.PLAN:
            entries = _read(item, _Plan).entries
            done = [f"- [{_MARKS.get(e.status, ' ')}] {literal(e.content)}" for e in entries]
            return "\n**Plan**\n\n" + "\n".join(done) + "\n"
        case ItemKind.PERMISSION_REQUEST:
            asked = _read(item, _Asked)
            options = ", ".join(literal(o.name or o.option_id) for o in asked.options)
            return f"\n**Asks to be permitted:** {literal(asked.title)}" + _aside(options)
        case ItemKind.PERMISSION_RESPONSE:
            return _answer_text(_read(item, _Answered))
        case _:
            told = _line(item.kind, _read(item, _Told))
            return f"\n{told}\n" if told else ""


def _answer_text(answered: _Answered) -> str:
    chosen = answered.option_id or answered.outcome
    return f"\n**Answer:** {literal(chosen)}" + _aside(literal(answered.name or answered.by))


def _aside(text: str) -> str:
    return f" ({text})\n" if text else "\n"


def _line(kind: str, told: _Told) -> str:
    """One line about an item of a kind that has one."""
    line, why = "", literal(told.reason or "")
    match kind:
        case ItemKind.REPORT:
            line = f"**Report ({literal(told.outcome)}):** {literal(told.summary)}"
            line += f" {literal(told.link)}" if told.link else ""
        case ItemKind.TURN_END if told.error or told.reason not in (None, "", "end_turn"):
            line = f"**The turn ended:** {literal(told.error or '') or why}"
        case ItemKind.AGENT_EXIT:
            how = f"signal {told.signal}" if told.exit_code is None else f"status {told.exit_code}"
            line = f"**The coding agent ended** with {how}."
        case ItemKind.ERROR:
            line = f"**{literal(told.level.capitalize())}:** {literal(told.message)}"
        case ItemKind.GAP:
            line = f"**Missing:** {told.bytes} bytes ({why or 'unknown'})"
        case ItemKind.PHASE if told.state != "began":  # how it ended says that it began
            line = f"*{literal(told.phase)} {literal(told.state)}{': ' if why else ''}{why}*"
        case _:
            pass
    return line


def _tool_text(tool: _Tool) -> str:
    """A tool call, folded: what went in, what it changed, what came out."""
    parts = [] if _is_empty(tool.raw_input) else [fenced(_pretty(tool.raw_input), "json")]
    shown = [_block_text(block) for block in tool.content]
    parts += [text for text in shown if text]
    if not any(shown) and not _is_empty(tool.raw_output):
        parts.append(fenced(_pretty(tool.raw_output), "json"))
    title = one_line(tool.title) or tool.tool_call_id
    summary = f"{tool.kind or 'tool'}: {title} ({tool.status or 'unknown'})"
    return f"\n{folded(summary, chr(10).join(parts))}"


def _block_text(raw: msgspec.Raw) -> str:
    try:
        block = msgspec.json.decode(raw, type=_Block)
    except ValueError:
        return ""
    if block.new_text is not None:
        return difference(block.path, block.old_text or "", block.new_text)
    if block.content is not None and block.content.text is not None:
        return fenced(block.content.text)
    return ""


def _is_empty(raw: msgspec.Raw) -> bool:
    return bytes(raw) in (b"", b"null", b"{}", b"[]", b'""')


def _pretty(raw: msgspec.Raw) -> str:
    """A JSON value for people: a text as it is, anything else that is small and shallow indented."""
    text = bytes(raw)
    if len(text) > INDENTED_BYTES and not text.startswith(b'"'):
        return text.decode(errors="replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text.decode(errors="replace")
    if isinstance(value, str):
        return value
    if not _is_shallow(value):
        return text.decode(errors="replace")
    return json.dumps(value, ensure_ascii=False, indent=2)


def _is_shallow(value: object) -> bool:
    level = [value]
    for _ in range(INDENTED_LEVELS):
        level = [inner for outer in level for inner in _inner(outer)]
        if not level:
            return True
    return False


def _inner(value: object) -> Iterable[object]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()
