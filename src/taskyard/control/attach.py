"""Being attached to the coding agent of a task: what it shows, and what the caller does to it.

Our bridge shows a terminal as bytes and anything else as transcript items; somebody else's server in place
of our bridge shows neither.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import assert_never

import msgspec

from taskyard.control.actors import Actor
from taskyard.control.appclient import AppAddress, AppResponse, AppStream, app_request, app_stream
from taskyard.control.audit import deed_of, record
from taskyard.control.services import Services
from taskyard.control.task_app import APP_TIMEOUT_S, app_address, note_sent
from taskyard.control.task_permissions import answer_permission
from taskyard.control.tasks import refuse
from taskyard.db.tasks import TaskRow
from taskyard.errors import AppFailed, AppRefused, NotFound, RefusedNow, RequestRefused
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.task import TaskVerb
from taskyard.wire import attached as wire
from taskyard.wire.base import encode
from taskyard.wire.enums import AuditAction, AuditResource
from taskyard.wire.tasks import AnswerTaskPermissionRequest

ITEMS_BEFORE = 300
"""Items of what went before that are shown first: some turns, as much as somebody scrolls back."""

TERMINAL_BEFORE_BYTES = 64 * 1024
"""Bytes of a terminal that are shown first: what led to its screen. Programs draw it anew when its size changes."""

BEYOND = 2**62
"""An offset behind the end of any terminal's log: an answer from there is empty, and says where the end is."""

END_HEADER = "x-log-end"
"""Where our bridge says how long a terminal's log is."""

MAX_EVENT_BYTES = 2 * 1024 * 1024
"""Largest event taken from a bridge; an item travels in a link's frame of 1 MiB."""

MAX_KEYS_BYTES = 64 * 1024
"""Most that is typed at once: a pasted page. Longer texts are sent as messages."""

MAX_CELLS = 1000
"""Columns or rows of the largest terminal, which is more than any screen shows."""

NO_V2 = (
    "attach_unsupported",
    "Nobody can be attached to the coding agent of this task.",
)


class _Agent(msgspec.Struct):
    type: str = ""


class _Terminal(msgspec.Struct):
    cols: int = 0
    rows: int = 0

    @property
    def size(self) -> tuple[int, int]:
        return max(0, min(self.cols, MAX_CELLS)), max(0, min(self.rows, MAX_CELLS))


class _Session(msgspec.Struct):
    transport: wire.AttachTransport
    agent: _Agent = msgspec.field(default_factory=_Agent)
    last_seq: int = 0
    terminal: _Terminal | None = None


class _Problem(msgspec.Struct):
    detail: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """An open way to a task's coding agent; opened: what its bridge said of itself at the beginning.

    size: columns and rows of its terminal, 0 for none and where the bridge does not say.
    """

    services: Services
    task: TaskRow
    address: AppAddress
    transport: wire.AttachTransport
    agent: str
    last_seq: int
    size: tuple[int, int] = (0, 0)

    @asynccontextmanager
    async def output(self) -> AsyncIterator[AppStream]:
        """What the coding agent shows, from a little before now, without an end.

        Raises AgentUnreachable, AppFailed.
        """
        if self.transport is wire.AttachTransport.TERMINAL:
            start = max(0, await self._terminal_end() - TERMINAL_BEFORE_BYTES)
            path = f"v2/terminal/log?offset={start}&follow=true"
        else:
            path = f"v2/events?after={max(0, self.last_seq - ITEMS_BEFORE)}"
        async with self._stream(path) as stream:
            yield stream

    async def _terminal_end(self) -> int:
        """How much the program has written so far, in bytes; 0 when the bridge does not say."""
        async with self._stream(f"v2/terminal/log?offset={BEYOND}") as stream:
            told = stream.headers.get(END_HEADER, "")
        return int(told) if told.isdecimal() and len(told) <= len(str(BEYOND)) else 0

    def _stream(self, path: str) -> AbstractAsyncContextManager[AppStream]:
        return app_stream(self.services.links, self.address, path, timeout_s=APP_TIMEOUT_S)

    async def act(self, actor: Actor, message: wire.FromClient) -> None:
        """Does what the caller sent. Raises Refused, NotFound, AppFailed, AppRefused, AgentUnreachable."""
        if not may_type(actor, self.task):
            raise NotFound
        match message:
            case wire.AttachKeys():
                await self._keys(message)
            case wire.AttachResize():
                await self._resize(message)
            case wire.AttachPrompt():
                services = self.services
                await note_sent(services, actor, self.task, message.text, now=services.now())
                await self._post("v2/prompts", {"text": message.text, "when": "reject"})
            case wire.AttachInterrupt():
                await self._post("v2/cancel", {})
                await self.note(actor, AuditAction.INTERRUPT)
            case wire.AttachAnswer():
                await self._answer(actor, message)
            case _:
                assert_never(message)

    async def note(self, actor: Actor, action: AuditAction) -> None:
        """Keeps that the caller did this: attached, or interrupted. Of keys is kept only that they may be typed."""
        deed = deed_of(AuditResource.TASK, self.task, action)
        async with self.services.db.transaction() as conn:
            await record(conn, actor, deed, self.services.now())

    async def _keys(self, message: wire.AttachKeys) -> None:
        if len(message.data.encode(errors="replace")) > MAX_KEYS_BYTES:
            raise RequestRefused(
                "keys_too_long",
                f"More than {MAX_KEYS_BYTES} bytes cannot be typed at once.",
                "Send a long text as a message.",
            )
        if message.data:
            await self._post("v2/terminal/input", {"data": message.data})

    async def _resize(self, message: wire.AttachResize) -> None:
        if not (0 < message.cols <= MAX_CELLS and 0 < message.rows <= MAX_CELLS):
            raise RequestRefused(
                "size_invalid",
                f"A terminal of {message.cols} by {message.rows} is none.",
                f"Give 1 to {MAX_CELLS} columns and rows.",
            )
        await self._post("v2/terminal/resize", {"cols": message.cols, "rows": message.rows})

    async def _answer(self, actor: Actor, message: wire.AttachAnswer) -> None:
        asked = AnswerTaskPermissionRequest(
            option_id=message.option_id, outcome="" if message.option_id else "cancelled"
        )
        await answer_permission(self.services, actor, self.task, message.id, request=asked)

    async def _post(self, path: str, body: dict[str, object]) -> None:
        answer = await app_request(
            self.services.links,
            self.address,
            "POST",
            path,
            body=encode(body),
            timeout_s=APP_TIMEOUT_S,
        )
        _check(answer)


