"""Logs over HTTP, at once or followed over a WebSocket, and the query keys that those routes share."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar
from uuid import UUID

from starlette.websockets import WebSocket, WebSocketDisconnect

from taskyard.control import build_logs
from taskyard.control.actors import Actor, Who
from taskyard.errors import RequestRefused, TaskyardError
from taskyard.server.call import Answer, Call
from taskyard.server.deps import session_of
from taskyard.wire.base import encode
from taskyard.wire.enums import JobStatus
from taskyard.wire.workspace_requests import CancelJobQuery, JobLogsQuery

T = TypeVar("T")

REFUSED_CLOSE = 1008
"""WebSocket close code where the caller may not see the rest, or the server cannot give it."""

NORMAL_CLOSE = 1000
"""WebSocket close code of a log that was sent to its end. Source: U17."""


RECHECK_S = 2.0
"""Seconds after which somebody who follows is asked for again: so long a key that was removed goes on working here."""


def still_signed_in(call: Call) -> Who:
    """Says who asks, by the token of the call, looked up again every few seconds."""
    clock = asyncio.get_running_loop().time
    actor, checked_at = call.actor, clock()

    async def who() -> Actor:
        nonlocal actor, checked_at
        if clock() - checked_at >= RECHECK_S:
            session = await session_of(call.services, call.connection, call.services.now())
            actor, checked_at = session.actor, clock()
        return actor

    return who


async def send_all(
    socket: WebSocket,
    batches: AsyncIterator[list[T]],
    frames: Callable[[list[T]], Iterable[object]],
) -> None:
    """Accepts the socket and sends each frame of each batch as one text message, then closes it.

    The first batch is waited for before the socket is accepted, so that what is not there can still be
    refused. It also ends when the client leaves.
    """
    first = await anext(batches, None)
    await socket.accept()
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(_send(socket, first, batches, frames))
        leaving = group.create_task(_until_left(socket))
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        sending.cancel()
        leaving.cancel()


async def _send(
    socket: WebSocket,
    first: list[T] | None,
    batches: AsyncIterator[list[T]],
    frames: Callable[[list[T]], Iterable[object]],
) -> None:
    # A client that left is noticed by the reader, or here by whichever send comes first.
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        if first is not None:
            await _send_frames(socket, frames(first))
        try:
            async for batch in batches:
                await _send_frames(socket, frames(batch))
        except TaskyardError:
            await socket.close(REFUSED_CLOSE)
        else:
            await socket.close(NORMAL_CLOSE)


async def _send_frames(socket: WebSocket, frames: Iterable[object]) -> None:
    for frame in frames:
        await socket.send_text(encode(frame).decode())


async def _until_left(socket: WebSocket) -> None:
    """Returns once the client is gone; what it sends until then is ignored."""
    with contextlib.suppress(RuntimeError):
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass


def refuse_plain_follow(call: Call) -> None:
    """Raises RequestRefused when a plain request has the key `follow`, whatever its value. Source: U18."""
    if "follow" in call.connection.query_params:
        raise RequestRefused(
            "websocket_required",
            "A log is followed over a WebSocket.",
            'Ask for an upgrade to WebSocket, or leave out "follow".',
        )


def expected_status(call: Call) -> JobStatus | None:
    """The status a job must be in to be canceled, null for any; raises RequestRefused. Source: U20."""
    raw = call.query(CancelJobQuery).expect_status
    if not raw:
        return None
    if raw in {JobStatus.RUNNING, JobStatus.PENDING}:
        return JobStatus(raw)
    raise RequestRefused(
        "invalid_expect_status", f'expect_status cannot be "{raw}".', "Give running or pending."
    )


async def job_logs(call: Call, job_id: UUID) -> object:
    """The log of a job that the caller was found to see, in the format the query asks for."""
    refuse_plain_follow(call)
    query = call.query(JobLogsQuery)
    as_text = _wants_text(query)
    lines = await build_logs.list_job_logs(call.services, job_id, query.after)
    if as_text:
        return Answer(build_logs.as_text(lines), media_type="text/plain; charset=utf-8")
    return lines


async def follow_job_logs(call: Call, socket: WebSocket, job_id: UUID) -> None:
    """Sends the log of a job that the caller was found to see until the job is over."""
    query = call.query(JobLogsQuery)
    if _wants_text(query):
        raise RequestRefused(
            "invalid_format",
            "A log that is followed comes as JSON.",
            'Leave out "format", or leave out "follow".',
        )
    who = still_signed_in(call)
    batches = build_logs.follow_job_logs(call.services, who, job_id, query.after)
    await send_all(socket, batches, lambda batch: batch)


def _wants_text(query: JobLogsQuery) -> bool:
    if query.format in {"json", "text"}:
        return query.format == "text"
    raise RequestRefused(
        "invalid_format", f'The format cannot be "{query.format}".', "Give json or text."
    )
