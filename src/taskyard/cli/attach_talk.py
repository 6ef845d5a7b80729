"""A conversation on a terminal: what a coding agent says scrolls by above a line to type in."""

import codecs
import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from taskyard.cli.output import one_line, plain
from taskyard.cli.terminal import Wake, before_leaving, held, size, wait_for_keys, write
from taskyard.wire.attached import (
    AttachAnswer,
    AttachedItem,
    AttachEnded,
    AttachInterrupt,
    AttachPrompt,
    AttachRefused,
    FromClient,
)
from taskyard.wire.link import AgentState, Item, ItemKind

if TYPE_CHECKING:
    from taskyard.cli.task_attach import AttachLine

T = TypeVar("T", bound=msgspec.Struct)

MAX_TITLE: Final = 300
"""Characters of a tool call that are shown; of what is to be permitted all are."""

ENDED: Final = frozenset({"completed", "failed"})
"""States of a tool call that are its last."""

_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?")
"""Keys that move or mean something, for which a line of this kind has no use."""

_ITEM: Final = msgspec.json.Decoder(Item)


class _Text(msgspec.Struct):
    text: str = ""
    message_id: int = 0


class _ToolCall(msgspec.Struct):
    tool_call_id: str = ""
    title: str = ""
    kind: str | None = None
    status: str | None = None
    raw_input: msgspec.Raw = msgspec.Raw()


class _Option(msgspec.Struct):
    option_id: str
    name: str = ""


class _Asked(msgspec.Struct):
    id: str = ""
    title: str = ""
    options: list[_Option] = msgspec.field(default_factory=list)


class _Answered(msgspec.Struct):
    id: str = ""
    option_id: str | None = None
    by: str = ""
    name: str | None = None


class _Ended(msgspec.Struct):
    reason: str = ""
    error: str | None = None


class _Said(msgspec.Struct):
    message: str = ""


class _Report(msgspec.Struct):
    summary: str = ""
    link: str | None = None


class _State(msgspec.Struct):
    state: AgentState