def may_type(actor: Actor, task: TaskRow) -> bool:
    """Whether the caller may do anything to the coding agent, beside looking: as for sending."""
    return can(actor, Verb.TASK_WRITE, task.owner_id, task.organization_id)


def check_reader(actor: Actor, task: TaskRow) -> None:
    """Nothing while the caller may look at the task; raises NotFound when a right was taken away meanwhile."""
    if not can(actor, Verb.TASK_READ, task.owner_id, task.organization_id):
        raise NotFound


async def open_attachment(services: Services, task: TaskRow) -> Attachment:
    """The way to a task's coding agent. Raises RefusedNow, RequestRefused, AgentUnreachable, AppFailed, AppRefused."""
    refuse(TaskVerb.ATTACH, task)
    address = app_address(task)
    answer = await app_request(
        services.links, address, "GET", "v2/session", timeout_s=APP_TIMEOUT_S
    )
    if answer.status == 404:
        raise RequestRefused(
            *NO_V2,
            "The server in its workspace shows no terminal and no transcript: it is not ours, or of an older "
            "release. Read the log in its place; a task of ours can be attached to after a pause and a resume.",
        )
    _check(answer)
    try:
        session = msgspec.json.decode(answer.body, type=_Session)
    except (ValueError, RecursionError) as error:
        raise AppRefused(
            "attach_failed", NO_V2[1], f"Its answer makes no sense: {error}."
        ) from error
    return Attachment(
        services,
        task,
        address,
        session.transport,
        session.agent.type,
        session.last_seq,
        (0, 0) if session.terminal is None else session.terminal.size,
    )


def _check(answer: AppResponse) -> None:
    """Nothing when the bridge did it; raises RefusedNow for a conflict, AppRefused."""
    if 200 <= answer.status < 300:
        return
    said = _said(answer)
    if answer.status in (409, 422, 429, 503) and answer.code:
        raise RefusedNow(answer.code, said or "The coding agent does not take that now.")
    word = f" ({answer.code})" if answer.code else ""
    raise AppRefused(
        "attach_failed",
        "The workspace did not do that.",
        f"It answered with status {answer.status}{word}. {said}".rstrip(),
    )


def _said(answer: AppResponse) -> str:
    """The bridge's own sentence, if it gave one."""
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except (ValueError, RecursionError):
        return ""
    return (problem.detail or problem.title)[:1000]


async def items_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[msgspec.Raw]:
    """The items of a stream of server-sent events. Raises AppFailed for an event that has no end."""
    rest, event = bytearray(), bytearray()
    looked = size = 0  # each byte is looked at once, in however many pieces it comes
    async for piece in pieces:
        rest += piece
        while (end := rest.find(b"\n", looked)) >= 0:
            line = bytes(rest[:end]).removesuffix(b"\r")
            del rest[: end + 1]
            looked, size = 0, size + end + 1
            if line.startswith(b"data:"):
                event += line[5:].removeprefix(b" ") + b"\n"
            elif not line:
                if (item := _item(bytes(event))) is not None:
                    yield item
                event, size = bytearray(), 0
        looked = len(rest)
        if size + looked > MAX_EVENT_BYTES:
            raise AppFailed(f"the app sent an event of more than {MAX_EVENT_BYTES} bytes")


def _item(data: bytes) -> msgspec.Raw | None:
    """The item of an event; None for one that is none, such as a sign of life."""
    try:
        data.decode()
        msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):
        return None
    return msgspec.Raw(data.rstrip(b"\n"))
