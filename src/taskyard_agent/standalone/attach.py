"""`taskyard-agent attach`: a bridge's terminal on this one, or its conversation with a line to type in.

Source: A13, N42.
"""

import asyncio
import codecs
import contextlib
import os
import re
import shutil
import sys
import termios
import tty
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass

import msgspec

from taskyard_agent.standalone.client import BridgeClient, BridgeFailed

STATUS_S = 5.0
"""Seconds that the bridge has to say what it is; one that does not is attached to all the same. Source: A13."""

TYPED_BYTES = 4096
"""Most bytes of typing in one request."""

DETACH = b"\x03"
"""Ctrl-C alone detaches, and is never passed on. Source: A13."""

ENTER, LEAVE = "\x1b[?1049h\x1b[2J", "\x1b[?1049l"
HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class _Status(msgspec.Struct):
    transport: str = "pty"


class _Screen(msgspec.Struct):
    screen: str


class _Message(msgspec.Struct):
    id: int
    role: str
    message: str


class _Error(msgspec.Struct):
    message: str


@dataclass(frozen=True, slots=True)
class Console:
    """Where one types and reads: file descriptors, of a terminal or not."""

    stdin: int = 0
    stdout: int = 1

    def write(self, text: str) -> None:
        """The text is shown, whole."""
        rest = memoryview(text.encode(errors="replace"))
        while rest:
            rest = rest[os.write(self.stdout, rest) :]

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Keys come one by one and unseen meanwhile; afterwards everything is as it was."""
        if not os.isatty(self.stdin):
            yield
            return
        before = termios.tcgetattr(self.stdin)
        tty.setraw(self.stdin)
        try:
            self.write(ENTER)
            yield
        finally:
            self.write(LEAVE)
            termios.tcsetattr(self.stdin, termios.TCSADRAIN, before)

    async def typed(self) -> AsyncIterator[bytes]:
        """What is typed, until the input ends."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[bytes] = asyncio.Queue()

        def take() -> None:
            piece = os.read(self.stdin, TYPED_BYTES)
            if not piece:
                loop.remove_reader(self.stdin)
            pieces.put_nowait(piece)

        try:
            loop.add_reader(self.stdin, take)
        except PermissionError:  # a file or /dev/null, for which nobody can wait
            while piece := os.read(self.stdin, TYPED_BYTES):
                yield piece
            return
        try:
            while piece := await pieces.get():
                yield piece
        finally:
            loop.remove_reader(self.stdin)


async def attach(bridge: BridgeClient, console: Console) -> int:
    """The exit code: 0 when somebody detached, 1 when the bridge is gone or refuses."""
    transport, code = "pty", 0
    try:
        answer = await bridge.get("/status", STATUS_S)
        transport = msgspec.json.decode(answer.body, type=_Status).transport
    except (BridgeFailed, msgspec.DecodeError) as error:
        _tell(f"The bridge does not tell its status: {error} Trying all the same.")
    try:
        if transport == "acp":
            await _first_of(_follow_conversation(bridge, console), _send_lines(bridge, console))
        else:
            with console.raw():
                await _first_of(_follow_screen(bridge, console), _send_keys(bridge, console))
    except* BridgeFailed as errors:
        _tell(str(errors.exceptions[0]))
        code = 1
    return code


async def _first_of(*works: Coroutine[object, object, None]) -> None:
    """Returns when one has ended, and so the others; raises what it raised, in a group."""
    async with asyncio.TaskGroup() as group:
        tasks = {group.create_task(work) for work in works}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


# a terminal


async def _follow_screen(bridge: BridgeClient, console: Console) -> None:
    async for name, data in bridge.events("/internal/screen"):
        if name == "screen":
            _draw(console, msgspec.json.decode(data, type=_Screen).screen)
    raise BridgeFailed("The bridge hung up.")


def _draw(console: Console, screen: str) -> None:
    """The end of the screen, as much as there is room for."""
    columns, rows = shutil.get_terminal_size()
    lines = [line.rstrip()[:columns] for line in screen.split("\n")][-rows:]
    console.write(HOME + "\r\n".join(line + CLEAR_LINE for line in lines) + CLEAR_BELOW)


async def _send_keys(bridge: BridgeClient, console: Console) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    async for piece in console.typed():
        if piece == DETACH:
            return
        if keys := decoder.decode(piece):
            await bridge.post("/message", {"content": keys, "type": "raw"})


# a conversation


async def _follow_conversation(bridge: BridgeClient, console: Console) -> None:
    shown: dict[int, str] = {}
    async for name, data in bridge.events("/events"):
        if name == "message_update":
            _say(console, msgspec.json.decode(data, type=_Message), shown)
        elif name == "agent_error":
            console.write(f"\n! {_plain(msgspec.json.decode(data, type=_Error).message)}\n")
    raise BridgeFailed("The bridge hung up.")


def _say(console: Console, message: _Message, shown: dict[int, str]) -> None:
    """What is new of a message; all of it again when it is another one now."""
    before, text = shown.get(message.id), _plain(message.message)
    shown[message.id] = text
    if before is None:
        head = "> " if message.role == "user" else ""
        console.write(f"\n{head}{text}")
    elif text.startswith(before):
        console.write(text[len(before) :])
    else:
        console.write(f"\n{text}")


def _plain(text: str) -> str:
    """The text without what a terminal would obey: a coding agent repeats what it reads anywhere."""
    return _CONTROLS.sub("", text)


async def _send_lines(bridge: BridgeClient, console: Console) -> None:
    line = b""
    async for piece in console.typed():
        *lines, line = (line + piece).split(b"\n")
        for whole in lines:
            await _send_line(bridge, console, whole.decode(errors="replace"))


async def _send_line(bridge: BridgeClient, console: Console, line: str) -> None:
    if not line.strip():
        return
    try:
        await bridge.post("/message", {"content": line, "type": "user"})
    except BridgeFailed as error:  # it may be busy: that is no reason to leave
        console.write(f"\n! {error}\n")


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - a program for people