class Transcript:
    """Items become lines to print; text that is still being said is kept until its line is whole."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.state = ""
        self.asked: dict[str, _Asked] = {}
        self._said: dict[int, str] = {}
        self._tools: dict[str, str] = {}
        self._rest = ""
        self._speaking = 0

    def take(self, item: Item) -> None:
        """Adds what an item has to say, if anything."""
        match item.kind:
            case ItemKind.USER_MESSAGE:
                self._add("> ", _data(item, _Text()).text)
            case ItemKind.AGENT_TEXT | ItemKind.AGENT_MESSAGE:
                self._text(_data(item, _Text()), whole=item.kind is ItemKind.AGENT_MESSAGE)
            case ItemKind.TOOL_CALL:
                self._tool(_data(item, _ToolCall()))
            case ItemKind.PERMISSION_REQUEST:
                self._request(_data(item, _Asked()))
            case ItemKind.PERMISSION_RESPONSE:
                self._response(_data(item, _Answered()))
            case _:
                self._news(item)

    def _news(self, item: Item) -> None:
        match item.kind:
            case ItemKind.TURN_END:
                self._turn_end(_data(item, _Ended()))
            case ItemKind.REPORT:
                report = _data(item, _Report())
                self._add("* ", f"{report.summary} {report.link or ''}")
            case ItemKind.ERROR:
                self._add("! ", _data(item, _Said()).message)
            case ItemKind.STATE:
                self.state = _data(item, _State(AgentState.WORKING)).state
            case _:
                pass

    def printed(self) -> list[str]:
        """The lines that were not printed yet."""
        lines, self.lines = self.lines, []
        return lines

    def _add(self, mark: str, text: str) -> None:
        self._flush()
        self.lines += [f"{mark}{line}" for line in plain(text).rstrip().split("\n")]

    def _text(self, text: _Text, *, whole: bool) -> None:
        """Whole: all of a message, of which most was said in pieces before."""
        if text.message_id != self._speaking:
            self._flush()
        self._speaking = text.message_id
        said = self._said.get(text.message_id, "")
        new = text.text
        if whole:
            new = text.text[len(said) :] if text.text.startswith(said) else f"\n{text.text}"
            self._said.pop(text.message_id, None)
        else:
            self._said[text.message_id] = said + text.text
        *lines, self._rest = f"{self._rest}{new}".split("\n")
        self.lines += [plain(line) for line in lines]
        if whole:
            self._flush()

    def _flush(self) -> None:
        if self._rest:
            self.lines.append(plain(self._rest))
        self._rest = ""

    def _tool(self, call: _ToolCall) -> None:
        status = call.status or ""
        if status == "pending" and bytes(call.raw_input) == b"{}":
            return  # its input is still on its way, and its title says little
        if self._tools.get(call.tool_call_id) == status or (
            call.tool_call_id in self._tools and status not in ENDED
        ):
            return
        is_new = call.tool_call_id not in self._tools
        self._tools[call.tool_call_id] = status
        if is_new:
            self._add("", f"[{call.kind or 'tool'}] {one_line(call.title, MAX_TITLE)}")
        elif status == "failed":
            self._add("", f"[{call.kind or 'tool'}] failed: {one_line(call.title, MAX_TITLE)}")

    def _request(self, asked: _Asked) -> None:
        self.asked[asked.id] = asked
        self._add("? ", asked.title or "May it go on?")
        for place, option in enumerate(asked.options, 1):
            self._add(f"  {place}  ", option.name or option.option_id)
        self._add("  0  ", "Cancel it")

    def _response(self, answered: _Answered) -> None:
        asked = self.asked.pop(answered.id, None)
        names = {o.option_id: o.name or o.option_id for o in (asked.options if asked else ())}
        chosen = names.get(answered.option_id or "", answered.option_id or "cancelled")
        self._add("= ", f"{chosen}, by {answered.name or answered.by or 'somebody'}")

    def _turn_end(self, end: _Ended) -> None:
        self.asked.clear()
        if end.error:
            self._add("! ", f"The turn failed: {end.error}")
        elif end.reason in ("interrupted", "cancelled"):
            self._add("! ", "The turn was interrupted.")
        self._flush()
        self.lines.append("")


class Typing:
    """The line at the bottom: keys become messages to the server."""

    def __init__(self, transcript: Transcript) -> None:
        self.buffer = ""
        self._transcript = transcript
        self._sent = ""

    def type(self, keys: str) -> list[FromClient]:
        """What is sent for these keys. A line end within more keys is of a pasted text and stays in it."""
        text = _SEQUENCE.sub("", keys)
        ends = text.endswith(("\r", "\n"))
        pasted = text[:-1].replace("\r\n", "\n").replace("\r", "\n") if len(text) > 1 else ""
        messages: list[FromClient] = []
        for key in pasted if ends else pasted + text[-1:]:
            messages += self._key(key)
        return messages + (self._enter() if ends else [])

    def refused(self, why: AttachRefused) -> str:
        """What to say of something that was not done; a message that was not taken can be sent again."""
        if not self.buffer:
            self.buffer, self._sent = self._sent, ""
        return f"! {plain(why.message)} {plain(why.detail)}".rstrip()

    @property
    def open(self) -> _Asked | None:
        """The request that an answer would be for: the oldest."""
        return next(iter(self._transcript.asked.values()), None)

    def line(self, width: int) -> str:
        """The line as it is shown in that many columns, its end when it is longer."""
        word = "waiting for you" if self.open else self._transcript.state or "attached"
        text = f"[{word}] > {self.buffer}".replace("\n", "\u23ce")
        while _width(text) >= width:
            text = text[1:]
        return text

    def _key(self, key: str) -> list[FromClient]:
        match key:
            case "\x03" if not self.buffer:
                return [AttachInterrupt()]
            case "\x03" | "\x15":
                self.buffer = ""
            case "\x7f" | "\b":
                self.buffer = self.buffer[:-1]
            case _ if key.isprintable() or key == "\n":
                self.buffer += key
        return []

    def _enter(self) -> list[FromClient]:
        text, self.buffer = self.buffer, ""
        asked = self.open
        if asked is not None and text.strip().isdecimal():
            number = int(text)
            if number <= len(asked.options):
                option_id = asked.options[number - 1].option_id if number else ""
                return [AttachAnswer(id=asked.id, option_id=option_id)]
            self.buffer = text
            return []
        self._sent = text
        return [AttachPrompt(text=text)] if text.strip() else []


def talk(line: "AttachLine", wake: Wake, *, may_type: bool) -> str:
    """Shows the conversation and sends what is typed until somebody leaves; why it ended, if not by a key."""
    transcript = Transcript()
    typing, keys = Typing(transcript), codecs.getincrementaldecoder("utf-8")(errors="replace")
    with held(wake):
        while True:
            said, ended = _come(line, transcript, typing)
            bottom = "" if ended is not None else typing.line(size()[0])
            _draw(said, bottom)
            if ended is not None:
                return ended
            typed = wait_for_keys(wake)
            if typed is None:
                continue
            kept, leaves = before_leaving(typed)
            if leaves or not typed or (kept == b"\x04" and not typing.buffer):
                _draw([], "")
                return ""
            for message in typing.type(keys.decode(kept)) if may_type else ():
                line.send(message)


def _come(
    line: "AttachLine", transcript: Transcript, typing: Typing
) -> tuple[list[str], str | None]:
    """The lines of all that came meanwhile, and why it is over when it is."""
    said: list[str] = []
    while (message := line.take()) is not None:
        match message:
            case AttachedItem():
                transcript.take(_item(message))
                said += transcript.printed()
            case AttachRefused():
                said.append(typing.refused(message))
            case AttachEnded():
                return said, plain(message.message)
            case _:
                pass
    return said, None


def _item(message: AttachedItem) -> Item:
    """The item; one that says nothing for what cannot be read."""
    try:
        return _ITEM.decode(message.item)
    except (ValueError, RecursionError):
        return _ITEM.decode(
            b'{"seq":0,"time":"2000-01-01T00:00:00Z","turn":0,"kind":"log","data":{}}'
        )


def _draw(said: Sequence[str], bottom: str) -> None:
    """Prints lines above the bottom one, which is drawn anew."""
    text = "".join(f"{line}\r\n" for line in said)
    write(f"\r\x1b[K{text}{bottom}".encode(errors="replace"))


def _width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _data(item: Item, otherwise: T) -> T:
    try:
        return msgspec.json.decode(item.data, type=type(otherwise))
    except (ValueError, RecursionError):
        return otherwise
